"""The path of each contrast over the looks."""

from __future__ import annotations

from dataclasses import replace

from made_up import MakeStudy

from ablations.analysis.summary import Contrast, LookPoint, StudySummary
from ablations.reporting.figures.looks import path_over_looks
from ablations.reporting.theme import PAGE
from ablations.stats.intervals import Interval
from ablations.stats.judgement import Verdict


def with_path(contrast: Contrast) -> Contrast:
    points = (
        LookPoint(1, 5, 5, Verdict.UNDECIDED_MORE_SEEDS, -0.4, Interval(-1.1, 0.3, 0.99375), 0.9, None),
        LookPoint(2, 8, 7, Verdict.WORSE, -0.61, Interval(-0.9, -0.31, 0.99625), 0.5, 0.1),
    )
    return replace(contrast, look=2, num_seeds=8, course=replace(contrast.course, points=points, closed="word"))


def with_looks(summary: StudySummary) -> StudySummary:
    first, *others = summary.contrasts
    bare = [replace(each, course=replace(each.course, points=())) for each in others]
    return replace(summary, looks=(5, 8, 12), shares=(5 / 12, 3 / 12, 4 / 12), contrasts=(with_path(first), *bare))


def test_one_look_has_no_path(make_study: MakeStudy) -> None:
    assert path_over_looks(make_study("ordinary")) is None


def test_each_look_is_drawn_and_told(make_study: MakeStudy) -> None:
    summary = with_looks(make_study("ordinary"))
    spec = path_over_looks(summary)
    assert spec is not None
    name = summary.contrasts[0].variant
    assert (
        f"{name} minus two: \N{MINUS SIGN}0.40 [\N{MINUS SIGN}1.10 to +0.30] at 5 seeds, undecided; "
        "\N{MINUS SIGN}0.61 [\N{MINUS SIGN}0.90 to \N{MINUS SIGN}0.31] at 8 seeds, worse." in spec.alt_text
    )
    assert "no complete look at seeds that differ" in spec.caption
    axes = spec.draw(PAGE).axes[0]
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    assert [(float(d.get_xdata()[0]), float(d.get_ydata()[0])) for d in diamonds] == [(5.0, -0.4), (8.0, -0.61)]  # type: ignore[index]
    assert axes.get_xlabel().replace("\n", " ").endswith(", look 2 of 3, 8 seeds")
    dashes = sorted(float(line.get_ydata()[0]) for line in axes.lines if line.get_marker() == "_")  # type: ignore[index]
    assert dashes == [-0.9, -0.5, 0.5, 0.9]


def test_no_interval_of_a_last_look_is_cut_off(make_study: MakeStudy) -> None:
    summary = with_looks(make_study("ordinary"))
    first, *_ = summary.contrasts
    wide = replace(first.course.points[-1], mean=1.8, interval=Interval(1.5, 2.6, 0.99))
    narrow = replace(wide, mean=0.1, interval=Interval(0.0, 0.2, 0.99))
    paths = [replace(first, course=replace(first.course, points=points)) for points in ((wide,), *[(narrow,)] * 4)]
    spec = path_over_looks(replace(summary, contrasts=tuple(paths)))
    assert spec is not None
    assert spec.draw(PAGE).axes[0].get_ylim()[1] > 2.6
