"""Made-up recorded trials of a tiny plan, and shortcuts to summarize them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import tiny

from ablations.analysis.summarize import summarize
from ablations.analysis.summary import Contrast, StudySummary
from ablations.planning.plan import Plan
from ablations.trial import Reason, RecordedTrial, TrialResult

SEEDS = 5
CHANCE = 25.0
"""Percent; the synthetic images have four classes."""


def plan(**changes: Any) -> Plan:
    return tiny.plan(**{"seeds": SEEDS, **changes})


def confirm(
    plan: Plan, variant: str, seed: int, accuracy: float = 90.0, *, validation: float | None = None, **changes: Any
) -> RecordedTrial:
    """A finished confirmation trial with these accuracies; the test split has 1,000 images."""
    spec = plan.trial(variant, "confirm", seed, changes.pop("hyperparameters", {"train.lr": 0.05}))
    epochs = tuple(tiny.record(epoch, accuracy if validation is None else validation) for epoch in (1, 2, 3))
    right = np.arange(1000) < round(10 * accuracy)
    result = TrialResult(spec.id, "finished", epochs, accuracy, np.packbits(right).tobytes(), 1000)
    return recorded(plan, variant, "confirm", seed, replace(result, **changes), spec.hyperparameters)


def tune(
    plan: Plan, variant: str, number: int | None, lr: float = 0.05, seed: int = 0, **changes: Any
) -> RecordedTrial:
    spec = plan.trial(variant, "tune", seed, {"train.lr": lr}, number)
    result = TrialResult(spec.id, "finished", (tiny.record(1, 80.0),))
    return recorded(plan, variant, "tune", seed, replace(result, **changes), spec.hyperparameters, number)


def recorded(
    plan: Plan,
    variant: str,
    phase: Any,
    seed: int,
    result: TrialResult,
    values: dict[str, Any],
    number: int | None = None,
) -> RecordedTrial:
    run_id = f"{variant}-{phase}-{seed}-{number}"
    return RecordedTrial(run_id, variant, plan[variant].key, phase, seed, number, values, result)


def confirmed(plan: Plan, difference: float = -20.0, spread: float = 0.5, **only: range) -> list[RecordedTrial]:
    """Every variant on every seed. Each differs from the baseline by `difference` points, give or take `spread` by seed."""
    trials = []
    for variant in plan.variants:
        for seed in only.get(variant.name, range(SEEDS)):
            against = 0.0 if variant.name == plan.baseline else difference + spread * (seed % 3 - 1)
            trials.append(confirm(plan, variant.name, seed, round(90.0 + 0.1 * seed + against, 1)))
    return trials


def summary(plan: Plan, trials: list[RecordedTrial]) -> StudySummary:
    return summarize(plan, trials, {}, {})


def contrast(plan: Plan, trials: list[RecordedTrial]) -> Contrast:
    (only,) = summary(plan, trials).contrasts
    return only


def failed(plan: Plan, variant: str, seed: int, reason: Reason | None, num_attempts: int = 1) -> RecordedTrial:
    spec = plan.trial(variant, "confirm", seed, {"train.lr": 0.05})
    result = TrialResult(spec.id, "failed", message="out of luck", reason=reason, num_attempts=num_attempts)
    return recorded(plan, variant, "confirm", seed, result, spec.hyperparameters)
