"""Paired runs -> intervals, p-values and words. Pure: numbers in, numbers and sentences out.

Accuracies and their differences are percentage points; a difference is variant minus reference, so above zero is
better. A pair is a variant and its reference at the same seed. `judge` is the way in; the functions above it are what
it is made of.

Imports `scipy.special` and not `scipy.stats`, which takes three times as long to load: `plan` needs some of this before
any training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto
from functools import cache, partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, betaincinv, chdtri, ndtr, ndtri, stdtr, stdtrit

Array = npt.NDArray[Any]

SMALLEST_STEP = 1e-4
"""Points; one image in a million. Differences closer than this are equal, and their distance is rounding."""
SMALLEST_P = float(np.finfo(np.float64).tiny)
MIN_PAIRS_TO_LOOK = 3
"""Under this many pairs a spread is a guess, and nothing is said."""
MIN_PAIRS_FOR_VERDICT = 5
"""With fewer pairs a contrast is exploratory."""
MIN_PAIRS_FOR_FRAGILE = 8
"""From here on sign flips can reach p < .01, so that their disagreement with t means something."""
MAX_EXACT_PAIRS = 13
NUM_RANDOM_FLIPS = 10_000
MAX_SEEDS = 200
"""A study that needs more pairs than this is told that more seeds will not help."""
POWER = 0.8


@dataclass(frozen=True)
class Interval:
    """A confidence interval, `lower` < `upper`, with its coverage `level` in (0, 1)."""

    lower: float
    upper: float
    level: float


@dataclass(frozen=True, eq=False)
class Band:
    """A curve with a pointwise interval: arrays of one shape. The interval is NaN where no spread can be measured."""

    mean: Array
    lower: Array
    upper: Array
    level: float


@dataclass(frozen=True)
class Estimate:
    """A mean difference, its standard error (both points, the error above zero) and the error's degrees of freedom."""

    mean: float
    standard_error: float
    df: float

    def interval(self, level: float) -> Interval:
        """Student-t interval that covers with probability `level`."""
        half = float(stdtrit(self.df, (1 + level) / 2)) * self.standard_error
        return Interval(self.mean - half, self.mean + half, level)


@dataclass(frozen=True)
class CrossedVariance:
    """What the variance of a mean difference over seeds and images is made of; squared points, none below zero.

    `images`, `seeds` and `flips` are mean squares, each already divided down to the variance of the mean.
    """

    images: float
    """Of images, each averaged over the seeds."""
    seeds: float
    """Of seeds, each averaged over the images."""
    flips: float
    """What single images that change from seed to seed put into both of the above."""
    num_seeds: int
    num_images: int

    @property
    def standard_error(self) -> float:
        """For new seeds and new images; points."""
        return float(np.sqrt(self.images + max(0.0, self.seeds - self.flips)))

    @property
    def image_floor(self) -> float:
        """Standard error that infinitely many seeds would leave; points."""
        return float(np.sqrt(max(0.0, self.images - self.flips)))

    @property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom of the three mean squares, and no less than the least of the three."""
        n, s = self.num_images - 1, self.num_seeds - 1
        df = self.standard_error**4 / (self.images**2 / n + self.seeds**2 / s + self.flips**2 / (n * s))
        # Flips are subtracted, which can bring Satterthwaite's formula, made for sums, down to 0.
        return max(df, float(min(n, s)))


@dataclass(frozen=True)
class SeedsNeeded:
    """How many more paired seeds a verdict is likely to take; each at least 1, `low` <= `num` <= `high`.

    `high` ends where the search does: `num_pairs + high == MAX_SEEDS` reads "or more".
    """

    num: int
    low: int
    high: int


class Verdict(StrEnum):
    """What a contrast may be called; better and worse are the variant's."""

    BETTER = auto()
    WORSE = auto()
    BETTER_BY_LESS = auto()
    WORSE_BY_LESS = auto()
    BETTER_BY_MORE = auto()
    WORSE_BY_MORE = auto()
    EQUIVALENT = auto()
    UNDECIDED_MORE_SEEDS = auto()
    UNDECIDED_MORE_SEEDS_WILL_NOT_HELP = auto()
    EXPLORATORY = auto()
    NO_VERDICT = auto()

    @property
    def words(self) -> str:
        """The verdict as a table shows it."""
        return _WORDS[self]


_WORDS = {
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
    Verdict.BETTER_BY_LESS: "better, but by less than the margin",
    Verdict.WORSE_BY_LESS: "worse, but by less than the margin",
    Verdict.BETTER_BY_MORE: "better by more than the margin",
    Verdict.WORSE_BY_MORE: "worse by more than the margin",
    Verdict.EQUIVALENT: "equivalent within the margin",
    Verdict.UNDECIDED_MORE_SEEDS: "undecided: more seeds may decide",
    Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP: "undecided: more seeds will not help",
    Verdict.EXPLORATORY: "exploratory",
    Verdict.NO_VERDICT: "no verdict",
}


