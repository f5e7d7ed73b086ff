"""What so many seeds can show: differences they find, and seeds a verdict is likely to take. Pure, as `stats`.

The spread of the differences decides, never the difference that was seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import chdtri, ndtr, ndtri, stdtrit

from ablations.stats.intervals import Array, require_fraction, require_margin

MAX_SEEDS = 200
"""A study that needs more pairs than this is told that more seeds will not help."""
POWER = 0.8


@dataclass(frozen=True)
class SeedsNeeded:
    """How many more paired seeds a verdict is likely to take; each at least 1, `low` <= `num` <= `high`.

    `high` ends where the search does: `num_pairs + high == MAX_SEEDS` reads "or more".
    """

    num: int
    low: int
    high: int


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
    """How many more seeds make a word likely at a true difference of 0 or of the margin, from the spread only.

    Enough are those with 80 % power both to find a true difference of the margin and to prove equivalence at a true
    difference of 0, each at alpha / K; in between a word is less likely. A study that has this power and is still undecided most likely lies between the
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
            found = np.flatnonzero(enough(standard_error, _COUNTS, level, require_margin(margin)))
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
    return sd * float(np.sqrt(df / chdtri(df, require_fraction("level", level))))


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
    require_fraction("alpha", alpha)
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
    require_fraction("alpha", alpha)
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


def _spread(sd: float, image_floor: float, alpha: float, num_comparisons: int) -> None:
    require_fraction("alpha", alpha)
    if not 0 < sd < np.inf or not 0 <= image_floor < np.inf or num_comparisons < 1:
        raise ValueError(
            f"need finite sd > 0, image_floor >= 0 and num_comparisons >= 1, not {sd}, {image_floor}, {num_comparisons}"
        )
