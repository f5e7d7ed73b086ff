"""StudySpec: the only definition of what a study file may say."""

from __future__ import annotations

import difflib
import operator
import re
import types
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ablations.trial import DataConfig, PositiveInt, Section, TrainConfig

Path = tuple[str | int, ...]
Expectation = Literal["better", "worse", "equivalent", "unsure"]


class SpecError(ValueError):
    """A rule of the study file that the study breaks.

    Attributes:
        path: keys that lead to the place, outermost first.
        problem: the rule and what was given, for people.
        at_key: whether the key itself is wrong, rather than its value.
    """

    def __init__(self, path: Iterable[str | int], problem: str, *, at_key: bool = False) -> None:
        self.path: Path = tuple(path)
        self.problem = problem
        self.at_key = at_key
        super().__init__(f"{'.'.join(map(str, self.path))}: {problem}")


def closest(name: str, known: Iterable[str]) -> str | None:
    """The one of the `known` names that was probably meant; `lr` means `train.lr`."""
    names = sorted(known)
    suffixed = [each for each in names if each.endswith(f".{name}")]
    return next(iter(suffixed or difflib.get_close_matches(name[:100], names, n=1, cutoff=0.6)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the closest of the `known` names, else all of them."""
    names = sorted(known)
    close = closest(name, names)
    return f"did you mean {close!r}?" if close else f"known here: {', '.join(names) or 'nothing'}."


def readable(part: object) -> str:
    """A key or name as a message shows it: short, on one line, and plain, so that look-alike letters are seen."""
    text = ascii(part)[1:-1] if isinstance(part, str) else str(part)
    return text if len(text) <= 80 else f"{text[:77]}..."


MAX_NAME = 64
MAX_MAGNITUDE = 1e100
"""Of the ends of a search."""
MAX_CHOICES = 100
"""Of a searched key: all of them are tried out while planning."""
MAX_PROFILES = 20
NAME = re.compile(rf"[a-z0-9][a-z0-9_]{{0,{MAX_NAME - 1}}}")


def _name(value: object) -> object:
    if isinstance(value, str) and not NAME.fullmatch(value):
        raise PydanticCustomError(
            "name",
            "a name has 1 to 64 characters of a-z, 0-9 and '_', and does not start with '_'; given '{value}'",
            {"value": readable(value)},
        )
    return value


Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


def _scalar(value: object) -> object:
    if not isinstance(value, bool | int | float | str):
        raise PydanticCustomError("scalar", "must be a number, text, true or false")
    return value


Scalar = Annotated[bool | int | float | str, BeforeValidator(_scalar)]


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


Allowed = Annotated[
    list[Scalar],
    Field(min_length=1),
    BeforeValidator(_listed, json_schema_input_type=Scalar | Annotated[list[Scalar], Field(min_length=1)]),
]


class _Searched(Section):
    """What all kinds of distributions may say."""

    # Left out of what is stored and hashed where it is empty: without conditions, keys of variants stay as they were.
    when: dict[str, Allowed] = Field(default={}, min_length=1, exclude_if=operator.not_)
    """Searched only where each of these other searched keys has one of these values; without it, everywhere."""


class FloatDistribution(_Searched):
    """Numbers from `low` to `high`, uniform in the value or, with `log`, in its logarithm."""

    type: Literal["float"]
    """Numbers."""
    low: Annotated[float, Field(allow_inf_nan=False)]
    """Smallest value; above 0 with `log`."""
    high: Annotated[float, Field(allow_inf_nan=False)]
    """Largest value; above `low`."""
    log: bool = False
    """Whether orders of magnitude are equally likely, as a learning rate wants it, rather than equal steps."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_range(self.low, self.high, self.log)
        return self


class IntDistribution(_Searched):
    """Whole numbers from `low` to `high`, both included."""

    type: Literal["int"]
    """Whole numbers."""
    low: int
    """Smallest value; above 0 with `log`."""
    high: int
    """Largest value; above `low`."""
    log: bool = False
    """Whether orders of magnitude are equally likely, rather than equal steps."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_range(self.low, self.high, self.log)
        return self


class CategoricalDistribution(_Searched):
    """One of `choices`."""

    type: Literal["categorical"]
    """Values from a list."""
    choices: Annotated[list[Scalar], Field(min_length=1, max_length=MAX_CHOICES)]
    """The values, each given once."""

    @field_validator("choices")
    @classmethod
    def _different(cls, choices: list[Scalar]) -> list[Scalar]:
        again = next((value for value, count in Counter(choices).items() if count > 1), None)
        if again is not None:
            raise PydanticCustomError("rule", "each choice is given once; given {value} twice", {"value": shown(again)})
        return choices


def _check_range(low: float, high: float, log: bool) -> None:
    if low >= high:
        raise PydanticCustomError(
            "rule", "low must be below high; given low {low}, high {high}", {"low": low, "high": high}
        )
    if log and low <= 0:
        raise PydanticCustomError("rule", "log needs low above 0; given low {low}", {"low": low})
    # Their differences, ratios and logarithms are numbers, too: figures are drawn of them.
    if max(abs(low), abs(high)) > MAX_MAGNITUDE or (log and low < 1 / MAX_MAGNITUDE):
        raise PydanticCustomError(
            "rule",
            "low and high are at most {most} in magnitude, and with log at least {least}; given low {low}, high {high}",
            {"most": MAX_MAGNITUDE, "least": 1 / MAX_MAGNITUDE, "low": low, "high": high},
        )


Distribution = Annotated[FloatDistribution | IntDistribution | CategoricalDistribution, Field(discriminator="type")]
SearchSpace = dict[str, Distribution]


def conditions(search_space: SearchSpace, key: str) -> dict[str, list[Scalar]]:
    """All that must hold for a key to be searched: its own conditions, and in turn those of the keys that they name.

    Returns:
        The keys with the values that each may have; no values where conditions contradict one another.
    """
    found: dict[str, list[Scalar]] = {}
    names = [key]
    for name in names:  # which grows on the way
        for other, values in search_space[name].when.items():
            if other not in found:
                names.append(other)
            found[other] = [value for value in values if value in found.get(other, values)]
    return found


def active(search_space: SearchSpace, values: Mapping[str, Any]) -> list[str]:
    """The keys that are searched where searched keys have these values, in the search space's order.

    A condition on a key that is not searched there does not hold, whatever the base's own value of that key.
    """
    return [
        key
        for key in search_space
        if all(values.get(other) in allowed for other, allowed in conditions(search_space, key).items())
    ]


def where_clause(when: Mapping[str, list[Scalar]]) -> str:
    """Conditions in words, to stand behind a key: ` where train.optimizer is sgd or adamw`; nothing where there are none."""
    told = [
        f"{key} is {' or '.join(value if isinstance(value, str) else shown(value) for value in values)}"
        for key, values in when.items()
    ]
    return f" where {' and '.join(told)}" if told else ""


class Tuning(Section):
    """How each variant's search space is searched: the same effort for every variant."""

    trials: PositiveInt = 20
    """Configurations tried for each variant, start points included."""
    sampler: Literal["qmc", "random", "tpe"] = "qmc"
    """qmc (scrambled Sobol) and random give draws that do not depend on results; tpe learns from them, one at a time."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the sampler: the same draws for every variant."""
    start_points: list[dict[str, Scalar]] | None = None
    """Tried first by every variant, each with a value for every key that is searched there; without it, the base's own values."""
    rerun_best: PositiveInt = 3
    """Best configurations that are trained again on fresh seeds; the best mean of those wins."""
    rerun_seeds: Annotated[int, Field(ge=0)] = 3
    """Fresh seeds of each re-run; 0 takes the best search trial as it is."""
    pruner: Literal["none", "median"] = "none"
    """median: stops a search trial that is below the median of its own variant's at the same epoch."""


class TuningOverride(Section):
    """What a profile changes of `tuning`."""

    trials: PositiveInt | None = None
    """Instead of the study's `tuning.trials`."""
    start_points: list[dict[str, Scalar]] | None = None
    """Instead of the study's `tuning.start_points`."""
    rerun_best: PositiveInt | None = None
    """Instead of the study's `tuning.rerun_best`."""
    rerun_seeds: Annotated[int, Field(ge=0)] | None = None
    """Instead of the study's `tuning.rerun_seeds`."""


class Match(Section):
    """Solve one dial so that a cost equals another variant's."""

    params: str | None = None
    """Variant whose params are matched."""
    macs: str | None = None
    """Variant whose MACs are matched."""
    by: Literal["model.width"]
    """The dial that is solved for."""
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """Largest relative difference that counts as equal."""

    @model_validator(mode="after")
    def _one_cost(self) -> Self:
        if (self.params is None) == (self.macs is None):
            raise PydanticCustomError("rule", "match takes exactly one of params and macs")
        return self

    @property
    def cost(self) -> Literal["params", "macs"]:
        """Which cost is matched."""
        return "params" if self.params is not None else "macs"

    @property
    def target(self) -> str:
        """Name of the variant whose cost is matched."""
        return self.params or self.macs or ""


Values = Annotated[list[Any], Field(min_length=1)]


class Variant(Section):
    """One point of the scientific hyperparameters."""

    set: dict[str, Any] = {}
    """Dotted keys with their values: what it changes of the base."""
    match: Match | None = None
    """Solve the width so that it costs as much as another variant."""
    expect: Expectation | None = None
    """Written before the first trial: what it will be against what it is compared with."""
    versus: str | None = None
    """What it is compared with; without it, the baseline."""
    description: Text | None = None
    """What it is, in a few words; stands in every table."""
    family: Name | None = None
    """Variants of one family change one part; a tag of their runs in MLflow."""


class Decision(Section):
    """When a difference counts."""

    alpha: Annotated[float, Field(ge=1e-6, lt=0.5)] = 0.05
    """Chance of any wrong word in the whole study."""
    margin: Annotated[float, Field(gt=0, lt=100)]
    """Percentage points of accuracy; smaller differences do not matter."""


class Base(Section):
    """The configuration that variants depart from."""

    data: DataConfig
    """The images."""
    model: dict[str, Any]
    """A `preset`, and dials that are turned from where it has them."""
    train: TrainConfig
    """The recipe."""


class Profile(Section):
    """A scale to run the study at. It changes how much is done, never what is asked."""

    description: Text
    """What this scale is, for plans and reports."""
    cost: Text | None = None
    """What it takes, measured: time and machine."""
    presets: dict[str, str] = {}
    """Networks that stand in at this scale for the study's own, such as `nin_book: nin_small` for small images."""
    set: dict[str, Any] = {}
    """Dotted keys with their values: what this scale forces. None that variants differ in; each is a caveat of the report."""
    search_space: SearchSpace | None = None
    """Replaces the study's."""
    tuning: TuningOverride = TuningOverride()
    """Replaces those keys of the study's."""
    seeds: PositiveInt | None = None
    """Replaces the study's."""
    extend_to: PositiveInt | None = None
    """Replaces the study's."""


class StudySpec(Section):
    """A study file."""

    study: Name
    """Its name: of its folder of reports, and of its experiment in MLflow."""
    question: Text
    """What it asks, as a person would; the report opens with it."""
    source: Text | None = None
    """Where the question comes from."""
    base: Base
    """The configuration that variants depart from."""
    search_space: SearchSpace = {}
    """Dotted keys that are tuned for each variant by itself, each with its distribution; empty: nothing is tuned."""
    tuning: Tuning = Tuning()
    """How they are tuned."""
    seeds: PositiveInt = 10
    """Fresh seeds of the confirm phase, the same for every variant."""
    first_seed: Annotated[int, Field(ge=0)] = 0
    """Where they begin to count. Fresh ones give a verdict to what was added after the results were first looked at."""
    extend_to: PositiveInt | None = None
    """Seeds of a second planned look, which `run --extend` takes; each look then has half of alpha. Without it, one look."""
    aa_arm: bool = False
    """Whether the baseline is confirmed once more, on seeds that nothing else uses: how far apart seeds alone are."""
    baseline: str
    """The variant that the others are compared with."""
    variants: Annotated[dict[Name, Variant], Field(min_length=1)]
    """By name; nothing behind a name is the base as it is."""
    grid: dict[str, Values] = {}
    """Axes whose values are crossed: every combination is a variant."""
    zip: dict[str, Values] = {}
    """Axes that move together: the first values are a variant, the second ones another."""
    leave_one_out: dict[str, Any] = {}
    """Each key by itself at this value, all others as in the base, is a variant."""
    decision: Decision
    """When a difference counts."""
    profiles: Annotated[dict[Name, Profile], Field(min_length=1, max_length=MAX_PROFILES)]
    """By name. Without `--profile`, a machine with CUDA takes `book`, one without `starter`."""

    @field_validator(
        "variants",
        mode="before",
        json_schema_input_type=Annotated[dict[Name, Variant | None], Field(min_length=1)],
    )
    @classmethod
    def _empty_variants(cls, value: object) -> object:
        # `two:` with nothing behind it is the natural way to write a variant that sets nothing.
        if isinstance(value, Mapping):
            return {name: {} if variant is None else variant for name, variant in value.items()}
        return value

    @model_validator(mode="after")
    def _baseline_exists(self) -> Self:
        if self.baseline not in self.variants:
            raise PydanticCustomError(
                "baseline",
                "must name a variant; given {given}; {hint}",
                {"given": shown(self.baseline), "hint": nearest(self.baseline, self.variants)},
            )
        return self


_RULES = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "finite_number": "must be finite",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:,}",
    "literal_error": "must be {expected}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must not be empty",
    "too_long": "must have at most {max_length} entries",
}
"""Pydantic's kinds of error in the suite's words; what they have no entry for shows pydantic's."""


