"""Plan: every variant resolved, and every trial to run, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter

from ablations.costs import Workload
from ablations.datasets import DATASETS
from ablations.networks import Model
from ablations.planning.frozen import FrozenPlan, PlannedContrast
from ablations.studyfile.distributions import SearchSpace
from ablations.studyfile.spec import SEARCH_STRIDE, Decision, Expectation, Name, Tuning
from ablations.trial import DataConfig, Device, Phase, TrialConfig, TrialSpec, content_hash
from nin.complexity import Costs


def search_of_tuning(seed: int) -> int:
    """Number of the search that a tuning trial of this seed belongs to."""
    return seed // SEARCH_STRIDE


def is_rerun(seed: int) -> bool:
    """Whether a tuning trial of this seed repeats one of the best of its search.

    All other trials of a search have its first seed: its configurations differ in nothing else.
    """
    return seed % SEARCH_STRIDE > 0


@dataclass(frozen=True)
class PlannedVariant:
    """A variant, resolved but for the search space."""

    name: Name
    changes: dict[str, Any]
    """Changes of the base by dotted key, solved dials included."""
    description: str
    expect: Expectation | None
    versus: str
    """The variant to compare it with; the baseline has its own name here."""
    family: str | None
    config: TrialConfig
    """It has the base's value of each searched key."""
    costs: Costs
    key: str
    """Hash of everything behind its tuned configuration; results with another key belong to another plan."""
    called: str = ""
    """Its wording in a sentence; empty: its name."""


@dataclass(frozen=True)
class Cell:
    """One trial of the plan, before tuning decides its hyperparameters."""

    phase: Phase
    variant: str
    seed: int
    number: int | None = None
    """Number within the variant's search, from 0; None for re-runs and in the confirm phase."""


