"""The forest plot of the page, as positions in percent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up import MakeStudy
from paired import with_evidence

from ablations.reporting.forest import MAX_DOTS, forest
from ablations.stats.intervals import Interval


def test_each_comparison_is_a_row_with_its_numbers(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    plot = forest(summary)
    assert plot is not None
    assert [row.name for row in plot.rows] == ["none", "one", "three", "none_wide"]
    none = plot.rows[0]
    assert (none.effect, none.units, none.chip, none.tone) == ("−2.18", "5 pairs", "worse, > margin", "worse")
    assert len(none.dots) == 5
    assert none.dots[0].text.startswith("seed 0: −")
    assert plot.reference == "two"


def test_positions_are_linear_and_within_the_plot(make_study: MakeStudy, study_name: str) -> None:
    plot = forest(make_study(study_name))
    if plot is None:
        assert not make_study(study_name).contrasts
        return
    places = [plot.zero, *(tick.x for tick in plot.ticks), *(row.mean for row in plot.rows if row.mean is not None)]
    places += [dot.x for row in plot.rows for dot in row.dots]
    for bar in (plot.margin, *filter(None, (each for row in plot.rows for each in (row.interval, row.simultaneous)))):
        places += [bar.start, bar.start + bar.width]
    assert all(0 <= place <= 100.01 for place in places)
    # Zero is in the middle of the margin, and equal steps are equally far apart.
    assert plot.zero == pytest.approx(plot.margin.start + plot.margin.width / 2, abs=0.02)
    steps = [after.x - before.x for before, after in zip(plot.ticks, plot.ticks[1:], strict=False)]
    assert max(steps) - min(steps) < 0.03


def test_the_mean_is_in_the_middle_of_its_interval_and_of_its_dots(make_study: MakeStudy) -> None:
    plot = forest(make_study("ordinary"))
    assert plot is not None
    for row in plot.rows:
        assert row.mean is not None
        assert row.interval is not None
        assert row.simultaneous is not None
        assert row.mean == pytest.approx(row.interval.start + row.interval.width / 2, abs=0.05)
        assert row.mean == pytest.approx(sum(dot.x for dot in row.dots) / len(row.dots), abs=0.05)
        assert row.simultaneous.width > row.interval.width


def test_wide_intervals_are_cut_and_marked(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *rest = summary.contrasts
    wide = replace(first, judgement=with_evidence(first.judgement, interval=Interval(-400.0, 400.0, 0.95)))
    plot = forest(replace(summary, contrasts=(wide, *rest)))
    assert plot is not None
    bar = plot.rows[0].interval
    assert bar is not None
    assert (bar.is_cut_left, bar.is_cut_right) == (True, True)
    assert bar.start + bar.width <= 100


def test_dots_of_searches_are_means_over_their_seeds(make_study: MakeStudy) -> None:
    plot = forest(make_study("several_searches"))
    assert plot is not None
    assert [len(row.dots) for row in plot.rows] == [5, 5, 5]
    assert plot.rows[0].dots[0].text.startswith("search 0: ")


def test_too_many_dots_are_left_out(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *rest = summary.contrasts
    many = replace(first, differences={seed: -2.0 - seed / 1000 for seed in range(MAX_DOTS + 1)})
    plot = forest(replace(summary, contrasts=(many, *rest)))
    assert plot is not None
    assert [len(row.dots) for row in plot.rows] == [0, 5, 5, 5]


def test_a_row_names_its_reference_if_there_are_several(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, second, *rest = summary.contrasts
    plot = forest(replace(summary, contrasts=(first, replace(second, versus="none"), *rest)))
    assert plot is not None
    assert plot.reference == "reference"
    assert [row.against for row in plot.rows] == ["two", "none", "two", "two"]


def test_without_a_comparison_there_is_no_plot(make_study: MakeStudy) -> None:
    assert forest(make_study("alone")) is None