def spec_errors(
    error: ValidationError, model: type[BaseModel], prefix: tuple[str | int, ...] = ()
) -> Iterator[SpecError]:
    """Pydantic's errors in the suite's words; `model` is what was validated, `prefix` the path to it in the file.

    Missing keys come last, one error a place, and without those that a misspelt key at the same place explains.
    """
    missing: dict[Path, list[str]] = {}
    misspelt: set[Path] = set()
    for each in error.errors(include_url=False):
        path, kind, value = each["loc"], each["type"], each["input"]
        if kind == "missing":
            missing.setdefault(path[:-1], []).append(str(path[-1]))
        elif kind == "union_tag_not_found":
            missing.setdefault(path, []).append("type")
        elif kind == "extra_forbidden":
            key, known = str(path[-1]), _keys_at(model, path[:-1])
            misspelt.add((*path[:-1], closest(key, known) or ""))
            yield SpecError((*prefix, *path), f"unknown key '{readable(key)}'; {nearest(key, known)}", at_key=True)
        elif kind == "union_tag_invalid":
            problem = f"must be float, int or categorical; given {shown(value['type'])}."
            yield SpecError((*prefix, *path, "type"), problem)
        elif kind == "baseline":
            yield SpecError((*prefix, *path, "baseline"), each["msg"])
        elif path and path[-1] == "[key]":
            yield SpecError((*prefix, *path[:-1]), f"{each['msg']}.", at_key=True)
        elif kind in {"name", "rule"}:
            yield SpecError((*prefix, *path), f"{each['msg']}.")
        else:
            rule = _RULES.get(kind, each["msg"]).format_map(each.get("ctx", {}))
            yield SpecError((*prefix, *path), f"{rule}; given {shown(value)}.{_type_hint(kind, value)}")
    for path, keys in missing.items():
        names = [repr(key) for key in keys if (*path, key) not in misspelt]
        if len(names) == 1:
            yield SpecError((*prefix, *path), f"the key {names[0]} is missing.", at_key=True)
        elif names:
            yield SpecError((*prefix, *path), f"the keys {', '.join(names)} are missing.", at_key=True)


