"""StudySpec + profile + machine -> Plan: every variant resolved, matched and priced, and every trial to run, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ablations import models
from ablations.axes import Candidate, candidates
from ablations.costs import Workload
from ablations.datasets import DATASETS, Dataset
from ablations.registry import RegistrationError
from ablations.spec import (
    CategoricalDistribution,
    Decision,
    Distribution,
    Expectation,
    FloatDistribution,
    IntDistribution,
    Match,
    Name,
    Path,
    SearchSpace,
    SpecError,
    StudySpec,
    Tuning,
    active,
    conditions,
    nearest,
    readable,
    shown,
    spec_errors,
    where_clause,
)
from ablations.trial import (
    TRAINING_VERSION,
    DataConfig,
    Device,
    Phase,
    Section,
    TrainConfig,
    TrialConfig,
    TrialSpec,
    content_hash,
)
from nin.complexity import Costs
from nin.config import ConfigError

SEARCH_SEED = 0
"""Seed of every search trial, so that one search's configurations differ in nothing else; re-runs take 1, 2, …"""
FIRST_AA_SEED = 1000
"""The A/A arm's seeds begin here, beyond those of any look."""
MAX_SEEDS = 1000
"""Of a look: the confirmation seeds 0, 1, … stay below the A/A arm's."""
MAX_TRIALS = 100_000
"""Of one study at one profile; more is a slip of the keyboard."""
MAX_PIXELS = 1024
"""Largest side of images: the biggest data set then just fits a large GPU."""
MAX_POINTS = 64
"""Whole numbers of a search space that are all tried out while planning."""
MAX_TRIED = 10_000
"""Networks of a search space, over all variants, that are priced while planning."""
MAX_PARAMS = 10**10
"""Of one network; more fits no GPU."""


@dataclass(frozen=True)
class Machine:
    """What a plan needs to know of the machine it will run on."""

    device: Device
    bf16: bool
    """Whether it computes in bf16 natively."""
    num_workers: int
    """Trials trained side by side."""
    description: str


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
                for _ in range(self.num_rerun):
                    yield from (Cell("tune", name, seed) for name in names)
        for index, seed in enumerate(self.seeds):
            yield from (Cell("confirm", name, seed) for name in names)
            yield from (Cell("confirm", self.baseline, again) for again in self.aa_seeds[index : index + 1])

    @property
    def num_rerun(self) -> int:
        """Configurations of each variant that are run again on fresh seeds."""
        return _num_rerun(self.tuning)

    @property
    def rerun_seeds(self) -> tuple[int, ...]:
        """Tuning seeds of the re-runs."""
        return tuple(range(SEARCH_SEED + 1, SEARCH_SEED + 1 + self.tuning.rerun_seeds))

    @property
    def num_train_images(self) -> int:
        """Images that one epoch trains on."""
        return _num_train(self.data)

    def searches(self, hyperparameters: Mapping[str, Any]) -> bool:
        """Whether these values, by key, are ones that the search may come upon."""
        space = self.search_space
        return all(key in space and _inside(value, space[key]) for key, value in hyperparameters.items())

    def workload(self, variant: str, hyperparameters: Mapping[str, Any] | None = None) -> Workload:
        """What the variant's costs are counted and measured for: its tuned values, and until they are known the base's."""
        return Workload.of(self._config(variant, hyperparameters or {}), self.device)

    def trial(
        self, variant: str, phase: Phase, seed: int, hyperparameters: Mapping[str, Any], number: int | None = None
    ) -> TrialSpec:
        """The trial of a variant at the given values of the search space."""
        return TrialSpec(
            variant=variant,
            phase=phase,
            seed=seed,
            config=self._config(variant, hyperparameters),
            data_checksum=self.data_checksum,
            device=self.device,
            number=number,
            hyperparameters=dict(hyperparameters),
        )

    def _config(self, variant: str, hyperparameters: Mapping[str, Any]) -> TrialConfig:
        config = self[variant].config
        for key, value in hyperparameters.items():
            config = _with(config, key, value)
        return config

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


