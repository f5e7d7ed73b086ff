"""Paired runs -> p-values, and their correction for multiple comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import bdtr, gammaincc

from ablations.stats.intervals import SMALLEST_STEP, Array, Estimate, WiderEstimate, require_margin

SMALLEST_P = float(np.finfo(np.float64).tiny)
"""Lower bound of every p-value."""

MAX_EXACT_PAIRS = 13
"""Up to here `sign_flip_p` tries all sign flips; 13 pairs have 4,096, not counting mirror images."""

NUM_RANDOM_FLIPS = 10_000
"""Sign flips in `sign_flip_p` for more pairs than `MAX_EXACT_PAIRS`."""


def difference_p(estimate: Estimate | WiderEstimate) -> float:
    """Two-sided p-value of a true difference of 0, in (0, 1]."""
    return _p(2 * estimate.tail(abs(estimate.mean)))


def tost_p(estimate: Estimate | WiderEstimate, *, margin: float) -> float:
    """p-value of a true difference of `margin` or more on either side, in (0, 1]. A small value proves equivalence.

    Args:
        estimate: the mean difference, points.
        margin: smallest difference that matters, points, above zero.

    Source:
        Two one-sided tests, Schuirmann (1987).
    """
    return _p(estimate.tail(require_margin(margin) - abs(estimate.mean)))


def images_p(difference: float, image_floor: float, num_images: int, *, margin: float) -> float:
    """p-value of a true difference of `margin` or more on either side, from how many test images stay changed; in (0, 1].

    Images that stay lost and images that stay won are held against the Poisson distribution, whose variance is the largest that
    their numbers can have. So a margin of few images cannot be proven: with none lost where 1.8 would be the margin p is
    .17, while a t test has no spread to go by. Images that flip from seed to seed average out, and are no part of it.

    Args:
        difference: mean difference, points. With 0 the result is about the smallest that many seeds can reach.
        image_floor: standard error with infinitely many seeds, points. Its square counts the images that stay changed.
        num_images: of the test set, at least 1.
        margin: smallest difference that matters, points, above zero.

    Source:
        Two one-sided tests (Schuirmann 1987), each by the exact limit of a Poisson mean (Garwood 1936).
    """
    allowed, net = require_margin(margin) * num_images / 100, abs(difference) * num_images / 100
    changed = max((image_floor * num_images / 100) ** 2, net)
    more, fewer = (changed + net) / 2, (changed - net) / 2
    return _p(float(gammaincc(more + 1, allowed + fewer)))


def sign_flip_p(differences: Array) -> float:
    """Two-sided permutation p-value of differences symmetric about 0, in (0, 1].

    It is exact up to `MAX_EXACT_PAIRS` pairs, and uses a fixed draw of flips above. Reordering the pairs does not change
    it, nor does swapping variant and reference.

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
        # Flipping all signs keeps the absolute sum, so the last sign can stay fixed.
        signs = 1 - 2 * (np.arange(2 ** (num_pairs - 1))[:, None] >> np.arange(num_pairs) & 1)
        return float(np.mean(np.abs(signs @ sizes) >= observed))
    signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(NUM_RANDOM_FLIPS - 2, num_pairs))
    # The observed signs and their mirror image always count; the draw leaves room for these two.
    return float((2 + np.sum(np.abs(signs @ sizes) >= observed)) / NUM_RANDOM_FLIPS)


def smallest_sign_flip_p(num_pairs: int) -> float:
    """Smallest possible value of `sign_flip_p`: .0625 with 5 pairs, .002 with 10.

    Raises:
        ValueError: `num_pairs` is under 1.
    """
    if num_pairs < 1:
        raise ValueError(f"num_pairs must be at least 1, not {num_pairs}")
    return 2 / (2**num_pairs if num_pairs <= MAX_EXACT_PAIRS else NUM_RANDOM_FLIPS)


def mcnemar_exact(num_only_first: int, num_only_second: int) -> float:
    """Two-sided p-value of two equal rates, from the pairs with only one of the two events; in (0, 1].

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
    """Adjusted p-values of all verdicts of a study under one error budget; compare them with alpha.

    Each of K comparisons has two nulls: "no difference at all" and "a difference of the margin or more". At most one of
    the two is true. So after j - 1 rejections at most min(K, 2K - j + 1) of the other nulls are true. The j-th smallest
    p-value is multiplied by this number.

    Args:
        p_values: shape (at most 2K,), in (0, 1]. Comparisons without a test have no entry, but K counts them.
        num_comparisons: K, planned.

    Returns:
        Adjusted p-values in the order given, in (0, 1].

    Raises:
        ValueError: more than 2K p-values, or one outside (0, 1].

    Source:
        Shaffer (1986), for logically related nulls. Holm on each family alone leaks to .066 at alpha .05.
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
    """Adjusted p-values to bound the false discovery rate. They are for exploration; verdicts ignore them.

    Args:
        p_values: of one family, in (0, 1]; a family may be empty.

    Raises:
        ValueError: a value is outside (0, 1] or is NaN.

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


def _p(value: float) -> float:
    """Clip to (0, 1]: rounding can take a p-value to 0 or past 1."""
    return min(1.0, max(SMALLEST_P, value))