@dataclass(frozen=True)
class PairedSample:
    """One planned contrast: outcomes of a variant and its reference by seed.

    Raises:
        ValueError: a count is negative or more failed than ran; `correct` does not have the shape, the values or the
            row means that `differences` call for.
    """

    differences: Mapping[int, float]
    """Seed -> variant minus reference, points; pairs where both learned."""
    num_planned: int
    """Planned pairs."""
    num_missing: int
    """Planned pairs with a missing run (crash, budget)."""
    num_failed: int
    """Runs of the variant that ran and did not learn, of `num_ran`."""
    num_failed_reference: int
    num_ran: int
    num_ran_reference: int
    correct: Array | None = field(default=None, compare=False, repr=False)
    """Right (1) or wrong (0), variant minus reference: -1, 0 or 1; shape (num_pairs, num_images), by sorted seeds."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        counts = (self.num_planned, self.num_missing, self.num_failed, self.num_failed_reference)
        if min(counts) < 0 or self.num_failed > self.num_ran or self.num_failed_reference > self.num_ran_reference:
            raise ValueError(f"counts must be at least 0 and no more may fail than ran: {self}")
        if self.correct is None:
            return
        correct, values = np.asarray(self.correct), self.values
        if (
            correct.ndim != 2
            or len(correct) != len(values)
            or correct.shape[1] < 2
            or not np.isin(correct, (-1, 0, 1)).all()
        ):
            raise ValueError(
                f"correct must hold -1, 0 or 1 in shape ({len(values)}, at least 2 images), not shape {correct.shape}"
            )
        # Half an image: rounded percentages pass, rows in another order than the seeds do not.
        if np.any(np.abs(100 * correct.mean(axis=1) - values) > 50 / correct.shape[1]):
            raise ValueError("correct does not average to differences: are its rows in the order of the sorted seeds?")

    @property
    def values(self) -> Array:
        """Differences in order of their seeds, shape (num_pairs,), points."""
        return np.array([self.differences[seed] for seed in sorted(self.differences)], dtype=np.float64)


@dataclass(frozen=True)
class Judgement:
    """What a paired sample shows, and the word for it. None wherever the sample does not carry the number."""

    num_pairs: int
    mean: float | None
    """Mean difference, points."""
    sd: float | None
    """Standard deviation of the differences (never of the mean), points."""
    interval: Interval | None
    """Pointwise, 95 % (or 1 - alpha where that is less, so that interval and word agree)."""
    simultaneous_interval: Interval | None
    """At 1 - alpha / K: all K planned contrasts together cover with probability 1 - alpha."""
    basis: Literal["seeds", "seeds and images"] | None
    """What the intervals and p-values are for: new seeds on these images, or new seeds and new images."""
    p_difference: float | None
    """Of a true difference of 0."""
    p_equivalence: float | None
    """Of a true difference of the margin or more, on either side."""
    p_difference_adjusted: float | None
    """Over all words of the study; compare with alpha. None where no word was at stake."""
    p_equivalence_adjusted: float | None
    p_sign_flip: float | None
    """A check on t that assumes symmetry only; over seeds."""
    p_sign_flip_floor: float | None
    """The least that `p_sign_flip` can be with so many pairs."""
    fragile: bool
    """The t test over seeds and the sign flips fall on different sides of alpha."""
    wins: int
    """Pairs in which the variant is better."""
    losses: int
    ties: int
    probability_of_improvement: Interval | None
    """95 % interval for the chance that the variant wins a fresh pair that is not tied, in [0, 1]."""
    image_floor: float | None
    """Standard error that infinitely many seeds would leave, points: the resolution of the test set."""
    verdict: Verdict
    seeds_needed: SeedsNeeded | None
    """With `UNDECIDED_MORE_SEEDS` only."""
    notes: tuple[str, ...]
    """Clauses that qualify the verdict or say why there is none."""


# Intervals


def paired_interval(differences: Array, *, level: float = 0.95) -> Interval:
    """Student-t interval for the mean paired difference between a variant and its reference.

    Args:
        differences: variant minus reference for the same seed, shape (num_pairs,), points.
        level: coverage, in (0, 1).

    Raises:
        ValueError: `differences` is not one-dimensional, has under 2 or non-finite entries, or does not vary.

    Source:
        Student (1908); chosen over bootstraps, which cover 72-90 % at 3-10 seeds.
    """
    return seeds_estimate(differences).interval(_fraction("level", level))


def seeds_estimate(differences: Array) -> Estimate:
    """Mean difference with the error that new seeds on the same images would have; arguments as `paired_interval`."""
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
        raise ValueError(f"differences must be one-dimensional with at least 2 entries, all finite: {differences!r}")
    if _identical(values):
        raise ValueError(
            f"differences must not be the same at every seed, for then their spread is unknown: {differences!r}"
        )
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size)), values.size - 1)


def crossed_interval(correct: Array, *, level: float = 0.95) -> Interval:
    """Interval for the mean paired difference that holds for new seeds and new images alike.

    Args:
        correct: right (1) or wrong (0), variant minus reference, shape (num_pairs, num_images), values -1, 0 and 1.
        level: coverage, in (0, 1).

    Raises:
        ValueError: `correct` is not two-dimensional, has under 2 pairs or images, or is the same everywhere.
    """
    return crossed_estimate(correct).interval(_fraction("level", level))


def crossed_estimate(correct: Array) -> Estimate:
    """Mean difference with the error that new seeds and new images would have; arguments as `crossed_interval`."""
    variance = crossed_variance(correct)
    if variance.standard_error == 0:
        raise ValueError("correct must vary from image to image or from seed to seed by more than its flips")
    return Estimate(100 * float(np.mean(correct)), variance.standard_error, variance.df)


def crossed_variance(correct: Array) -> CrossedVariance:
    """Split the variance of the mean difference into that of images, of seeds, and of images that flip with the seed.

    Arguments and errors as `crossed_interval`.

    Source:
        Two-way crossed random effects by mean squares; Satterthwaite (1946) for the degrees of freedom.
    """
    correct = np.asarray(correct)
    if correct.ndim != 2 or min(correct.shape) < 2 or np.ptp(correct) == 0:
        raise ValueError(
            f"correct must differ somewhere and have at least 2 pairs and 2 images, not shape {correct.shape}"
        )
    num_seeds, num_images = correct.shape
    points_squared = 100.0**2
    return CrossedVariance(
        images=points_squared * float(correct.mean(axis=0).var(ddof=1)) / num_images,
        seeds=points_squared * float(correct.mean(axis=1).var(ddof=1)) / num_seeds,
        flips=points_squared * float(correct.var(axis=0, ddof=1).mean()) / (num_images * num_seeds),
        num_seeds=num_seeds,
        num_images=num_images,
    )


def class_estimates(correct: Array, labels: Array) -> dict[int, tuple[float, Estimate | None]]:
    """Mean paired difference on the images of each class, and its estimate by the wider of the two intervals.

    Args:
        correct: right (1) or wrong (0), variant minus reference, shape (num_pairs, num_images), values -1, 0 and 1.
        labels: class of each image, shape (num_images,).

    Returns:
        By class: points, and None for the estimate where the differences do not vary from seed to seed.

    Raises:
        ValueError: the shapes do not agree, or there are no pairs.
    """
    correct, labels = np.asarray(correct), np.asarray(labels)
    if correct.ndim != 2 or len(correct) == 0 or labels.shape != correct.shape[1:]:
        raise ValueError(f"correct must be pairs by images, and labels one an image: {correct.shape}, {labels.shape}")
    estimates: dict[int, tuple[float, Estimate | None]] = {}
    for label in np.unique(labels).tolist():
        among = correct[:, labels == label]
        differences = 100 * among.mean(axis=1)
        varies = len(differences) > 1 and among.shape[1] > 1 and not _identical(differences)
        estimate = _wider(seeds_estimate(differences), among, level=0.95)[0] if varies else None
        estimates[label] = (float(differences.mean()), estimate)
    return estimates


def _wider(over_seeds: Estimate, correct: Array | None, *, level: float) -> tuple[Estimate, float | None]:
    """Of the estimate over seeds and that over seeds and images, the one of the wider interval; and the image floor."""
    if correct is None:
        return over_seeds, None
    variance = crossed_variance(correct)
    crossed = replace(over_seeds, standard_error=variance.standard_error, df=variance.df)
    is_wider = _width(crossed.interval(level)) > _width(over_seeds.interval(level))
    return (crossed if is_wider else over_seeds), variance.image_floor


def clopper_pearson(num_successes: int, num_trials: int, *, level: float = 0.95) -> Interval:
    """Exact interval for a rate in [0, 1], such as a failure rate or the probability of improvement.

    Raises:
        ValueError: not 0 <= `num_successes` <= `num_trials`, or no trials.

    Source:
        Clopper and Pearson (1934).
    """
    if not 0 <= num_successes <= num_trials or num_trials == 0:
        raise ValueError(f"need 0 <= successes <= trials and trials > 0, not {num_successes} of {num_trials}")
    tail = (1 - _fraction("level", level)) / 2
    failures = num_trials - num_successes
    lower = float(betaincinv(num_successes, failures + 1, tail)) if num_successes else 0.0
    upper = float(betaincinv(num_successes + 1, failures, 1 - tail)) if failures else 1.0
    return Interval(lower, upper, level)


def t_band(values: Array, *, level: float = 0.95) -> Band:
    """Mean learning curve with a pointwise Student-t band.

    Args:
        values: shape (num_seeds, num_epochs), any unit; failed seeds are drawn on their own and do not belong here.
        level: coverage at each epoch by itself, in (0, 1).

    Returns:
        Arrays of shape (num_epochs,); the band is NaN at epochs where there is one seed or all seeds agree exactly.

    Raises:
        ValueError: `values` is not two-dimensional, is empty, or has non-finite entries.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"values must be finite, in shape (num_seeds, num_epochs), not shape {values.shape}")
    num_seeds = len(values)
    if num_seeds == 1:
        return _band(values[0], np.zeros_like(values[0]), 1, level)
    standard_error = np.where(np.ptp(values, axis=0) > 0, values.std(axis=0, ddof=1), 0.0) / np.sqrt(num_seeds)
    return _band(values.mean(axis=0), standard_error, num_seeds - 1, level)