def make_plan(spec: StudySpec, profile: str, machine: Machine, *, extend: bool = False) -> Plan:
    """Resolve a study at one profile.

    Args:
        spec: the study.
        profile: one of its profiles.
        machine: what it will run on.
        extend: for the second of two planned looks.

    Raises:
        SpecError: the profile is not there, or the study breaks a rule that shows only once resolved: unknown dotted keys,
            networks that cannot exist, costs that cannot be matched, a profile that changes the question.
    """
    if profile not in spec.profiles:
        raise SpecError(("profiles",), f"no profile {shown(profile)}; {nearest(profile, spec.profiles)}", at_key=True)
    _check_baseline(spec)
    asked = candidates(spec)
    settings = _Settings(spec, profile, machine)
    chosen = spec.profiles[profile]
    scientific = settings.scientific(asked.values())
    base = settings.resolve()
    dataset = DATASETS[base.data.name]
    search_space = spec.search_space if chosen.search_space is None else chosen.search_space
    at: Path = ("search_space",) if chosen.search_space is None else ("profiles", profile, "search_space")
    _check_search_space(search_space, at, scientific, settings)
    tuning = _tuning(spec, profile, base, search_space, at)
    looks = _looks(spec, profile)
    if extend and len(looks) == 1:
        raise SpecError(
            ("profiles", profile),
            "no second look is planned here. Seeds that are added after looking at results prove nothing: to plan one, write "
            "extend_to (such as 20) beside seeds before the first look.",
            at_key=True,
        )
    num_seeds = looks[-1] if extend else looks[0]
    _refuse_too_many(len(asked), tuning if search_space else None, num_seeds, ("profiles", profile))

    tried = [(key, point) for key in search_space for point in _points(search_space, key) if _sets_dials(point)]
    if len(asked) * len(tried) > MAX_TRIED:
        raise SpecError(
            at,
            f"{len(asked):,} variants x {len(tried):,} values of searched dials are more than {MAX_TRIED:,} networks to price.",
            at_key=True,
        )
    variants: dict[str, PlannedVariant] = {}
    names: dict[TrialConfig, str] = {}
    # Matched variants last: they need the costs of the ones they are matched with.
    for candidate in sorted(asked.values(), key=lambda each: each.variant.match is not None):
        name, variant, path = candidate.name, candidate.variant, candidate.path
        config = settings.resolve((variant.set, path))
        changes = dict(variant.set)
        if variant.match is not None:
            config, width = _match(variant.match, config, dataset, variants, ("variants", name))
            changes[variant.match.by] = width
        if config in names:
            _refuse_twin(candidate, names[config])
            continue
        names[config] = name
        priced = _costs(config, dataset, path)
        for key, point in tried:
            searched = settings.resolve((changes, path), (point, at))
            _costs(searched, dataset, (*at, key))
        variants[name] = PlannedVariant(
            name=name,
            changes=changes,
            description=variant.description or _described(changes),
            expect=variant.expect,
            versus=_versus(name, asked, spec.baseline),
            family=variant.family,
            config=config,
            costs=priced,
            key=content_hash(
                {
                    "config": config.to_json(),
                    "search_space": {key: value.model_dump() for key, value in search_space.items()},
                    "tuning": tuning.model_dump(),
                    "data_checksum": dataset.checksum,
                    "device": machine.device,
                    "training_version": TRAINING_VERSION,
                }
            ),
        )
    ordered = [spec.baseline, *(name for name in asked if name in variants and name != spec.baseline)]
    return Plan(
        study=spec.study,
        question=spec.question,
        source=spec.source,
        profile=profile,
        profile_description=chosen.description,
        profile_cost=chosen.cost,
        baseline=spec.baseline,
        variants=tuple(variants[name] for name in ordered),
        search_space=search_space,
        tuning=tuning,
        seeds=tuple(range(spec.first_seed, spec.first_seed + num_seeds)),
        aa_seeds=tuple(range(FIRST_AA_SEED, FIRST_AA_SEED + num_seeds)) if spec.aa_arm else (),
        looks=looks,
        decision=spec.decision,
        data=base.data,
        data_checksum=dataset.checksum,
        num_test=dataset.num_test,
        device=machine.device,
        caveats=settings.caveats(base),
    )


