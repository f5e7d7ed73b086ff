"""Matplotlib figures as SVG: a separate file, or an element of a page with several figures."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from typing import Any

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ablations.reporting import words
from ablations.reporting.theme import DARK, variable

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_REFERENCE = re.compile(r"(?<=url\(#)[^)]+(?=\))|(?<=^#).+")
"""The id in an attribute that refers to another element."""


def svg_file(figure: Figure, *, alt_text: str) -> str:
    """A figure as an SVG document in the light colours."""
    buffer = io.StringIO()
    canvas: Any = FigureCanvasSVG(figure)
    # Without date and creator, the same figure gives the same file.
    canvas.print_svg(buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = _parsed(buffer.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{_SVG}metadata", f"{_SVG}style"}:
                parent.remove(child)
    # The settings of the style sheet, removed because it would apply to the whole page.
    root.attrib.update({"stroke-linejoin": "round", "stroke-linecap": "butt"})
    root.attrib.update({"role": "img", "aria-label": words.on_one_line(alt_text)})
    ET.register_namespace("", _SVG.strip("{}"))
    ET.register_namespace("xlink", _XLINK.strip("{}"))
    return ET.tostring(root, encoding="unicode") + "\n"


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
    if name == "aria-label":
        return value
    if name == "id":
        return f"{prefix}-{value}"
    value = _REFERENCE.sub(lambda match: f"{prefix}-{match[0]}", value)
    for colour in DARK:
        value = value.replace(colour, f"var({variable(colour)})")
    return value


def _parsed(document: str) -> ET.Element:
    return ET.fromstring(document)
