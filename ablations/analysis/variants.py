"""What became of each variant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, median, stdev
from typing import Any

import numpy as np

from ablations.analysis.summary import Curve, TuningPoint, VariantSummary
from ablations.costs import Measurement
from ablations.datasets import DATASETS
from ablations.planning.plan import SEARCH_SEED, Plan, PlannedVariant
from ablations.stats.bands import Band, expected_best_of_n
from ablations.stats.disagreement import disagreement_between_reseeds
from ablations.studyfile.distributions import CategoricalDistribution, SearchSpace
from ablations.trial import RecordedTrial, TrialResult

MIN_DRAWS = 8
"""Under this many draws what to expect of their best is told of three at most, and with a band as wide as the axis."""


def learned(plan: Plan, result: TrialResult) -> bool:
    """Whether a trial learned: it finished, and its last validation accuracy is at least twice chance."""
    last = result.last
    if result.status != "finished" or last is None:
        return False
    return last.validation_accuracy_percent >= 2 * chance_percent(plan)


def chance_percent(plan: Plan) -> float:
    return 100 / DATASETS[plan.data.name].num_classes


def has_independent_draws(plan: Plan) -> bool:
    return plan.tuning.sampler != "tpe"


def variant_summary(
    plan: Plan,
    variant: PlannedVariant,
    trials: Sequence[RecordedTrial],
    measurements: Mapping[str, Measurement],
) -> VariantSummary:
    confirm = {
        t.seed: t for t in trials if t.phase == "confirm" and t.seed in plan.seeds and t.result.status != "failed"
    }
    tune = [t for t in trials if t.phase == "tune"]
    good = {seed: t for seed, t in confirm.items() if learned(plan, t.result)}
    accuracy = {
        seed: t.result.test_accuracy_percent
        for seed, t in sorted(confirm.items())
        if t.result.test_accuracy_percent is not None
    }
    values = [accuracy[seed] for seed in good if seed in accuracy]
    tuned = next((t.hyperparameters for t in confirm.values()), {})
    workload = plan.workload(variant.name, tuned)
    # Counted again only where dials were tuned: a registered network cannot be counted without its package.
    costs = variant.costs if workload.model == variant.config.model else workload.costs
    tuning = tuple(_tuning_point(plan, t) for t in tune for _ in range(t.count))
    right = [bits for seed, bits in right_images(trials).items() if seed in good]
    return VariantSummary(
        name=variant.name,
        description=variant.description,
        changes=variant.changes,
        expect=variant.expect,
        family=variant.family,
        params=costs.params,
        macs=costs.macs,
        activations=costs.activations,
        workload=workload,
        memory=workload.memory,
        measured=measurements.get(workload.id),
        tuned=tuned,
        at_edge=tuple(_at_edge(plan.search_space, tuned)),
        accuracy_percent=accuracy,
        failed_seeds=tuple(sorted(set(confirm) - set(good))),
        missing_seeds=tuple(seed for seed in plan.seeds if seed not in confirm),
        mean_accuracy_percent=mean(values) if values else None,
        sd_accuracy_percent=stdev(values) if len(values) > 1 else None,
        reseed_disagreement_percent=disagreement_between_reseeds(np.stack(right)) if len(right) > 1 else None,
        learning_onset_steps={
            seed: t.result.last.learning_onset_step for seed, t in sorted(confirm.items()) if t.result.last is not None
        },
        dead_classes={
            seed: t.result.last.num_dead_classes for seed, t in sorted(confirm.items()) if t.result.last is not None
        },
        train_images_per_second=_median(e.train_images_per_second for t in confirm.values() for e in t.result.epochs),
        trial_seconds=_median(t.result.train_seconds for t in confirm.values()),
        num_tune_planned=sum(cell.phase == "tune" and cell.variant == variant.name for cell in plan.cells),
        num_tune_done=sum(t.count for t in tune if t.result.status != "failed"),
        num_tune_epochs=sum(t.result.last.epoch for t in tune if t.result.last),
        tuning=tuning,
        best_of_n=best_of_n(tuning, chance_percent=chance_percent(plan)) if has_independent_draws(plan) else None,
        curves=tuple(
            Curve(seed=seed, learned=seed in good, epochs=t.result.epochs) for seed, t in sorted(confirm.items())
        ),
        run_ids={seed: t.run_id for seed, t in sorted(confirm.items())},
    )


def _tuning_point(plan: Plan, trial: RecordedTrial) -> TuningPoint:
    result = trial.result
    # The tuner tries the start points first, so that their numbers come before all others.
    is_start = trial.number is not None and trial.number < len(plan.tuning.start_points or [])
    return TuningPoint(
        number=trial.number,
        seed=trial.seed,
        role="re-run" if trial.seed != SEARCH_SEED else "start point" if is_start else "draw",
        hyperparameters=trial.hyperparameters,
        status=result.status,
        validation_accuracy_percent=(
            result.last.validation_accuracy_percent if result.status == "finished" and result.last else None
        ),
    )


def best_of_n(tuning: Sequence[TuningPoint], *, chance_percent: float) -> Band | None:
    """Best validation accuracy to expect of 1, 2, … of the sampler's draws, which must not depend on results.

    Start points were chosen and re-runs selected, so neither is a draw. A draw that diverged counts as guessing, which is
    what its network does: without it, a search space half of which diverges would look as good as one that never does.
    A draw that failed says something of the machine, and is left out.

    Returns:
        None with under `MIN_DRAWS` draws, or where one was pruned: its accuracy is that of a shorter training.
    """
    draws = [point for point in tuning if point.role == "draw" and point.status != "failed"]
    if len(draws) < MIN_DRAWS or any(point.status == "pruned" for point in draws):
        return None
    scores = (point.validation_accuracy_percent for point in draws)
    return expected_best_of_n([chance_percent if score is None else score for score in scores])


def _median(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return median(numbers) if numbers else None


def _at_edge(search_space: SearchSpace, tuned: Mapping[str, Any]) -> Iterable[str]:
    """Keys whose value lies in the outer 5 % of their range, on the scale that they were searched on."""
    for key, value in tuned.items():
        distribution = search_space.get(key)
        if distribution is None or isinstance(distribution, CategoricalDistribution):
            continue
        low, high = float(distribution.low), float(distribution.high)
        x = float(value)
        if distribution.log:
            low, high, x = (float(np.log(v)) for v in (low, high, x))
        place = (x - low) / (high - low)
        if min(place, 1 - place) < 0.05:
            yield key


def right_images(trials: Sequence[RecordedTrial]) -> dict[int, np.ndarray]:
    return {
        t.seed: np.unpackbits(np.frombuffer(t.result.test_correct, dtype=np.uint8), count=t.result.num_test_images)
        for t in trials
        if t.phase == "confirm" and t.result.test_correct is not None
    }
