from __future__ import annotations

import pytest

from ablations.execution.probe import best_number


@pytest.mark.parametrize(
    ("rates", "number", "gain"),
    [
        ([100.0, 105.0, 300.0], 1, 1.0),
        ([100.0, 150.0, 180.0, 181.0], 3, 1.8),
        ([100.0, 150.0, None], 2, 1.5),
        ([None], 1, 1.0),
        ([100.0, 120.0, 140.0, 160.0], 4, 1.6),
    ],
)
def test_one_more_is_taken_as_long_as_it_pays(rates: list[float | None], number: int, gain: float) -> None:
    assert best_number(lambda each: rates[each - 1], most=4) == (number, gain)
