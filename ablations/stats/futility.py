"""Futility: the chance that more seeds bring a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from ablations.stats.budget import Budget
from ablations.stats.intervals import Array
from ablations.stats.judgement import Evidence

FUTILE = 0.1
"""Below this chance of a word by the last look, a contrast gets no more seeds."""

NUM_FUTURES = 2000
"""Simulated continuations of a contrast. Their number leaves the chance a standard error of under .7 points near `FUTILE`."""


@dataclass(frozen=True)
class LaterLook:
    """A look to come: its paired seeds in all, and its error budget."""

    num_pairs: int
    budget: Budget


def chance_of_word(evidence: Evidence, num_pairs: int, later: Sequence[LaterLook]) -> float:
    """Chance that a contrast gets a word at one of the looks to come, in [0, 1].

    The differences so far are continued many times, each time with a mean and a spread that agree with them. Each later look
    tests at the first step of its step-down. The result may use the difference that was seen: it can stop a contrast, and
    never give it a word.

    Args:
        evidence: of the contrast now.
        num_pairs: its pairs now, at least 2.
        later: looks to come, in order, each with more pairs than the one before.

    Source:
        Predictive power, Spiegelhalter, Freedman and Blackburn (1986), with flat priors.
    """
    generator = np.random.default_rng(0)
    df, floor = num_pairs - 1, evidence.image_floor or 0.0
    spread = evidence.spread * np.sqrt(df / generator.chisquare(df, NUM_FUTURES))
    true_mean = evidence.estimate.mean + spread / np.sqrt(num_pairs) * generator.standard_normal(NUM_FUTURES)
    count = num_pairs
    mean = np.full(NUM_FUTURES, evidence.estimate.mean)
    squares = np.full(NUM_FUTURES, df * evidence.spread**2)
    found = np.zeros(NUM_FUTURES, dtype=bool)
    for look in later:
        added = look.num_pairs - count
        if added > 0:
            new = true_mean + spread / np.sqrt(added) * generator.standard_normal(NUM_FUTURES)
            within = spread**2 * generator.chisquare(added - 1, NUM_FUTURES) if added > 1 else 0.0
            squares = squares + within + (new - mean) ** 2 * count * added / look.num_pairs
            mean = mean + (new - mean) * added / look.num_pairs
            count = look.num_pairs
        error = np.sqrt(floor**2 + squares / (count - 1) / count)
        found |= _has_word(mean, error, count - 1, look.budget)
    return float(found.mean())


def _has_word(mean: Array, error: Array, df: int, budget: Budget) -> Array:
    differs = np.abs(mean) >= stdtrit(df, 1 - budget.step_alpha / 2) * error
    is_equivalent = budget.margin - np.abs(mean) >= stdtrit(df, 1 - budget.step_alpha) * error
    return np.asarray(differs | is_equivalent)
