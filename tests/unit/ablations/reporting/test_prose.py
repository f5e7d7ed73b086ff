"""Paragraphs of the report: answer, expectations, method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made_up import MakeStudy
from paired import with_evidence

from ablations.analysis.summary import AACheck, Contrast
from ablations.reporting import looks, prose, words
from ablations.reporting.figures.differences import paired_differences
from ablations.reporting.method import method
from ablations.reporting.render import html, markdown
from ablations.stats.intervals import Interval
from ablations.stats.judgement import Verdict


def test_every_verdict_has_a_colour_and_a_clause(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    contrast = summary.contrasts[0]
    tones = set()
    for verdict in Verdict:
        judged = replace(contrast, judgement=replace(contrast.judgement, verdict=verdict))
        tones.add(words.tone(judged))
        told = prose.answer(replace(summary, contrasts=(judged,)))
        assert f"none ({words.effect(judged, 0.5)})" in told
        assert verdict.words.partition(":")[0] in told
    assert tones == {"better", "worse", "equivalent", "open"}


def test_answer_says_seeds_interval_margin_and_scope_with_the_verdicts(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    sentence = prose.answer(summary).split(". Of ")[0]
    for contrast in summary.contrasts:
        assert words.effect(contrast, 0.5) in sentence
        assert contrast.judgement.verdict.words in sentence
    assert "95 % CI, from 5 paired seeds, margin ±0.5 points" in sentence
    assert summary.scope in sentence


@pytest.mark.parametrize("lacking", [{"evidence": None}, {"mean": None}, {"num_pairs": 2}])
def test_no_verdict_is_told_without_what_it_rests_on(make_study: MakeStudy, lacking: dict[str, Any]) -> None:
    summary = make_study("ordinary")
    first, *others = summary.contrasts
    bare = replace(first, judgement=replace(first.judgement, verdict=Verdict.WORSE, **lacking))
    with pytest.raises(ValueError, match="none needs its mean, interval and number of pairs"):
        prose.verdicts(replace(summary, contrasts=(bare, *others)))
    silent = replace(first, judgement=replace(bare.judgement, verdict=Verdict.NO_VERDICT))
    assert "there is no verdict on none" in prose.verdicts(replace(summary, contrasts=(silent, *others)))


def test_no_verdict_is_told_without_its_scope_and_margin(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    with pytest.raises(ValueError, match="scope"):
        prose.verdicts(replace(summary, scope=" "))
    with pytest.raises(ValueError, match="margin"):
        prose.verdicts(replace(summary, decision=summary.decision.model_copy(update={"margin": 0.0})))


def test_answer_counts_expectations_and_gaps(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    outcomes = ("as expected", "not as expected", "as expected", "open")
    contrasts = tuple(replace(c, expectation=o) for c, o in zip(summary.contrasts, outcomes, strict=True))
    told = prose.answer(replace(summary, contrasts=contrasts))
    assert (
        "Of 3 expectations written down beforehand, 1 came true, 1 did not come true and 1 could not be decided."
        in told
    )
    one, *others = summary.variants
    unfinished = replace(
        summary, contrasts=contrasts, variants=(one, *others[:-1], replace(others[-1], missing_seeds=(9,)))
    )
    assert "and 1 cannot be judged yet." in prose.answer(unfinished)
    told = prose.answer(make_study("troubled"))
    assert "14 confirmation trials ran and did not learn: " in told
    assert told.endswith("20 confirmation trials have no outcome yet.")


def test_of_many_variants_the_answer_names_those_that_it_claims_something_of(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *_ = summary.contrasts

    def told(verdict: Verdict, number: int) -> str:
        judged = replace(first, judgement=replace(first.judgement, verdict=verdict))
        return prose.verdicts(replace(summary, contrasts=(judged,) * number))

    for verdict in (Verdict.UNDECIDED_MORE_SEEDS, Verdict.EXPLORATORY, Verdict.NO_VERDICT):
        assert told(verdict, 8).count(words.effect(first, 0.5)) == 8
        assert words.effect(first, 0.5) not in told(verdict, 9)
        assert "9 variants (each below)" in told(verdict, 9)
    for verdict in (Verdict.WORSE_BY_LESS, Verdict.EQUIVALENT):
        assert told(verdict, 9).count(words.effect(first, 0.5)) == 9


def test_expectations(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    none, _, three, _ = summary.contrasts
    assert prose.expectation(summary, none) == "Expected beforehand: worse. Outcome: open."
    assert prose.expectation(summary, three) == "Expected beforehand: unsure."
    assert prose.expectation(summary, replace(none, expect=None)) == "No expectation was stated."


def test_an_expectation_that_came_true_among_runs_that_learned_says_so(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    (two, none, *variants), (first, *others) = summary.variants, summary.contrasts
    true = replace(first, expectation="as expected")
    failing = replace(summary, variants=(two, replace(none, failed_seeds=(1, 3)), *variants), contrasts=(true, *others))
    assert prose.expectation(failing, true).endswith("Outcome: as expected among runs that learned.")
    assert "1 came true and 2 could not be decided; 1 of these among runs that learned only." in prose.answer(failing)
    whole = replace(summary, contrasts=(true, *others))
    assert prose.expectation(whole, true).endswith("Outcome: as expected.")
    assert "among runs that learned" not in prose.answer(whole)
    assert prose.expectation(failing, first).endswith("Outcome: open.")


def test_answer_where_there_is_none(make_study: MakeStudy) -> None:
    assert prose.answer(make_study("unstarted")) == "There is no answer yet: no confirmation trial has learned."
    failed = replace(make_study("troubled"), variants=(make_study("troubled")["learns_nothing_at_all"],))
    assert prose.answer(failed) == "There is no answer: all confirmation trials ran, and none of them learned."
    assert prose.answer(make_study("alone")).endswith("there is nothing to compare it with.")
    assert "±" not in prose.answer(make_study("alone"))


def test_method_names_what_was_searched_and_how_hard(make_study: MakeStudy) -> None:
    told = dict(method(make_study("searched_widely")))
    assert "train.lr from 0.01 to 0.3 (log scale)" in told["Tuning"]
    assert "train.optimizer among sgd and adamw;" in told["Tuning"]
    assert "train.momentum from 0 to 0.95 where train.optimizer is sgd." in told["Tuning"]
    assert "20 of 20 trials in 240 epochs" in told["Tuning"]
    assert "not_run_yet 0 of 20 trials" in dict(method(make_study("troubled")))["Tuning"]
    assert dict(method(make_study("alone")))["Tuning"].startswith("None")


def test_method_tells_the_resolution_of_the_test_set_where_it_is_known(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    assert "Resolution" not in dict(method(summary))
    first, *others = summary.contrasts
    known = replace(first, judgement=with_evidence(first.judgement, image_floor=0.1, basis="seeds and images"))
    told = dict(method(replace(summary, contrasts=(known, *others))))["Resolution"]
    assert "new test images" in told
    assert "±0.20 points" in told


def test_banned_words_stay_out(make_study: MakeStudy, study_name: str) -> None:
    summary = make_study(study_name)
    told = " ".join([prose.answer(summary), *(text for _, text in method(summary))]).lower()
    assert not any(word in told for word in ("significant", "no effect", "no difference", "trend"))


def test_words_that_seem_at_odds_with_their_intervals_are_explained(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = paired_differences(summary)
    assert spec is not None
    for told in (dict(method(summary))["Verdicts"], spec.caption):
        assert "may reach beyond the margin under “equivalent” or “by less”" in told
        assert "may hold 0 under “better” or “worse”" in told


def test_it_is_told_which_p_values_are_corrected(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    for page in (html(summary, [], created="now"), markdown(summary, [], created="now")):
        assert "those of sign flips and of failures are of each contrast by itself" in page


def test_method_tells_failures_and_what_their_rate_could_be(make_study: MakeStudy) -> None:
    told = dict(method(make_study("troubled")))["Failed runs"]
    assert "right on at least 20 % of the validation images" in told
    assert "a ninth of the way from the best constant guess (10 %) to 100 %" in told
    assert "book_network_as_it_is_printed: 1 of 10 (0 to 45 %); every_block" in told
    assert "half_done: 0 of 1 (up to 98 %); mixers_of_kind_0, mixers_of_kind_1" in told
    assert told.endswith("and mixers_of_kind_6: 0 of 10 (up to 31 %).")
    assert "not_run_yet" not in told
    assert dict(method(make_study("unstarted")))["Failed runs"].endswith("do not hold for all seeds.")


def test_a_verdict_that_rests_on_single_seeds_says_so_and_another_one_does_not(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    contrast = summary.contrasts[0]
    same = {seed: replace(contrast.judgement, mean=-2.0 - seed / 10) for seed in range(5)}

    def without(**changed: Verdict) -> Contrast:
        others = {int(seed[1:]): replace(contrast.judgement, verdict=verdict) for seed, verdict in changed.items()}
        judgement = replace(contrast.judgement, verdict=Verdict.WORSE)
        kept = {seed: replace(each, verdict=Verdict.WORSE) for seed, each in same.items()}
        return replace(contrast, judgement=judgement, without_unit={**kept, **others})

    assert prose.rests_on(without()) == ""
    assert prose.rests_on(replace(without(), without_unit={})) == ""
    two_words = without(
        _3=Verdict.UNDECIDED_MORE_SEEDS, _0=Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP, _2=Verdict.WORSE_BY_LESS
    )
    told = (
        "Without any one of seeds 0 and 3 the verdict would be “undecided”; without seed 2 the verdict would be “worse, but by "
        "less than the margin”."
    )
    assert prose.rests_on(two_words) == told
    every = {f"_{seed}": Verdict.UNDECIDED_MORE_SEEDS for seed in range(5)}
    assert prose.rests_on(without(**every)) == "Without any one of its 5 seeds the verdict would be “undecided”."
    shown = replace(summary, contrasts=(two_words, *summary.contrasts[1:]))
    assert told in html(shown, [], created="now")
    assert told in markdown(shown, [], created="now")
    undecided = replace(without(_1=Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP))
    undecided = replace(undecided, judgement=replace(undecided.judgement, verdict=Verdict.UNDECIDED_MORE_SEEDS))
    assert "seed 1 " not in prose.rests_on(undecided)


def test_the_batch_that_memory_is_for_is_stated(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    assert (
        "memory for a batch of 32 images of 1x28x28 in bf16, trained by SGD with momentum on the CPU"
        in prose.costs_note(summary)
    )
    first, *rest = summary.variants
    large = replace(first, workload=replace(first.workload, batch_size=64))
    assert "memory for each variant's own batch" in prose.costs_note(replace(summary, variants=(large, *rest)))


def test_the_verdicts_say_which_look_they_are_of(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")

    def told(looks: tuple[int, ...]) -> str:
        return dict(method(replace(summary, looks=looks)))["Verdicts"]

    n = len(summary.seeds)
    assert (
        "One look was planned. Seeds that are added now would be a second one, and make every contrast exploratory"
        in told((n,))
    )
    summary = replace(summary, shares=(0.125, 0.875))
    assert (
        f"Looks at {n} and 40 seeds were planned before the first confirmation, with 12.5 and 87.5 % of the risk."
        in told((n, 40))
    )


@pytest.mark.parametrize(
    ("closed", "told"),
    [
        ("word", "Its word is of look 1 of 2, at 5 seeds."),
        ("futile", "It was stopped at look 1 of 2, at 5 seeds, with a 7 % chance of a word by 40 seeds."),
        ("last look", "It is of look 1 of 2, at 5 seeds: no look is left."),
        ("not planned", "It is of look 1 of 2, at 5 seeds, without a verdict."),
        (None, "It is open after look 1 of 2, at 5 seeds; the next is at 40 seeds, with a 7 % chance of a word by 40 seeds."),
    ],
)  # fmt: skip
def test_a_verdict_comes_with_its_look(make_study: MakeStudy, closed: Any, told: str) -> None:
    summary = replace(make_study("ordinary"), looks=(5, 40))
    contrast = summary.contrasts[0]
    course = replace(contrast.course, closed=closed, chance=0.07, next_seeds=40)
    assert looks.at_look(summary, replace(contrast, num_seeds=5, course=course)) == told
    waiting = replace(contrast, num_seeds=5, course=replace(course, points=()))
    assert looks.at_look(summary, waiting) == "Look 1 of 2, at 5 seeds, is not complete."
    assert looks.at_look(replace(summary, looks=(5,)), contrast) == ""


def test_an_aa_arm_is_told_with_its_interval(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    assert "A/A arm" not in dict(method(summary))
    still = AACheck(5, 5, 0.02, 0.3, Interval(-0.35, 0.39, 0.95), 1)
    told = dict(method(replace(summary, aa=still)))["A/A arm"]
    assert (
        "+0.02 points against itself (95 % CI −0.35 to +0.39, 5 pairs of 5 planned, sd 0.30, 1 run that did not learn)"
        in told
    )
    assert "two groups of seeds of one and the same network" in told
    apart = replace(still, interval=Interval(0.01, 0.39, 0.95))
    assert "leaves out 0" in dict(method(replace(summary, aa=apart)))["A/A arm"]


def test_the_answer_names_what_each_variant_is_compared_with(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, second, *rest = summary.contrasts
    chained = replace(second, versus=first.variant)
    told = prose.verdicts(replace(summary, contrasts=(first, chained, *rest)))
    assert told.startswith(f"Against the baseline {summary.baseline} (")
    assert f"; against {first.variant}, {second.variant} (" in told


def test_runs_that_did_not_learn_are_told_with_their_variant(make_study: MakeStudy) -> None:
    summary = make_study("troubled")
    failing = [variant for variant in summary.variants if variant.failed_seeds]
    told = prose.answer(summary)
    assert all(f"{len(variant.failed_seeds)} of {variant.name}" in told for variant in failing)


def test_where_no_verdict_can_be_given_no_risk_is_claimed_either(make_study: MakeStudy) -> None:
    summary = replace(make_study("ordinary"), unplanned="the margin was 5 points when the results were first looked at")
    told = dict(method(summary))["Verdicts"]
    assert "No verdict is given: the margin was 5 points when the results were first looked at." in told
    assert "is held at" not in told + prose.conditions(summary)
    assert "look" not in told.partition("first looked at.")[2]


def test_contrasts_that_share_the_budget_are_those_that_were_planned(make_study: MakeStudy) -> None:
    summary = replace(make_study("ordinary"), num_planned=7)
    assert "any wrong word among 7 planned contrasts is held at 5 %" in prose.conditions(summary)
    assert "any wrong word among 7 planned contrasts is held at 5 %" in dict(method(summary))["Verdicts"]
