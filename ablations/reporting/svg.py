"""Matplotlib figures as SVG: a file of its own, or an element to stand in a page beside others."""

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
"""An id that an attribute refers to."""


def svg_file(figure: Figure, *, alt_text: str) -> str:
    """A figure as an SVG document in the light colours."""
    buffer = io.StringIO()
    canvas: Any = FigureCanvasSVG(figure)
    # No date and no creator: the same figure is the same file.
    canvas.print_svg(buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = _parsed(buffer.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{_SVG}metadata", f"{_SVG}style"}:
                parent.remove(child)
    # What the style sheet said: in a page it would speak to the whole page.
    root.attrib.update({"stroke-linejoin": "round", "stroke-linecap": "butt"})
    root.attrib.update({"role": "img", "aria-label": words.on_one_line(alt_text)})
    ET.register_namespace("", _SVG.strip("{}"))
    ET.register_namespace("xlink", _XLINK.strip("{}"))
    return ET.tostring(root, encoding="unicode") + "\n"


def svg_element(document: str, *, prefix: str) -> str:
    """A document of `svg_file` as an element for an HTML page.

    Its ids get a prefix, so that several figures can stand in one page, or go where nothing refers to them; its colours
    become CSS variables (`theme.variable`); its namespaces go, which HTML does not need.
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
