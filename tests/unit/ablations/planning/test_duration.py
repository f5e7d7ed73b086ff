"""Guessed times of a plan on CPU cores."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import SHIPPED, edited, planned, shipped

from ablations.planning.duration import cpu_seconds

MEASURED_MINUTES = {"depth": 28, "head": 15, "one_by_one": 25, "reduction": 26, "three_by_three": 20}
"""Time of the profile `laptop` with ten seeds on two cores, as LOG.md has it."""


def test_more_work_takes_longer_and_more_workers_less() -> None:
    once = cpu_seconds(planned(), 1)
    assert cpu_seconds(planned(), 2) == once / 2
    assert cpu_seconds(planned(edited(("epochs: 3", "epochs: 6"))), 1) > once
    assert cpu_seconds(planned(edited(("seeds: 2", "seeds: 4"))), 1) > once


@pytest.mark.parametrize(("study", "minutes"), MEASURED_MINUTES.items())
def test_the_guess_is_right_within_a_factor_of_two(study: str, minutes: float) -> None:
    path = next(path for path, _ in SHIPPED if path.stem == study)
    plan = shipped(path, "laptop")
    plan = replace(plan, seeds=plan.seeds[:10], looks=(10,))
    assert minutes / 2 < cpu_seconds(plan, 2) / 60 < 2 * minutes
