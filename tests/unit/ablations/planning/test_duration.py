"""Guessed times of a plan on CPU cores."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import SHIPPED, edited, planned, shipped

from ablations.planning.duration import cpu_seconds, most_trainings, trainings

MEASURED_MINUTES = {"depth": 28, "head": 15, "one_by_one": 25, "reduction": 26, "three_by_three": 20}
"""Time of the profile `laptop` with ten seeds on two cores, as LOG.md has it."""


def test_more_work_takes_longer_and_more_workers_less() -> None:
    def seconds(*edits: tuple[str, str], num_workers: int = 1) -> float:
        plan = planned(edited(*edits))
        return cpu_seconds(plan, most_trainings(plan), num_workers)

    assert seconds(num_workers=2) == seconds() / 2
    assert seconds(("epochs: 3", "epochs: 6")) > seconds()
    assert seconds(("seeds: 2", "seeds: 4")) > seconds()


def test_trainings_of_the_last_look_are_the_most_and_the_aa_arm_goes_with_the_baseline() -> None:
    plan = replace(planned(), aa_seeds=(2, 3))
    assert trainings(plan, {variant.name: 2 for variant in plan.variants}) == most_trainings(plan)
    assert sum(trainings(plan, {"two": 1.5}).values()) == len(plan.cells) - 1


@pytest.mark.parametrize(("study", "minutes"), MEASURED_MINUTES.items())
def test_the_guess_is_right_within_a_factor_of_two(study: str, minutes: float) -> None:
    path = next(path for path, _ in SHIPPED if path.stem == study)
    plan = shipped(path, "laptop")
    tuning = plan.tuning.model_copy(update={"searches": 1})
    plan = replace(plan, seeds=plan.seeds[:10], looks=(10,), tuning=tuning)
    assert minutes / 2 < cpu_seconds(plan, most_trainings(plan), 2) / 60 < 2 * minutes
