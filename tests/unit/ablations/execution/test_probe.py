from __future__ import annotations

import pytest
import tiny

from ablations.costs import Workload
from ablations.execution.probe import best_number, train_for_a_moment


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


def test_a_network_is_trained_for_a_moment_once_the_word_is_given() -> None:
    waited: list[bool] = []
    workload = Workload.of(tiny.trial().config, "cpu")
    assert train_for_a_moment(workload, lambda: waited.append(True), seconds=0.05) > 0
    assert waited == [True]
