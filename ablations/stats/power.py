"""Statistical power: the differences that a number of seeds can detect, and the number of seeds that a verdict needs.

All of it follows from the spread of the differences, never from the observed difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import chdtri, ndtr, ndtri, stdtrit

from ablations.stats.budget import Budget
from ablations.stats.intervals import Array, require_fraction

MAX_PAIRS = 200
"""If a study needs more pairs than this, the report says that more seeds will not help."""

POWER = 0.8
"""Probability to detect a true difference, for all numbers of seeds in a report."""


@dataclass(frozen=True)
class SeedsNeeded:
    """Number of additional paired seeds that a verdict is likely to need; each at least 1, `low` <= `num` <= `high`.

    The search ends at `MAX_PAIRS`, so `num_pairs + high == MAX_PAIRS` means "or more".
    """

    num: int
    low: int
    high: int


def detectable_difference(
    sd: float,
    num_pairs: int,
    budget: Budget,
    *,
    power: float = POWER,
    image_floor: float = 0.0,
) -> float:
    """Smallest true difference that a study detects with probability `power`.

    Args:
        sd: spread of the paired differences from seed to seed, points, above zero.
        num_pairs: paired seeds, at least 2.
        budget: of the study. The test is at the first step of the step-down, `budget.step_alpha`.
        power: in (0, 1), above `budget.look_alpha`.
        image_floor: standard error with infinitely many seeds, points.

    Returns:
        Points, above zero.

    Raises:
        ValueError: an argument is out of its range.
    """
    _require_spread(sd, image_floor)
    if num_pairs < 2 or not budget.look_alpha < power < 1:
        raise ValueError(f"need num_pairs >= 2 and alpha < power < 1, not {num_pairs} and {power}")
    counts = np.array([num_pairs])
    critical, nodes = _critical(counts, budget.step_alpha / 2), _chi_nodes(counts - 1)
    high = 1.0
    while _power_of_difference(high, critical, nodes) < power:
        high *= 2
    low = 0.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if _power_of_difference(middle, critical, nodes) >= power else (middle, high)
    return high * float(_standard_error(sd, image_floor, counts)[0])


def seeds_needed(sd: float, num_pairs: int, budget: Budget, *, image_floor: float = 0.0) -> SeedsNeeded | None:
    """Number of additional seeds that make a verdict likely, from the spread alone.

    A number of seeds is enough if it has 80 % power in two cases, each tested at alpha / K: to detect a true difference
    of the margin, and to prove equivalence at a true difference of 0. For true differences in between a verdict is less
    likely. If a study has this power and is still undecided, its true difference is probably in between. Then a number
    is enough if every possible mean difference would get a verdict.

    Args:
        sd: spread of the paired differences, points, above zero, as estimated from `num_pairs`.
        num_pairs: paired seeds so far, at least 2.
        budget: of the study.
        image_floor: standard error with infinitely many seeds, points.

    Returns:
        `low` for `sd`, `num` for its median-unbiased value (a sample sd is more often too small than too large) and
        `high` for its 80 % upper limit. None if `num` would exceed `MAX_PAIRS` in all. With a large `image_floor` no
        number of seeds is enough.

    Raises:
        ValueError: an argument is out of its range.
    """
    _require_spread(sd, image_floor)
    if num_pairs < 2:
        raise ValueError(f"num_pairs must be at least 2, not {num_pairs}")

    def search(enough: Callable[[Array, Array, Budget], Array]) -> list[int | None]:
        totals: list[int | None] = []
        for spread in (sd, spread_limit(sd, num_pairs, level=0.5), spread_limit(sd, num_pairs)):
            standard_error = _standard_error(spread, image_floor, _COUNTS)
            found = np.flatnonzero(enough(standard_error, _COUNTS, budget))
            totals.append(int(_COUNTS[found[0]]) if found.size else None)
        return totals

    totals = search(_has_power)
    if totals[1] is not None and totals[1] <= num_pairs:
        totals = search(_leaves_nothing_open)
    if totals[1] is None or totals[0] is None or num_pairs >= MAX_PAIRS:
        return None
    more = [max(1, (MAX_PAIRS if total is None else total) - num_pairs) for total in totals]
    return SeedsNeeded(low=more[0], num=more[1], high=more[2])


def spread_limit(sd: float, num_pairs: int, *, level: float = 0.8) -> float:
    """Upper confidence limit of a spread: at level .8, 1.56 times an estimate from 5 pairs and 1.29 times one from 10.

    Args:
        sd: as estimated from `num_pairs`, any unit.
        num_pairs: at least 2.
        level: in (0, 1); .5 gives the median-unbiased value.
    """
    df = num_pairs - 1
    return sd * float(np.sqrt(df / chdtri(df, require_fraction("level", level))))


def smallest_detectable_difference(image_floor: float, budget: Budget) -> float:
    """Smallest true difference that infinitely many seeds would detect with 80 % power: 2.8 floors at alpha .05.

    Args:
        image_floor: standard error with infinitely many seeds, points.
        budget: of the study.

    Returns:
        Points.
    """
    return float(ndtri(1 - budget.step_alpha / 2) + ndtri(POWER)) * image_floor


def smallest_provable_margin(image_floor: float, budget: Budget) -> float:
    """Smallest margin for which infinitely many seeds would prove equivalence with 80 % power: 2.9 floors at alpha .05.

    Args:
        image_floor: standard error with infinitely many seeds, points.
        budget: of the study; its own margin has no part in this.

    Returns:
        Points.
    """
    return float(ndtri(1 - budget.step_alpha) + ndtri((1 + POWER) / 2)) * image_floor


def smallest_margin_of_images(num_images: int, budget: Budget) -> float:
    """Smallest margin that a test set can prove if the change turns no image at all, points; see `p_values.images_p`.

    Args:
        num_images: of the test set, at least 1.
        budget: of the study; its own margin has no part in this.
    """
    return 100 * float(np.log(1 / budget.step_alpha)) / num_images


def expected_image_floor(accuracy_percent: float, num_images: int) -> float:
    """Image floor of a test set before any training, points: a third of one network's standard error.

    Args:
        accuracy_percent: of the networks in the comparison, in [0, 100].
        num_images: of the test set, at least 1.

    Raises:
        ValueError: an argument is out of its range.

    Source:
        A simulation of reseeded networks with errors independent given the image: .105, .084 and .026 points for
        10,000 images at 90, 93 and 99.4 %.
    """
    if not 0 <= accuracy_percent <= 100 or num_images < 1:
        raise ValueError(f"need an accuracy in [0, 100] and at least 1 image, not {accuracy_percent} and {num_images}")
    rate = accuracy_percent / 100
    return 100 * float(np.sqrt(rate * (1 - rate) / num_images)) / 3


_COUNTS = np.arange(2, MAX_PAIRS + 1)


def _standard_error(sd: float, image_floor: float, counts: Array) -> Array:
    return np.asarray(np.sqrt(image_floor**2 + sd**2 / counts))


def _critical(counts: Array, tail: float) -> Array:
    """Student t exceeded with probability `tail`, shape (counts, 1): level / 2 for a difference, level for TOST."""
    return np.asarray(stdtrit(counts - 1, 1 - tail))[:, None]


def _has_power(standard_error: Array, counts: Array, budget: Budget) -> Array:
    nodes, shift = _search_nodes(), budget.margin / standard_error[:, None]
    finds = _power_of_difference(shift, _critical(counts, budget.step_alpha / 2), nodes)
    proves = np.maximum(0.0, 2 * ndtr(shift - _critical(counts, budget.step_alpha) * nodes) - 1) @ _WEIGHTS
    return np.asarray((finds >= POWER) & (proves >= POWER))


def _leaves_nothing_open(standard_error: Array, counts: Array, budget: Budget) -> Array:
    reach = (_critical(counts, budget.step_alpha / 2) + _critical(counts, budget.step_alpha))[:, 0]
    return np.asarray(reach * standard_error <= budget.margin)


# Power is the normal probability averaged over the chi distribution of the standard error, by Gauss-Legendre on its
# quantiles. The noncentral t of scipy is NaN at large effects (scipy issue 25470).
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


def _require_spread(sd: float, image_floor: float) -> None:
    if not 0 < sd < np.inf or not 0 <= image_floor < np.inf:
        raise ValueError(f"need finite sd > 0 and image_floor >= 0, not {sd} and {image_floor}")