def _band(mean: Array, standard_error: Array, df: int, level: float) -> Band:
    half = float(stdtrit(df, (1 + _fraction("level", level)) / 2)) * np.where(
        standard_error > 0, standard_error, np.nan
    )
    return Band(mean, mean - half, mean + half, level)


# Tests


def difference_p(estimate: Estimate) -> float:
    """Two-sided p-value of a true difference of 0, in (0, 1]."""
    return _p(2 * float(stdtr(estimate.df, -abs(estimate.mean) / estimate.standard_error)))


def tost_p(estimate: Estimate, *, margin: float) -> float:
    """p-value of a true difference of `margin` or more on either side, in (0, 1]: a small one proves equivalence.

    Args:
        estimate: the mean difference, points.
        margin: the least difference that matters, points, above zero.

    Source:
        Two one-sided tests, Schuirmann (1987).
    """
    return _p(float(stdtr(estimate.df, (abs(estimate.mean) - _margin(margin)) / estimate.standard_error)))


def sign_flip_p(differences: Array) -> float:
    """Two-sided permutation p-value of differences that are symmetric about 0, in (0, 1].

    Exact up to `MAX_EXACT_PAIRS` pairs; above, from a fixed draw of flips. Reordering the pairs, or swapping variant
    and reference, changes nothing.

    Args:
        differences: shape (num_pairs,), points.

    Raises:
        ValueError: `differences` is empty, not one-dimensional, or has non-finite entries.

    Source:
        Fisher (1935).
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"differences must be one-dimensional and not empty, all finite: {differences!r}")
    sizes = np.sort(np.abs(values))
    observed = abs(float(values.sum())) - SMALLEST_STEP / 2
    num_pairs = values.size
    if num_pairs <= MAX_EXACT_PAIRS:
        # Flipping all signs leaves the size of the sum, so the last sign may stay as it is.
        signs = 1 - 2 * (np.arange(2 ** (num_pairs - 1))[:, None] >> np.arange(num_pairs) & 1)
        return float(np.mean(np.abs(signs @ sizes) >= observed))
    signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(NUM_RANDOM_FLIPS - 2, num_pairs))
    # The two left out are the observed signs and their mirror image, which always count.
    return float((2 + np.sum(np.abs(signs @ sizes) >= observed)) / NUM_RANDOM_FLIPS)


def smallest_sign_flip_p(num_pairs: int) -> float:
    """Least value that `sign_flip_p` can take: .0625 with 5 pairs, .002 with 10.

    Raises:
        ValueError: `num_pairs` is under 1.
    """
    if num_pairs < 1:
        raise ValueError(f"num_pairs must be at least 1, not {num_pairs}")
    return 2 / (2**num_pairs if num_pairs <= MAX_EXACT_PAIRS else NUM_RANDOM_FLIPS)


def mcnemar_exact(num_only_first: int, num_only_second: int) -> float:
    """Two-sided p-value of two equal rates, from the pairs in which only one of the two happened; in (0, 1].

    Raises:
        ValueError: a count is negative.

    Source:
        McNemar (1947), by the binomial distribution.
    """
    if min(num_only_first, num_only_second) < 0:
        raise ValueError(f"counts must be at least 0, not {num_only_first} and {num_only_second}")
    discordant = num_only_first + num_only_second
    return _p(2 * float(bdtr(min(num_only_first, num_only_second), discordant, 0.5)))


def step_down(p_values: Array, *, num_comparisons: int) -> Array:
    """Adjusted p-values of all words of a study under one error budget; compare them with alpha.

    Each of K comparisons has two nulls, "no difference at all" and "a difference of the margin or more", of which at
    most one is true. So with j - 1 nulls rejected at most min(K, 2K - j + 1) of the others are true, and the j-th
    smallest p-value is multiplied by that.

    Args:
        p_values: shape (at most 2K,), in (0, 1]; those of comparisons that could not be tested are left out, and K
            still counts them.
        num_comparisons: K, planned.

    Returns:
        Adjusted p-values in the order given, in (0, 1].

    Raises:
        ValueError: more than 2K p-values, or one outside (0, 1].

    Source:
        Shaffer (1986), for logically related nulls. Holm on either family by itself leaks to .066 at alpha .05.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or p.size > 2 * num_comparisons or not ((p > 0) & (p <= 1)).all():
        raise ValueError(f"need at most {2 * num_comparisons} p-values in (0, 1], not {p_values!r}")
    order = np.argsort(p, kind="stable")
    num_true = np.minimum(num_comparisons, 2 * num_comparisons - np.arange(p.size))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * num_true))
    return adjusted


