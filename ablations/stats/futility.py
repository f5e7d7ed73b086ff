"""Simulated looks of a contrast: the chance that more seeds bring a word, and the look that brings it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    can_be_equivalent: bool = True
    """Whether the test images suffice to prove equivalence."""


def chance_of_word(evidence: Evidence, num_pairs: int, later: Sequence[LaterLook], *, pooled: int = 1) -> float:
    """Chance that a contrast gets a word at one of the looks to come, in [0, 1].

    The differences so far are continued many times, each time with a mean and a spread that agree with them. Each later look
    tests at the first step of its step-down. The result may use the difference that was seen: it can stop a contrast, and
    never give it a word.

    Args:
        evidence: of the contrast now.
        num_pairs: its pairs now, at least 2.
        later: looks to come, in order, each with more pairs than the one before.
        pooled: number of contrasts whose spread is pooled: so many degrees of freedom has each pair.

    Source:
        Predictive power, Spiegelhalter, Freedman and Blackburn (1986), with flat priors.
    """
    generator = np.random.default_rng(0)
    df = pooled * (num_pairs - 1)
    spread = evidence.spread * np.sqrt(df / generator.chisquare(df, NUM_FUTURES))
    true_mean = evidence.estimate.mean + spread / np.sqrt(num_pairs) * generator.standard_normal(NUM_FUTURES)
    seen = _Seen(num_pairs, np.full(NUM_FUTURES, evidence.estimate.mean), np.full(NUM_FUTURES, df * evidence.spread**2))
    words = _words(seen, true_mean, spread, later, evidence.image_floor or 0.0, generator, pooled)
    return float(np.any(list(words), axis=0).mean())


def looks_until_word(true_means: Array, sd: float, looks: Sequence[LaterLook], image_floor: float = 0.0) -> Array:
    """The look that brings a contrast its word, simulated.

    Args:
        true_means: true difference of each simulated contrast, points; of any shape.
        sd: spread of the paired differences from seed to seed, points, above zero.
        looks: in order, the first with at least 2 pairs.
        image_floor: standard error with infinitely many seeds, points.

    Returns:
        Indices into `looks`, of the shape of `true_means`; the last one also without a word.
    """
    nothing = _Seen(0, np.zeros_like(true_means), np.zeros_like(true_means))
    words = list(
        _words(nothing, true_means, np.full_like(true_means, sd), looks, image_floor, np.random.default_rng(0))
    )
    return np.asarray(np.argmax([*words[:-1], np.ones_like(true_means, dtype=bool)], axis=0))


@dataclass(frozen=True)
class _Seen:
    """Pairs so far, of many simulated contrasts."""

    num_pairs: int
    mean: Array
    squares: Array
    """Sum of squared deviations from the mean."""


def _words(
    seen: _Seen,
    true_mean: Array,
    spread: Array,
    later: Sequence[LaterLook],
    image_floor: float,
    generator: np.random.Generator,
    pooled: int = 1,
) -> Iterator[Array]:
    """For each look to come, the contrasts that it would give a word."""
    count, mean, squares = seen.num_pairs, seen.mean, seen.squares
    for look in later:
        added = look.num_pairs - count
        if added > 0:
            new = true_mean + spread / np.sqrt(added) * generator.standard_normal(mean.shape)
            within = spread**2 * generator.chisquare(added - 1, mean.shape) if added > 1 else 0.0
            squares = squares + within + (new - mean) ** 2 * count * added / look.num_pairs
            if pooled > 1:
                # The other contrasts add theirs.
                squares = squares + spread**2 * generator.chisquare((pooled - 1) * added, mean.shape)
            mean = mean + (new - mean) * added / look.num_pairs
            count = look.num_pairs
        df = pooled * (count - 1)
        error = np.sqrt(image_floor**2 + squares / df / count)
        yield _has_word(mean, error, df, look)


def _has_word(mean: Array, error: Array, df: int, look: LaterLook) -> Array:
    budget = look.budget
    differs = np.abs(mean) >= stdtrit(df, 1 - budget.step_alpha / 2) * error
    is_equivalent = budget.margin - np.abs(mean) >= stdtrit(df, 1 - budget.step_alpha) * error
    return np.asarray(differs | (is_equivalent & look.can_be_equivalent))
