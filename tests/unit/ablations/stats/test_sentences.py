"""Sentences as people read them, and what they refuse to say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from paired import (
    BANNED,
    CARRIES_A_WORD,
    SCOPE,
    budget,
    evidence_of,
    images,
    judge_one,
    sample,
    spread,
    with_evidence,
    with_images,
    word,
)

from ablations.stats.intervals import Interval
from ablations.stats.judgement import Verdict
from ablations.stats.sentences import sentence

pytestmark = pytest.mark.filterwarnings("error")


def test_failures_are_told_in_the_notes_and_in_the_sentence() -> None:
    judgement = judge_one(sample(spread(0.0, 0.1), failed=2))
    assert judgement.verdict is Verdict.EQUIVALENT
    assert "among runs that learned (2 of 12 runs did not learn, against 0 of 12 of the reference)" in word(judgement)


def test_a_sentence_refuses_a_verdict_without_pairs_interval_margin_or_scope() -> None:
    good = judge_one(sample(spread(-0.62, 0.4)), num_comparisons=5)
    assert good.verdict is Verdict.WORSE
    word(good)
    with pytest.raises(ValueError, match="pairs"):
        word(replace(good, num_pairs=0))
    with pytest.raises(ValueError, match="interval"):
        word(replace(good, evidence=None))
    with pytest.raises(ValueError, match="mean"):
        word(replace(good, mean=None))
    for margin in (0.0, -0.5, math.nan, math.inf):
        with pytest.raises(ValueError, match="margin"):
            word(good, margin=margin)
    for scope in ("", "  "):
        with pytest.raises(ValueError, match="scope"):
            word(good, scope=scope)


@pytest.mark.parametrize("verdict", sorted(CARRIES_A_WORD))
def test_every_verdict_is_worded_with_seeds_interval_margin_and_scope(verdict: Verdict) -> None:
    mean = -0.62 if verdict.value.startswith("worse") else 0.62
    judgement = replace(judge_one(sample(spread(mean, 0.4)), num_comparisons=5), verdict=verdict)
    text = word(judgement)
    for needed in ("10 paired seeds", "95 % CI", "margin of 0.5 points", SCOPE, "5 comparisons", "one", "two"):
        assert needed in text
    assert text.endswith(".")
    assert "\n" not in text
    assert not any(banned in text for banned in BANNED)


CORRECTED = "after correcting for 5 comparisons at a 5 % risk of any wrong word"


@pytest.mark.parametrize(
    ("mean", "sd", "expected"),
    [
        (
            -0.9,
            0.4,
            "one is 0.90 points worse than two (95 % CI 0.61 to 1.19 points lower, 10 paired seeds, all 10 lower), "
            f"{CORRECTED}; whether by more than the margin of 0.5 points is open; {SCOPE}.",
        ),
        (
            0.2,
            0.1,
            "one is 0.20 points better than two, but by less than the margin of 0.5 points "
            f"(95 % CI 0.13 to 0.27 points higher, 10 paired seeds, 1 lower, 9 higher), {CORRECTED}; {SCOPE}.",
        ),
        (
            1.4,
            0.2,
            "one is 1.40 points better than two, by more than the margin of 0.5 points "
            f"(95 % CI 1.26 to 1.54 points higher, 10 paired seeds, all 10 higher), {CORRECTED}; {SCOPE}.",
        ),
        (
            -0.02,
            0.2,
            "one is equivalent to two within the margin of 0.5 points: 0.02 points lower "
            f"(95 % CI from 0.16 lower to 0.12 higher, 10 paired seeds, 4 lower, 6 higher), {CORRECTED}; {SCOPE}.",
        ),
        (
            -0.25,
            0.5,
            "undecided: one was 0.25 points lower than two "
            "(95 % CI from 0.61 lower to 0.11 higher, 10 paired seeds, 6 lower, 4 higher), "
            f"which proves neither a difference nor equivalence within the margin of 0.5 points, {CORRECTED}; "
            "one look at about 17 fresh seeds (16 to 25) would find a true difference of the "
            f"margin, or prove equivalence where there is none, four times in five; {SCOPE}.",
        ),
    ],
)
def test_sentences(mean: float, sd: float, expected: str) -> None:
    assert word(judge_one(sample(spread(mean, sd)), num_comparisons=5)) == expected


def test_an_interval_end_that_rounds_to_zero_is_not_called_zero() -> None:
    judgement = with_evidence(judge_one(sample(spread(0.62, 0.4))), interval=Interval(0.001, 0.3, 0.95))
    assert "under 0.01 to 0.30 points higher" in word(judgement)


def test_ties_and_a_single_comparison_are_worded() -> None:
    judgement = judge_one(sample([0.0, 0.0, 0.9, 0.8, 0.7, 0.9, 0.8, 0.8, 0.7, -0.1]))
    text = word(judgement, margin=1, num_comparisons=1)
    assert "1 lower, 7 higher, 2 tied" in text
    assert "1 comparison at" in text
    assert "margin of 1 point" in text
    assert "1 points" not in text


def test_basis_is_named_where_images_count() -> None:
    judgement = judge_one(with_images(images(10, 400, fixed=0.2, flips=0.05)))
    assert evidence_of(judgement).basis == "seeds and images"
    assert "95 % CI over seeds and images" in word(judgement)
    one_of_several = sentence(judgement, budget(share=0.2), variant="one", reference="two", scope=SCOPE)
    assert "95 % CI over all looks, seeds and images" in one_of_several
    assert "1 comparison and all planned looks at a 5 % risk of any wrong word" in one_of_several


def test_more_seeds_will_not_help_says_what_is_the_limit() -> None:
    few_images = judge_one(with_images(images(10, 400, fixed=0.2, flips=0.05)))
    assert few_images.verdict is Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP
    floor = evidence_of(few_images).image_floor
    assert floor is not None
    assert f"more seeds will not help: the test images alone leave ±{1.96 * floor:.2f} points" in word(few_images)
    noisy = judge_one(sample(spread(0.1, 4.0)))
    assert noisy.verdict is Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP
    assert "more seeds will not help: it would take more than 200" in word(noisy)
    assert "test images" not in word(noisy)