def _looks(spec: StudySpec, profile: str) -> tuple[int, ...]:
    """Numbers of seeds at which a profile looks at its results."""
    chosen = spec.profiles[profile]
    seeds, extended = chosen.seeds or spec.seeds, chosen.extend_to or spec.extend_to
    most = max(seeds, extended or 0)
    if spec.first_seed + most > MAX_SEEDS:
        raise SpecError(
            ("profiles", profile),
            f"first_seed and the seeds of a look are at most {MAX_SEEDS:,} together; given {spec.first_seed:,} and {most:,}.",
            at_key=True,
        )
    if extended is None:
        return (seeds,)
    if extended <= seeds:
        where: Path = ("profiles", profile) if chosen.extend_to else ()
        raise SpecError(
            (*where, "extend_to"),
            f"a second look has more seeds than the first; given {extended}, and {seeds} for the first look of profile "
            f"{profile}.",
        )
    return (seeds, extended)


def _num_rerun(tuning: Tuning) -> int:
    return min(tuning.rerun_best, tuning.trials) if tuning.rerun_seeds else 0


def _refuse_too_many(num_variants: int, tuning: Tuning | None, num_seeds: int, path: Path) -> None:
    tune = tuning.trials + tuning.rerun_seeds * _num_rerun(tuning) if tuning else 0
    count = num_variants * (tune + num_seeds)
    if count > MAX_TRIALS:
        raise SpecError(
            path,
            f"{num_variants:,} variants x ({tune:,} tuning trials + {num_seeds:,} seeds) are {count:,} trainings; at most "
            f"{MAX_TRIALS:,} are run.",
            at_key=True,
        )


def _num_train(data: DataConfig) -> int:
    left = DATASETS[data.name].num_train - data.validation
    return min(left, data.train_size or left)


def _size(data: DataConfig) -> int:
    return data.resize or DATASETS[data.name].size


