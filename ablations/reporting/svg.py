"""Matplotlib figures as SVG: a file of its own, or an element to stand in a page beside others."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ablations.reporting.theme import DARK, variable

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def svg_file(figure: Figure, *, alt_text: str) -> str:
    """A figure as an SVG document in the light colours."""
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    return ET.tostring(_parsed(figure, alt_text), encoding="unicode") + "\n"


def svg_element(document: str, *, prefix: str) -> str:
    """An SVG document as an element for an HTML page.

    Its ids get a prefix, so that several figures can stand in one page; its colours become CSS variables (`theme.variable`), and its
    namespaces go, which HTML does not need.
    """
    root = ET.fromstring(document)
    referred = {
        reference
        for element in root.iter()
        for value in element.attrib.values()
        for reference in (*_REFERENCE.findall(value), *([value[1:]] if value.startswith("#") else []))
    }
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        for key, value in list(element.attrib.items()):
            del element.attrib[key]
            if key == "id":
                if value in referred:
                    element.attrib["id"] = f"{prefix}-{value}"
            elif key == f"{{{_XLINK}}}href":
                element.attrib["href"] = f"#{prefix}-{value.removeprefix('#')}"
            else:
                element.attrib[key] = (
                    _themed(_REFERENCE.sub(rf"url(#{prefix}-\1)", value)) if key != "aria-label" else value
                )
    return ET.tostring(root, encoding="unicode", short_empty_elements=False)


def _parsed(figure: Figure, alt_text: str) -> ET.Element:
    buffer = io.StringIO()
    # No date and no creator: the same figure is the same file.
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ET.fromstring(buffer.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{{{_SVG}}}metadata":
                parent.remove(child)
            elif child.tag == f"{{{_SVG}}}style":
                # It speaks to everything ("*"), in a page to the whole page; as attributes of the root it is inherited.
                parent.remove(child)
    root.attrib.update({"role": "img", "aria-label": alt_text, "stroke-linejoin": "round", "stroke-linecap": "butt"})
    return root


def _themed(value: str) -> str:
    for colour in DARK:
        value = value.replace(colour, f"var({variable(colour)})")
    return value
