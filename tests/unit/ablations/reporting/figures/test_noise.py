"""Figures that are left out because they show only noise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up import MakeStudy

from ablations.analysis.summary import Contrast, StudySummary
from ablations.reporting.figures import figures, left_out
from ablations.reporting.figures.noise import LeftOut
from ablations.stats.judgement import Verdict


def of_contrasts(summary: StudySummary, **changes: object) -> StudySummary:
    """The study with the same changes in each contrast."""
    return replace(summary, contrasts=tuple(replace(each, **changes) for each in summary.contrasts))  # type: ignore[arg-type]


def names(summary: StudySummary) -> set[str]:
    return {spec.name for spec in figures(summary)}


def found(summary: StudySummary, title: str) -> str | None:
    """The reason why the figure with this title is left out."""
    return next((each.reason for each in left_out(summary) if each.title == title), None)


def with_p(contrast: Contrast, p: float | None, mean: float = 0.1) -> Contrast:
    classes = tuple(replace(each, p_adjusted=p, mean=mean) for each in contrast.class_differences)
    return replace(contrast, class_differences=classes)


@pytest.mark.parametrize("p", [0.051, 0.9])
def test_classes_are_left_out_if_none_differs_after_correction(make_study: MakeStudy, p: float) -> None:
    summary = make_study("ordinary")
    assert found(summary, "Class differences") is None
    alike = replace(summary, contrasts=tuple(with_p(each, p) for each in summary.contrasts))
    assert found(alike, "Class differences") == "No class differs after correction for 40 tests."
    assert "class_differences" not in names(alike)
    first, *others = alike.contrasts
    one = replace(alike, contrasts=(with_p(first, 0.049), *others))
    assert found(one, "Class differences") is None
    assert "class_differences" in names(one)


def test_classes_that_differ_by_the_same_in_all_pairs_are_kept(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = (with_p(each, 0.9) for each in summary.contrasts)
    assert found(replace(summary, contrasts=(with_p(first, None, mean=2.0), *others)), "Class differences") is None
    assert found(replace(summary, contrasts=(with_p(first, None, mean=0.0), *others)), "Class differences") is not None


def test_difference_curves_are_left_out_if_no_interval_leaves_0(make_study: MakeStudy) -> None:
    title = "Differences while training"
    summary = make_study("ordinary")
    assert found(summary, title) is None
    noise = {seed: (0.1 * (-1) ** seed, 0.2 * (-1) ** seed) for seed in range(4)}
    flat = of_contrasts(summary, curve_differences=noise)
    assert found(flat, title) == "No difference has a 95 % interval without 0 at any epoch."
    assert "difference_curves" not in names(flat)
    first, *others = flat.contrasts
    late = {seed: (0.1 * (-1) ** seed, 2 + 0.2 * (-1) ** seed) for seed in range(4)}
    assert found(replace(flat, contrasts=(replace(first, curve_differences=late), *others)), title) is None


def test_disagreement_takes_three_pairs_of_some_contrast(make_study: MakeStudy) -> None:
    title = "Disagreement on single images"
    summary = make_study("ordinary")
    few = of_contrasts(summary, disagreement_percent={0: 2.0, 1: 2.1})
    assert found(few, title) == "No contrast has 3 pairs with known images."
    assert found(replace(few, contrasts=(summary.contrasts[0], *few.contrasts[1:])), title) is None
    assert found(of_contrasts(summary, disagreement_percent={}), title) is None, (
        "nothing is known, so nothing is left out"
    )


def test_seeds_needed_are_left_out_if_each_contrast_has_a_verdict(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    assert found(summary, "Seeds needed") == "Every contrast has a verdict."
    assert "seeds_needed" not in names(summary)
    first, *others = summary.contrasts
    for verdict in (Verdict.UNDECIDED_MORE_SEEDS, Verdict.UNDECIDED_FUTILE, Verdict.EXPLORATORY, Verdict.NO_VERDICT):
        unsettled = replace(first, judgement=replace(first.judgement, verdict=verdict))
        assert found(replace(summary, contrasts=(unsettled, *others)), "Seeds needed") is None


def test_searches_with_few_draws_are_left_out(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    few = replace(
        summary, variants=tuple(replace(each, best_of_n=None, tuning=each.tuning[:8]) for each in summary.variants)
    )
    assert found(few, "Best of n draws") == "No variant has 8 draws."
    dependent = replace(few, independent_draws=False)
    assert found(dependent, "Best trial so far") is None, "a start point is a trial of the search too"
    fewer = replace(dependent, variants=tuple(replace(each, tuning=each.tuning[:7]) for each in few.variants))
    assert found(fewer, "Best trial so far") == "No variant has 8 trials."
    assert "best_of_n" not in names(fewer)


def test_nothing_is_left_out_of_nothing(make_study: MakeStudy) -> None:
    assert left_out(make_study("unstarted")) == ()
    assert left_out(make_study("alone")) == ()
    assert all(isinstance(each, LeftOut) for each in left_out(make_study("searched_widely")))
