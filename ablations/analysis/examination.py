"""Both sides of a comparison at the tuned values of both: how much of a difference comes with the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ablations.analysis.learning import learned
from ablations.analysis.summary import AtValues, Examination
from ablations.planning.plan import Plan
from ablations.stats.intervals import MIN_PAIRS_TO_LOOK, identical, paired_interval
from ablations.trial import RecordedTrial


def examination(
    plan: Plan, name: str, trials: Mapping[str, Sequence[RecordedTrial]], learned_percent: float
) -> Examination | None:
    """The cross-examination of one contrast; None if the plan has none, or before a pair of it is recorded.

    Args:
        plan: of the study.
        name: of the variant.
        trials: by variant.
        learned_percent: validation accuracy from which a run has learned.
    """
    if not plan.cross_examine:
        return None
    sides = name, plan[name].versus
    tuned = [next((t.hyperparameters for t in trials[side] if t.phase == "confirm"), None) for side in sides]
    if None in tuned or tuned[0] == tuned[1]:
        return None
    found = [
        _at(plan, [trials[side] for side in sides], values, learned_percent) for values in tuned if values is not None
    ]
    return Examination(*found) if all(each.num_pairs for each in found) else None


def _at(
    plan: Plan, sides: Sequence[Sequence[RecordedTrial]], values: Mapping[str, Any], learned_percent: float
) -> AtValues:
    accuracies = [
        {
            t.seed: t.result.test_accuracy_percent
            for t in trials
            if t.phase in {"confirm", "examine"}
            and t.hyperparameters == values
            and t.seed in plan.examined_seeds
            and t.result.test_accuracy_percent is not None
            and learned(t.result, learned_percent)
        }
        for trials in sides
    ]
    pairs = sorted(accuracies[0].keys() & accuracies[1].keys())
    differences = np.array([accuracies[0][seed] - accuracies[1][seed] for seed in pairs])
    has_interval = len(pairs) >= MIN_PAIRS_TO_LOOK and not identical(differences)
    return AtValues(
        dict(values),
        len(pairs),
        float(differences.mean()) if pairs else 0.0,
        paired_interval(differences) if has_interval else None,
    )
