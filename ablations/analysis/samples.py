"""Confirmation trials -> outcomes by seed -> paired samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType
from typing import Any

import numpy as np

from ablations.analysis.learning import learned
from ablations.planning.plan import Plan
from ablations.stats.judgement import PairedSample
from ablations.stats.rare import BadRuns
from ablations.trial import RecordedTrial

DEGRADED_POINTS = 5.0
"""A run this far below the median of its variant is a bad one; it is flagged and kept."""


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of one variant's confirmation trials, by seed. Trials that failed have none."""

    accuracy_percent: Mapping[int, float]
    """Test accuracy of every trial that was trained to its last epoch."""
    learned: frozenset[int]
    """Seeds that learned."""
    ran: frozenset[int]
    """Seeds with an outcome."""
    right: Mapping[int, np.ndarray] = field(repr=False, compare=False)
    """Right (1) or wrong (0), shape (num_test_images,); unrecorded ones are left out."""
    dead: frozenset[int] = frozenset()
    """Seeds that learned, but not every class."""

    def bad(self, seeds: Iterable[int]) -> dict[int, float]:
        """The bad runs among those of `seeds` that learned: how far each is below their median, points.

        Bad are runs with a class that they never predict right, and runs more than `DEGRADED_POINTS` under the median.
        """
        accuracy = {
            seed: self.accuracy_percent[seed] for seed in seeds if seed in self.learned & self.accuracy_percent.keys()
        }
        if not accuracy:
            return {}
        middle = median(accuracy.values())
        below = {seed: middle - percent for seed, percent in accuracy.items()}
        return {seed: max(0.0, by) for seed, by in below.items() if seed in self.dead or by > DEGRADED_POINTS}

    def failed(self, seeds: Iterable[int]) -> list[int]:
        """The seeds that ran without learning, of `seeds`."""
        return [seed for seed in seeds if seed in self.ran and seed not in self.learned]


def outcomes_of(trials: Iterable[RecordedTrial], learned_percent: float) -> Outcomes:
    """The outcomes of one variant.

    Args:
        trials: of the variant; those that are no confirmations or failed are left out.
        learned_percent: validation accuracy from which a run has learned.
    """
    confirmed = {t.seed: t for t in trials if t.phase == "confirm" and t.result.status != "failed"}
    return Outcomes(
        accuracy_percent={
            seed: t.result.test_accuracy_percent
            for seed, t in sorted(confirmed.items())
            if t.result.test_accuracy_percent is not None
        },
        learned=frozenset(seed for seed, t in confirmed.items() if learned(t.result, learned_percent)),
        ran=frozenset(confirmed),
        right=right_images(confirmed.values()),
        dead=frozenset(seed for seed, t in confirmed.items() if t.result.last and t.result.last.num_dead_classes),
    )


def worst_bad_run(outcomes: Iterable[Outcomes], seeds: Sequence[int]) -> float:
    """How far the worst bad run of a study is below its variant's median, points; 0 if there is none."""
    return max((by for each in outcomes for by in each.bad(seeds).values()), default=0.0)


def sample(
    variant: Outcomes,
    reference: Outcomes,
    seeds: Sequence[int],
    searches: Mapping[int, int] = MappingProxyType({}),
    *,
    bad_points: float = 0.0,
) -> PairedSample:
    """One contrast at one look.

    Args:
        variant: its outcomes.
        reference: outcomes of the variant it is compared with.
        seeds: of the look.
        searches: number of the search of each seed, if the search is the unit of the test.
        bad_points: how far the worst bad run of the study is below its variant's median, points; 0 if there is none.
    """
    sides = (variant, reference)
    pairs = [seed for seed in seeds if all(seed in s.learned and seed in s.accuracy_percent for s in sides)]
    has_bits = pairs and all(seed in side.right for side in sides for seed in pairs)
    correct = (
        np.stack([variant.right[seed].astype(np.int8) - reference.right[seed].astype(np.int8) for seed in pairs])
        if has_bits
        else None
    )
    return PairedSample(
        differences={seed: variant.accuracy_percent[seed] - reference.accuracy_percent[seed] for seed in pairs},
        num_planned=len(seeds),
        num_missing=sum(any(seed not in side.ran for side in sides) for seed in seeds),
        num_failed=len(variant.failed(seeds)),
        num_failed_reference=len(reference.failed(seeds)),
        num_ran=sum(seed in variant.ran for seed in seeds),
        num_ran_reference=sum(seed in reference.ran for seed in seeds),
        correct=correct,
        bad=BadRuns(
            len(variant.bad(seeds)),
            len(variant.learned.intersection(seeds)),
            len(reference.bad(seeds)),
            len(reference.learned.intersection(seeds)),
            bad_points,
        ),
        searches={seed: searches[seed] for seed in seeds} if searches else {},
    )


def in_searches(plan: Plan, by_seed: Mapping[int, float]) -> list[list[float]]:
    """Values by confirm seed, those of each search together."""
    found: dict[int, list[float]] = {}
    for seed, value in sorted(by_seed.items()):
        found.setdefault(plan.search_of(seed), []).append(value)
    return list(found.values())


def tuned_values(plan: Plan, trials: Iterable[RecordedTrial]) -> dict[int, dict[str, Any]]:
    """Search, by its number -> the values it chose, as one variant's confirmation trials have them."""
    found: dict[int, dict[str, Any]] = {}
    for trial in trials:
        if trial.phase == "confirm" and trial.seed in plan.seeds:
            found.setdefault(plan.search_of(trial.seed), trial.hyperparameters)
    return dict(sorted(found.items()))


def right_images(trials: Iterable[RecordedTrial]) -> dict[int, np.ndarray]:
    """By seed of a confirmation trial: right (1) or wrong (0), shape (num_test_images,). Unrecorded ones are left out."""
    return {
        t.seed: np.unpackbits(np.frombuffer(t.result.test_correct, dtype=np.uint8), count=t.result.num_test_images)
        for t in trials
        if t.phase == "confirm" and t.result.test_correct is not None
    }
