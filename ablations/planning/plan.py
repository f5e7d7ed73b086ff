"""Plan: every variant resolved, and every trial to run, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from ablations.costs import Workload
from ablations.datasets import DATASETS
from ablations.studyfile.distributions import SearchSpace
from ablations.studyfile.spec import Decision, Expectation, Name, Tuning
from ablations.trial import DataConfig, Device, Phase, TrialConfig, TrialSpec, content_hash
from nin.complexity import Costs

SEARCH_SEED = 0
"""Seed of every search trial, so that one search's configurations differ in nothing else; re-runs take 1, 2, …"""


@dataclass(frozen=True)
class PlannedVariant:
    """A variant with nothing left open but the search space."""

    name: Name
    changes: dict[str, Any]
    """What it sets against the base, solved dials included; dotted keys."""
    description: str
    expect: Expectation | None
    versus: str
    """The variant that it is compared with; its own name for the baseline."""
    family: str | None
    config: TrialConfig
    """With the base's value of each searched key."""
    costs: Costs
    key: str
    """Hash of all that decides its tuned configuration; results with another key belong to another plan."""


@dataclass(frozen=True)
class Cell:
    """One trial of the plan, before its hyperparameters are known."""

    phase: Phase
    variant: str
    seed: int
    number: int | None = None
    """Number within the variant's search; None for re-runs and in the confirm phase."""


@dataclass(frozen=True)
class PlannedContrast:
    """What is to be compared with what, by the keys of their variants, and what was expected of it."""

    variant_key: str
    versus_key: str
    expect: Expectation | None


@dataclass(frozen=True)
class Look:
    """A report in which a contrast got a verdict: what was planned by then, and what of the error budget it spent."""

    seeds: tuple[int, ...]
    alpha: float
    """Error budget that was spent."""
    margin: float
    contrasts: tuple[PlannedContrast, ...]

    def is_of(self, other: Look) -> bool:
        """Whether both look at results in common: at a variant of the same key, with a seed that both have."""
        keys, others = (
            {key for c in look.contrasts for key in (c.variant_key, c.versus_key)} for look in (self, other)
        )
        return bool(keys & others) and bool(set(self.seeds) & set(other.seeds))


@dataclass(frozen=True)
class Plan:
    """All that will be done, decided before the first trial."""

    # Names are checked where a stored plan is read, too: they become names of folders.
    study: Name
    question: str
    source: str | None
    profile: Name
    profile_description: str
    profile_cost: str | None
    baseline: Name
    variants: tuple[PlannedVariant, ...]
    search_space: SearchSpace
    tuning: Tuning
    """Start points resolved."""
    seeds: tuple[int, ...]
    """Of the look that this plan is for."""
    aa_seeds: tuple[int, ...]
    """Of the A/A arm, as many as `seeds`; empty where there is none."""
    looks: tuple[int, ...]
    """Numbers of seeds at which the results are looked at, decided beforehand; they share alpha."""
    decision: Decision
    data: DataConfig
    data_checksum: str
    num_test: int
    device: Device
    caveats: tuple[str, ...]
    """What the profile fixes other than the base does: every conclusion is conditional on it."""

    def __getitem__(self, name: str) -> PlannedVariant:
        """The variant of that name.

        Raises:
            KeyError: there is none.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise KeyError(name)

    @property
    def tuned(self) -> bool:
        """Whether there is anything to tune."""
        return bool(self.search_space)

    @property
    def look(self) -> int:
        """Which of the planned looks this plan is for, from 1."""
        return self.looks.index(len(self.seeds)) + 1

    @property
    def look_alpha(self) -> float:
        """Error budget of each look; all of them together keep to the study's alpha."""
        return self.decision.alpha / len(self.looks)

    @property
    def this_look(self) -> Look:
        """What a report of this plan spends when it gives a verdict."""
        return Look(
            seeds=self.seeds,
            alpha=self.look_alpha,
            margin=self.decision.margin,
            contrasts=tuple(map(self.contrast, (v.name for v in self.variants if v.name != self.baseline))),
        )

    def contrast(self, name: str) -> PlannedContrast:
        """What a variant is compared with, and what is expected of it."""
        variant = self[name]
        return PlannedContrast(variant.key, self[variant.versus].key, variant.expect)

    @property
    def id(self) -> str:
        """Hash of the whole plan."""
        return content_hash(self.to_json())

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every trial, in the order of running: tuning number by number, then confirmation seed by seed."""
        return tuple(self._cells())

    def _cells(self) -> Iterator[Cell]:
        names = [variant.name for variant in self.variants]
        if self.tuned:
            for number in range(self.tuning.trials):
                yield from (Cell("tune", name, SEARCH_SEED, number) for name in names)
            for seed in self.rerun_seeds:
                for _ in range(self.tuning.num_rerun):
                    yield from (Cell("tune", name, seed) for name in names)
        for index, seed in enumerate(self.seeds):
            yield from (Cell("confirm", name, seed) for name in names)
            yield from (Cell("confirm", self.baseline, again) for again in self.aa_seeds[index : index + 1])

    @property
    def rerun_seeds(self) -> tuple[int, ...]:
        """Tuning seeds of the re-runs."""
        return tuple(range(SEARCH_SEED + 1, SEARCH_SEED + 1 + self.tuning.rerun_seeds))

    @property
    def num_train_images(self) -> int:
        """Images that one epoch trains on."""
        left = DATASETS[self.data.name].num_train - self.data.validation
        return min(left, self.data.train_size or left)

    def searches(self, hyperparameters: Mapping[str, Any]) -> bool:
        """Whether these values, by key, are ones that the search may come upon."""
        space = self.search_space
        return all(key in space and space[key].contains(value) for key, value in hyperparameters.items())

    def workload(self, variant: str, hyperparameters: Mapping[str, Any] | None = None) -> Workload:
        """What the variant's costs are counted and measured for: its tuned values, and until they are known the base's."""
        return Workload.of(self[variant].config.with_values(hyperparameters or {}), self.device)

    def trial(
        self, variant: str, phase: Phase, seed: int, hyperparameters: Mapping[str, Any], number: int | None = None
    ) -> TrialSpec:
        """The trial of a variant at the given values of the search space."""
        return TrialSpec(
            variant=variant,
            phase=phase,
            seed=seed,
            config=self[variant].config.with_values(hyperparameters),
            data_checksum=self.data_checksum,
            device=self.device,
            number=number,
            hyperparameters=dict(hyperparameters),
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        dumped: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return dumped

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """Read a stored plan.

        Raises:
            ValueError: `text` is no plan, or one of another version of the suite.
        """
        return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[Plan]:
    """Plan to JSON and back; built when first needed, which `check` does not."""
    return TypeAdapter(Plan)