class _Settings:
    """Base, profile and variant laid over one another as dotted keys, each remembering where in the file it was written."""

    def __init__(self, spec: StudySpec, profile: str, machine: Machine) -> None:
        self._spec = spec
        self._profile = profile
        self._machine = machine
        base = spec.base
        sections = {"data": base.data.model_dump(), "model": base.model, "train": base.train.model_dump()}
        self._base = {f"{s}.{key}": value for s, section in sections.items() for key, value in section.items()}
        self._fixed = spec.profiles[profile].set
        self._stand_ins = spec.profiles[profile].presets
        for mapping in self._stand_ins.items():
            for preset in mapping:
                if not models.is_known(preset):
                    path = ("profiles", profile, "presets", mapping[0])
                    problem = f"no preset {shown(preset)}; {nearest(preset, models.names())}"
                    raise SpecError(path, problem, at_key=preset == mapping[0])

    def scientific(self, asked: Iterable[Candidate]) -> frozenset[str]:
        """The keys that variants differ in.

        Raises:
            SpecError: variants differ in the data set, or the profile sets one of the keys.
        """
        keys: set[str] = set()
        for each in asked:
            if "data.name" in each.variant.set:
                problem = "all variants of a study see the same data; the base or a profile names the data set."
                raise SpecError((*each.path, "data.name"), problem, at_key=True)
            keys |= set(each.variant.set)
            keys |= {each.variant.match.by} if each.variant.match else set()
        for key in self._fixed:
            if key in keys:
                raise SpecError(
                    ("profiles", self._profile, "set", key),
                    f"a profile changes scale, never the question, and variants differ in {key!r}; take it out here.",
                    at_key=True,
                )
        return frozenset(keys)

    def caveats(self, base: TrialConfig) -> tuple[str, ...]:
        """What the profile fixes, in words."""
        lines = []
        for key, value in self._fixed.items():
            before = self._base.get(key)
            if before != value:
                lines.append(f"{key} is {value}" + ("" if before is None else f" (the study's base: {before})"))
        lines += [f"{small} stands in for {preset}" for preset, small in self._stand_ins.items()]
        if base.train.precision != "fp32":
            lines.append(f"training computes in {base.train.precision} (the weights stay fp32)")
        note = DATASETS[base.data.name].note
        return tuple(lines) + ((note,) if note else ())

    def resolve(self, *changes: tuple[Mapping[str, Any], Path]) -> TrialConfig:
        """The configuration with `changes` on top: dotted keys with their values, and where in the file they are written.

        Raises:
            SpecError: a key is unknown, a value breaks a rule, or the values do not go together.
        """
        layers: list[tuple[Mapping[str, Any], Path]] = [
            (self._base, ("base",)),
            (self._fixed, ("profiles", self._profile, "set")),
            *changes,
        ]
        values: dict[str, Any] = {}
        written: dict[str, Path] = {}
        for layer, where in layers:
            for key, value in layer.items():
                values[key] = value
                # The base is nested in the file, the others are written with dotted keys.
                written[key] = (*where, *key.split(".", 1)) if where == ("base",) else (*where, key)
        values["model.preset"] = self._stand_in(values.get("model.preset"))
        self._refuse_unknown(values, written)

        data = _section(DataConfig, "data", values, written)
        train = _section(TrainConfig, "train", values, written)
        if train.precision == "auto":
            train = train.model_copy(update={"precision": "bf16" if self._machine.bf16 else "fp32"})
        self._check_data(data, written)
        dials = {key.removeprefix("model."): value for key, value in values.items() if key.startswith("model.")}
        preset = dials.pop("preset")
        try:
            model = models.configure(preset, dials)
        except ConfigError as error:
            raise SpecError(
                written.get(f"model.{error.field}", layers[-1][1] if changes else ("base", "model")),
                f"{error.message}.",
            ) from error
        return TrialConfig(data, model, train)

    def _stand_in(self, preset: Any) -> Any:
        """The preset that the profile uses in this one's place."""
        return self._stand_ins.get(preset, preset) if isinstance(preset, str) else preset

    def _refuse_unknown(self, values: Mapping[str, Any], written: Mapping[str, Path]) -> None:
        preset = values.get("model.preset")
        if preset is None:
            problem = f"the key 'preset' is missing; {nearest('', models.names())}"
            raise SpecError(("base", "model"), problem, at_key=True)
        if not isinstance(preset, str) or not models.is_known(preset):
            problem = f"no preset {shown(preset)}; {nearest(str(preset), models.names())}"
            raise SpecError(written["model.preset"], problem)
        try:
            dials = models.dial_names(preset)
        except ConfigError as error:
            raise SpecError(written["model.preset"], f"{error.message}.") from error
        known = ["model.preset", *(f"model.{dial}" for dial in dials)]
        known += [f"data.{key}" for key in DataConfig.model_fields]
        known += [f"train.{key}" for key in TrainConfig.model_fields]
        for key in values:
            if key not in known:
                inside = next((each for each in known if each.startswith(f"{key}.")), None)
                hint = f"its keys are written dotted, such as {inside!r}." if inside else nearest(key, known)
                raise SpecError(written[key], f"unknown key '{readable(key)}'; {hint}", at_key=True)

    def _check_data(self, data: DataConfig, written: Mapping[str, Path]) -> None:
        try:
            dataset = DATASETS[data.name]
        except KeyError:
            problem = f"no data set {shown(data.name)}; {nearest(data.name, DATASETS)}"
            raise SpecError(written["data.name"], problem) from None
        except RegistrationError as error:
            raise SpecError(written["data.name"], f"{error}.") from error
        if data.resize is not None and data.resize > MAX_PIXELS:
            raise SpecError(
                written["data.resize"], f"images have at most {MAX_PIXELS:,} pixels a side; given {data.resize:,}."
            )
        most = dataset.num_train - dataset.num_classes
        if not dataset.num_classes <= data.validation <= most:
            raise SpecError(
                written["data.validation"],
                f"validation takes from {dataset.num_classes} (one a class) to {most:,} of the "
                f"{dataset.num_train:,} training images of {dataset.title}; given {data.validation:,}.",
            )
        if (
            data.train_size is not None
            and not dataset.num_classes <= data.train_size <= dataset.num_train - data.validation
        ):
            raise SpecError(
                written["data.train_size"],
                f"train_size is from {dataset.num_classes} to the {dataset.num_train - data.validation:,} images that validation "
                f"leaves; given {data.train_size:,}.",
            )


