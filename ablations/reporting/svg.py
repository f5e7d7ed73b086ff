"""Matplotlib figures as SVG: a separate file, or an element of a page with several figures."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ablations.reporting import words
from ablations.reporting.theme import DARK, variable

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_REFERENCE = re.compile(r"(?<=url\(#)[^)]+(?=\))|(?<=^#).+")
"""The id in an attribute that refers to another element."""
_MARK = '{"variant": '
"""Beginning of an id that `mark` made."""
_NOT_ADAPTED = frozenset({"aria-label", "data-variant"})
"""Attributes with foreign text."""


def mark(artist: Artist, *, variant: str | None = None, tips: Sequence[str] = ()) -> None:
    """Note an artist's variant and values for its SVG.

    The SVG gets `data-variant` with the name, so that a script can hide a variant, and a `title` for each tip: browsers
    show it on hover.

    Args:
        artist: a part of a figure, or a whole panel.
        variant: its name; None if the artist belongs to none.
        tips: one text for the whole artist, or one for each of its markers.
    """
    artist.set_gid(json.dumps({"variant": variant, "tips": list(tips)}))


def svg_file(figure: Figure, *, alt_text: str) -> str:
    """A figure as an SVG document in the light colours."""
    buffer = io.StringIO()
    canvas: Any = FigureCanvasSVG(figure)
    dpi = figure.dpi
    # Without date and creator, the same figure gives the same file.
    canvas.print_svg(buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    # `print_svg` leaves its own.
    figure.set_dpi(dpi)
    root = _parsed(buffer.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{_SVG}metadata", f"{_SVG}style"}:
                parent.remove(child)
    for element in root.iter():
        if element.get("id", "").startswith(_MARK):
            _apply(json.loads(element.attrib.pop("id")), element)
    # The settings of the style sheet, removed because it would apply to the whole page.
    root.attrib.update({"stroke-linejoin": "round", "stroke-linecap": "butt"})
    root.attrib.update({"role": "img", "aria-label": words.on_one_line(alt_text)})
    ET.register_namespace("", _SVG.strip("{}"))
    ET.register_namespace("xlink", _XLINK.strip("{}"))
    return ET.tostring(root, encoding="unicode") + "\n"


def _apply(noted: dict[str, Any], element: ET.Element) -> None:
    """Give an element the contents of its mark."""
    if noted["variant"] is not None:
        element.set("data-variant", words.on_one_line(noted["variant"]))
    tips = noted["tips"]
    markers = [element] if len(tips) == 1 else list(element.iter(f"{_SVG}use"))
    # Markers outside of the canvas are not drawn; the tips of the others would be wrong.
    if len(markers) == len(tips):
        for marker, tip in zip(markers, tips, strict=True):
            title = ET.Element(f"{_SVG}title")
            title.text = words.on_one_line(tip)
            marker.insert(0, title)


def svg_element(document: str, *, prefix: str) -> str:
    """Convert a document of `svg_file` to an element of an HTML page.

    Its ids get a prefix, because a page has several figures; ids without a reference are removed. Its colours become CSS
    variables (`theme.variable`). Its namespaces are removed, because HTML does not need them.
    """
    root = _parsed(document)
    referred = {
        name for element in root.iter() for value in element.attrib.values() for name in _REFERENCE.findall(value)
    }
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.attrib = {
            name.removeprefix(_XLINK): _adapted(name, value, prefix)
            for name, value in element.attrib.items()
            if name != "id" or value in referred
        }
    return ET.tostring(root, encoding="unicode", short_empty_elements=False)


def _adapted(name: str, value: str, prefix: str) -> str:
    if name in _NOT_ADAPTED:
        return value
    if name == "id":
        return f"{prefix}-{value}"
    value = _REFERENCE.sub(lambda match: f"{prefix}-{match[0]}", value)
    for colour in DARK:
        value = value.replace(colour, f"var({variable(colour)})")
    return value


def _parsed(document: str) -> ET.Element:
    return ET.fromstring(document)
