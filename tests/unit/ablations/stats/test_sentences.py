"""Paragraphs as people read them, and what they refuse to say."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from paired import (
    BANNED,
    CARRIES_A_WORD,
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
from ablations.stats.rare import BadRuns

pytestmark = pytest.mark.filterwarnings("error")


def test_failures_are_told() -> None:
    judgement = judge_one(sample(spread(0.0, 0.1), failed=2))
    assert judgement.verdict is Verdict.EQUIVALENT
    assert (
        " 2 of 12 runs did not learn, against 0 of 12 of the reference; the numbers are among runs that learned."
        in word(judgement)
    )


def test_a_paragraph_refuses_a_verdict_without_pairs_interval_or_mean() -> None:
    good = judge_one(sample(spread(-0.62, 0.4)), num_comparisons=5)
    assert good.verdict is Verdict.WORSE
    word(good)
    with pytest.raises(ValueError, match="pairs"):
        word(replace(good, num_pairs=0))
    with pytest.raises(ValueError, match="interval"):
        word(replace(good, evidence=None))
    with pytest.raises(ValueError, match="mean"):
        word(replace(good, mean=None))


@pytest.mark.parametrize("verdict", sorted(CARRIES_A_WORD))
def test_every_verdict_comes_with_names_size_interval_and_wins_in_short_sentences(verdict: Verdict) -> None:
    mean = -0.62 if verdict.value.startswith("worse") else 0.62
    text = word(replace(judge_one(sample(spread(mean, 0.4)), num_comparisons=5), verdict=verdict))
    assert text.lower().startswith(f"{verdict.word}. `one` scored 0.62 points ")
    for needed in ("95 % CI", "of 10 paired seeds", "`one`", "`two`"):
        assert needed in text
    assert text.endswith(".")
    assert "\n" not in text
    assert not any(banned in text for banned in BANNED)
    assert max(len(sentence.split()) for sentence in re.split(r"(?<=[.]) (?=[A-Z`])", text)) <= 25


@pytest.mark.parametrize(
    ("mean", "sd", "expected"),
    [
        (
            -0.9,
            0.4,
            "Worse. `one` scored 0.90 points below `two` (95 % CI −1.19 to −0.61; lower in 10 of 10 paired seeds). "
            "Whether the difference exceeds the margin is open.",
        ),
        (
            0.2,
            0.1,
            "Better, but by less than the margin. `one` scored 0.20 points above `two` (95 % CI +0.13 to +0.27; higher in 9 of 10 "
            "paired seeds).",
        ),
        (
            1.4,
            0.2,
            "Better by more than the margin. `one` scored 1.40 points above `two` (95 % CI +1.26 to +1.54; higher in 10 of 10 paired "
            "seeds).",
        ),
        (
            -0.02,
            0.2,
            "Equivalent within the margin. `one` scored 0.02 points below `two` (95 % CI −0.16 to +0.12; lower in 4 of 10 paired seeds).",
        ),
        (
            -0.25,
            0.5,
            "Undecided. `one` scored 0.25 points below `two` (95 % CI −0.61 to +0.11; lower in 6 of 10 paired seeds). This proves "
            "neither a difference nor equivalence. With 80 % power, one look at about 17 fresh seeds (16 to 25) would decide it.",
        ),
    ],
)
def test_paragraphs(mean: float, sd: float, expected: str) -> None:
    assert word(judge_one(sample(spread(mean, sd)), num_comparisons=5)) == expected


def test_an_interval_end_that_rounds_to_zero_is_not_called_zero() -> None:
    judgement = with_evidence(judge_one(sample(spread(0.62, 0.4))), interval=Interval(0.001, 0.3, 0.95))
    assert "95 % CI +0.001 to +0.30;" in word(judgement)


def test_ties_are_told() -> None:
    judgement = judge_one(sample([0.0, 0.0, 0.9, 0.8, 0.7, 0.9, 0.8, 0.8, 0.7, -0.1]))
    assert "higher in 7 of 10 paired seeds, 2 tied)" in word(judgement)


def test_a_mean_of_zero_has_no_direction() -> None:
    judgement = replace(judge_one(sample(spread(0.0, 0.1))), mean=0.0)
    assert "`one` scored level with `two` on average (" in word(judgement)


def test_basis_and_looks_are_named() -> None:
    judgement = judge_one(with_images(images(10, 400, fixed=0.2, flips=0.05)))
    assert evidence_of(judgement).basis == "seeds and images"
    assert "95 % CI over seeds and images " in word(judgement)
    assert "95 % CI over all looks, seeds and images " in word(judgement, share=0.2)


def test_more_seeds_will_not_help_names_the_limit() -> None:
    few_images = judge_one(with_images(images(10, 400, fixed=0.2, flips=0.05)))
    assert few_images.verdict is Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP
    floor = evidence_of(few_images).image_floor
    assert floor is not None
    assert f"More seeds will not help: the test images alone leave ±{1.96 * floor:.2f} points." in word(few_images)
    noisy = judge_one(sample(spread(0.1, 4.0)))
    assert noisy.verdict is Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP
    assert "More seeds will not help: it takes more than 200 " in word(noisy)
    assert "test images" not in word(noisy)


def test_a_missing_verdict_has_its_reason_and_what_is_known_so_far() -> None:
    text = word(judge_one(sample(spread(-0.4, 0.1, 4), missing=2)))
    assert text == (
        "No verdict on `one` against `two`. 2 of 6 planned pairs are missing. So far it scored 0.40 points below its reference "
        "(95 % CI −0.56 to −0.24; lower in 4 of 4 paired seeds)."
    )
    assert word(judge_one(sample([]))).endswith("0 pairs learned on both sides, and it takes 3.")


def test_an_exploratory_contrast_claims_nothing() -> None:
    text = word(judge_one(sample(spread(-0.4, 0.1, 4))))
    assert text.startswith("Exploratory, no verdict. `one` scored 0.40 points below `two` (")
    assert text.endswith("A verdict takes 5 pairs.")


def test_a_small_difference_leaves_bad_runs_aside() -> None:
    judgement = judge_one(replace(sample(spread(0.0, 0.1)), bad=BadRuns(0, 10, 0, 10)))
    assert "Bad runs aside (0 of 10 runs, against 0 of 10): up to 31 % of runs may be bad." in word(judgement)
