"""What a plan may still say, given what was planned and looked at before."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny
from looked import ledger_of, look_of
from paired import evidence_of
from trials import confirmed, plan, summary

from ablations.analysis.standing import Standing, fresh_seed, raised_correction, standing_of
from ablations.analysis.summarize import summarize
from ablations.analysis.summary import Contrast, StudySummary
from ablations.planning.frozen import FrozenPlan, Ledger, Look, PlannedContrast
from ablations.planning.plan import Plan
from ablations.stats.intervals import Interval
from ablations.stats.judgement import Verdict

TUNED = {"train.lr": 0.05}


def looked(plan: Plan, *looks: Look, frozen: tuple[FrozenPlan, ...] = ()) -> StudySummary:
    return summarize(plan, confirmed(plan), {}, {}, [replace(ledger_of(plan, *looks), frozen=frozen)])


def verdicts(found: StudySummary) -> list[Verdict]:
    return [each.judgement.verdict for each in found.contrasts]


def simultaneous(contrast: Contrast) -> Interval:
    interval = evidence_of(contrast.judgement).simultaneous_interval
    assert interval is not None
    return interval


def held(plan: Plan, *ledgers: Ledger) -> Standing:
    """A plan whose variants are tuned to the same value, against what is recorded."""
    tuned = {variant.name: TUNED for variant in plan.variants}
    return standing_of(plan, plan.contrasts(tuned), ledgers)


def frozen(plan: Plan) -> FrozenPlan:
    return plan.frozen(held(plan).contrasts)


# Looks of older versions


def test_the_look_itself_and_looks_at_another_experiment_take_nothing() -> None:
    p = plan()
    assert verdicts(looked(p)) == [Verdict.WORSE_BY_MORE]
    other = look_of(p, seeds=(0, 1, 2), contrasts=(PlannedContrast("another", "yet another", None),))
    fresh = look_of(p, seeds=(20, 21, 22), margin=0.1)
    assert verdicts(looked(p, look_of(p), look_of(p), other, fresh)) == [Verdict.WORSE_BY_MORE]


@pytest.mark.parametrize(("first_seed", "is_fresh"), [(1, False), (4, False), (5, True)])
def test_seeds_that_an_older_version_looked_at_are_not_looked_at_in_another_set(
    first_seed: int, is_fresh: bool
) -> None:
    look = ledger_of(plan(seeds=5), look_of(plan(seeds=5)))
    found = held(plan(seeds=5, first_seed=first_seed), look)
    assert (found.reason is None) == is_fresh
    assert is_fresh or f"seeds 0 to 4 were looked at before, and the plan has seeds {first_seed} to " in str(
        found.reason
    )


def test_a_look_of_an_older_version_does_not_stand_for_the_rules() -> None:
    p = plan()
    assert not held(p, ledger_of(p, look_of(p))).is_frozen
    assert held(p, replace(ledger_of(p, look_of(p)), frozen=(frozen(p),))).is_frozen


def test_fresh_seeds_are_those_that_no_study_of_these_variants_has() -> None:
    p = plan(seeds=5)
    other = replace(ledger_of(p, look_of(p, seeds=tuple(range(40, 45)))), study="other")
    stranger = replace(
        ledger_of(p, look_of(p, seeds=(90, 91), contrasts=(PlannedContrast("another", "yet another", None),))),
        study="stranger",
    )
    assert fresh_seed(p, held(p), []) == 5
    assert fresh_seed(p, held(p), [other, stranger]) == 45


def test_a_second_look_of_an_older_version_has_what_the_first_left() -> None:
    """They gave each of two looks half of alpha, whatever their seeds."""
    p = plan(looks=[5, 12])
    half = look_of(p, alpha=0.025)
    assert held(p, ledger_of(p, half)).shares == (0.5, 0.5)
    assert held(p).shares == held(p, ledger_of(p, look_of(p))).shares == (5 / 12, 7 / 12)
    both = ledger_of(p, half, look_of(p, 2, alpha=0.025))
    assert held(p, both).shares == (0.5, 0.5)


def test_a_look_that_spent_all_leaves_nothing_for_seeds_that_are_added_later() -> None:
    spent = look_of(plan())
    for looks, left in (([5, 12], (1.0, 0.0)), ([5, 8, 12], (1.0, 0.0, 0.0))):
        longer = plan(looks=looks)
        found = held(longer, ledger_of(longer, spent))
        assert (found.shares, found.reason) == (left, None)
    longer = plan(looks=[6, 12])
    reason = "looked at before with 5 seeds, and the plan is looks at 6, 12 seeds from seed 0 on now"
    assert held(longer, ledger_of(longer, spent)).reason == reason


def test_a_look_is_not_made_cheaper_by_looking_once_more() -> None:
    p = plan(looks=[5, 12])
    spent, again = look_of(p, alpha=0.05), look_of(p, alpha=0.025)
    for looks in ((spent, again), (again, spent)):
        assert held(p, ledger_of(p, *looks)).shares == (1.0, 0.0)


def test_a_margin_changed_after_a_look_makes_every_contrast_exploratory() -> None:
    p = plan()
    (only,) = looked(p, look_of(p, margin=0.1)).contrasts
    assert only.judgement.verdict is Verdict.EXPLORATORY
    assert "The margin was 0.1 points when the results were first looked at, and is 5 now" in only.paragraph


def test_a_contrast_dropped_after_a_look_has_had_its_share() -> None:
    p = plan()
    (alone,) = looked(p).contrasts
    others = tuple(PlannedContrast(f"key {n}", p["two"].key, None) for n in range(4))
    found = looked(p, look_of(p, contrasts=(*look_of(p).contrasts, *others)))
    (dropped,) = found.contrasts
    assert found.num_planned == 5
    assert simultaneous(dropped).lower < simultaneous(alone).lower


def test_a_contrast_added_after_a_look_is_exploratory_and_costs_the_planned_ones_nothing() -> None:
    """Adding one at a time until a word comes out gave a wrong word in one study of ten."""
    p = plan(variants={**tiny.STUDY["variants"], "late": {"set": {"model.dropout": 0.25}}})
    before = look_of(p, contrasts=look_of(p).contrasts[:1])
    found = looked(p, before)
    _, late = found.contrasts
    assert verdicts(found) == [Verdict.WORSE_BY_MORE, Verdict.EXPLORATORY]
    assert "Added after the results were first looked at" in late.paragraph
    assert found.num_planned == 1
    assert verdicts(looked(p)) == [Verdict.WORSE_BY_MORE] * 2
    # Recorded in its turn, the look still has one comparison.
    assert verdicts(looked(p, before, *found.taken)) == verdicts(found)


def test_the_same_two_variants_turned_round_are_the_same_contrast() -> None:
    p = plan()
    (first,) = look_of(p).contrasts
    turned = replace(first, variant_key=first.versus_key, versus_key=first.variant_key)
    assert verdicts(looked(p, look_of(p, contrasts=(turned,)))) == [Verdict.WORSE_BY_MORE]


def test_what_is_compared_with_something_else_after_a_look_is_a_new_contrast() -> None:
    p = plan()
    (first,) = look_of(p).contrasts
    other = replace(first, versus_key="another")
    assert verdicts(looked(p, look_of(p, contrasts=(other,)))) == [Verdict.EXPLORATORY]


def test_alpha_is_not_raised_after_a_look() -> None:
    p = plan()
    found = looked(p, look_of(p, alpha=0.01))
    assert verdicts(found) == [Verdict.EXPLORATORY]
    assert found.unplanned == "alpha was 0.01 when the results were first looked at, and is 0.05 now"


def test_an_expectation_is_the_one_that_was_there_before_the_first_look() -> None:
    p = plan(variants={"two": {}, "one": {"set": {"model.mixers": 1}, "expect": "better"}})
    (first,) = look_of(p).contrasts
    s = looked(p, look_of(p, contrasts=(replace(first, expect="worse"),)))
    assert (s.contrasts[0].expect, s.contrasts[0].expectation) == ("worse", "as expected")
    assert s.warnings == (
        "`one`: the prediction changed after the first look at results, from worse to better. The first one counts.",
    )
    assert looked(p, look_of(p)).warnings == ()


def test_a_report_without_a_verdict_spends_nothing() -> None:
    p = plan()
    assert [look.alpha for look in looked(p).taken] == [0.05]
    assert summary(p, []).taken == ()
    assert [look.alpha for look in looked(p, look_of(p, margin=0.1)).taken] == [0.0]


# Frozen plans


def test_a_plan_that_is_as_it_was_frozen_may_say_all() -> None:
    p = plan(looks=[5, 8, 12])
    found = held(p, Ledger(p.study, p.profile, (frozen(p),)))
    assert (found.reason, found.unplanned, found.is_frozen) == (None, {}, True)
    assert not held(p).is_frozen


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"decision": {"margin": 0.4}}, "the margin was 5 points when the first confirmation trial began, and is 0.4 now"),
        ({"decision": {"margin": 5.0, "alpha": 0.1}}, "alpha was 0.05 when the first confirmation trial began, and is 0.1 now"),
        ({"seeds": 10}, "the plan was one look at 5 seeds from seed 0 on when the first confirmation trial began, and is one look at 10 seeds from seed 0 on now"),
        ({"looks": [5, 10]}, "the plan was one look at 5 seeds from seed 0 on when the first confirmation trial began, and is looks at 5, 10 seeds from seed 0 on now"),
        ({"first_seed": 3}, "the plan was one look at 5 seeds from seed 0 on when the first confirmation trial began, and is one look at 5 seeds from seed 3 on now"),
    ],
)  # fmt: skip
def test_a_plan_that_was_changed_after_it_was_frozen_says_nothing(change: dict[str, object], reason: str) -> None:
    p = plan()
    ledger = Ledger(p.study, p.profile, (frozen(p),))
    changed = plan(**change)
    found = held(changed, ledger)
    assert found.reason == reason
    assert found.unplanned == {"one": reason}
    assert held(p, ledger).reason is None, "the old file has its words"


def test_a_lower_alpha_and_fresh_seeds_are_free() -> None:
    p = plan()
    ledger = Ledger(p.study, p.profile, (frozen(p),))
    assert held(plan(decision={"margin": 5.0, "alpha": 0.01}), ledger).reason is None
    fresh = held(plan(first_seed=5, decision={"margin": 2.0}), ledger)
    assert (fresh.reason, fresh.is_frozen, fresh.shares) == (None, False, (1.0,))


def test_what_decides_nothing_is_in_no_key() -> None:
    p = plan(search_space={})
    more = plan(search_space={}, tuning={"trials": 21})
    assert {v.key for v in p.variants}.isdisjoint(v.key for v in more.variants)
    found = held(plan(search_space={}, tuning={"trials": 21}, seeds=10), Ledger(p.study, p.profile, (frozen(p),)))
    assert found.reason is not None


def test_another_study_with_the_same_trials_is_the_same_looks() -> None:
    p = plan()
    ledger = Ledger("renamed", "starter", (frozen(p),))
    assert held(p, ledger).reason is None
    assert not held(p, ledger).is_frozen, "it is frozen under its own name, too"
    assert "began in study renamed, profile starter, and is 0.4 now" in str(
        held(plan(decision={"margin": 0.4}), ledger).reason
    )


def test_dropped_variants_keep_their_part_of_the_budget_in_every_study() -> None:
    wide = plan(variants={**tiny.STUDY["variants"], "late": {"set": {"model.dropout": 0.25}}})
    for name in (wide.study, "renamed"):
        assert held(plan(), Ledger(name, wide.profile, (frozen(wide),))).num_comparisons == 2


def test_a_correction_that_another_study_raises_is_told_in_both() -> None:
    wide = plan(variants={**tiny.STUDY["variants"], "late": {"set": {"model.dropout": 0.25}}})
    other = Ledger("wide", "starter", (frozen(wide),))
    raised = held(plan(), other)
    assert (raised.raised_by, raised.raises) == (("wide", "starter"), {})
    (told,) = summarize(plan(), confirmed(plan()), {}, {}, [ledger_of(plan()), other]).history
    assert told.startswith("Study wide, profile starter, planned 2 comparisons for these trials, more than this study")
    raising = held(wide, Ledger("first", "laptop", (frozen(plan()),)))
    assert (raising.raised_by, raising.raises) == (None, {("first", "laptop"): 1})
    warning = raised_correction(wide, raising)
    assert warning is not None
    assert (
        "it plans 2 comparisons for trials that other studies were judged on with fewer: first, profile laptop (1)"
        in warning
    )
    assert raised_correction(plan(), held(plan())) is None


def test_a_study_that_shares_only_its_baseline_is_not_concerned() -> None:
    p = plan()
    others = plan(variants={"two": {}, "late": {"set": {"model.dropout": 0.25}}}, decision={"margin": 3.0})
    found = held(others, Ledger("renamed", "starter", (frozen(p),)))
    assert (found.reason, found.unplanned, found.num_comparisons) == (None, {}, 1)


def test_two_variants_that_another_study_looked_at_and_did_not_compare_are_exploratory() -> None:
    wide = plan(variants={**tiny.STUDY["variants"], "late": {"set": {"model.dropout": 0.25}}})
    changed = plan(
        baseline="one", variants={"one": {"set": {"model.mixers": 1}}, "late": {"set": {"model.dropout": 0.25}}}
    )
    found = held(changed, Ledger("renamed", "starter", (frozen(wide),)))
    assert found.unplanned == {
        "late": "both variants were looked at in study renamed, profile starter, which does not compare them; fresh seeds "
        "(first_seed) give it a verdict"
    }


def test_a_variant_that_was_renamed_keeps_its_place() -> None:
    p = plan()
    renamed = plan(variants={"two": {}, "eins": {"set": {"model.mixers": 1}}})
    found = held(renamed, Ledger(p.study, p.profile, (frozen(p),)))
    assert (found.reason, found.unplanned, found.num_comparisons) == (None, {}, 1)
