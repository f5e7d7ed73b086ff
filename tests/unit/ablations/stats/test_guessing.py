"""The best constant guess, and the bar above it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablations.stats.guessing import constant_guess_percent, learned_percent


@pytest.mark.parametrize(
    ("labels", "guess", "bar"),
    [
        ([0, 1] * 50, 50.0, 55.6),
        ([0] * 90 + [1] * 10, 90.0, 91.1),
        ([0, 1, 2] * 30, 33.3, 40.7),
        (list(range(10)) * 36, 10.0, 20.0),
        (list(range(256)), 0.4, 11.5),
        ([0, 2] * 50, 50.0, 55.6),  # class 1 is absent
        ([3], 100.0, 100.0),
    ],
)
def test_the_bar_lies_above_the_most_frequent_class(labels: list[int], guess: float, bar: float) -> None:
    found = constant_guess_percent(np.array(labels, dtype=np.uint8))
    assert (round(found, 1), round(learned_percent(found), 1)) == (guess, bar)


def test_ten_equally_frequent_classes_have_a_bar_of_exactly_20_percent() -> None:
    assert learned_percent(100 / 10) == 20.0


@given(st.floats(0, 100, exclude_min=True, exclude_max=True, allow_subnormal=False))
def test_the_bar_lies_between_the_guess_and_100_percent(guess: float) -> None:
    assert guess <= learned_percent(guess) <= 100
    assert learned_percent(guess) - guess == pytest.approx((100 - guess) / 9)
