"""Paired runs -> intervals and p-values, and what else numbers alone can tell. Pure: numbers in, numbers out.

Accuracies and their differences are percentage points; a difference is variant minus reference, so above zero is
better. A pair is a variant and its reference at the same seed.

Imports `scipy.special` and not `scipy.stats`, which takes three times as long to load: `plan` needs some of this before
any training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, betaincinv, stdtr, stdtrit

Array = npt.NDArray[Any]

SMALLEST_STEP = 1e-4
"""Points; one image in a million. Differences closer than this are equal, and their distance is rounding."""
SMALLEST_P = float(np.finfo(np.float64).tiny)
MIN_PAIRS_TO_LOOK = 3
"""Under this many pairs a spread is a guess, and nothing is said."""
MAX_EXACT_PAIRS = 13
NUM_RANDOM_FLIPS = 10_000


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
    def spread(self) -> float:
        """Standard deviation from seed to seed, no less than what flips alone make of it; points.

        Over few seeds it can come out small by luck, where flips are an average over all images.
        """
        return float(np.sqrt(self.num_seeds * max(self.seeds, self.flips)))

    @property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom of the three mean squares, and no less than the least of the three."""
        n, s = self.num_images - 1, self.num_seeds - 1
        df = self.standard_error**4 / (self.images**2 / n + self.seeds**2 / s + self.flips**2 / (n * s))
        # Flips are subtracted, which can bring Satterthwaite's formula, made for sums, down to 0.
        return max(df, float(min(n, s)))


# Intervals


def paired_interval(differences: Array, *, level: float = 0.95) -> Interval:
    """Student-t interval for the mean paired difference between a variant and its reference.

    Args:
        differences: variant minus reference for the same seed, shape (num_pairs,), points.
        level: coverage, in (0, 1).

    Raises:
        ValueError: `differences` is not one-dimensional, has under 2 or non-finite entries, or does not vary.

    Source:
        Student (1908); chosen over bootstraps of percentiles, which cover 75 to 90 % at 3 to 10 seeds (docs/statistics.md).
    """
    return seeds_estimate(differences).interval(require_fraction("level", level))


def seeds_estimate(differences: Array) -> Estimate:
    """Mean difference with the error that new seeds on the same images would have; arguments as `paired_interval`."""
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
        raise ValueError(f"differences must be one-dimensional with at least 2 entries, all finite: {differences!r}")
    if identical(values):
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
    return crossed_estimate(correct).interval(require_fraction("level", level))


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
        varies = len(differences) > 1 and among.shape[1] > 1 and not identical(differences)
        estimate = wider_estimate(seeds_estimate(differences), crossed_variance(among), level=0.95) if varies else None
        estimates[label] = (float(differences.mean()), estimate)
    return estimates


def wider_estimate(over_seeds: Estimate, variance: CrossedVariance | None, *, level: float) -> Estimate:
    """Of the estimate over seeds and that over seeds and images, where there is one, the one of the wider interval."""
    if variance is None:
        return over_seeds
    crossed = replace(over_seeds, standard_error=variance.standard_error, df=variance.df)
    is_wider = _width(crossed.interval(level)) > _width(over_seeds.interval(level))
    return crossed if is_wider else over_seeds


def clopper_pearson(num_successes: int, num_trials: int, *, level: float = 0.95) -> Interval:
    """Exact interval for a rate in [0, 1], such as a failure rate or the probability of improvement.

    Raises:
        ValueError: not 0 <= `num_successes` <= `num_trials`, or no trials.

    Source:
        Clopper and Pearson (1934).
    """
    if not 0 <= num_successes <= num_trials or num_trials == 0:
        raise ValueError(f"need 0 <= successes <= trials and trials > 0, not {num_successes} of {num_trials}")
    tail = (1 - require_fraction("level", level)) / 2
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
    half = float(stdtrit(df, (1 + require_fraction("level", level)) / 2)) * np.where(
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
    return _p(float(stdtr(estimate.df, (abs(estimate.mean) - require_margin(margin)) / estimate.standard_error)))


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


def _width(interval: Interval) -> float:
    return interval.upper - interval.lower


def identical(values: Array) -> bool:
    """Whether values differ by no more than rounding."""
    return bool(np.ptp(values) < SMALLEST_STEP)


def _p(value: float) -> float:
    """Rounding can take a p-value to 0 or past 1; certainty is not on offer."""
    return min(1.0, max(SMALLEST_P, value))


def require_fraction(name: str, value: float) -> float:
    """`value`, or ValueError where it does not lie between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, not {value}")
    return value


def require_margin(margin: float) -> float:
    """`margin`, or ValueError where it is not a positive number of points."""
    if not 0 < margin < np.inf:
        raise ValueError(f"margin must be above 0 points and finite, not {margin}")
    return margin
