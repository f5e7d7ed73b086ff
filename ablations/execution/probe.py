"""The number of parallel trials with the most images per second on a CUDA device; it depends on network and device."""

from __future__ import annotations

from collections.abc import Callable

GAIN = 1.1
"""One more trial on a device must raise its images per second by this factor, or it only takes memory."""
MOST = 8
"""Trials on one device at most."""


def best_number(rate_of: Callable[[int], float | None], most: int = MOST) -> tuple[int, float]:
    """Try one trial, two, three and so on, as long as each one more pays.

    Args:
        rate_of: images per second of this many trials in parallel; None if they do not fit.
        most: the largest number to try.

    Returns:
        The number, and its images per second as a multiple of a single trial's.
    """
    alone = best = rate_of(1)
    if alone is None or best is None:
        return 1, 1.0
    for number in range(2, most + 1):
        rate = rate_of(number)
        if rate is None or rate < GAIN * best:
            return number - 1, best / alone
        best = rate
    return most, best / alone