@dataclass(frozen=True)
class Plan:
    """All work of a study at a profile, decided before the first trial."""

    # A stored plan's names are checked again when it is read: they become names of folders.
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
    """Confirm seeds of the last look; an earlier look is at the first of them."""
    aa_seeds: tuple[int, ...]
    """Seeds of the A/A arm, as many as `seeds`; empty without the arm."""
    looks: tuple[int, ...]
    """Numbers of seeds of all planned looks, increasing; the looks share alpha by the seeds that they add."""
    decision: Decision
    data: DataConfig
    data_checksum: str
    num_test: int
    device: Device
    caveats: tuple[str, ...]
    """Settings that the profile forces on the base: every conclusion depends on them."""
    cross_examine: bool = False
    """Whether both sides of a comparison are confirmed at the tuned values of both. Plans of older versions have no such key."""

    def __getitem__(self, name: str) -> PlannedVariant:
        """The variant of a name.

        Raises:
            KeyError: there is none.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise KeyError(name)

    @property
    def networks(self) -> tuple[Model, ...]:
        """The variants' networks."""
        return tuple(variant.config.model for variant in self.variants)

    @property
    def tuned(self) -> bool:
        """Whether there is anything to tune."""
        return bool(self.search_space)

    @property
    def num_searches(self) -> int:
        """Number of independent searches of each variant that the last look has."""
        return self.tuning.searches if self.tuned else 1

    @property
    def is_by_search(self) -> bool:
        """Whether the unit of every test is a search with its seeds, rather than a seed."""
        return self.num_searches > 1

    @property
    def seeds_per_search(self) -> int:
        """Confirm seeds of each search."""
        return len(self.seeds) // self.num_searches

    @property
    def first_search(self) -> int:
        """Number of the first search: the first seed, so that searches of disjoint seeds have other numbers. With one search it is 0."""
        return self.seeds[0] if self.is_by_search else 0

    def search_of(self, seed: int) -> int:
        """Number of the search that a confirm seed belongs to; the A/A arm's seeds belong to the same ones.

        Raises:
            ValueError: the plan has no such seed.
        """
        seeds = self.aa_seeds if seed in self.aa_seeds else self.seeds
        return self.first_search + seeds.index(seed) // self.seeds_per_search

    def searches_between(self, before: int, after: int) -> range:
        """Numbers of the searches of the first `after` confirm seeds, without those of the first `before`."""
        return range(self.first_search + self.searches_for(before), self.first_search + self.searches_for(after))

    def searches_for(self, num_seeds: int) -> int:
        """Number of searches that the first so many confirm seeds belong to."""
        return -(-num_seeds // self.seeds_per_search)

    def units_of(self, num_seeds: int) -> int:
        """Units of a test at a look of so many seeds: its searches, or its seeds."""
        return self.searches_for(num_seeds) if self.is_by_search else num_seeds

    @property
    def contrast_names(self) -> tuple[str, ...]:
        """Variants that are compared with another: all but the baseline."""
        return tuple(variant.name for variant in self.variants if variant.name != self.baseline)

    def contrasts(
        self, tuned: Mapping[str, Mapping[str, Any] | None] = MappingProxyType({})
    ) -> tuple[PlannedContrast, ...]:
        """The comparisons, one for each variant but the baseline.

        Args:
            tuned: values that each variant's first search chose, None if all its trials failed. Variants that are left out have
                no id.
        """
        if not self.tuned:
            tuned = {variant.name: {} for variant in self.variants}
        ids = {name: self.configuration_id(name, values or {}) for name, values in tuned.items()}
        return tuple(
            PlannedContrast(
                v.key, self[v.versus].key, v.expect, v.name, v.versus, ids.get(v.name, ""), ids.get(v.versus, "")
            )
            for v in self.variants
            if v.name != self.baseline
        )

    def configuration_id(self, variant: str, hyperparameters: Mapping[str, Any]) -> str:
        """Hash of everything behind a variant's confirmations but the seed: 16 hexadecimal digits."""
        return self.trial(variant, "confirm", 0, hyperparameters).configuration_id

    def frozen(self, contrasts: tuple[PlannedContrast, ...]) -> FrozenPlan:
        """The rules of the verdicts, to record before the first confirmation trial."""
        decision = self.decision
        return FrozenPlan(
            self.seeds,
            self.looks,
            decision.alpha,
            decision.margin,
            contrasts,
            num_searches=self.num_searches,
            pooled=decision.pooled and self.is_by_search,
            data_checksum=self.data_checksum,
        )

    @property
    def id(self) -> str:
        """Hash of the whole plan."""
        return content_hash(self.to_json())

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every trial, in the order of running: the searches of a look, number by number, then its confirmations, seed by seed."""
        return tuple(self._cells())

    def _cells(self) -> Iterator[Cell]:
        names = [variant.name for variant in self.variants]
        confirmations = list(self.confirmations(dict.fromkeys(names, len(self.seeds))))
        for before, after in pairwise((0, *self.looks)):
            for search in self.searches_between(before, after):
                yield from self.tuning_of(search)
            seeds = {*self.seeds[before:after], *self.aa_seeds[before:after]}
            yield from (cell for cell in confirmations if cell.seed in seeds)

    def tuning_of(self, search: int) -> Iterator[Cell]:
        """The tuning trials of one search of every variant, number by number; none if nothing is tuned.

        Args:
            search: its number.
        """
        names = [variant.name for variant in self.variants]
        if not self.tuned:
            return
        for number in range(self.tuning.trials):
            yield from (Cell("tune", name, SEARCH_STRIDE * search, number) for name in names)
        for seed in self.rerun_seeds(search):
            for _ in range(self.tuning.num_rerun):
                yield from (Cell("tune", name, seed) for name in names)

    def confirmations(self, num_seeds: Mapping[str, int]) -> Iterator[Cell]:
        """The confirmation trials, seed by seed.

        Args:
            num_seeds: of each variant. The A/A arm has as many as the baseline.
        """
        for index, seed in enumerate(self.seeds):
            yield from (Cell("confirm", v.name, seed) for v in self.variants if index < num_seeds[v.name])
            if index < num_seeds[self.baseline]:
                yield from (Cell("confirm", self.baseline, again) for again in self.aa_seeds[index : index + 1])

    @property
    def examined_seeds(self) -> tuple[int, ...]:
        """Seeds of the cross-examination: those of the first look."""
        return self.seeds[: self.looks[0]] if self.cross_examine and self.tuned and not self.is_by_search else ()

    def examinations(self, tuned: Mapping[str, Mapping[str, Any]]) -> list[TrialSpec]:
        """The trials of the cross-examination, seed by seed; none for a comparison whose sides have the same tuned values.

        Args:
            tuned: chosen values by variant.
        """
        specs = [
            self.trial(side, "examine", seed, values)
            for seed in self.examined_seeds
            for name in self.contrast_names
            for side, values in ((name, tuned[self[name].versus]), (self[name].versus, tuned[name]))
            if tuned[name] != tuned[self[name].versus]
        ]
        return list({spec.id: spec for spec in specs}.values())

    def rerun_seeds(self, search: int) -> tuple[int, ...]:
        """Seeds of the re-runs of a search, by its number."""
        first = SEARCH_STRIDE * search + 1
        return tuple(range(first, first + self.tuning.rerun_seeds))

    @property
    def num_train_images(self) -> int:
        """Training images of one epoch."""
        left = DATASETS[self.data.name].num_train - self.data.validation
        return min(left, self.data.train_size or left)

    def searches(self, hyperparameters: Mapping[str, Any]) -> bool:
        """Whether the search can draw these values by key."""
        space = self.search_space
        return all(key in space and space[key].contains(value) for key, value in hyperparameters.items())

    def workload(self, variant: str, hyperparameters: Mapping[str, Any] | None = None) -> Workload:
        """The workload to count and measure a variant's costs for.

        Args:
            variant: its name.
            hyperparameters: its tuned values; None for the base's.
        """
        return Workload.of(self[variant].config.with_values(hyperparameters or {}), self.device)

    def trial(
        self, variant: str, phase: Phase, seed: int, hyperparameters: Mapping[str, Any], number: int | None = None
    ) -> TrialSpec:
        """The trial of a variant at these values of the search space."""
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
        plan = _adapter().validate_json(text)
        missing = plan.looks[-1] - len(plan.seeds)
        if missing <= 0:
            return plan
        # Older versions recorded the seeds of the first of two looks only.
        seeds, aa_seeds = (
            (*each, *range(each[-1] + 1, each[-1] + 1 + missing)) if each else ()
            for each in (plan.seeds, plan.aa_seeds)
        )
        return replace(plan, seeds=seeds, aa_seeds=aa_seeds)


@cache
def _adapter() -> TypeAdapter[Plan]:
    """Plan to JSON and back; built at its first use, since `check` never needs it."""
    return TypeAdapter(Plan)
