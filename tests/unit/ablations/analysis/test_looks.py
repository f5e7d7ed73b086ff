"""What earlier looks leave of the error budget."""

from __future__ import annotations

from dataclasses import replace

import tiny
from paired import evidence_of
from trials import SEEDS, confirmed, plan, summary

from ablations.analysis.looks import gave_verdicts
from ablations.analysis.summarize import summarize
from ablations.analysis.summary import Contrast, StudySummary
from ablations.planning.plan import Look, Plan, PlannedContrast
from ablations.planning.planner import make_plan
from ablations.stats.intervals import Interval
from ablations.stats.judgement import Verdict
from ablations.studyfile.spec import StudySpec


def looked(plan: Plan, *looks: Look) -> StudySummary:
    return summarize(plan, confirmed(plan), {}, {}, looks)


def simultaneous(contrast: Contrast) -> Interval:
    interval = evidence_of(contrast.judgement).simultaneous_interval
    assert interval is not None
    return interval


def test_the_look_itself_and_looks_at_another_experiment_take_nothing() -> None:
    p = plan()
    verdicts = [each.judgement.verdict for each in looked(p).contrasts]
    assert verdicts == [Verdict.WORSE_BY_MORE]
    other = replace(p.this_look, seeds=(0, 1, 2), contrasts=(PlannedContrast("another", "yet another", None),))
    fresh = replace(p.this_look, seeds=(20, 21, 22), margin=0.1)
    assert [each.judgement.verdict for each in looked(p, p.this_look, p.this_look, other, fresh).contrasts] == verdicts


def test_a_look_planned_after_the_fact_is_not_bought_by_looking_once_more() -> None:
    """The same 3 seeds at the whole budget, then at half of it once the file had a second look: the dearer one counts."""
    spent = plan(seeds=3).this_look
    again = replace(spent, alpha=0.025)
    second = make_plan(
        StudySpec.model_validate({**tiny.STUDY, "seeds": 3, "extend_to": SEEDS}), "starter", tiny.CPU, extend=True
    )
    for looks in ((spent, again), (again, spent), (spent, again, second.this_look)):
        assert [each.judgement.verdict for each in looked(second, *looks).contrasts] == [Verdict.EXPLORATORY]
    assert [each.judgement.verdict for each in looked(second, again).contrasts] == [Verdict.WORSE_BY_MORE]


def test_what_was_looked_at_later_takes_nothing_from_the_first_look() -> None:
    p = plan()
    later = replace(p.this_look, seeds=tuple(range(20)))
    assert [each.judgement.verdict for each in looked(p, p.this_look, later).contrasts] == [Verdict.WORSE_BY_MORE]
    assert [each.judgement.verdict for each in looked(p, later, p.this_look).contrasts] == [Verdict.EXPLORATORY]


def test_a_margin_changed_after_a_look_makes_every_contrast_exploratory() -> None:
    p = plan()
    (only,) = looked(p, replace(p.this_look, margin=0.1)).contrasts
    assert only.judgement.verdict is Verdict.EXPLORATORY
    assert "the margin was 0.1 points when the results were first looked at" in only.sentence


def test_a_contrast_dropped_after_a_look_has_had_its_share() -> None:
    p = plan()
    (alone,) = looked(p).contrasts
    others = tuple(PlannedContrast(f"key {n}", p["two"].key, None) for n in range(4))
    (dropped,) = looked(p, replace(p.this_look, contrasts=(*p.this_look.contrasts, *others))).contrasts
    assert "after correcting for 5 comparisons" in dropped.sentence
    assert simultaneous(dropped).lower < simultaneous(alone).lower


