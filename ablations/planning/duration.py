"""Plan -> the number of its trainings, and a rough guess of their time on a CPU, before anything is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ablations.planning.plan import Plan
from ablations.trial import Phase

Trainings = Mapping[tuple[str, Phase], float]
"""Number of trainings of each variant and phase; a fraction if it is a mean."""

MACS_PER_SECOND = 20e9
"""Multiply-accumulates of one CPU core per second, in training: six measured studies ran at 13 to 35 billion."""
PASSES = 3
"""Forward passes that cost as much as a training step."""


def most_trainings(plan: Plan) -> Trainings:
    """All trainings of a plan, if its last look is needed."""
    return Counter((cell.variant, cell.phase) for cell in plan.cells)


def trainings(plan: Plan, num_seeds: Mapping[str, float]) -> Trainings:
    """The trainings of a plan for these numbers of confirmation seeds by variant, means or not."""
    numbers: dict[tuple[str, Phase], float] = dict(most_trainings(plan))
    for name, number in num_seeds.items():
        with_aa = bool(plan.aa_seeds) and name == plan.baseline
        numbers[name, "confirm"] = 2 * number if with_aa else number
        if plan.is_by_search:
            numbers[name, "tune"] = number / plan.seeds_per_search * plan.tuning.num_trials
    return numbers


def cpu_seconds(plan: Plan, numbers: Trainings, num_workers: int) -> float:
    """Time of trainings on CPU cores, in seconds; right within a factor of a few.

    Args:
        plan: its networks are priced.
        numbers: of the trainings.
        num_workers: number of trainings at a time, one per core.
    """
    macs = 0.0
    for (name, phase), number in numbers.items():
        variant = plan[name]
        epochs = variant.config.train.epochs
        predicted = variant.config.data.validation * epochs + (plan.num_test if phase == "confirm" else 0)
        macs += number * variant.costs.macs * (PASSES * plan.num_train_images * epochs + predicted)
    return macs / MACS_PER_SECOND / num_workers