def _section(model: type[Any], name: str, values: Mapping[str, Any], written: Mapping[str, Path]) -> Any:
    keys = {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}
    try:
        return model.model_validate(keys)
    except ValidationError as error:
        first = next(spec_errors(error, model))
        key = f"{name}.{first.path[0]}"
        raise SpecError((*written.get(key, ("base",)), *first.path[1:]), first.problem) from error


def _with(config: TrialConfig, key: str, value: Any) -> TrialConfig:
    section, name = key.split(".", 1)
    current = getattr(config, section)
    if isinstance(current, Section):
        changed: Any = type(current).model_validate({**current.model_dump(), name: value})
    else:
        changed = models.with_dial(config.model, name, value)
    return replace(config, **{section: changed})


def _check_search_space(search_space: SearchSpace, at: Path, scientific: frozenset[str], settings: _Settings) -> None:
    """Refuse keys that are not to be searched, and values that the configuration cannot have."""
    for key, distribution in search_space.items():
        if key in scientific:
            raise SpecError(
                (*at, key), "a key that variants differ in cannot be tuned: it is the question.", at_key=True
            )
        if key in {"model.preset", "train.epochs", "train.precision"} or key.startswith("data."):
            raise SpecError(
                (*at, key),
                "this key is the study's scale; only model and train hyperparameters are tuned.",
                at_key=True,
            )
        _check_conditions(key, distribution, search_space, at)
    _refuse_circles(search_space, at)
    for key in search_space:
        never = next((other for other, values in conditions(search_space, key).items() if not values), None)
        if never is not None:
            raise SpecError(
                (*at, key, "when"),
                f"never holds: together with the conditions of the keys that it names it leaves {never!r} no value.",
                at_key=True,
            )
        for point in _points(search_space, key):
            settings.resolve((point, at))


def _check_conditions(key: str, distribution: Distribution, search_space: SearchSpace, at: Path) -> None:
    """Refuse conditions on what no draw can have."""
    for other, values in distribution.when.items():
        path = (*at, key, "when", other)
        if other not in search_space:
            raise SpecError(
                path, f"a condition names another searched key; {nearest(other, search_space)}", at_key=True
            )
        condition = search_space[other]
        if not isinstance(condition, CategoricalDistribution):
            raise SpecError(
                path,
                f"a condition is on a categorical key, and {other!r} is searched as {condition.type}; list its choices, or "
                "take the condition out.",
                at_key=True,
            )
        for index, value in enumerate(values):
            if not _inside(value, condition):
                choices = ", ".join(map(shown, condition.choices))
                raise SpecError(
                    (*path, index), f"must be among the choices of {other}, {choices}; given {shown(value)}."
                )


def _refuse_circles(search_space: SearchSpace, at: Path) -> None:
    try:
        TopologicalSorter({key: distribution.when for key, distribution in search_space.items()}).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1][::-1]
        raise SpecError(
            (*at, circle[0], "when", circle[1]),
            f"conditions do not go in a circle; given {' -> '.join(circle)}. Take one of them out.",
            at_key=True,
        ) from error


