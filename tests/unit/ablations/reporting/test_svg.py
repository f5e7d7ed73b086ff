"""Figures as SVG files and elements."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from made_up import Report
from matplotlib.figure import Figure

from ablations.reporting.svg import mark, svg_element, svg_file
from ablations.reporting.theme import drawing

SVG = "{http://www.w3.org/2000/svg}"


def test_svg_files_are_well_formed_and_dateless(report: Report, study_name: str) -> None:
    for path in report(study_name).glob("figures/*.svg"):
        root = ET.parse(path).getroot()  # noqa: S314
        assert root.get("aria-label")
        assert "metadata" not in path.read_text(encoding="utf-8")
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids))


def marked(name: str, *tips: str, num_markers: int = 2) -> str:
    """The document of a figure with as many markers, marked with a variant and tips."""
    with drawing():
        figure = Figure()
        axes = figure.subplots()
        for height in (0, 1):
            (line,) = axes.plot(range(num_markers), [height] * num_markers, "o")
            mark(line, variant=name, tips=tips)
        return svg_file(figure, alt_text="dots")


@pytest.mark.parametrize(
    "name", ["none_wide", "two words", "\"'<&>", "\N{CJK UNIFIED IDEOGRAPH-5377}", "#1f2933", "a\0b"]
)
def test_artists_of_a_variant_bear_its_name(name: str) -> None:
    document = marked(name)
    shown = name.replace("\0", " ")
    for root in (ET.fromstring(document), ET.fromstring(svg_element(document, prefix="x").replace("xlink:", ""))):  # noqa: S314
        groups = [element for element in root.iter() if element.get("data-variant") is not None]
        assert [group.get("data-variant") for group in groups] == [shown, shown]
        assert all(group.get("id") is None for group in groups)


def test_each_marker_has_its_tip() -> None:
    root = ET.fromstring(marked("three", "three, seed 0: 87.14 %", "three, seed 1: <b>"))  # noqa: S314
    group = next(element for element in root.iter() if element.get("data-variant"))
    uses = list(group.iter(f"{SVG}use"))
    assert [use[0].tag for use in uses] == [f"{SVG}title"] * 2
    assert [use[0].text for use in uses] == ["three, seed 0: 87.14 %", "three, seed 1: <b>"]


def test_one_tip_is_of_the_whole_artist() -> None:
    root = ET.fromstring(marked("three", "mean", num_markers=3))  # noqa: S314
    group = next(element for element in root.iter() if element.get("data-variant"))
    assert group[0].text == "mean"
    assert len(list(group.iter(f"{SVG}title"))) == 1


def test_tips_are_left_out_if_markers_are_missing() -> None:
    root = ET.fromstring(marked("three", "first", "second", num_markers=3))  # noqa: S314
    assert not list(root.iter(f"{SVG}title"))


def test_ids_of_the_two_widths_of_a_page_differ() -> None:
    document = marked("three")
    wide, narrow = (ET.fromstring(svg_element(document, prefix=prefix)) for prefix in ("curves", "curves-column"))  # noqa: S314
    ids = [{element.get("id") for element in root.iter()} - {None} for root in (wide, narrow)]
    assert ids[0]
    assert not ids[0] & ids[1]
