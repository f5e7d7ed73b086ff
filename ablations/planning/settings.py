"""Base, profile and variant as layers of dotted keys, resolved to one configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from ablations import networks
from ablations.datasets import DATASETS, Dataset
from ablations.errors import KeyPath, Problems, RegistrationError, SpecError
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
    left_out: frozenset[KeyPath] = frozenset()
    """Places with errors, to leave out: the rest then shows its own errors."""

    def refuse_unknown_stand_ins(self) -> None:
        """Refuse unknown presets among the profile's stand-ins.

        Raises:
            SpecError: there are some.
        """
        problems = Problems()
        for mapping in self.scale.presets.items():
            for preset in mapping:
                if not networks.is_known(preset):
                    path = (*self.profile_path, "presets", mapping[0])
                    problem = f"no preset {shown(preset)}; {nearest(preset, networks.names())}"
                    problems.add(SpecError(path, problem, at_key=preset == mapping[0]))
        problems.raise_any()

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

    def check_question(self, asked: Iterable[Candidate]) -> None:
        """Refuse variants that differ in the data set, and keys of the question that the profile sets.

        Raises:
            SpecError: there are some.
        """
        problems = Problems()
        for each in asked:
            if "data.name" in each.variant.set:
                problem = "all variants must use the same data; choose the data set in the base or in a profile."
                problems.add(SpecError((*each.path, "data.name"), problem, at_key=True))
        differing = scientific(asked) - {"data.name"}
        for key in self.scale.set:
            if key in differing:
                problem = f"a profile may change the scale but not the question, and variants differ in {key!r}; remove it here."
                problems.add(SpecError((*self.profile_path, "set", key), problem, at_key=True))
        problems.raise_any()

    @property
    def caveats(self) -> tuple[str, ...]:
        """Changes that the profile forces on the base, in words."""
        lines = []
        for key, value in self.scale.set.items():
            before = self._written_base.get(key)
            if before != value:
                lines.append(f"{key} is {value}" + ("" if before is None else f" (the study's base: {before})"))
        lines += [f"{small} replaces {preset}" for preset, small in self.scale.presets.items()]
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
            SpecError: keys are unknown, values break a rule, or do not go together.
        """
        layers = self._layers(changes)
        values = {key: value for layer, _ in layers for key, value in layer.items()}
        written = {key: _place(key, where) for layer, where in layers for key in layer}
        values["model.preset"] = self._stand_in(values.get("model.preset"))
        problems = Problems()
        with problems.caught():
            dials = _dial_names(values["model.preset"], written)
            with problems.caught():
                _refuse_unknown(values, written, dials)
            model = _model(values, written, dials, layers[-1][1] if changes else ("base", "model"))
        with problems.caught():
            data = _section(DataConfig, "data", values, written)
            self._check_data(data, written)
        with problems.caught():
            train = _section(TrainConfig, "train", values, written)
            if train.precision == "auto":
                train = train.model_copy(update={"precision": "bf16" if self.machine.bf16 else "fp32"})
        problems.raise_any()
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
        layers = [(self._written_base, ("base",)), (self.scale.set, (*self.profile_path, "set")), *changes]
        return [
            ({key: value for key, value in layer.items() if _place(key, where) not in self.left_out}, where)
            for layer, where in layers
        ]

    def _stand_in(self, preset: Any) -> Any:
        """The preset to use at this profile; an unknown stand-in is refused at its own place."""
        small = self.scale.presets.get(preset, preset) if isinstance(preset, str) else preset
        return small if isinstance(small, str) and networks.is_known(small) else preset

    def _check_data(self, data: DataConfig, written: Mapping[str, KeyPath]) -> None:
        try:
            dataset = DATASETS[data.name]
        except KeyError:
            problem = f"no data set {shown(data.name)}; {nearest(data.name, DATASETS)}"
            raise SpecError(written["data.name"], problem) from None
        except RegistrationError as error:
            raise SpecError(written["data.name"], f"{error}.") from error
        problems = Problems()
        if data.resize is not None and data.resize > MAX_PIXELS:
            problem = f"images may have at most {MAX_PIXELS:,} pixels per side; given {data.resize:,}."
            problems.add(SpecError(written["data.resize"], problem))
        most = dataset.num_train - dataset.num_classes
        left = dataset.num_train - data.validation
        if not dataset.num_classes <= data.validation <= most:
            problem = (
                f"validation must be from {dataset.num_classes} (one image per class) to {most:,} of the "
                f"{dataset.num_train:,} training images of {dataset.title}; given {data.validation:,}."
            )
            problems.add(SpecError(written["data.validation"], problem))
        elif data.train_size is not None and not dataset.num_classes <= data.train_size <= left:
            problem = (
                f"train_size must be from {dataset.num_classes} to the {left:,} images that validation leaves; given "
                f"{data.train_size:,}."
            )
            problems.add(SpecError(written["data.train_size"], problem))
        problems.raise_any()