def test_a_contrast_added_after_a_look_is_exploratory_and_costs_the_planned_ones_nothing() -> None:
    """Adding one at a time until a word comes out gave a wrong word in one study of ten."""
    p = plan(variants={**tiny.STUDY["variants"], "late": {"set": {"model.dropout": 0.25}}})
    before = replace(p.this_look, contrasts=(p.contrast("one"),))
    one, late = looked(p, before).contrasts
    assert (one.variant, one.judgement.verdict, late.judgement.verdict) == (
        "one",
        Verdict.WORSE_BY_MORE,
        Verdict.EXPLORATORY,
    )
    assert "added after the results were first looked at" in late.sentence
    assert "after correcting for 1 comparison" in one.sentence
    assert [each.judgement.verdict for each in looked(p).contrasts] == [Verdict.WORSE_BY_MORE] * 2


def test_what_is_compared_with_something_else_after_a_look_is_a_new_contrast() -> None:
    p = plan()
    (first,) = p.this_look.contrasts
    turned = replace(
        p.this_look, contrasts=(replace(first, variant_key=first.versus_key, versus_key=first.variant_key),)
    )
    assert [each.judgement.verdict for each in looked(p, turned).contrasts] == [Verdict.EXPLORATORY]


def test_alpha_is_not_raised_after_a_look() -> None:
    p = plan()
    (only,) = looked(p, replace(p.this_look, alpha=0.01)).contrasts
    assert only.judgement.verdict is Verdict.EXPLORATORY
    assert "alpha was 0.01 when the results were first looked at" in only.sentence
    assert (
        looked(p, replace(p.this_look, alpha=0.01)).unplanned == "alpha was 0.01 when the results were first looked at"
    )


def test_an_expectation_is_the_one_that_was_there_before_the_first_look() -> None:
    p = plan(variants={"two": {}, "one": {"set": {"model.mixers": 1}, "expect": "better"}})
    (first,) = p.this_look.contrasts
    s = looked(p, replace(p.this_look, contrasts=(replace(first, expect="worse"),)))
    assert (s.contrasts[0].expect, s.contrasts[0].expectation) == ("worse", "as expected")
    assert s.warnings == (
        "one: expect was worse when the results were first looked at, and is better now; what was first counts.",
    )
    assert looked(p, p.this_look).warnings == ()


def test_a_report_without_a_verdict_spends_nothing() -> None:
    p = plan()
    assert gave_verdicts(looked(p))
    assert not gave_verdicts(summary(p, []))
    assert not gave_verdicts(looked(p, replace(p.this_look, seeds=(0, 1, 2))))


def test_seeds_added_after_a_look_make_every_contrast_exploratory() -> None:
    p = plan()
    (only,) = looked(p, replace(p.this_look, seeds=(0, 1, 2))).contrasts
    assert only.judgement.verdict is Verdict.EXPLORATORY
    assert "looked at before with 3 seeds, and 5 were not planned then (extend_to plans them)" in only.sentence


def test_a_planned_second_look_is_held_against_its_share() -> None:
    p = plan(seeds=3, extend_to=SEEDS)
    second = make_plan(
        StudySpec.model_validate({**tiny.STUDY, "seeds": 3, "extend_to": SEEDS}), "starter", tiny.CPU, extend=True
    )
    (only,) = looked(second, p.this_look).contrasts
    assert only.judgement.verdict is Verdict.WORSE_BY_MORE
    assert "after correcting for 1 comparison and 2 planned looks at a 5 % risk of any wrong word" in only.sentence
    wide, narrow = simultaneous(only), simultaneous(looked(plan()).contrasts[0])
    assert wide.lower < narrow.lower < narrow.upper < wide.upper


def test_a_look_planned_after_the_whole_budget_was_spent_is_exploratory() -> None:
    spent = replace(plan(seeds=3).this_look, alpha=0.05)
    second = make_plan(
        StudySpec.model_validate({**tiny.STUDY, "seeds": 3, "extend_to": SEEDS}), "starter", tiny.CPU, extend=True
    )
    assert [each.judgement.verdict for each in looked(second, spent).contrasts] == [Verdict.EXPLORATORY]
