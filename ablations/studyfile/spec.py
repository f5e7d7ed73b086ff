"""StudySpec: the only definition of the study file's keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ablations.studyfile.distributions import Scalar, SearchSpace
from ablations.text import nearest, readable, shown
from ablations.trial import DataConfig, PositiveInt, Section, TrainConfig

Expectation = Literal["better", "worse", "equivalent", "unsure"]

MAX_NAME = 64
"""Characters of a name."""
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


SEARCH_STRIDE = 100
"""Training seeds of a search: its trials have the first one, its re-runs the ones after it."""
MIN_SEARCHES = 3
"""Least number of searches that says how far they scatter."""


def _searches(number: int) -> int:
    if 1 < number < MIN_SEARCHES:
        raise PydanticCustomError(
            "rule",
            "searches must be 1, or at least {least}: {given} say too little of how far searches scatter",
            {"least": MIN_SEARCHES, "given": str(number)},
        )
    return number


Searches = Annotated[int, Field(ge=1, le=1000), AfterValidator(_searches)]


class Tuning(Section):
    """The search of each variant's search space: the same effort for every variant."""

    trials: PositiveInt = 20
    """Configurations tried for each variant, start points included."""
    sampler: Literal["qmc", "random", "tpe"] = "qmc"
    """Draws of qmc (scrambled Sobol) and random do not depend on results; tpe learns from results, one trial at a time."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the sampler; every variant gets the same draws."""
    start_points: list[dict[str, Scalar]] | None = None
    """Configurations that every variant tries first; each sets every key searched there. Default: the base's values."""
    rerun_best: PositiveInt = 3
    """Best configurations to train again on fresh seeds; the best mean over these seeds wins."""
    rerun_seeds: Annotated[int, Field(ge=0, lt=SEARCH_STRIDE)] = 3
    """Fresh seeds for each re-run; 0 takes the best search trial without re-runs."""
    searches: Searches = 1
    """Independent searches of each variant, 1 or at least 3. The confirm seeds are split between them. With 1 every verdict holds
    for the tuned values only; with more it holds for the variant, tuned like this."""
    pruner: Literal["none", "median"] = "none"
    """median stops a search trial below the median of its search's trials at the same epoch, from the fifth trial and third epoch on. It
    saves a sixth of the epochs with 6 to 8 trials and a third with 20, if accuracy rises early; not if a network learns late."""

    @property
    def num_rerun(self) -> int:
        """Best configurations of a variant's search to train again."""
        return min(self.rerun_best, self.trials) if self.rerun_seeds else 0

    @property
    def num_trials(self) -> int:
        """Tuning trials of one search of a variant, re-runs included."""
        return self.trials + self.rerun_seeds * self.num_rerun


class TuningOverride(Section):
    """Changes of `tuning` at a profile."""

    trials: PositiveInt | None = None
    """Replaces the study's `tuning.trials`."""
    start_points: list[dict[str, Scalar]] | None = None
    """Replaces the study's `tuning.start_points`."""
    rerun_best: PositiveInt | None = None
    """Replaces the study's `tuning.rerun_best`."""
    rerun_seeds: Annotated[int, Field(ge=0, lt=SEARCH_STRIDE)] | None = None
    """Replaces the study's `tuning.rerun_seeds`."""
    searches: Searches | None = None
    """Replaces the study's `tuning.searches`."""
    pruner: Literal["none", "median"] | None = None
    """Replaces the study's `tuning.pruner`."""


class Match(Section):
    """Solve one dial for the cost of another variant."""

    params: str | None = None
    """Variant to match in params."""
    macs: str | None = None
    """Variant to match in MACs."""
    by: Literal["model.width"]
    """The dial to solve for."""
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """Largest relative difference to accept as equal."""

    @model_validator(mode="after")
    def _one_cost(self) -> Self:
        if (self.params is None) == (self.macs is None):
            raise PydanticCustomError("rule", "match must have exactly one of params and macs")
        return self

    @property
    def cost(self) -> Literal["params", "macs"]:
        """The matched cost."""
        return "params" if self.params is not None else "macs"

    @property
    def target(self) -> str:
        """Name of the variant to match."""
        return self.params or self.macs or ""


Values = Annotated[list[Any], Field(min_length=1)]


class Variant(Section):
    """One point of the scientific hyperparameters."""

    set: dict[str, Any] = {}
    """Changes of the base: dotted keys with their values."""
    match: Match | None = None
    """Solve the width for the cost of another variant."""
    expect: Expectation | None = None
    """Prediction against the variant it is compared with, written before the first trial."""
    versus: str | None = None
    """Variant to compare it with. Default: the baseline."""
    description: Text | None = None
    """The variant in a few words, for every table."""
    called: Annotated[str, StringConstraints(min_length=1, max_length=60)] | None = None
    """Its wording in the report's answer, as in "three 1x1 convolutions scored 0.96 points lower". Default: its name."""
    family: Name | None = None
    """Name for variants that change the same part; a tag of their runs in MLflow."""


