"""Numbers and names as people read them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up import MakeStudy

from ablations.analysis.summary import StudySummary, VariantSummary
from ablations.reporting import words
from ablations.reporting.answer import answer
from ablations.reporting.figures.differences import paired_differences
from ablations.reporting.render import html
from ablations.reporting.summary_json import summary_json
from ablations.reporting.tables import main_table
from ablations.reporting.theme import PAGE
from ablations.stats.intervals import clopper_pearson
from ablations.stats.judgement import Verdict


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


def test_a_verdict_says_where_it_is_only_of_runs_that_learned(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    baseline, failing, *others = summary.variants
    failing = replace(failing, failed_seeds=(1, 3))
    contrast = replace(summary.contrasts[0], judgement=replace(summary.contrasts[0].judgement, verdict=Verdict.BETTER))

    def of(baseline: VariantSummary) -> StudySummary:
        return replace(summary, variants=(baseline, failing, *others), contrasts=(contrast, *summary.contrasts[1:]))

    told = "better among runs that learned (2 of 5 failed, against 0 of 5)"
    apart = of(baseline)
    assert "`none` scored 2.18 points higher among runs that learned" in answer(apart)
    assert main_table(apart)[1].verdict == told
    assert summary_json(apart, "now")["contrasts"]["none"]["verdict_words"] == told
    page = html(apart, [], created="now")
    assert f'title="{told}">better</span>' in page
    assert "2 of 5 failed, against 0 of 5</span>" in page
    spec = paired_differences(apart)
    assert spec is not None
    assert told in spec.alt_text
    texts = [text.get_text().replace("\n", " ") for text in spec.draw(PAGE).axes[0].texts]
    assert "better among runs that learned" in " ".join(texts).replace("  ", " ")
    alike = of(replace(baseline, failed_seeds=(0, 1)))
    assert main_table(alike)[1].verdict == "better"
    undecided = replace(contrast, judgement=replace(contrast.judgement, verdict=Verdict.UNDECIDED_MORE_SEEDS))
    assert words.verdict(apart, undecided) == "undecided among runs that learned: too few seeds"
    nothing = replace(contrast, judgement=replace(contrast.judgement, verdict=Verdict.NO_VERDICT))
    assert words.verdict(apart, nothing) == "no verdict"


def test_rates_say_what_they_could_be() -> None:
    assert words.rate(clopper_pearson(0, 10)) == "up to 31 %"
    assert words.rate(clopper_pearson(8, 10)) == "44 to 97 %"
    assert words.rate(clopper_pearson(5, 5)) == "48 to 100 %"
    assert words.rate(None) == words.DASH


def test_a_chip_is_the_verdict_in_a_word_or_two(make_study: MakeStudy) -> None:
    contrast = make_study("ordinary").contrasts[0]
    chips = {v: words.chip(replace(contrast, judgement=replace(contrast.judgement, verdict=v))) for v in Verdict}
    assert chips == {
        Verdict.BETTER: "better",
        Verdict.WORSE: "worse",
        Verdict.BETTER_BY_LESS: "better, < margin",
        Verdict.WORSE_BY_LESS: "worse, < margin",
        Verdict.BETTER_BY_MORE: "better, > margin",
        Verdict.WORSE_BY_MORE: "worse, > margin",
        Verdict.EQUIVALENT: "equivalent",
        Verdict.UNDECIDED_MORE_SEEDS: "undecided",
        Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP: "undecided",
        Verdict.UNDECIDED_FUTILE: "undecided",
        Verdict.EXPLORATORY: "exploratory",
        Verdict.NO_VERDICT: "no verdict",
    }


def test_every_verdict_has_a_colour(make_study: MakeStudy) -> None:
    contrast = make_study("ordinary").contrasts[0]
    tones = {words.tone(replace(contrast, judgement=replace(contrast.judgement, verdict=v))) for v in Verdict}
    assert tones == {"better", "worse", "equivalent", "open"}
