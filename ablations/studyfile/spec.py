"""StudySpec: the only definition of what a study file may say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ablations.studyfile.distributions import Scalar, SearchSpace
from ablations.text import nearest, readable, shown
from ablations.trial import DataConfig, PositiveInt, Section, TrainConfig

Expectation = Literal["better", "worse", "equivalent", "unsure"]


MAX_NAME = 64


MAX_PROFILES = 20


NAME = re.compile(rf"[a-z0-9][a-z0-9_]{{0,{MAX_NAME - 1}}}")


def _name(value: object) -> object:
    if isinstance(value, str) and not NAME.fullmatch(value):
        raise PydanticCustomError(
            "name",
            "a name must have 1 to 64 characters from a-z, 0-9 and '_', and must not start with '_'; given '{value}'",
            {"value": readable(value)},
        )
    return value


Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})]


Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


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

    @property
    def num_rerun(self) -> int:
        """Best configurations of a variant's search to train again."""
        return min(self.rerun_best, self.trials) if self.rerun_seeds else 0

    @property
    def num_trials(self) -> int:
        """Tuning trials of a variant, search and re-runs together."""
        return self.trials + self.rerun_seeds * self.num_rerun


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
            raise PydanticCustomError("rule", "match must have exactly one of params and macs")
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