class Decision(Section):
    """The rules for judging a difference."""

    alpha: Annotated[float, Field(ge=1e-6, lt=0.5)] = 0.05
    """Family-wise error rate: chance of any wrong verdict in the whole study."""
    margin: Annotated[float, Field(gt=0, lt=100)]
    """Percentage points of accuracy; smaller differences do not matter."""
    pooled: bool = False
    """Whether to assume that the searches of all variants scatter equally, and to pool their spread. For `tuning.searches` only:
    few searches decide more by it, and the report calls it an assumption."""


class Base(Section):
    """The configuration that all variants change."""

    data: DataConfig
    """The images."""
    model: dict[str, Any]
    """A `preset`, and other values for some of its dials."""
    train: TrainConfig
    """The recipe."""


MIN_FIRST_LOOK = 5
"""Seeds of the first of several looks: with fewer no look gives a verdict."""


def _increasing(looks: list[int]) -> list[int]:
    if looks[0] < MIN_FIRST_LOOK or any(after <= before for before, after in pairwise(looks)):
        raise PydanticCustomError(
            "rule",
            "looks must be increasing numbers of seeds from {least} on, such as [5, 8, 12, 18]; given {given}",
            {"least": MIN_FIRST_LOOK, "given": readable(str(looks))},
        )
    return looks


Looks = Annotated[list[PositiveInt], Field(min_length=1, max_length=20), AfterValidator(_increasing)]


class Profile(Section):
    """A scale to run the study at. It changes the amount of work, never the question."""

    description: Text
    """The scale in a few words, for plans and reports."""
    cost: Text | None = None
    """Measured time and machine."""
    presets: dict[str, str] = {}
    """Networks to use at this scale instead of the study's, such as `nin_book: nin_small` for small images."""
    set: dict[str, Any] = {}
    """Dotted keys with the values that this scale forces; variants may not differ in them. Each is a caveat of the report."""
    search_space: SearchSpace | None = None
    """Replaces the study's `search_space`."""
    tuning: TuningOverride = TuningOverride()
    """Replaces single keys of the study's `tuning`."""
    seeds: PositiveInt | None = None
    """Replaces the study's `seeds`."""
    looks: Looks | None = None
    """Replaces `seeds`: numbers of seeds at planned looks, such as `[5, 8, 12, 18]`. Only open comparisons get the seeds of the next one."""

    @model_validator(mode="after")
    def _seeds_or_looks(self) -> Self:
        if self.seeds is not None and self.looks is not None:
            raise PydanticCustomError(
                "rule", "a profile must not have both seeds and looks: seeds is one look; remove one"
            )
        return self


class StudySpec(Section):
    """A study file."""

    study: Name
    """Name of the study, of its report folder and of its experiment in MLflow."""
    question: Text
    """The question of the study, as a person would ask it; the report opens with it."""
    source: Text | None = None
    """Origin of the question."""
    base: Base
    """The configuration that all variants change."""
    search_space: SearchSpace = {}
    """Dotted keys to tune for each variant separately, each with its distribution. Default: nothing is tuned."""
    tuning: Tuning = Tuning()
    """The search of the search space."""
    seeds: PositiveInt = 10
    """Fresh seeds of the confirm phase, the same for every variant: one look at the results. A profile may plan several looks."""
    first_seed: Annotated[int, Field(ge=0)] = 0
    """First of the confirm seeds. A variant added after the first look at results gets a verdict only from fresh seeds."""
    aa_arm: bool = False
    """Whether to confirm the baseline once more, on separate seeds; it shows how far seeds alone move the result."""
    cross_examine: bool = False
    """Whether to confirm both sides of a comparison at the tuned values of both, if they differ: on the seeds of the first look, for
    exploration. With several searches it does nothing."""
    baseline: str
    """The variant to compare the others with."""
    variants: Annotated[dict[Name, Variant], Field(min_length=1)]
    """Variants by name; a name with no keys is the base itself."""
    grid: dict[str, Values] = {}
    """Axes to cross: every combination of their values is a variant."""
    zip: dict[str, Values] = {}
    """Axes to move together: their first values make a variant, their second values another, and so on."""
    leave_one_out: dict[str, Any] = {}
    """One variant per key: this key at this value, all other keys as in the base."""
    decision: Decision
    """The rules for judging a difference."""
    profiles: Annotated[dict[Name, Profile], Field(min_length=1, max_length=MAX_PROFILES)]
    """Profiles by name. Without `--profile`, a machine with CUDA takes `book`, any other `starter`."""

    @field_validator(
        "variants",
        mode="before",
        json_schema_input_type=Annotated[dict[Name, Variant | None], Field(min_length=1)],
    )
    @classmethod
    def _empty_variants(cls, value: object) -> object:
        # People write a variant without changes as `two:`, with nothing after the colon.
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