def shown(value: object) -> str:
    """A value as a message shows it: as YAML writes it, short, and plain, so that look-alike letters are seen."""
    words = {None: "nothing", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def _type_hint(kind: str, value: object) -> str:
    if kind in {"int_type", "float_type"} and isinstance(value, str) and _NUMBER.fullmatch(value):
        return " Write it without quotes."
    if kind == "string_type" and isinstance(value, bool | int | float):
        return " Put it in quotes."
    return ""


def _keys_at(annotation: Any, path: tuple[str | int, ...]) -> list[str]:
    """Names of the keys that the model allows at `path`."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _keys_at(typing.get_args(annotation)[0], path)
    if origin in {typing.Union, types.UnionType}:
        members = typing.get_args(annotation)
        tagged = [
            m for m in members if path and isinstance(m, type) and issubclass(m, BaseModel) and path[0] in _tags(m)
        ]
        if tagged:
            return _keys_at(tagged[0], path[1:])
        return [key for member in members for key in _keys_at(member, path)]
    if origin in {dict, list}:
        return _keys_at(typing.get_args(annotation)[-1], path[1:]) if path else []
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not path:
            return list(annotation.model_fields)
        field = annotation.model_fields.get(str(path[0]))
        return _keys_at(field.annotation, path[1:]) if field else []
    return []


def _tags(model: type[BaseModel]) -> tuple[object, ...]:
    field = model.model_fields.get("type")
    return typing.get_args(field.annotation) if field else ()
