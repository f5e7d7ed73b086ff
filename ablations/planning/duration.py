"""Plan -> a rough guess of its time on a CPU, from counted costs, before anything is measured."""

from __future__ import annotations

from ablations.planning.plan import Plan

MACS_PER_SECOND = 20e9
"""Multiply-accumulates of one CPU core per second, in training: six measured studies ran at 13 to 35 billion."""
PASSES = 3
"""Forward passes that cost as much as a training step."""


def cpu_seconds(plan: Plan, num_workers: int) -> float:
    """Time of all trainings on CPU cores, in seconds; right within a factor of a few.

    Args:
        plan: its networks are priced.
        num_workers: number of trainings at a time, one per core.
    """
    macs = 0
    for cell in plan.cells:
        variant = plan[cell.variant]
        epochs = variant.config.train.epochs
        predicted = variant.config.data.validation * epochs + (plan.num_test if cell.phase == "confirm" else 0)
        macs += variant.costs.macs * (PASSES * plan.num_train_images * epochs + predicted)
    return macs / MACS_PER_SECOND / num_workers
