"""The mean differences that would have given a word, at the first step of the step-down."""

from __future__ import annotations

from ablations.stats.budget import Budget
from ablations.stats.judgement import Evidence
from ablations.stats.p_values import images_p

STEPS = 40
"""Halvings of a search; they leave less than a billionth of the margin."""


def smallest_difference(evidence: Evidence, budget: Budget) -> float:
    """Beyond this mean difference, on either side, the word would have been "better" or "worse"; points."""
    return evidence.estimate.interval(1 - budget.step_alpha).upper - evidence.estimate.mean


def largest_equivalent(evidence: Evidence, num_images: int | None, budget: Budget) -> float | None:
    """Up to this mean difference, on either side, the word would have been "equivalent"; points, or None if none would.

    Args:
        evidence: of a contrast.
        num_images: of the test set; None if the right images are unknown.
        budget: of the look.
    """
    half = evidence.estimate.interval(1 - 2 * budget.step_alpha).upper - evidence.estimate.mean
    high = budget.margin - half
    if evidence.image_floor is None or num_images is None:
        return high if high > 0 else None
    floor = evidence.image_floor

    def is_proven(difference: float) -> bool:
        return images_p(difference, floor, num_images, margin=budget.margin) <= budget.step_alpha

    if high <= 0 or not is_proven(0.0):
        return None
    low = 0.0
    for _ in range(0 if is_proven(high) else STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_proven(middle) else (low, middle)
    return high
