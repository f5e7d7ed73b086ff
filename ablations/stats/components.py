"""The spread of trainings, split: from seed to seed within a search, and from search to search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri, fdtri

from ablations.stats.intervals import Interval

LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """A standard deviation and its 95 % interval, points."""

    sd: float
    interval: Interval


@dataclass(frozen=True)
class Noise:
    """The two kinds of luck of a training: its seed, and its search."""

    reseed: Spread | None
    """From seed to seed with the same tuned values; None if no search has two seeds."""
    retune: Spread | None
    """From search to search, the seeds' part taken out; None with one search, or if no search has two seeds."""


def noise(groups: Iterable[Sequence[Sequence[float]]]) -> Noise:
    """Split the spread of accuracies, or of differences, pooled over variants.

    Pooling takes the spread of all variants for equal, and their accuracies for independent.

    Args:
        groups: of each variant, the values of each search, points; searches without a value are passed over.

    Source:
        One-way random effects by mean squares. Interval between searches: Williams (1962) and Tukey (1951), which cover with at
        least 90 % and nearly always 95 %; an end below 0 becomes 0.
    """
    within, between = _Squares(), _Squares()
    total_size, num_groups = 0.0, 0
    for group in groups:
        searches = [np.asarray(values, dtype=np.float64) for values in group if len(values)]
        if not searches:
            continue
        sizes = np.array([len(values) for values in searches])
        means = np.array([values.mean() for values in searches])
        within.add(
            sum(float(np.sum((values - values.mean()) ** 2)) for values in searches), int(sizes.sum()) - len(searches)
        )
        if len(searches) > 1:
            grand = float(np.average(means, weights=sizes))
            between.add(float(np.sum(sizes * (means - grand) ** 2)), len(searches) - 1)
            total_size += (sizes.sum() - float(np.sum(sizes**2)) / sizes.sum()) / (len(searches) - 1)
            num_groups += 1
    if not within.df or not within.sum:
        return Noise(None, None)
    reseed = Spread(
        float(np.sqrt(within.mean)),
        _roots(within.sum / _chi2(within.df, upper=True), within.sum / _chi2(within.df, upper=False)),
    )
    if not between.df:
        return Noise(reseed, None)
    size = total_size / num_groups
    lower, upper = (
        (between.sum - between.df * within.mean * _f(between.df, within.df, upper=is_upper))
        / (size * _chi2(between.df, upper=is_upper))
        for is_upper in (True, False)
    )
    return Noise(reseed, Spread(float(np.sqrt(max(0.0, (between.mean - within.mean) / size))), _roots(lower, upper)))


@dataclass
class _Squares:
    """A sum of squares and its degrees of freedom."""

    sum: float = 0.0
    df: int = 0

    def add(self, squares: float, df: int) -> None:
        self.sum += squares
        self.df += df

    @property
    def mean(self) -> float:
        return self.sum / self.df


def _chi2(df: int, *, upper: bool) -> float:
    """The quantile of chi square above which 2.5 % lie, or below which they lie."""
    tail = (1 - LEVEL) / 2
    return float(chdtri(df, tail if upper else 1 - tail))


def _f(df: int, other: int, *, upper: bool) -> float:
    tail = (1 - LEVEL) / 2
    return float(fdtri(df, other, 1 - tail if upper else tail))


def _roots(lower: float, upper: float) -> Interval:
    return Interval(float(np.sqrt(max(0.0, lower))), float(np.sqrt(max(0.0, upper))), LEVEL)
