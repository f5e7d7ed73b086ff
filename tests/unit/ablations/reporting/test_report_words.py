"""Numbers, names and paragraphs as people read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny

from ablations.analysis.summary import AACheck, Contrast, StudySummary, VariantSummary
from ablations.reporting import prose, words
from ablations.reporting.csv_tables import csv_tables
from ablations.reporting.figures.differences import paired_differences
from ablations.reporting.latex import latex_tables
from ablations.reporting.render import html, markdown
from ablations.reporting.summary_json import summary_json
from ablations.reporting.tables import contrast_details, cost_table, main_table
from ablations.reporting.theme import drawing
from ablations.stats.intervals import Interval, clopper_pearson
from ablations.stats.judgement import Verdict
from ablations.text import mebibytes

MakeStudy = Callable[[str], StudySummary]


def test_points_have_a_true_minus_and_no_minus_zero() -> None:
    assert words.points(97.306) == "97.31"
    assert words.points(-1.916, signed=True) == "−1.92"
    assert words.points(0.3, signed=True) == "+0.30"
    assert words.points(-0.001, signed=True) == "0.00"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.57, "+0.57"),
        (0.003, "+0.003"),
        (-0.004, "−0.004"),
        (0.0, "0.00"),
        (0.5, "+0.50"),
        (97.8 - 97.3, "+0.50"),
        (0.503, "+0.503"),
        (-0.4996, "−0.4996"),
        (1e-7, "0.00"),
    ],
)
def test_an_end_of_an_interval_is_told_from_zero_and_from_the_margin(value: float, text: str) -> None:
    assert words.end(value, 0.5) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (950, "950"), (1_000, "1k"), (252_250, "252k"), (999_900, "1M"), (7_609_090_048, "7.61G")],
)
def test_compact(count: int, text: str) -> None:
    assert words.compact(count) == text


def test_listed_and_plural() -> None:
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.plural(1, "seed") == "1 seed"
    assert words.plural(0, "seed") == "0 seeds"


def test_wrapped() -> None:
    assert words.wrapped("none_wide", 24) == "none_wide"
    assert words.wrapped("", 24) == ""
    assert words.wrapped("narrowed_to_equal_params", 12) == "narrowed_to_\nequal_params"
    lines = words.wrapped("x" * 300, 24, lines=2).split("\n")
    assert [len(line) for line in lines] == [24, 24]
    assert lines[-1].endswith("…")
    assert words.wrapped("a\x00b\nc", 24) == "a b c"


def test_p_values_are_never_zero() -> None:
    assert words.p_value(1e-300) == "< 0.0001"
    assert words.p_value(0.0132) == "0.013"
    assert words.p_value(None) == words.DASH


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


@pytest.mark.parametrize("lacking", [{"interval": None}, {"mean": None}, {"num_pairs": 2}])
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
    method = dict(prose.method(make_study("searched_widely")))
    assert "train.lr from 0.01 to 0.3 (log scale)" in method["Tuning"]
    assert "train.optimizer among sgd and adamw;" in method["Tuning"]
    assert "train.momentum from 0 to 0.95 where train.optimizer is sgd." in method["Tuning"]
    assert "20 of 20 trials in 240 epochs" in method["Tuning"]
    assert "not_run_yet 0 of 20 trials" in dict(prose.method(make_study("troubled")))["Tuning"]
    assert dict(prose.method(make_study("alone")))["Tuning"].startswith("None")


def test_method_tells_the_resolution_of_the_test_set_where_it_is_known(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    assert "Resolution" not in dict(prose.method(summary))
    first, *others = summary.contrasts
    known = replace(first, judgement=replace(first.judgement, image_floor=0.1, basis="seeds and images"))
    told = dict(prose.method(replace(summary, contrasts=(known, *others))))["Resolution"]
    assert "new test images" in told
    assert "±0.20 points" in told


def test_banned_words_stay_out(make_study: MakeStudy, study_name: str) -> None:
    summary = make_study(study_name)
    told = " ".join([prose.answer(summary), *(text for _, text in prose.method(summary))]).lower()
    assert not any(word in told for word in ("significant", "no effect", "no difference", "trend"))


def test_a_verdict_says_where_it_is_only_of_runs_that_learned(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    baseline, failing, *others = summary.variants
    failing = replace(failing, failed_seeds=(1, 3))
    contrast = replace(summary.contrasts[0], judgement=replace(summary.contrasts[0].judgement, verdict=Verdict.BETTER))

    def of(baseline: VariantSummary) -> StudySummary:
        return replace(summary, variants=(baseline, failing, *others), contrasts=(contrast, *summary.contrasts[1:]))

    told = "better among runs that learned (2 of 5 failed, against 0 of 5)"
    apart = of(baseline)
    assert f"none ({words.effect(contrast, 0.5)}; 2 of 5 failed, against 0 of 5) is better among runs that learned" in (
        prose.verdicts(apart)
    )
    assert main_table(apart)[1].verdict == told
    assert summary_json(apart, "now")["contrasts"]["none"]["verdict_words"] == told
    assert f'better">{told}</span>' in html(apart, [], created="now")
    spec = paired_differences(apart)
    assert spec is not None
    assert told in spec.alt_text
    with drawing():
        texts = [text.get_text().replace("\n", " ") for text in spec.draw().axes[0].texts]
    assert "better among runs that learned" in " ".join(texts).replace("  ", " ")
    alike = of(replace(baseline, failed_seeds=(0, 1)))
    assert main_table(alike)[1].verdict == "better"
    undecided = replace(contrast, judgement=replace(contrast.judgement, verdict=Verdict.UNDECIDED_MORE_SEEDS))
    assert words.verdict(apart, undecided) == "undecided among runs that learned: more seeds may decide"
    nothing = replace(contrast, judgement=replace(contrast.judgement, verdict=Verdict.NO_VERDICT))
    assert words.verdict(apart, nothing) == "no verdict"


def test_the_table_says_what_a_variant_is_compared_with_where_that_is_not_the_baseline(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, second, *rest = summary.contrasts
    summary = replace(summary, contrasts=(first, replace(second, versus=first.variant), *rest))
    assert [row.against for row in main_table(summary)] == ["", "", "against none", "", ""]
    assert "against none</span>" in html(summary, [], created="now")
    assert f"| {words.effect(second, 0.5).partition(' ')[0]} (against none) |" in markdown(summary, [], created="now")
    assert "one (against none) & " in latex_tables(summary)["variants.tex"]


def test_rows_without_a_number_have_no_key_to_sort_by(make_study: MakeStudy) -> None:
    rows = {row.name: row.sort_keys for row in main_table(make_study("troubled"))}
    assert rows["not_run_yet"]["difference"] == rows["not_run_yet"]["accuracy"] == ""
    assert rows["book_network_as_it_is_printed"]["difference"] == ""
    assert isinstance(rows["half_done"]["difference"], float)


def test_words_that_seem_at_odds_with_their_intervals_are_explained(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = paired_differences(summary)
    assert spec is not None
    for told in (dict(prose.method(summary))["Verdicts"], spec.caption):
        assert "may reach beyond the margin under “equivalent” or “by less”" in told
        assert "may hold 0 under “better” or “worse”" in told


# Statistics of each contrast


def test_rates_say_what_they_could_be() -> None:
    assert words.rate(clopper_pearson(0, 10)) == "up to 31 %"
    assert words.rate(clopper_pearson(8, 10)) == "44 to 97 %"
    assert words.rate(clopper_pearson(5, 5)) == "48 to 100 %"
    assert words.rate(None) == words.DASH


def test_details_tell_wins_and_failures_with_their_bounds(make_study: MakeStudy) -> None:
    rows = {row.name: row.cells for row in contrast_details(make_study("troubled"))}
    narrowed, nothing, unstarted, *_ = rows.values()
    assert narrowed["Did not learn"] == "3 of 9 (7 to 70 %)"
    assert narrowed["p, failures"] == "0.5", "seeds 1 and 2 against none"
    assert nothing["Did not learn"] == "10 of 10 (69 to 100 %)"
    assert nothing["p, failures"] == "0.0039", "nine seeds against none"
    assert nothing["Chance of a win"] == words.DASH
    assert unstarted["Did not learn"] == unstarted["p, failures"] == words.DASH
    assert narrowed["p, sign flips (least possible)"].endswith(" (0.031)"), "six pairs"
    assert unstarted["p, sign flips (least possible)"] == words.DASH
    (row,) = contrast_details(make_study("hostile"))
    assert (row.cells["Wins, losses, ties"], row.cells["Chance of a win"]) == ("0, 5, 0", "up to 52 %")


def test_it_is_told_which_p_values_are_corrected(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    for page in (html(summary, [], created="now"), markdown(summary, [], created="now")):
        assert "those of sign flips and of failures are of each contrast by itself" in page


def test_a_chance_of_a_win_is_not_looked_for_among_ties(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = summary.contrasts
    judgement = replace(first.judgement, wins=0, losses=0, ties=5, probability_of_improvement=None)
    row, *_ = contrast_details(replace(summary, contrasts=(replace(first, judgement=judgement), *others)))
    assert row.cells["Chance of a win"] == "all tied"


def test_method_tells_failures_and_what_their_rate_could_be(make_study: MakeStudy) -> None:
    told = dict(prose.method(make_study("troubled")))["Failed runs"]
    assert "book_network_as_it_is_printed: 1 of 10 (0 to 45 %); every_block" in told
    assert "half_done: 0 of 1 (up to 98 %); mixers_of_kind_0, mixers_of_kind_1" in told
    assert told.endswith("and mixers_of_kind_6: 0 of 10 (up to 31 %).")
    assert "not_run_yet" not in told
    assert dict(prose.method(make_study("unstarted")))["Failed runs"].endswith("differences.")


def test_a_verdict_that_rests_on_single_seeds_says_so_and_another_one_does_not(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    contrast = summary.contrasts[0]
    same = {seed: replace(contrast.judgement, mean=-2.0 - seed / 10) for seed in range(5)}

    def without(**changed: Verdict) -> Contrast:
        others = {int(seed[1:]): replace(contrast.judgement, verdict=verdict) for seed, verdict in changed.items()}
        judgement = replace(contrast.judgement, verdict=Verdict.WORSE)
        kept = {seed: replace(each, verdict=Verdict.WORSE) for seed, each in same.items()}
        return replace(contrast, judgement=judgement, without_seed={**kept, **others})

    assert prose.rests_on(without()) == ""
    assert prose.rests_on(replace(without(), without_seed={})) == ""
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


def test_the_difference_without_one_seed_stands_in_the_details_and_as_a_table(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    contrast = summary.contrasts[0]
    left = {
        seed: np.mean([d for other, d in contrast.differences.items() if other != seed])
        for seed in contrast.differences
    }
    low, high = (words.points(end(left.values()), signed=True) for end in (min, max))
    assert contrast_details(summary)[0].cells["Without one seed"] == f"{low} to {high}"
    rows = csv_tables(summary)["without_one_seed.csv"].splitlines()
    assert rows[0] == "variant,versus,seed,difference,lower,upper,verdict"
    assert [row.split(",")[:3] for row in rows[1:6]] == [["none", "two", str(seed)] for seed in range(5)]
    assert [float(row.split(",")[3]) for row in rows[1:6]] == pytest.approx(list(left.values()))
    assert {row.cells["Without one seed"] for row in contrast_details(make_study("searched_widely"))} == {words.DASH}
    document = summary_json(summary, "now")["contrasts"]["none"]["without_seed"]
    assert {int(seed): each["difference"] for seed, each in document.items()} == pytest.approx(left)
    assert all(each["interval"][0] < each["difference"] < each["interval"][1] for each in document.values())


# Costs


def test_costs_are_counted_and_measured_side_by_side(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, second, *rest = summary.variants
    one = replace(first, macs=12_000_000, measured=tiny.measurement(latency_1_seconds=0.004))
    rows = cost_table(replace(summary, variants=(one, replace(second, measured=None), *rest)))
    assert rows[0].cells["MACs"] == ("12,000,000", "24M FLOPs")
    counted = mebibytes(first.memory.peak_training_bytes)
    assert rows[0].cells["Training peak"] == (
        counted,
        f"measured {mebibytes(tiny.measurement().peak_training_bytes)}",
    )
    assert rows[0].cells["Latency, 1 image"] == ("4 ms", "IQR 70 µs")
    assert rows[1].cells["Training peak"] == (counted, "")
    assert rows[1].cells["Latency, 1 image"] == ("—", "")
    assert "an abacus, 1 thread, torch 2.0" in prose.costs_note(summary)
    assert "Medians and their ratios have no confidence interval: all calls are of one sitting" in prose.costs_note(
        summary
    )


def test_without_a_measurement_nothing_is_said_of_speed(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    summary = replace(summary, variants=tuple(replace(each, measured=None) for each in summary.variants))
    assert not any("Latency" in heading for row in cost_table(summary) for heading in row.cells)
    assert prose.costs_note(summary).endswith(
        "Nothing is measured yet: a run does that once for each architecture, after its last trial."
    )


def test_the_batch_that_memory_is_for_is_stated(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    assert (
        "memory for a batch of 32 images of 1x28x28 in bf16, trained by SGD with momentum on the CPU"
        in prose.costs_note(summary)
    )
    first, *rest = summary.variants
    large = replace(first, workload=replace(first.workload, batch_size=64))
    assert "memory for each variant's own batch" in prose.costs_note(replace(summary, variants=(large, *rest)))


# Looks


def test_the_verdicts_say_which_look_they_are_of(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")

    def told(looks: tuple[int, ...]) -> str:
        return dict(prose.method(replace(summary, looks=looks)))["Verdicts"]

    n = summary.num_seeds
    assert (
        "One look was planned. Seeds that are added now would be a second one, and make every contrast exploratory"
        in told((n,))
    )
    assert f"Looks at {n} and 40 seeds were planned beforehand, with 2.5 % each; this is look 1; the next one" in told(
        (n, 40)
    )
    assert told((3, n)).endswith("this is look 2.")


def test_an_aa_arm_is_told_with_its_interval(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    assert "A/A arm" not in dict(prose.method(summary))
    still = AACheck(5, 5, 0.02, 0.3, Interval(-0.35, 0.39, 0.95), 1)
    told = dict(prose.method(replace(summary, aa=still)))["A/A arm"]
    assert (
        "+0.02 points against itself (95 % CI −0.35 to +0.39, 5 pairs of 5 planned, sd 0.30, 1 run that did not learn)"
        in told
    )
    assert "two groups of seeds of one and the same network" in told
    apart = replace(still, interval=Interval(0.01, 0.39, 0.95))
    assert "leaves out 0" in dict(prose.method(replace(summary, aa=apart)))["A/A arm"]


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
    told = dict(prose.method(summary))["Verdicts"]
    assert "No verdict is given: the margin was 5 points when the results were first looked at." in told
    assert "is held at" not in told + prose.conditions(summary)
    assert "look" not in told.partition("first looked at.")[2]


def test_contrasts_that_share_the_budget_are_those_that_were_planned(make_study: MakeStudy) -> None:
    summary = replace(make_study("ordinary"), num_planned=7)
    assert "any wrong word among 7 planned contrasts is held at 5 %" in prose.conditions(summary)
    assert "any wrong word among 7 planned contrasts is held at 5 %" in dict(prose.method(summary))["Verdicts"]


def test_costs_stand_beside_what_they_are_compared_with(make_study: MakeStudy) -> None:
    two, none, *_ = cost_table(make_study("ordinary"))
    assert (two.cells["Params"], two.cells["MACs"][1]) == (("252,250", ""), "6.05M FLOPs")
    assert none.cells["Params"] == ("201,338", f"{words.MINUS}20.2 %")
    assert none.cells["MACs"][1] == f"{words.MINUS}20.2 %, 4.83M FLOPs"
    baseline, second, *rest = make_study("ordinary").variants
    for params, told in ((252_250, "the same"), (252_251, "under 0.1 % more"), (252_249, "under 0.1 % less")):
        summary = replace(make_study("ordinary"), variants=(baseline, replace(second, params=params), *rest))
        assert cost_table(summary)[1].cells["Params"][1] == told


def test_the_correlation_of_pairs_is_that_of_the_accuracies(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *_ = contrast_details(summary)
    one, other = (list(summary[name].accuracy_percent.values()) for name in ("none", "two"))
    assert first.cells["Correlation of pairs"] == f"{np.corrcoef(one, other)[0, 1]:+.2f}".replace("-", words.MINUS)
    assert {row.cells["Correlation of pairs"] for row in contrast_details(make_study("searched_widely"))} == {
        words.DASH
    }
