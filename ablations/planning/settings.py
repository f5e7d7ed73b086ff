"""Base, profile and variant, laid over one another and resolved to one configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from ablations import networks
from ablations.datasets import DATASETS
from ablations.errors import KeyPath, RegistrationError, SpecError
from ablations.planning.axes import Candidate
from ablations.studyfile.messages import spec_errors
from ablations.studyfile.spec import StudySpec
from ablations.text import nearest, readable, shown
from ablations.trial import DataConfig, Machine, TrainConfig, TrialConfig
from nin.config import ConfigError

MAX_PIXELS = 1024
"""Largest side of images: the biggest data set then just fits a large GPU."""


class Settings:
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
                if not networks.is_known(preset):
                    path = ("profiles", profile, "presets", mapping[0])
                    problem = f"no preset {shown(preset)}; {nearest(preset, networks.names())}"
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

    def resolve(self, *changes: tuple[Mapping[str, Any], KeyPath]) -> TrialConfig:
        """The configuration with `changes` on top: dotted keys with their values, and where in the file they are written.

        Raises:
            SpecError: a key is unknown, a value breaks a rule, or the values do not go together.
        """
        layers: list[tuple[Mapping[str, Any], KeyPath]] = [
            (self._base, ("base",)),
            (self._fixed, ("profiles", self._profile, "set")),
            *changes,
        ]
        values: dict[str, Any] = {}
        written: dict[str, KeyPath] = {}
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
            model = networks.configure(preset, dials)
        except ConfigError as error:
            raise SpecError(
                written.get(f"model.{error.field}", layers[-1][1] if changes else ("base", "model")),
                f"{error.message}.",
            ) from error
        return TrialConfig(data, model, train)

    def _stand_in(self, preset: Any) -> Any:
        """The preset that the profile uses in this one's place."""
        return self._stand_ins.get(preset, preset) if isinstance(preset, str) else preset

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
                hint = f"its keys are written dotted, such as {inside!r}." if inside else nearest(key, known)
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


def _section(model: type[Any], name: str, values: Mapping[str, Any], written: Mapping[str, KeyPath]) -> Any:
    keys = {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}
    try:
        return model.model_validate(keys)
    except ValidationError as error:
        first = next(spec_errors(error, model))
        key = f"{name}.{first.path[0]}"
        raise SpecError((*written.get(key, ("base",)), *first.path[1:]), first.problem) from error
