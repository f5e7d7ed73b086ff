"""Forest plot of the paired differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawings import text_of
from made_up import MakeStudy
from paired import with_evidence

from ablations.reporting import words
from ablations.reporting.figures.differences import paired_differences
from ablations.reporting.svg import svg_file
from ablations.reporting.theme import COLUMN, PAGE, Sheet, drawing
from ablations.stats.intervals import Interval


def test_forest_plot_shows_seeds_verdicts_and_margin(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = paired_differences(summary)
    assert spec is not None
    figure = spec.draw(PAGE)
    (axes,) = figure.axes
    text = text_of(figure).replace("\n", " ")
    dots = np.concatenate([line.get_xdata() for line in axes.lines if line.get_markersize() == 4])
    assert sorted(dots) == sorted(d for contrast in summary.contrasts for d in contrast.differences.values())
    assert all(contrast.judgement.verdict.words in text for contrast in summary.contrasts)
    assert "±0.5 points" in text
    assert "*" not in text


def test_the_dots_are_the_units_of_the_test(make_study: MakeStudy) -> None:
    summary = make_study("several_searches")
    spec = paired_differences(summary)
    assert spec is not None
    assert "Dots are single searches" in spec.caption
    assert "paired by search" in spec.alt_text
    figure = spec.draw(PAGE)
    assert "one search" in text_of(figure)
    first = summary.contrasts[0]
    means = [np.mean([first.differences[seed] for seed in (2 * k, 2 * k + 1)]) for k in range(5)]
    dots = next(line for line in figure.axes[0].lines if line.get_markersize() == 4)
    assert list(dots.get_xdata()) == pytest.approx(means)


@pytest.mark.parametrize("sheet", [PAGE, COLUMN])
def test_rows_bear_their_variants(make_study: MakeStudy, sheet: Sheet) -> None:
    summary = make_study("ordinary")
    spec = paired_differences(summary)
    assert spec is not None
    with drawing(sheet):
        document = svg_file(spec.draw(sheet), alt_text="")
    for contrast in summary.contrasts:
        # Name, verdict, numbers, dots, two intervals and the mean.
        assert document.count(f'data-variant="{contrast.variant}"') == 7
        seed, difference = next(iter(contrast.differences.items()))
        assert f"<title>{contrast.variant}, seed {seed}: {words.points(difference, signed=True)}</title>" in document


def test_forest_plot_shades_the_margin_and_no_more(make_study: MakeStudy) -> None:
    spec = paired_differences(make_study("ordinary"))
    assert spec is not None
    (axes,) = spec.draw(PAGE).axes
    (band,) = axes.patches
    assert list(band.get_extents().transformed(axes.transData.inverted()).intervalx) == pytest.approx([-0.5, 0.5])


def test_forest_plot_cuts_endless_intervals(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = summary.contrasts
    endless = with_evidence(first.judgement, simultaneous_interval=Interval(-90.0, 90.0, 0.9875))
    spec = paired_differences(replace(summary, contrasts=(replace(first, judgement=endless), *others)))
    assert spec is not None
    (axes,) = spec.draw(PAGE).axes
    low, high = axes.get_xlim()
    assert -5 < low < -2.4
    assert 0.6 < high < 5
    assert {line.get_marker() for line in axes.lines} >= {"<", ">"}
