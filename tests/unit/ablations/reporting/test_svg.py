"""Figures as SVG files."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from made_up import Report


def test_svg_files_are_well_formed_and_dateless(report: Report, study_name: str) -> None:
    for path in report(study_name).glob("figures/*.svg"):
        root = ET.parse(path).getroot()  # noqa: S314
        assert root.get("aria-label")
        assert "metadata" not in path.read_text(encoding="utf-8")
