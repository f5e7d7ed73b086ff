"""The best constant guess, and the accuracy from which a run has learned more than that."""

from __future__ import annotations

import numpy as np


def constant_guess_percent(labels: np.ndarray) -> float:
    """Accuracy of the best constant guess, percent: the share of the most frequent class.

    Args:
        labels: class of each image, integers from 0, shape (N,) with N of at least 1.
    """
    return 100 * float(np.bincount(labels).max()) / len(labels)


def learned_percent(guess_percent: float) -> float:
    """Accuracy from which a run has learned, percent: a ninth of the way from the best constant guess to 100 %.

    With ten equally frequent classes it is 20 %, twice the guess. Twice the guess would be 100 % with two classes.

    Args:
        guess_percent: accuracy of the best constant guess, percent.
    """
    return guess_percent + (100 - guess_percent) / 9
