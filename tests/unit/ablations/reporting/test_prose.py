"""Paragraphs of the report: answer, expectations, method."""

from __future__ import annotations

from dataclasses import replace

from made_up import MakeStudy
from paired import with_evidence

from ablations.analysis.summary import Contrast
from ablations.reporting import prose
from ablations.reporting.figures.differences import paired_differences
from ablations.reporting.method import method
from ablations.reporting.render import html, markdown
from ablations.stats.judgement import Verdict


def test_expectations(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    none, _, three, _ = summary.contrasts
    assert prose.expectation(summary, none) == "Predicted: worse. Outcome: open."
    assert prose.expectation(summary, three) == "Predicted: unsure."
    assert prose.expectation(summary, replace(none, expect=None)) == "No prediction."


def test_an_expectation_that_came_true_among_runs_that_learned_says_so(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    (two, none, *variants), (first, *others) = summary.variants, summary.contrasts
    true = replace(first, expectation="as expected")
    failing = replace(summary, variants=(two, replace(none, failed_seeds=(1, 3)), *variants), contrasts=(true, *others))
    assert prose.expectation(failing, true).endswith("Outcome: as expected among runs that learned.")
    whole = replace(summary, contrasts=(true, *others))
    assert prose.expectation(whole, true).endswith("Outcome: as expected.")
    assert prose.expectation(failing, first).endswith("Outcome: open.")


def test_method_names_what_was_searched_and_how_hard(make_study: MakeStudy) -> None:
    told = dict(method(make_study("searched_widely")))
    assert "`train.lr` from 0.01 to 0.3 (log scale)" in told["Tuning"]
    assert "`train.optimizer` among sgd and adamw;" in told["Tuning"]
    assert "`train.momentum` from 0 to 0.95 where train.optimizer is sgd." in told["Tuning"]
    assert "20 of 20 trials in 240 epochs" in told["Tuning"]
    assert "`not_run_yet`: 0 of 20 trials" in dict(method(make_study("troubled")))["Tuning"]
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
    told = " ".join(text for _, text in method(summary)).lower()
    assert not any(word in told for word in ("significant", "no effect", "no difference", "trend"))


def test_words_that_seem_at_odds_with_their_intervals_are_explained(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    told = dict(method(summary))["Verdicts"]
    assert "may reach beyond the margin under “equivalent” or “by less”" in told
    assert "may hold 0 under “better” or “worse”" in told
    spec = paired_differences(summary)
    assert spec is not None
    assert "Verdicts follow the corrected tests, so they can differ slightly from the bars." in spec.caption


def test_it_is_told_which_p_values_are_corrected(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    for page in (html(summary, [], created="now"), markdown(summary, [], created="now")):
        assert "The others hold for each contrast alone." in page


def test_method_tells_failures_and_what_their_rate_could_be(make_study: MakeStudy) -> None:
    told = dict(method(make_study("troubled")))["Failed runs"]
    assert "its last validation accuracy is at least 20 %" in told
    assert "a ninth of the way from the best constant guess to 100 %" in told
    assert "`book_network_as_it_is_printed`: 1 of 10 (0 to 45 %); `every_block" in told
    assert "`half_done`: 0 of 1 (up to 98 %); `mixers_of_kind_0`, `mixers_of_kind_1`" in told
    assert told.endswith("and `mixers_of_kind_6`: 0 of 10 (up to 31 %).")
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
        "Without any one of seeds 0 and 3 the verdict would be “undecided”. Without seed 2 the verdict would be “worse, but by "
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
        "Memory is for a batch of 32 images of 1x28x28 in bf16, trained by SGD with momentum on the CPU"
        in prose.costs_note(summary)
    )
    first, *rest = summary.variants
    large = replace(first, workload=replace(first.workload, batch_size=64))
    assert "Memory is for each variant's own batch" in prose.costs_note(replace(summary, variants=(large, *rest)))


def test_the_verdicts_say_which_look_they_are_of(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")

    def told(looks: tuple[int, ...]) -> str:
        return dict(method(replace(summary, looks=looks)))["Verdicts"]

    n = len(summary.seeds)
    assert (
        "One look was planned. Seeds that are added now are a second look, and make every contrast exploratory"
        in told((n,))
    )
    summary = replace(summary, shares=(0.125, 0.875))
    assert (
        f"Looks at {n} and 40 seeds were planned before the first confirmation, with 12.5 and 87.5 % of the risk."
        in told((n, 40))
    )


def test_where_no_verdict_can_be_given_no_risk_is_claimed_either(make_study: MakeStudy) -> None:
    summary = replace(make_study("ordinary"), unplanned="the margin was 5 points when the results were first looked at")
    told = dict(method(summary))["Verdicts"]
    assert "No verdict is given: the margin was 5 points when the results were first looked at." in told
    assert "family-wise" not in told + prose.conditions(summary)
    assert "look" not in told.partition("first looked at.")[2]


def test_contrasts_that_share_the_budget_are_those_that_were_planned(make_study: MakeStudy) -> None:
    summary = replace(make_study("ordinary"), num_planned=7)
    assert "The family-wise error rate over 7 planned contrasts is 5 %" in prose.conditions(summary)
    assert "The family-wise error rate over 7 planned contrasts is 5 %" in dict(method(summary))["Verdicts"]