def _points(search_space: SearchSpace, key: str) -> list[dict[str, Any]]:
    """Points that show whether a key's whole distribution can be: each of its values where the key is searched.

    Keys that it has no condition on keep the base's own values.
    """
    held = {other: values[0] for other, values in conditions(search_space, key).items()}
    return [{**held, key: value} for value in _probes(search_space[key])]


def _sets_dials(point: Mapping[str, Any]) -> bool:
    """Whether a point changes the network; the recipe alone cannot make one variant's network impossible."""
    return any(key.startswith("model.") for key in point)


def _probes(distribution: Distribution) -> list[Any]:
    """All values where they are few, else the ends."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution) and distribution.high - distribution.low < MAX_POINTS:
        return list(range(distribution.low, distribution.high + 1))
    return [distribution.low, distribution.high]


def _tuning(spec: StudySpec, profile: str, base: TrialConfig, search_space: SearchSpace, at: Path) -> Tuning:
    """The tuning of a profile, its start points resolved and checked."""
    chosen = spec.profiles[profile]
    changed = {key: value for key, value in chosen.tuning.model_dump().items() if value is not None}
    tuning = spec.tuning.model_copy(update=changed)
    start = tuning.start_points
    if start is None:
        own = {key: _value(base, key) for key in search_space}
        point = {key: own[key] for key in active(search_space, own)}
        for key, value in point.items():
            if not _inside(value, search_space[key]):
                raise SpecError(
                    (*at, key),
                    f"the search starts at the base's own {key} = {shown(value)}, which lies outside; widen the space or "
                    "give tuning.start_points.",
                    at_key=True,
                )
        start = [point] if point else []
    where: Path = ("tuning",) if chosen.tuning.start_points is None else ("profiles", profile, "tuning")
    for index, point in enumerate(start):
        _check_start_point(point, search_space, (*where, "start_points", index))
    if len(start) > tuning.trials:
        raise SpecError(
            (*where, "start_points"), f"{len(start)} start points need as many trials; given {tuning.trials}."
        )
    start = [{key: _as_drawn(value, search_space[key]) for key, value in point.items()} for point in start]
    return tuning.model_copy(update={"start_points": start})


def _check_start_point(point: Mapping[str, Any], search_space: SearchSpace, path: Path) -> None:
    for key in point:
        if key not in search_space:
            raise SpecError(
                (*path, key), f"a start point gives values to searched keys; {nearest(key, search_space)}", at_key=True
            )
    searched = active(search_space, point)
    for key in searched:
        if key not in point:
            needed = where_clause(conditions(search_space, key))
            raise SpecError(path, f"a start point gives every searched key a value; {key!r}{needed} is missing.")
        if not _inside(point[key], search_space[key]):
            raise SpecError(
                (*path, key),
                f"the start point {key} = {shown(point[key])} lies outside the search space; widen it or move the point.",
            )
    for key in point:
        if key not in searched:
            raise SpecError(
                (*path, key),
                f"{key} is searched only{where_clause(conditions(search_space, key))}; leave it out of this start point.",
                at_key=True,
            )


def _inside(value: Any, distribution: Distribution) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        # True equals 1 for Python, and is another choice.
        return any(value == each and isinstance(value, bool) is isinstance(each, bool) for each in distribution.choices)
    whole = isinstance(distribution, IntDistribution)
    return type(value) in {int, float} and distribution.low <= value <= distribution.high and not (whole and value % 1)


def _as_drawn(value: Any, distribution: Distribution) -> Any:
    """A start point's value in the type of the values that the sampler draws."""
    match distribution:
        case FloatDistribution():
            return float(value)
        case IntDistribution():
            return int(value)
    return value


def _value(config: TrialConfig, key: str) -> Any:
    section, name = key.split(".", 1)
    return models.dials(config.model)[name] if section == "model" else getattr(getattr(config, section), name)


