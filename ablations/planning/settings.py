"""Base, profile and variant as layers of dotted keys, resolved to one configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from ablations import networks
from ablations.datasets import DATASETS, Dataset
from ablations.errors import KeyPath, RegistrationError, SpecError
from ablations.planning.axes import Candidate
from ablations.studyfile.messages import spec_errors
from ablations.studyfile.spec import Profile, StudySpec
from ablations.text import nearest, readable, shown
from ablations.trial import DataConfig, Machine, TrainConfig, TrialConfig
from nin.config import ConfigError

MAX_PIXELS = 1024
"""Largest side of images: the largest data set then just fits a large GPU."""


Layer = tuple[Mapping[str, Any], KeyPath]
"""Dotted keys with their values, and their place in the study file."""


@dataclass(frozen=True)
class Settings:
    """Base and profile as layers of dotted keys, each key with its place in the file."""

    spec: StudySpec
    profile: str
    """Name of the profile."""
    machine: Machine

    def __post_init__(self) -> None:
        """Refuse unknown presets among the profile's stand-ins."""
        for mapping in self.scale.presets.items():
            for preset in mapping:
                if not networks.is_known(preset):
                    path = (*self.profile_path, "presets", mapping[0])
                    problem = f"no preset {shown(preset)}; {nearest(preset, networks.names())}"
                    raise SpecError(path, problem, at_key=preset == mapping[0])

    @property
    def scale(self) -> Profile:
        """The profile."""
        return self.spec.profiles[self.profile]

    @property
    def profile_path(self) -> KeyPath:
        """Place of the profile in the file."""
        return ("profiles", self.profile)

    @cached_property
    def base(self) -> TrialConfig:
        """The base at this profile."""
        return self.resolve()

    @property
    def dataset(self) -> Dataset:
        """The data set of all variants."""
        return DATASETS[self.base.data.name]

    def scientific(self, asked: Iterable[Candidate]) -> frozenset[str]:
        """Keys in which variants differ.

        Raises:
            SpecError: variants differ in the data set, or the profile sets one of the keys.
        """
        keys: set[str] = set()
        for each in asked:
            if "data.name" in each.variant.set:
                problem = "all variants must use the same data; choose the data set in the base or in a profile."
                raise SpecError((*each.path, "data.name"), problem, at_key=True)
            keys |= set(each.variant.set)
            keys |= {each.variant.match.by} if each.variant.match else set()
        for key in self.scale.set:
            if key in keys:
                raise SpecError(
                    (*self.profile_path, "set", key),
                    f"a profile may change the scale but not the question, and variants differ in {key!r}; remove it here.",
                    at_key=True,
                )
        return frozenset(keys)

    @property
    def caveats(self) -> tuple[str, ...]:
        """Changes that the profile forces on the base, in words."""
        lines = []
        for key, value in self.scale.set.items():
            before = self._written_base.get(key)
            if before != value:
                lines.append(f"{key} is {value}" + ("" if before is None else f" (the study's base: {before})"))
        lines += [f"{small} stands in for {preset}" for preset, small in self.scale.presets.items()]
        if self.base.train.precision != "fp32":
            lines.append(f"training computes in {self.base.train.precision} (the weights stay fp32)")
        note = self.dataset.note
        return tuple(lines) + ((note,) if note else ())

    @cached_property
    def _written_base(self) -> dict[str, Any]:
        """The base as written, by dotted key."""
        base = self.spec.base
        sections = {"data": base.data.model_dump(), "model": base.model, "train": base.train.model_dump()}
        return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}

    def resolve(self, *changes: Layer) -> TrialConfig:
        """The configuration with further layers on top: dotted keys with their values, and their place in the file.

        Raises:
            SpecError: a key is unknown, a value breaks a rule, or the values do not go together.
        """
        layers = self._layers(changes)
        values = {key: value for layer, _ in layers for key, value in layer.items()}
        written = {key: _place(key, where) for layer, where in layers for key in layer}
        values["model.preset"] = self._stand_in(values.get("model.preset"))
        self._refuse_unknown(values, written)

        data = _section(DataConfig, "data", values, written)
        train = _section(TrainConfig, "train", values, written)
        if train.precision == "auto":
            train = train.model_copy(update={"precision": "bf16" if self.machine.bf16 else "fp32"})
        self._check_data(data, written)
        dials = {key.removeprefix("model."): value for key, value in values.items() if key.startswith("model.")}
        preset = dials.pop("preset")
        try:
            model = networks.configure(preset, dials)
        except ConfigError as error:
            raise SpecError(
                written.get(f"model.{error.field}", layers[-1][1] if changes else ("base", "model")),
                f"{error.message}.",
            ) from error
        return TrialConfig(data, model, train)

    def place(self, keys: Sequence[str], *changes: Layer) -> KeyPath:
        """The place in the file that decides a rule between some keys: the last layer with any of them.

        Args:
            keys: dotted; of several in that layer, the first counts. The base has each of them.
            changes: further layers on top, as for `resolve`.
        """
        found = [_place(key, where) for layer, where in reversed(self._layers(changes)) for key in keys if key in layer]
        return found[0]

    def _layers(self, changes: Sequence[Layer]) -> list[Layer]:
        return [(self._written_base, ("base",)), (self.scale.set, (*self.profile_path, "set")), *changes]

    def _stand_in(self, preset: Any) -> Any:
        """The preset to use at this profile."""
        return self.scale.presets.get(preset, preset) if isinstance(preset, str) else preset

    def _refuse_unknown(self, values: Mapping[str, Any], written: Mapping[str, KeyPath]) -> None:
        preset = values.get("model.preset")
        if preset is None:
            problem = f"the key 'preset' is missing; {nearest('', networks.names())}"
            raise SpecError(("base", "model"), problem, at_key=True)
        if not isinstance(preset, str) or not networks.is_known(preset):
            problem = f"no preset {shown(preset)}; {nearest(str(preset), networks.names())}"
            raise SpecError(written["model.preset"], problem)
        try:
            dials = networks.dial_names(preset)
        except ConfigError as error:
            raise SpecError(written["model.preset"], f"{error.message}.") from error
        known = ["model.preset", *(f"model.{dial}" for dial in dials)]
        known += [f"data.{key}" for key in DataConfig.model_fields]
        known += [f"train.{key}" for key in TrainConfig.model_fields]
        for key in values:
            if key not in known:
                inside = next((each for each in known if each.startswith(f"{key}.")), None)
                hint = f"write its keys dotted, such as {inside!r}." if inside else nearest(key, known)
                raise SpecError(written[key], f"unknown key '{readable(key)}'; {hint}", at_key=True)

    def _check_data(self, data: DataConfig, written: Mapping[str, KeyPath]) -> None:
        try:
            dataset = DATASETS[data.name]
        except KeyError:
            problem = f"no data set {shown(data.name)}; {nearest(data.name, DATASETS)}"
            raise SpecError(written["data.name"], problem) from None
        except RegistrationError as error:
            raise SpecError(written["data.name"], f"{error}.") from error
        if data.resize is not None and data.resize > MAX_PIXELS:
            raise SpecError(
                written["data.resize"],
                f"images may have at most {MAX_PIXELS:,} pixels per side; given {data.resize:,}.",
            )
        most = dataset.num_train - dataset.num_classes
        if not dataset.num_classes <= data.validation <= most:
            raise SpecError(
                written["data.validation"],
                f"validation must be from {dataset.num_classes} (one image per class) to {most:,} of the "
                f"{dataset.num_train:,} training images of {dataset.title}; given {data.validation:,}.",
            )
        if (
            data.train_size is not None
            and not dataset.num_classes <= data.train_size <= dataset.num_train - data.validation
        ):
            raise SpecError(
                written["data.train_size"],
                f"train_size must be from {dataset.num_classes} to the {dataset.num_train - data.validation:,} images that validation "
                f"leaves; given {data.train_size:,}.",
            )


def _place(key: str, where: KeyPath) -> KeyPath:
    """The place of a dotted key: the base is nested in the file, the others are written with dotted keys."""
    return (*where, *key.split(".", 1)) if where == ("base",) else (*where, key)


def _section(model: type[Any], name: str, values: Mapping[str, Any], written: Mapping[str, KeyPath]) -> Any:
    keys = {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}
    try:
        return model.model_validate(keys)
    except ValidationError as error:
        first = next(spec_errors(error, model))
        key = f"{name}.{first.path[0]}"
        raise SpecError((*written.get(key, ("base",)), *first.path[1:]), first.problem) from error