# Before and between: what so many seeds can show


def false_discovery(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that bound the share of false finds among all finds, for exploration: no verdict goes by them.

    Args:
        p_values: of one family, in (0, 1]; a family may be empty.

    Raises:
        ValueError: a value lies outside (0, 1] or is NaN.

    Source:
        Benjamini and Hochberg (1995).
    """
    if not all(0 < p <= 1 for p in p_values):
        raise ValueError(f"p-values must lie in (0, 1]: {p_values!r}")
    order = np.argsort(p_values)[::-1]
    largest_first = np.array(p_values)[order] * len(order) / np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(largest_first))
    return [float(p) for p in adjusted]


def detectable_difference(
    sd: float,
    num_pairs: int,
    *,
    alpha: float = 0.05,
    num_comparisons: int = 1,
    power: float = POWER,
    image_floor: float = 0.0,
) -> float:
    """True difference that a study finds with probability `power`.

    Args:
        sd: spread of the paired differences from seed to seed, points, above zero.
        num_pairs: paired seeds, at least 2.
        alpha: error budget of the study, in (0, 1).
        num_comparisons: K that share it; the first step of the step-down, alpha / K, is reckoned with.
        power: in (0, 1), above `alpha`.
        image_floor: standard error that infinitely many seeds would leave, points.

    Returns:
        Points, above zero.

    Raises:
        ValueError: an argument is out of its range.
    """
    _spread(sd, image_floor, alpha, num_comparisons)
    if num_pairs < 2 or not alpha < power < 1:
        raise ValueError(f"need num_pairs >= 2 and alpha < power < 1, not {num_pairs} and {power}")
    counts = np.array([num_pairs])
    critical, nodes = _critical(counts, alpha / num_comparisons / 2), _chi_nodes(counts - 1)
    high = 1.0
    while _power_of_difference(high, critical, nodes) < power:
        high *= 2
    low = 0.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if _power_of_difference(middle, critical, nodes) >= power else (middle, high)
    return high * float(_standard_error(sd, image_floor, counts)[0])


def seeds_needed(
    sd: float,
    num_pairs: int,
    *,
    alpha: float,
    margin: float,
    num_comparisons: int = 1,
    image_floor: float = 0.0,
) -> SeedsNeeded | None:
    """How many more seeds make a word likely, whatever the truth; from the spread only, never from the effect seen.

    Enough are those with 80 % power both to find a true difference of the margin and to prove equivalence at a true
    difference of 0, each at alpha / K. A study that has this power and is still undecided most likely lies between the
    two; enough are then those with which no mean difference at all would be left without a word.

    Args:
        sd: spread of the paired differences, points, above zero, as estimated from `num_pairs`.
        num_pairs: paired seeds so far, at least 2.
        alpha: error budget of the study, in (0, 1).
        margin: points, above zero.
        num_comparisons: K.
        image_floor: standard error that infinitely many seeds would leave, points.

    Returns:
        `low` for `sd`, `num` for its median-unbiased value (a sample sd is more often too small than too large) and
        `high` for its 80 % upper limit; None where `num` calls for more than `MAX_SEEDS` in all: with a large
        `image_floor` any number would be too few.

    Raises:
        ValueError: an argument is out of its range.
    """
    _spread(sd, image_floor, alpha, num_comparisons)
    if num_pairs < 2:
        raise ValueError(f"num_pairs must be at least 2, not {num_pairs}")
    level = alpha / num_comparisons

    def search(enough: Callable[[Array, Array, float, float], Array]) -> list[int | None]:
        totals: list[int | None] = []
        for spread in (sd, spread_limit(sd, num_pairs, level=0.5), spread_limit(sd, num_pairs)):
            standard_error = _standard_error(spread, image_floor, _COUNTS)
            found = np.flatnonzero(enough(standard_error, _COUNTS, level, _margin(margin)))
            totals.append(int(_COUNTS[found[0]]) if found.size else None)
        return totals

    totals = search(_powered)
    if totals[1] is not None and totals[1] <= num_pairs:
        totals = search(_leaves_nothing_open)
    if totals[1] is None or totals[0] is None or num_pairs >= MAX_SEEDS:
        return None
    more = [max(1, (MAX_SEEDS if total is None else total) - num_pairs) for total in totals]
    return SeedsNeeded(low=more[0], num=more[1], high=more[2])


def spread_limit(sd: float, num_pairs: int, *, level: float = 0.8) -> float:
    """Upper confidence limit of a spread: 1.56 times its estimate from 5 pairs, 1.29 times that from 10, at level .8.

    Args:
        sd: as estimated from `num_pairs`, any unit.
        num_pairs: at least 2.
        level: in (0, 1); .5 gives the median-unbiased value.
    """
    df = num_pairs - 1
    return sd * float(np.sqrt(df / chdtri(df, _fraction("level", level))))


def smallest_detectable_difference(image_floor: float, *, alpha: float = 0.05, num_comparisons: int = 1) -> float:
    """True difference that infinitely many seeds would find with 80 % power: 2.8 floors at alpha .05.

    Args:
        image_floor: standard error that infinitely many seeds would leave, points.
        alpha: error budget of the study, in (0, 1).
        num_comparisons: K that share it.

    Returns:
        Points.

    Raises:
        ValueError: `alpha` does not lie between 0 and 1.
    """
    _fraction("alpha", alpha)
    return float(ndtri(1 - alpha / num_comparisons / 2) + ndtri(POWER)) * image_floor


def smallest_provable_margin(image_floor: float, *, alpha: float = 0.05, num_comparisons: int = 1) -> float:
    """Least margin within which infinitely many seeds would prove equivalence with 80 % power: 2.9 floors at alpha .05.

    Args:
        image_floor: standard error that infinitely many seeds would leave, points.
        alpha: error budget of the study, in (0, 1).
        num_comparisons: K that share it.

    Returns:
        Points.

    Raises:
        ValueError: `alpha` does not lie between 0 and 1.
    """
    _fraction("alpha", alpha)
    return float(ndtri(1 - alpha / num_comparisons) + ndtri((1 + POWER) / 2)) * image_floor


def expected_image_floor(accuracy_percent: float, num_images: int) -> float:
    """Image floor to expect of a test set before anything is trained, points: a third of one network's standard error.

    Args:
        accuracy_percent: of the networks to be compared, in [0, 100].
        num_images: of the test set, at least 1.

    Raises:
        ValueError: an argument is out of its range.

    Source:
        Simulated for reseeded networks whose errors are independent given the image: .105, .084 and .026 points for
        10,000 images at 90, 93 and 99.4 %.
    """
    if not 0 <= accuracy_percent <= 100 or num_images < 1:
        raise ValueError(f"need an accuracy in [0, 100] and at least 1 image, not {accuracy_percent} and {num_images}")
    rate = accuracy_percent / 100
    return 100 * float(np.sqrt(rate * (1 - rate) / num_images)) / 3


_COUNTS = np.arange(2, MAX_SEEDS + 1)


def _standard_error(sd: float, image_floor: float, counts: Array) -> Array:
    return np.asarray(np.sqrt(image_floor**2 + sd**2 / counts))


def _critical(counts: Array, tail: float) -> Array:
    """Student t that is exceeded with probability `tail`, shape (counts, 1): level / 2 for a difference, level for TOST."""
    return np.asarray(stdtrit(counts - 1, 1 - tail))[:, None]


def _powered(standard_error: Array, counts: Array, level: float, margin: float) -> Array:
    nodes, shift = _search_nodes(), margin / standard_error[:, None]
    finds = _power_of_difference(shift, _critical(counts, level / 2), nodes)
    proves = np.maximum(0.0, 2 * ndtr(shift - _critical(counts, level) * nodes) - 1) @ _WEIGHTS
    return np.asarray((finds >= POWER) & (proves >= POWER))


def _leaves_nothing_open(standard_error: Array, counts: Array, level: float, margin: float) -> Array:
    reach = (_critical(counts, level / 2) + _critical(counts, level))[:, 0]
    return np.asarray(reach * standard_error <= margin)


# Power is the normal probability averaged over the chi distribution of the standard error, by Gauss-Legendre on its
# quantiles: scipy's noncentral t is NaN at large effects (scipy issue 25470).
_NODES, _WEIGHTS = (x / 2 for x in np.polynomial.legendre.leggauss(64))
_QUANTILES = _NODES + 0.5


def _chi_nodes(df: Array) -> Array:
    """Quantiles of estimated over true standard error, shape (df, nodes)."""
    return np.asarray(np.sqrt(chdtri(df[:, None], _QUANTILES) / df[:, None]))


@cache
def _search_nodes() -> Array:
    return _chi_nodes(_COUNTS - 1)


def _power_of_difference(shift: Array | float, critical: Array, nodes: Array) -> Array:
    return np.asarray((ndtr(shift - critical * nodes) + ndtr(-shift - critical * nodes)) @ _WEIGHTS)


# Tuning and churn


def expected_best_of_n(scores: Sequence[float] | Array, *, level: float = 0.95) -> Band:
    """Best score to expect of n tuning trials, for n = 1 .. T // 2 of the T that were run.

    For independent draws run to the end only; a sampler that learns, or pruning, breaks it.

    Args:
        scores: shape (T,), higher is better, a failed trial with the score it earned.
        level: of the pointwise jackknife band, in (0, 1). Measured on 30 normal draws a band at .95 covers .93 for n up
            to 3, .87 at 10 and .83 at 15: a picture of the luck in the draws, never a test.

    Returns:
        Arrays of shape (T // 2,), entry n - 1 for n trials.

    Raises:
        ValueError: under 2 scores, or one not finite.

    Source:
        Unbiased U-statistic of Tang et al. (2020); the plug-in of Dodge et al. (2019) is biased low. n ends at T / 2,
        for the variance grows with n (Dodge et al. 2021).
    """
    x = np.sort(np.asarray(scores, dtype=np.float64))
    if x.ndim != 1 or x.size < 2 or not np.isfinite(x).all():
        raise ValueError(f"scores must be one-dimensional with at least 2 entries, all finite: {scores!r}")
    num_trials = x.size
    rank = np.arange(1, num_trials)
    # weights[k - 1]: chance that the k-th smallest of T - 1 scores is the best of n drawn without replacement.
    weights = np.full(num_trials - 1, 1 / (num_trials - 1))
    means, errors = [], []
    for n in range(1, num_trials // 2 + 1):
        if n > 1:
            weights = weights * (rank - n + 1) / (n - 1) * n / (num_trials - n)
        # Leave each score out in turn: those below it keep their rank, those above move down one.
        below = np.concatenate(([0.0], np.cumsum(x[:-1] * weights)))
        above = np.concatenate((np.cumsum((x[1:] * weights)[::-1])[::-1], [0.0]))
        left_out = below + above
        means.append(left_out.mean())
        errors.append(np.sqrt((num_trials - 1) * left_out.var()) if np.ptp(x) > 0 else 0.0)
    return _band(np.array(means), np.array(errors), num_trials - 1, level)


def disagreement(first: Array, second: Array) -> float:
    """Share of images on which one network is right and the other wrong, percent, averaged over pairs.

    Args:
        first: right (1) or wrong (0), shape (num_pairs, num_images) or (num_images,).
        second: the same for the networks it is paired with.

    Raises:
        ValueError: the shapes differ or are empty.
    """
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if first.shape != second.shape or first.size == 0:
        raise ValueError(f"shapes must agree and not be empty: {first.shape} and {second.shape}")
    return 100 * float(np.mean(first != second))


def disagreement_between_reseeds(correct: Array) -> float:
    """Share of images on which one network is right and its reseed wrong, percent, averaged over all pairs of seeds.

    Args:
        correct: right (1) or wrong (0) of one variant, shape (num_seeds, num_images), at least 2 seeds.

    Raises:
        ValueError: under 2 seeds, or no images.
    """
    right = np.asarray(correct, dtype=bool)
    if right.ndim != 2 or len(right) < 2 or right.shape[1] == 0:
        raise ValueError(f"correct must have at least 2 seeds and some images, not shape {right.shape}")
    num_seeds, num_right = len(right), right.sum(axis=0)
    return 100 * float(np.mean(num_right * (num_seeds - num_right))) / (num_seeds * (num_seeds - 1) / 2)


# Verdicts


def judge(
    samples: Mapping[str, PairedSample],
    *,
    alpha: float,
    margin: float,
    num_planned: int | None = None,
    min_pairs_for_verdict: int = MIN_PAIRS_FOR_VERDICT,
    unplanned: str | None = None,
) -> dict[str, Judgement]:
    """Judge all planned contrasts of a study under one error budget.

    A wrong word is "better" or "worse" at a true difference of 0 or of the other sign, "equivalent" or "by less" at one
    of the margin or more, or "by more" at one of less; the chance of any in the study is at most `alpha`. Only where true
    differences are the margin to a hair can both "equivalent" and "by more" be wrong, and the chance be 1.5 `alpha`.

    Args:
        samples: by the variant's name.
        alpha: error budget of the study, in (0, 1); halved by the caller at each of two planned looks.
        margin: the least difference that matters, points, above zero.
        num_planned: K, the contrasts that were planned, judged or not; None: as many as there are samples.
        min_pairs_for_verdict: with fewer pairs a contrast is exploratory.
        unplanned: why the contrasts were not planned, such as that they were thought of later; they are then exploratory
            and take nothing of the budget. None: they were.

    Returns:
        A judgement for each sample, in its order.

    Raises:
        ValueError: `alpha` or `margin` out of range, or fewer planned than sampled.
    """
    _fraction("alpha", alpha)
    _margin(margin)
    num_comparisons = len(samples) if num_planned is None else num_planned
    if unplanned is None and num_comparisons < len(samples):
        raise ValueError(f"num_planned must be at least the {len(samples)} contrasts sampled, not {num_planned}")
    measured = {
        name: _measure(
            sample,
            alpha=alpha,
            margin=margin,
            num_comparisons=num_comparisons if unplanned is None else None,
            withheld=_withheld(sample, min_pairs_for_verdict, unplanned),
        )
        for name, sample in samples.items()
    }
    judgements = {name: judgement for name, (judgement, _) in measured.items()}
    # Contrasts without a word do not enter, but K counts them.
    at_stake = {
        name: estimate
        for name, (judgement, estimate) in measured.items()
        if estimate is not None and judgement.verdict is Verdict.UNDECIDED_MORE_SEEDS
    }
    p_values = [difference_p(each) for each in at_stake.values()]
    p_values += [tost_p(each, margin=margin) for each in at_stake.values()]
    adjusted = step_down(np.array(p_values, dtype=np.float64), num_comparisons=num_comparisons).reshape(2, -1).tolist()
    for (name, estimate), p_difference, p_equivalence in zip(at_stake.items(), *adjusted, strict=True):
        judgements[name] = _with_word(
            judgements[name],
            estimate,
            float(samples[name].values.std(ddof=1)),
            p_difference,
            p_equivalence,
            alpha=alpha,
            margin=margin,
            num_comparisons=num_comparisons,
        )
    return judgements


def _withheld(sample: PairedSample, min_pairs: int, unplanned: str | None) -> tuple[Verdict, str] | None:
    """Why a sample may carry no word, or None."""
    values = sample.values
    num_pairs = len(values)
    if not np.isfinite(values).all():
        seeds = ", ".join(str(seed) for seed in sorted(sample.differences) if not np.isfinite(sample.differences[seed]))
        return Verdict.NO_VERDICT, f"the difference at seed {seeds} is not a finite number"
    if sample.num_missing:
        # A word now and another when the rest is in would be two looks for the price of one.
        return Verdict.NO_VERDICT, f"{sample.num_missing} of {sample.num_planned} planned pairs are missing"
    if num_pairs < MIN_PAIRS_TO_LOOK:
        return (
            Verdict.NO_VERDICT,
            f"{_count(num_pairs, 'pair')} in which both learned, where it takes {MIN_PAIRS_TO_LOOK}",
        )
    if sample.correct is not None and not np.any(sample.correct):
        return Verdict.NO_VERDICT, "identical predictions at every seed: check that the change is applied"
    if _identical(values):
        return Verdict.NO_VERDICT, "identical difference at every seed: check that seeds and the change are applied"
    if unplanned is not None:
        return Verdict.EXPLORATORY, unplanned
    if num_pairs > sample.num_planned:
        return Verdict.EXPLORATORY, f"{num_pairs} pairs where {sample.num_planned} were planned"
    if num_pairs < min_pairs:
        return Verdict.EXPLORATORY, f"a verdict takes {min_pairs} pairs"
    return None


def _measure(
    sample: PairedSample,
    *,
    alpha: float,
    margin: float,
    num_comparisons: int | None,
    withheld: tuple[Verdict, str] | None,
) -> tuple[Judgement, Estimate | None]:
    """All that one sample shows by itself, and what its tests go by; "undecided" until the word is found."""
    verdict, *notes = withheld or (Verdict.UNDECIDED_MORE_SEEDS,)
    if sample.num_failed or sample.num_failed_reference:
        reference = f"{sample.num_failed_reference} of {sample.num_ran_reference} of the reference"
        notes.append(f"{sample.num_failed} of {sample.num_ran} runs did not learn, against {reference}")
        if sample.differences:
            notes[-1] = f"among runs that learned ({notes[-1]})"
    values = sample.values
    finite = values.size > 0 and bool(np.isfinite(values).all())
    wins, losses = (int(np.sum(sign * values > SMALLEST_STEP)) if finite else 0 for sign in (1, -1))
    judgement = Judgement(
        num_pairs=len(values),
        mean=float(values.mean()) if finite else None,
        sd=float(values.std(ddof=1)) if finite and len(values) > 1 else None,
        interval=None,
        simultaneous_interval=None,
        basis=None,
        p_difference=None,
        p_equivalence=None,
        p_difference_adjusted=None,
        p_equivalence_adjusted=None,
        p_sign_flip=None,
        p_sign_flip_floor=None,
        fragile=False,
        wins=wins,
        losses=losses,
        ties=len(values) - wins - losses if finite else 0,
        probability_of_improvement=clopper_pearson(wins, wins + losses) if wins + losses else None,
        image_floor=None,
        verdict=verdict,
        seeds_needed=None,
        notes=tuple(notes),
    )
    if not finite or len(values) < 2 or _identical(values):
        return judgement, None
    # An interval at less than 1 - alpha could hold 0 under a word that says otherwise.
    level = min(0.95, 1 - alpha)
    over_seeds = seeds_estimate(values)
    estimate, image_floor = _wider(over_seeds, sample.correct, level=level)
    p_sign_flip = sign_flip_p(values)
    # Sign flips are over seeds, so they are held against t over seeds, whichever the basis.
    fragile = len(values) >= MIN_PAIRS_FOR_FRAGILE and (difference_p(over_seeds) <= alpha) != (p_sign_flip <= alpha)
    if fragile:
        notes.append("fragile: the t test and the sign-flip check disagree")
    judgement = replace(
        judgement,
        interval=estimate.interval(level),
        simultaneous_interval=estimate.interval(1 - alpha / num_comparisons) if num_comparisons else None,
        basis="seeds" if estimate is over_seeds else "seeds and images",
        p_difference=difference_p(estimate),
        p_equivalence=tost_p(estimate, margin=margin),
        p_sign_flip=p_sign_flip,
        p_sign_flip_floor=smallest_sign_flip_p(len(values)),
        fragile=fragile,
        image_floor=image_floor,
        notes=tuple(notes),
    )
    return judgement, estimate


def _with_word(
    judgement: Judgement,
    estimate: Estimate,
    sd: float,
    p_difference: float,
    p_equivalence: float,
    *,
    alpha: float,
    margin: float,
    num_comparisons: int,
) -> Judgement:
    """The word that the adjusted p-values allow."""
    judgement = replace(judgement, p_difference_adjusted=p_difference, p_equivalence_adjusted=p_equivalence)
    wide = estimate.interval(1 - alpha / num_comparisons)
    better = estimate.mean > 0
    if p_difference <= alpha and p_equivalence <= alpha:
        return replace(judgement, verdict=Verdict.BETTER_BY_LESS if better else Verdict.WORSE_BY_LESS)
    if wide.lower > margin or wide.upper < -margin:
        return replace(judgement, verdict=Verdict.BETTER_BY_MORE if better else Verdict.WORSE_BY_MORE)
    if p_difference <= alpha:
        return replace(judgement, verdict=Verdict.BETTER if better else Verdict.WORSE)
    if p_equivalence <= alpha:
        return replace(judgement, verdict=Verdict.EQUIVALENT)
    image_floor = judgement.image_floor or 0.0
    search = partial(seeds_needed, sd, judgement.num_pairs, alpha=alpha, margin=margin, num_comparisons=num_comparisons)
    needed = search(image_floor=image_floor)
    if needed is not None:
        return replace(judgement, seeds_needed=needed)
    # With endless images seeds would do: then it is the images that are too few.
    reason = (
        f"the test images alone leave ±{_points(float(ndtri(0.975)) * image_floor)} points"
        if search(image_floor=0.0) is not None
        else f"it would take more than {MAX_SEEDS}"
    )
    return replace(judgement, verdict=Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP, notes=(reason, *judgement.notes))


def sentence(
    judgement: Judgement,
    *,
    variant: str,
    reference: str,
    alpha: float,
    num_comparisons: int,
    margin: float,
    scope: str,
    num_looks: int = 1,
) -> str:
    """Word a judgement in one sentence: with the verdict its size, interval, seeds, margin and scope.

    Args:
        judgement: of `variant` minus `reference`.
        variant: its name.
        reference: the name of what it is compared with.
        alpha: error budget of the study; the judgement was made with this over `num_looks`.
        num_comparisons: K that share it.
        margin: points.
        scope: what the claim is conditional on, such as "for the tuned configurations, on CIFAR-10".
        num_looks: planned looks at the results that share `alpha`.

    Raises:
        ValueError: a verdict has no pairs, mean or interval; the margin is not above zero; the scope is empty.
    """
    _margin(margin)
    _fraction("alpha", alpha)
    if not scope.strip():
        raise ValueError("a verdict needs its scope")
    evidence = _evidence(judgement)
    notes = list(judgement.notes)
    if judgement.verdict is Verdict.NO_VERDICT:
        so_far = [f"so far {_moved(judgement.mean)} ({evidence})"] if judgement.mean is not None and evidence else []
        return "; ".join([f"no verdict on {variant} against {reference}: " + "; ".join(notes), *so_far, scope]) + "."
    mean = judgement.mean
    if mean is None or not evidence or judgement.num_pairs < MIN_PAIRS_TO_LOOK:
        raise ValueError(f"a verdict needs its mean, interval and number of pairs: {judgement}")
    limit = f"the margin of {_count(margin, 'point')}"
    pair, which = f"{variant} is {{}} {reference}", "better" if mean > 0 else "worse"
    match judgement.verdict:
        case Verdict.BETTER | Verdict.WORSE:
            claim = pair.format(f"{_points(mean)} points {which} than") + f" ({evidence})"
            notes.insert(0, f"whether by more than {limit} is open")
        case Verdict.BETTER_BY_LESS | Verdict.WORSE_BY_LESS:
            claim = pair.format(f"{_points(mean)} points {which} than") + f", but by less than {limit} ({evidence})"
        case Verdict.BETTER_BY_MORE | Verdict.WORSE_BY_MORE:
            claim = pair.format(f"{_points(mean)} points {which} than") + f", by more than {limit} ({evidence})"
        case Verdict.EQUIVALENT:
            claim = pair.format("equivalent to") + f" within {limit}: {_moved(mean)} ({evidence})"
        case Verdict.UNDECIDED_MORE_SEEDS | Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP:
            than = f"was {_moved(mean)} than" if mean else f"was {_moved(mean)} with"
            claim = f"undecided: {variant} {than} {reference} ({evidence}), which proves neither a difference nor "
            claim += f"equivalence within {limit}"
            notes = _outlook(judgement)
        case Verdict.EXPLORATORY:
            claim = f"exploratory, no verdict: {variant} against {reference}, {_moved(mean)} ({evidence})"
            notes.insert(0, f"not held against {limit}")
            return "; ".join([claim, *notes, scope]) + "."
    looks = f" and {num_looks} planned looks" if num_looks > 1 else ""
    corrected = f"after correcting for {_count(num_comparisons, 'comparison')}{looks} at a {100 * alpha:g} % risk of any wrong word"
    return "; ".join([f"{claim}, {corrected}", *notes, scope]) + "."


def _outlook(judgement: Judgement) -> list[str]:
    """The notes of an undecided contrast, beginning with what would decide it."""
    needed = judgement.seeds_needed
    if needed is None:
        return [": ".join(("more seeds will not help", *judgement.notes[:1])), *judgement.notes[1:]]
    more = " or more" if judgement.num_pairs + needed.high >= MAX_SEEDS else ""
    likely = f"about {_count(needed.num, 'more seed')} ({needed.low} to {needed.high}{more}) are likely to decide"
    return [likely, *judgement.notes]


def _evidence(judgement: Judgement) -> str:
    """Interval, pairs and wins; empty where there is no interval."""
    interval = judgement.interval
    if interval is None:
        return ""
    if interval.lower < 0 < interval.upper:
        span = f"from {_points(interval.lower)} lower to {_points(interval.upper)} higher"
    else:
        near, far = sorted((interval.lower, interval.upper), key=abs)
        span = f"{_points(near)} to {_points(far)} points {'higher' if far > 0 else 'lower'}"
    over = " over seeds and images" if judgement.basis == "seeds and images" else ""
    counts = ((judgement.losses, "lower"), (judgement.wins, "higher"), (judgement.ties, "tied"))
    shown = [f"{count} {word}" for count, word in counts if count]
    wins = ", ".join(shown) if len(shown) > 1 else f"all {shown[0]}"
    return f"{100 * interval.level:g} % CI{over} {span}, {_count(judgement.num_pairs, 'paired seed')}, {wins}"


def _moved(mean: float | None) -> str:
    if not mean:
        return "level on average"
    return f"{_points(mean)} points {'higher' if mean > 0 else 'lower'}"


def _points(value: float) -> str:
    size = abs(value)
    return "under 0.01" if 0 < size < 0.005 else f"{size:.2f}"


def _count(number: float, thing: str) -> str:
    return f"{number:g} {thing}" + ("" if number == 1 else "s")


def _width(interval: Interval) -> float:
    return interval.upper - interval.lower


def _identical(values: Array) -> bool:
    return bool(np.ptp(values) < SMALLEST_STEP)


def _p(value: float) -> float:
    """Rounding can take a p-value to 0 or past 1; certainty is not on offer."""
    return min(1.0, max(SMALLEST_P, value))


def _fraction(name: str, value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, not {value}")
    return value


def _margin(margin: float) -> float:
    if not 0 < margin < np.inf:
        raise ValueError(f"margin must be above 0 points and finite, not {margin}")
    return margin


def _spread(sd: float, image_floor: float, alpha: float, num_comparisons: int) -> None:
    _fraction("alpha", alpha)
    if not 0 < sd < np.inf or not 0 <= image_floor < np.inf or num_comparisons < 1:
        raise ValueError(
            f"need finite sd > 0, image_floor >= 0 and num_comparisons >= 1, not {sd}, {image_floor}, {num_comparisons}"
        )
