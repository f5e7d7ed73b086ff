"""What a budget accepts, and how comparisons and looks share it."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace

import pytest
from paired import budget, evidence_of, judge_one, sample, spread, with_evidence

from ablations.stats.budget import Budget, shares
from ablations.stats.power import seeds_needed
from ablations.stats.verdicts import judge


def test_looks_share_alpha_and_comparisons_share_that_of_a_look() -> None:
    shared = Budget(alpha=0.06, margin=0.5, num_comparisons=3, share=0.5)
    assert shared.look_alpha == 0.06 / 2
    assert shared.step_alpha == 0.06 / 2 / 3
    alone = Budget(alpha=0.05, margin=0.5, num_comparisons=1)
    assert alone.look_alpha == alone.step_alpha == 0.05


@pytest.mark.parametrize("alpha", [0, 1, -0.05, 1.5, math.nan])
def test_alpha_is_a_fraction(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must be between 0 and 1"):
        budget(alpha=alpha)


@pytest.mark.parametrize("margin", [0, -0.5, math.nan, math.inf])
def test_a_margin_is_above_zero_and_finite(margin: float) -> None:
    with pytest.raises(ValueError, match="margin must be above 0 points and finite"):
        budget(margin=margin)


def test_there_is_at_least_one_comparison_and_one_look() -> None:
    with pytest.raises(ValueError, match="num_comparisons >= 1"):
        budget(0)
    with pytest.raises(ValueError, match="0 < share <= 1"):
        budget(share=0)


def test_a_budget_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        budget().alpha = 0.5  # type: ignore[misc]


def test_a_look_is_judged_at_its_share() -> None:
    each = sample(spread(0.45, 0.55))
    (shared,) = judge({"one": each}, budget(share=0.5)).values()
    # The seeds needed are those of a study on fresh seeds, which may spend all of its alpha at once.
    alone = judge_one(each, alpha=0.025)
    whole = with_evidence(alone, interval=evidence_of(alone).estimate.interval(0.975))
    assert replace(shared, seeds_needed=None) == replace(whole, seeds_needed=None)
    assert shared.seeds_needed == seeds_needed(0.55, 10, budget())


def test_a_look_may_spend_the_part_of_the_seeds_that_it_adds() -> None:
    assert shares([10]) == (1.0,)
    assert shares([10, 20]) == (0.5, 0.5)
    assert shares((5, 8, 12, 18, 27, 40)) == (0.125, 0.075, 0.1, 0.15, 0.225, 0.325)