def _costs(config: TrialConfig, dataset: Dataset, path: Path) -> Costs:
    try:
        priced = models.costs(
            config.model, in_channels=dataset.channels, size=_size(config.data), num_classes=dataset.num_classes
        )
    except ConfigError as error:
        raise SpecError(path, f"{error}; images have {_size(config.data)} pixels a side.", at_key=True) from error
    except OverflowError:
        priced = None
    if priced is None or priced.params > MAX_PARAMS:
        raise SpecError(path, f"the network has more than {MAX_PARAMS:,} params; no GPU holds it.", at_key=True)
    return priced


def _match(
    match: Match,
    config: TrialConfig,
    dataset: Dataset,
    done: Mapping[str, PlannedVariant],
    path: Path,
) -> tuple[TrialConfig, float]:
    """Solve the width multiplier for a cost: the step function's two values around the target, the nearer one."""
    at = (*path, "match", match.cost)
    target = done.get(match.target)
    if target is None:
        raise SpecError(
            at,
            f"match names a variant that has no match itself; given {shown(match.target)}; {nearest(match.target, done)}",
        )
    wanted = getattr(target.costs, match.cost)
    if not isinstance(models.dials(config.model).get("width"), float):
        raise SpecError((*path, "match", "by"), "this network has no dial 'width' that is a float, to solve for.")

    # Most of the widths tried below round to the channels of one that was tried before.
    @cache
    def priced(model: models.Model) -> Costs:
        return models.costs(
            model, in_channels=dataset.channels, size=_size(config.data), num_classes=dataset.num_classes
        )

    def cost(width: float) -> int:
        value: int = getattr(priced(models.at_width(config.model, width)), match.cost)
        return value

    low, high = 1e-3, 64.0
    try:
        if not cost(low) <= wanted <= cost(high):
            raise SpecError(
                at,
                f"no width from {low:g} to {high:g} gives {wanted:,} {match.cost}, those of {match.target!r}; match another one.",
            )
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if cost(middle) <= wanted else (low, middle)
    except ConfigError as error:
        raise SpecError((*path, "set"), str(error), at_key=True) from error
    width = min((low, high), key=lambda w: abs(cost(w) - wanted))
    # The shortest decimal that gives the same network: it goes into reports and the trial's id.
    width = next((short for digits in range(1, 16) if cost(short := round(width, digits)) == cost(width)), width)
    off = cost(width) / wanted - 1
    if abs(off) > match.tolerance:
        raise SpecError(
            at,
            f"the nearest width, {width:g}, gives {cost(width):,} {match.cost} against {wanted:,}: {100 * off:+.1f} %, beyond the "
            f"tolerance of {100 * match.tolerance:g} %. Raise match.tolerance or choose another dial.",
        )
    return _with(config, match.by, width), width


def _described(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in changes.items()) or "the base as it is"


def _refuse_twin(candidate: Candidate, twin: str) -> None:
    """A named variant differs from the others; a point of an axis that does not is simply not run twice."""
    if candidate.named:
        raise SpecError(
            candidate.path[:2],
            f"the same configuration as {twin!r}; every variant differs from the others.",
            at_key=True,
        )


def _check_baseline(spec: StudySpec) -> None:
    variant = spec.variants[spec.baseline]
    for key, value in (("versus", variant.versus), ("expect", variant.expect)):
        if value is not None:
            problem = "the baseline is compared with nothing; take this key out."
            raise SpecError(("variants", spec.baseline, key), problem, at_key=True)


def _versus(name: str, asked: Mapping[str, Candidate], baseline: str) -> str:
    """What a variant is compared with; following it from variant to variant ends at the baseline."""
    versus = asked[name].variant.versus
    if versus is None:
        return baseline
    seen = [name]
    following: str | None = versus
    while following is not None and following != baseline:
        if following not in asked or not asked[following].named:
            known = [each.name for each in asked.values() if each.named]
            raise SpecError(
                ("variants", seen[-1], "versus"),
                f"versus names another variant; given {shown(following)}; {nearest(following, known)}",
            )
        if following in seen:
            raise SpecError(("variants", name, "versus"), f"goes in a circle: {' -> '.join([*seen, following])}.")
        seen.append(following)
        following = asked[following].variant.versus
    return versus