def scientific(asked: Iterable[Candidate]) -> frozenset[str]:
    """Keys in which variants differ."""
    keys = {key for each in asked for key in each.variant.set}
    return frozenset(keys | {each.variant.match.by for each in asked if each.variant.match})


def _dial_names(preset: Any, written: Mapping[str, KeyPath]) -> tuple[str, ...]:
    """Names of the dials of a preset, as it was given."""
    if preset is None:
        problem = f"the key 'preset' is missing; {nearest('', networks.names())}"
        raise SpecError(("base", "model"), problem, at_key=True)
    if not isinstance(preset, str) or not networks.is_known(preset):
        problem = f"no preset {shown(preset)}; {nearest(str(preset), networks.names())}"
        raise SpecError(written["model.preset"], problem)
    try:
        return networks.dial_names(preset)
    except ConfigError as error:
        raise SpecError(written["model.preset"], f"{error.message}.") from error


def _refuse_unknown(values: Mapping[str, Any], written: Mapping[str, KeyPath], dials: Iterable[str]) -> None:
    known = ["model.preset", *(f"model.{dial}" for dial in dials)]
    known += [f"data.{key}" for key in DataConfig.model_fields]
    known += [f"train.{key}" for key in TrainConfig.model_fields]
    problems = Problems()
    for key in values:
        if key not in known:
            inside = next((each for each in known if each.startswith(f"{key}.")), None)
            hint = f"write its keys dotted, such as {inside!r}." if inside else nearest(key, known)
            problems.add(SpecError(written[key], f"unknown key '{readable(key)}'; {hint}", at_key=True))
    problems.raise_any()


def _model(
    values: Mapping[str, Any], written: Mapping[str, KeyPath], names: Iterable[str], otherwise: KeyPath
) -> networks.Model:
    """The network of dotted keys; an error about a dial that is not written is placed at `otherwise`."""
    preset = values["model.preset"]
    dials = {dial: values[f"model.{dial}"] for dial in names if f"model.{dial}" in values}
    problems = Problems()
    try:
        return networks.configure(preset, dials)
    except ConfigError as error:
        problems.add(SpecError(written.get(f"model.{error.field}", otherwise), f"{error.message}."))
    for dial, value in dials.items():
        # A single value that is wrong at the preset's other dials is wrong by itself; a list may only lack its partner.
        if not isinstance(value, list):
            try:
                networks.configure(preset, {dial: value})
            except ConfigError as error:
                if error.field == dial:
                    problems.add(SpecError(written[f"model.{dial}"], f"{error.message}."))
    problems.raise_any()
    raise AssertionError("an error was raised above")


def _place(key: str, where: KeyPath) -> KeyPath:
    """The place of a dotted key: the base is nested in the file, the others are written with dotted keys."""
    return (*where, *key.split(".", 1)) if where == ("base",) else (*where, key)


def _section(model: type[Any], name: str, values: Mapping[str, Any], written: Mapping[str, KeyPath]) -> Any:
    keys = {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}
    try:
        return model.model_validate(keys)
    except ValidationError as error:
        problems = Problems()
        for each in spec_errors(error, model):
            key = f"{name}.{each.path[0]}" if each.path else ""
            place = (*written.get(key, ("base", name)), *each.path[1:])
            problems.add(SpecError(place, each.problem, at_key=each.at_key))
        problems.raise_any()
        raise
