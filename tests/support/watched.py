"""A run that is watched: every training, and everything that its display was told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fakes import Bench, NoDisplay

from ablations.analysis.looks import TakenLook
from ablations.planning.plan import Plan, search_of_tuning
from ablations.trial import TrialSpec


class Told(NoDisplay):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.looks: list[TakenLook] = []
        self.warnings: list[str] = []

    def looked(self, look: TakenLook) -> None:
        self.looks.append(look)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    @property
    def words(self) -> dict[str, tuple[int, str]]:
        """Variant -> its last look and verdict."""
        return {name: (look.number, each.verdict) for look in self.looks for name, each in look.judgements.items()}


class Watching(Bench):
    """A bench that keeps every training, also of earlier runs."""

    def __init__(self, accuracy: Callable[[TrialSpec], float]) -> None:
        super().__init__()
        self.training.accuracy = accuracy
        # The right images of made-up trials would not agree with their accuracies.
        self.training.changed = lambda result: replace(result, test_correct=None, num_test_images=None)
        self.every: list[TrialSpec] = []

    def run(self, plan: Plan, **options: Any) -> Any:
        outcome = super().run(plan, **options)
        self.every += [spec for spec in self.training.started if spec not in self.every]
        return outcome

    def searches(self, variant: str) -> set[int]:
        """Searches that trained something."""
        return {search_of_tuning(spec.seed) for spec in self.every if (spec.phase, spec.variant) == ("tune", variant)}

    def seeds(self, variant: str) -> set[int]:
        """Seeds of recorded confirmations."""
        done = [spec for spec in self.every if spec.id in self.store.results]
        return {spec.seed for spec in done if (spec.phase, spec.variant) == ("confirm", variant)}
