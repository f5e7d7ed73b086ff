"""One variant's recorded trials -> VariantSummary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, median, stdev
from typing import Any

import numpy as np

from ablations.analysis.learning import learned
from ablations.analysis.samples import in_searches, outcomes_of, right_images, tuned_values
from ablations.analysis.summary import Curve, TuningPoint, VariantSummary
from ablations.costs import Measurement
from ablations.planning.plan import Plan, PlannedVariant, is_rerun, search_of_tuning
from ablations.stats.bands import Band, expected_best_of_n
from ablations.stats.components import noise
from ablations.stats.disagreement import disagreement_between_reseeds
from ablations.stats.guessing import learned_percent
from ablations.studyfile.distributions import SearchSpace
from ablations.trial import RecordedTrial

MIN_DRAWS = 8
"""With fewer draws `best_of_n` would cover three draws at most, with a band as wide as the axis."""


def has_independent_draws(plan: Plan) -> bool:
    """Whether the sampler draws without regard to earlier results."""
    return plan.tuning.sampler != "tpe"


def variant_summary(
    plan: Plan,
    variant: PlannedVariant,
    trials: Sequence[RecordedTrial],
    measurements: Mapping[str, Measurement],
    guess_percent: float,
    seeds: Sequence[int],
) -> VariantSummary:
    """Turn one variant's trials into its numbers.

    Args:
        plan: of the study.
        variant: one of `plan.variants`.
        trials: of this variant and its key, in a fixed order.
        measurements: of architectures, by the workload's id.
        guess_percent: validation accuracy of the best constant guess, percent.
        seeds: that the variant needs for its current look.
    """
    confirmed = _confirmed(plan, trials)
    tune = [t for t in trials if t.phase == "tune"]
    bar = learned_percent(guess_percent)
    good = {seed for seed, t in confirmed.items() if learned(t.result, bar)}
    last = {seed: t.result.last for seed, t in confirmed.items() if t.result.last is not None}
    accuracy = {
        seed: t.result.test_accuracy_percent
        for seed, t in confirmed.items()
        if t.result.test_accuracy_percent is not None
    }
    by_seed = {seed: percent for seed, percent in accuracy.items() if seed in good}
    values = list(by_seed.values())
    right = [bits for seed, bits in right_images(trials).items() if seed in good]
    by_search = tuned_values(plan, confirmed.values())
    tuned = next(iter(by_search.values()), {})
    tuning = tuple(_tuning_point(plan, t) for t in tune for _ in range(t.count))
    workload = plan.workload(variant.name, tuned)
    num_searches = plan.searches_for(len(seeds))
    # Count again only if dials were tuned: a registered network cannot be counted without its package.
    costs = variant.costs if workload.model == variant.config.model else workload.costs
    return VariantSummary(
        name=variant.name,
        description=variant.description,
        called=variant.called,
        changes=variant.changes,
        expect=variant.expect,
        family=variant.family,
        params=costs.params,
        macs=costs.macs,
        activations=costs.activations,
        workload=workload,
        memory=workload.memory,
        measured=measurements.get(workload.id),
        tuned_by_search=by_search if plan.tuned else {},
        at_edge=tuple(dict.fromkeys(key for each in by_search.values() for key in _at_edge(plan.search_space, each))),
        noise=noise([in_searches(plan, by_seed)]),
        accuracy_percent=accuracy,
        failed_seeds=tuple(sorted(set(confirmed) - good)),
        bad_seeds=tuple(sorted(outcomes_of(confirmed.values(), bar).bad(confirmed))),
        missing_seeds=tuple(seed for seed in seeds if seed not in confirmed),
        mean_accuracy_percent=mean(values) if values else None,
        sd_accuracy_percent=stdev(values) if len(values) > 1 else None,
        reseed_disagreement_percent=disagreement_between_reseeds(np.stack(right)) if len(right) > 1 else None,
        learning_onset_steps={seed: epoch.learning_onset_step for seed, epoch in last.items()},
        dead_classes={seed: epoch.num_dead_classes for seed, epoch in last.items()},
        train_images_per_second=_median(e.train_images_per_second for t in confirmed.values() for e in t.result.epochs),
        trial_seconds=_median(t.result.train_seconds for t in confirmed.values()),
        num_tune_planned=num_searches * plan.tuning.num_trials if plan.tuned else 0,
        num_tune_done=sum(t.count for t in tune if t.result.status != "failed"),
        num_tune_epochs=sum(t.result.last.epoch for t in tune if t.result.last),
        tuning=tuning,
        best_of_n=best_of_n(tuning, guess_percent=guess_percent) if has_independent_draws(plan) else None,
        curves=tuple(Curve(seed=seed, learned=seed in good, epochs=t.result.epochs) for seed, t in confirmed.items()),
        run_ids={seed: t.run_id for seed, t in confirmed.items()},
    )


def _confirmed(plan: Plan, trials: Iterable[RecordedTrial]) -> dict[int, RecordedTrial]:
    """Confirmation trials with an outcome, by seed in ascending order."""
    confirmed = {
        t.seed: t for t in trials if t.phase == "confirm" and t.seed in plan.seeds and t.result.status != "failed"
    }
    return dict(sorted(confirmed.items()))


def _tuning_point(plan: Plan, trial: RecordedTrial) -> TuningPoint:
    result = trial.result
    # The tuner tries the start points first, so they have the lowest numbers.
    is_start = trial.number is not None and trial.number < len(plan.tuning.start_points or [])
    return TuningPoint(
        number=trial.number,
        search=search_of_tuning(trial.seed),
        seed=trial.seed,
        role="re-run" if is_rerun(trial.seed) else "start point" if is_start else "draw",
        hyperparameters=trial.hyperparameters,
        status=result.status,
        validation_accuracy_percent=(
            result.last.validation_accuracy_percent if result.status == "finished" and result.last else None
        ),
    )


def best_of_n(tuning: Sequence[TuningPoint], *, guess_percent: float) -> Band | None:
    """Expected best validation accuracy of 1, 2, … draws of the sampler.

    Start points were chosen and re-runs selected, so neither is a draw. A diverged draw counts as guessing, because its
    network guesses. Without it a search space with half of its draws diverging would look as good as one without any.
    A failed draw only says something about the machine, so it is left out.

    Args:
        tuning: all tuning trials, of a sampler whose draws do not depend on results.
        guess_percent: validation accuracy of the best constant guess, percent.

    Returns:
        None with fewer than `MIN_DRAWS` draws, or if one was pruned: its accuracy belongs to a shorter training.
    """
    draws = [point for point in tuning if point.role == "draw" and point.status != "failed"]
    if len(draws) < MIN_DRAWS or any(point.status == "pruned" for point in draws):
        return None
    scores = (point.validation_accuracy_percent for point in draws)
    return expected_best_of_n([guess_percent if score is None else score for score in scores])


def _median(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return median(numbers) if numbers else None


def _at_edge(search_space: SearchSpace, tuned: Mapping[str, Any]) -> Iterable[str]:
    """Keys whose value lies near an end of their range."""
    return (key for key, value in tuned.items() if key in search_space and search_space[key].at_edge(value))
