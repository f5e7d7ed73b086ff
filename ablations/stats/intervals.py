"""Paired differences -> confidence intervals, over seeds alone or over seeds and test images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, stdtr, stdtrit

Array = npt.NDArray[Any]

SMALLEST_STEP = 1e-4
"""Points; one image in a million. Two differences closer than this are equal up to rounding."""

MIN_PAIRS_TO_LOOK = 3
"""With fewer pairs the spread is a guess, so the report shows no estimate."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval, `lower` < `upper`, with its coverage `level` in (0, 1)."""

    lower: float
    upper: float
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

    def tail(self, distance: float) -> float:
        """Probability of an estimate as far as `distance` points or farther on one side of the true mean."""
        return float(stdtr(self.df, -distance / self.standard_error))


@dataclass(frozen=True)
class WiderEstimate:
    """A mean difference by two estimates of its error: whichever claims less counts, at each level for itself.

    A standard error may be larger and have more degrees of freedom. Then it is wider at 95 %, and narrower far out in the tails.
    """

    over_seeds: Estimate
    over_images: Estimate
    """Over seeds and images."""

    @property
    def mean(self) -> float:
        """Mean difference, points."""
        return self.over_seeds.mean

    def is_over_images(self, level: float) -> bool:
        """Whether the interval at this level is the one over seeds and images."""
        return _width(self.over_images.interval(level)) > _width(self.over_seeds.interval(level))

    def interval(self, level: float) -> Interval:
        """The wider interval that covers with probability `level`."""
        return (self.over_images if self.is_over_images(level) else self.over_seeds).interval(level)

    def tail(self, distance: float) -> float:
        """The larger probability of the two, as in `Estimate.tail`."""
        return max(self.over_seeds.tail(distance), self.over_images.tail(distance))


@dataclass(frozen=True)
class CrossedVariance:
    """The parts of the variance of a mean difference over seeds and images; squared points, none below zero.

    `images`, `seeds` and `flips` are mean squares, each already divided down to the variance of the mean.
    """

    images: float
    """Between images, each averaged over the seeds."""
    seeds: float
    """Between seeds, each averaged over the images."""
    flips: float
    """Share of single images in both fields above: they change from right to wrong between seeds."""
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
        """Standard deviation from seed to seed, never below the value that flips alone would cause; points.

        Over few seeds the standard deviation can be small by luck. Flips are averaged over all images.
        """
        return float(np.sqrt(self.num_seeds * max(self.seeds, self.flips)))

    @property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom of the three mean squares, never below the smallest of the three."""
        n, s = self.num_images - 1, self.num_seeds - 1
        df = self.standard_error**4 / (self.images**2 / n + self.seeds**2 / s + self.flips**2 / (n * s))
        # Satterthwaite's formula is for sums. Flips are subtracted, so it can reach 0.
        return max(df, float(min(n, s)))


def paired_interval(differences: Array, *, level: float = 0.95) -> Interval:
    """Student-t interval for the mean paired difference between a variant and its reference.

    Args:
        differences: variant minus reference for the same seed, shape (num_pairs,), points.
        level: coverage, in (0, 1).

    Raises:
        ValueError: `differences` is not one-dimensional, has under 2 or non-finite entries, or does not vary.

    Source:
        Student (1908). Percentile bootstraps cover only 75 to 90 % at 3 to 10 seeds (docs/statistics.md).
    """
    return seeds_estimate(differences).interval(require_fraction("level", level))


def seeds_estimate(differences: Array) -> Estimate:
    """Mean difference with its standard error for new seeds on the same images.

    Args:
        differences: as for `paired_interval`.

    Raises:
        ValueError: as for `paired_interval`.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
        raise ValueError(f"differences must be one-dimensional with at least 2 entries, all finite: {differences!r}")
    if identical(values):
        raise ValueError(f"differences must vary from seed to seed, otherwise their spread is unknown: {differences!r}")
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size)), values.size - 1)


def crossed_interval(correct: Array, *, level: float = 0.95) -> Interval:
    """Interval for the mean paired difference over both new seeds and new images.

    Args:
        correct: right (1) or wrong (0), variant minus reference, shape (num_pairs, num_images), values -1, 0 and 1.
        level: coverage, in (0, 1).

    Raises:
        ValueError: `correct` is not two-dimensional, has under 2 pairs or images, or is the same everywhere.
    """
    return crossed_estimate(correct).interval(require_fraction("level", level))


def crossed_estimate(correct: Array) -> Estimate:
    """Mean difference with its standard error for new seeds and new images.

    Args:
        correct: as for `crossed_interval`.

    Raises:
        ValueError: as for `crossed_interval`, or flips explain all of the variance.
    """
    variance = crossed_variance(correct)
    if variance.standard_error == 0:
        raise ValueError("correct must vary from image to image or from seed to seed by more than its flips")
    return Estimate(100 * float(np.mean(correct)), variance.standard_error, variance.df)


def crossed_variance(correct: Array) -> CrossedVariance:
    """Split the variance of the mean difference into parts for images, seeds, and images that flip with the seed.

    Args:
        correct: as for `crossed_interval`.

    Raises:
        ValueError: as for `crossed_interval`.

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


def class_estimates(correct: Array, labels: Array) -> dict[int, tuple[float, Estimate | WiderEstimate | None]]:
    """Mean paired difference on the images of each class, and its estimate by the wider of the two intervals.

    Args:
        correct: right (1) or wrong (0), variant minus reference, shape (num_pairs, num_images), values -1, 0 and 1.
        labels: class of each image, shape (num_images,).

    Returns:
        By class: the mean in points, and its estimate. The estimate is None if the differences do not vary from seed to seed.

    Raises:
        ValueError: the shapes do not agree, or there are no pairs.
    """
    correct, labels = np.asarray(correct), np.asarray(labels)
    if correct.ndim != 2 or len(correct) == 0 or labels.shape != correct.shape[1:]:
        raise ValueError(f"correct must be pairs by images, and labels one per image: {correct.shape}, {labels.shape}")
    estimates: dict[int, tuple[float, Estimate | WiderEstimate | None]] = {}
    for label in np.unique(labels).tolist():
        among = correct[:, labels == label]
        differences = 100 * among.mean(axis=1)
        varies = len(differences) > 1 and among.shape[1] > 1 and not identical(differences)
        estimate = wider_estimate(seeds_estimate(differences), crossed_variance(among)) if varies else None
        estimates[label] = (float(differences.mean()), estimate)
    return estimates


def wider_estimate(over_seeds: Estimate, variance: CrossedVariance | None) -> Estimate | WiderEstimate:
    """The estimate over seeds alone or over seeds and images, whichever claims less.

    Args:
        over_seeds: estimate over seeds alone.
        variance: over seeds and images; None if the right images are unknown.
    """
    if variance is None or variance.standard_error == 0:
        return over_seeds
    return WiderEstimate(over_seeds, replace(over_seeds, standard_error=variance.standard_error, df=variance.df))


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


def _width(interval: Interval) -> float:
    return interval.upper - interval.lower


def identical(values: Array) -> bool:
    """Whether values differ by no more than rounding."""
    return bool(np.ptp(values) < SMALLEST_STEP)


def require_fraction(name: str, value: float) -> float:
    """Return `value`.

    Raises:
        ValueError: it is not between 0 and 1.
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} must be between 0 and 1, not {value}")
    return value


def require_margin(margin: float) -> float:
    """Return `margin`.

    Raises:
        ValueError: it is not a positive number of points.
    """
    if not 0 < margin < np.inf:
        raise ValueError(f"margin must be above 0 points and finite, not {margin}")
    return margin
