"""Settings and colours of the figures."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from drawings import text_of
from made_up import MakeStudy

from ablations.reporting.figures.differences import paired_differences
from ablations.reporting.theme import DARK, PAGE


def test_names_are_never_mathematics(make_study: MakeStudy) -> None:
    spec = paired_differences(make_study("hostile"))
    assert spec is not None
    figure = spec.draw(PAGE)
    assert "$x$" in text_of(figure)
    assert not any(text.get_parse_math() for text in figure.findobj(mpl.text.Text) if "$" in text.get_text())


def test_drawing_leaves_matplotlib_as_it_was(make_study: MakeStudy) -> None:
    before = dict(mpl.rcParams)
    spec = paired_differences(make_study("ordinary"))
    assert spec is not None
    spec.draw(PAGE)
    assert dict(mpl.rcParams) == before


def test_colours_are_told_apart_by_lightness_from_their_ground() -> None:
    def lightness(colour: str) -> float:
        channels = np.array(mpl.colors.to_rgb(colour))
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    def contrast(one: str, other: str) -> float:
        dark, light = sorted((lightness(one), lightness(other)))
        return (light + 0.05) / (dark + 0.05)

    ink, muted, surface = "#1f2933", "#616e7c", "#ffffff"
    for colour in (ink, muted):
        assert contrast(colour, surface) >= 4.5
        assert contrast(DARK[colour], DARK[surface]) >= 4.5
