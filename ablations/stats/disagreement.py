"""How often two networks differ in the images they classify correctly."""

from __future__ import annotations

import numpy as np

from ablations.stats.intervals import Array


def disagreement(first: Array, second: Array) -> float:
    """Share of images with one network right and the other wrong, percent, averaged over pairs.

    Args:
        first: right (1) or wrong (0), shape (num_pairs, num_images) or (num_images,).
        second: the same for the other network of each pair.

    Raises:
        ValueError: the shapes differ or are empty.
    """
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if first.shape != second.shape or first.size == 0:
        raise ValueError(f"shapes must agree and not be empty: {first.shape} and {second.shape}")
    return 100 * float(np.mean(first != second))


def disagreement_between_reseeds(correct: Array) -> float:
    """Share of images with one network right and its reseed wrong, percent, averaged over all pairs of seeds.

    Args:
        correct: right (1) or wrong (0) of one variant, shape (num_seeds, num_images), at least 2 seeds.

    Raises:
        ValueError: fewer than 2 seeds, or no images.
    """
    right = np.asarray(correct, dtype=bool)
    if right.ndim != 2 or len(right) < 2 or right.shape[1] == 0:
        raise ValueError(f"correct must have at least 2 seeds and some images, not shape {right.shape}")
    num_seeds, num_right = len(right), right.sum(axis=0)
    return 100 * float(np.mean(num_right * (num_seeds - num_right))) / (num_seeds * (num_seeds - 1) / 2)
