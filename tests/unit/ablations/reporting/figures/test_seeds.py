"""Accuracy by seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawings import text_of
from made_up import MakeStudy
from matplotlib.figure import Figure

from ablations.analysis.summary import StudySummary
from ablations.reporting.figures.frame import draw_dots
from ablations.reporting.figures.seeds import accuracy_by_seed
from ablations.reporting.theme import INK, MUTED, PAGE


def chained(summary: StudySummary) -> StudySummary:
    """The study with its second contrast against the variant of the first."""
    first, second, *others = summary.contrasts
    return replace(summary, contrasts=(first, replace(second, versus=first.variant), *others))


def test_slopes_bear_the_names_of_what_they_join(make_study: MakeStudy) -> None:
    spec = accuracy_by_seed(chained(make_study("ordinary")))
    assert spec is not None
    assert "baseline" not in spec.caption
    panels = [axes for axes in spec.draw(PAGE).axes if axes.get_visible()]
    ticks = [[label.get_text() for label in axes.get_xticklabels()] for axes in panels]
    assert ticks == [["two", "none"], ["none", "one"], ["two", "three"], ["two", "none_wide"]]


def test_many_dots_are_pixels_that_a_dark_page_shows_too() -> None:
    axes = Figure().subplots()
    for num_dots in (100, 101):
        values = list(range(num_dots))
        draw_dots(axes, values, values, [f"seed {k}" for k in values], marker="o", color=INK)
    few, many = axes.lines
    assert [line.get_rasterized() for line in axes.lines] == [False, True]
    assert [line.get_color() for line in axes.lines] == [INK, MUTED]
    assert "seed 99" in few.get_gid()
    assert "seed" not in many.get_gid()


def test_slopes_join_means_over_pairs_and_not_over_all_runs(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    baseline, first, *others = summary.variants
    both = replace(baseline, failed_seeds=(0,)), replace(first, failed_seeds=(4,))
    spec = accuracy_by_seed(replace(summary, variants=(*both, *others)))
    assert spec is not None
    axes = spec.draw(PAGE).axes[0]
    (means,) = [line.get_ydata() for line in axes.lines if line.get_marker() == "D"]
    pairs = [np.mean([each.accuracy_percent[seed] for seed in (1, 2, 3)]) for each in both]
    assert list(means) == pytest.approx(pairs)
    assert all(f"{mean:.2f}" in text_of(axes.figure) for mean in pairs)
