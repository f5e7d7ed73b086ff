"""Distributions of a search space, and the conditions between its keys."""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ablations.text import shown
from ablations.trial import Section

MAX_MAGNITUDE = 1e100
"""Largest magnitude of the ends of a range."""
MAX_CHOICES = 100
"""Choices of one key; planning tries all of them."""
MAX_PROBES = 64
"""Whole numbers of a range, up to which planning tries all of them."""
EDGE = 0.05
"""Share of a range, at either end, in which a tuned value casts doubt on the range."""


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
    """Keys of every kind of distribution."""

    # An empty one is neither stored nor hashed: without conditions, keys of variants stay as they were.
    when: dict[str, Allowed] = Field(default={}, min_length=1, exclude_if=operator.not_)
    """Conditions: searched only if each of these other searched keys has one of its values here. Default: always searched."""
    type: str
    """Kind of distribution."""


class _Range(_Searched):
    """Numbers from `low` to `high`, both included."""

    low: float
    """Smallest value; above 0 with `log`."""
    high: float
    """Largest value; above `low`."""
    log: bool = False
    """Whether orders of magnitude are equally likely, as suits a learning rate, rather than equal steps."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise PydanticCustomError(
                "rule", "low must be below high; given low {low}, high {high}", {"low": self.low, "high": self.high}
            )
        if self.log and self.low <= 0:
            raise PydanticCustomError("rule", "log needs low above 0; given low {low}", {"low": self.low})
        # Figures need their differences, ratios and logarithms to be finite.
        if max(abs(self.low), abs(self.high)) > MAX_MAGNITUDE or (self.log and self.low < 1 / MAX_MAGNITUDE):
            raise PydanticCustomError(
                "rule",
                "low and high must be at most {most} in magnitude, and at least {least} with log; given low {low}, high {high}",
                {"most": MAX_MAGNITUDE, "least": 1 / MAX_MAGNITUDE, "low": self.low, "high": self.high},
            )
        return self

    def contains(self, value: Any) -> bool:
        """Whether the search can draw this value."""
        return type(value) in {int, float} and self.low <= value <= self.high

    def at_edge(self, value: float) -> bool:
        """Whether a value lies in the outer 5 % of the range, on a logarithmic scale with `log`."""
        low, high, x = float(self.low), float(self.high), float(value)
        if self.log:
            low, high, x = math.log(low), math.log(high), math.log(x)
        place = (x - low) / (high - low)
        return min(place, 1 - place) < EDGE

    @property
    def words(self) -> str:
        """The range for people: `0.01 to 0.2 (log)`."""
        return f"{self.low:g} to {self.high:g}{' (log)' if self.log else ''}"


class FloatDistribution(_Range):
    """Numbers from `low` to `high`, uniform in the value or, with `log`, in its logarithm."""

    type: Literal["float"]
    """Numbers."""
    low: Annotated[float, Field(allow_inf_nan=False)]
    high: Annotated[float, Field(allow_inf_nan=False)]

    def probes(self) -> list[float]:
        """Values to try out for the whole range: its ends."""
        return [self.low, self.high]

    def as_drawn(self, value: Any) -> float:
        """The value in the type of the sampler's draws."""
        return float(value)


class IntDistribution(_Range):
    """Whole numbers from `low` to `high`, both included."""

    type: Literal["int"]
    """Whole numbers."""
    low: int
    high: int

    def contains(self, value: Any) -> bool:
        return super().contains(value) and value % 1 == 0

    def probes(self) -> list[int]:
        """Values to try out for the whole range: all values of a short range, the ends of a long one."""
        return list(range(self.low, self.high + 1)) if self.high - self.low < MAX_PROBES else [self.low, self.high]

    def as_drawn(self, value: Any) -> int:
        """The value in the type of the sampler's draws."""
        return int(value)


class CategoricalDistribution(_Searched):
    """One of `choices`."""

    type: Literal["categorical"]
    """Values from a list."""
    choices: Annotated[list[Scalar], Field(min_length=1, max_length=MAX_CHOICES)]
    """The values, each given once."""
    log: ClassVar = False

    @field_validator("choices")
    @classmethod
    def _different(cls, choices: list[Scalar]) -> list[Scalar]:
        again = next((value for value, count in Counter(choices).items() if count > 1), None)
        if again is not None:
            raise PydanticCustomError("rule", "choices must differ; given {value} twice", {"value": shown(again)})
        return choices

    def contains(self, value: Any) -> bool:
        """Whether the value is one of the choices."""
        # True equals 1 for Python, and is another choice.
        return any(value == each and isinstance(value, bool) is isinstance(each, bool) for each in self.choices)

    def probes(self) -> list[Scalar]:
        """All choices."""
        return list(self.choices)

    def as_drawn(self, value: Any) -> Any:
        """The value itself: draws are choices."""
        return value

    def at_edge(self, value: Scalar) -> bool:
        """Never: choices have no order."""
        return False

    @property
    def words(self) -> str:
        """The choices for people: `one of ['sgd', 'adamw']`."""
        return f"one of {self.choices}"


Distribution = Annotated[FloatDistribution | IntDistribution | CategoricalDistribution, Field(discriminator="type")]
SearchSpace = dict[str, Distribution]


def is_scale(key: str) -> bool:
    """Whether a dotted key sets the scale of a study, and so is never searched."""
    return key.startswith("data.") or key in {"model.preset", "train.epochs", "train.precision"}


def conditions(search_space: SearchSpace, key: str) -> dict[str, list[Scalar]]:
    """All conditions on a key: its own, and in turn the conditions on the keys they name.

    Returns:
        The keys with the values each may have; no values if conditions contradict one another.
    """
    found: dict[str, list[Scalar]] = {}
    names = [key]
    for name in names:  # it grows on the way
        for other, values in search_space[name].when.items():
            if other not in found:
                names.append(other)
            found[other] = [value for value in values if value in found.get(other, values)]
    return found


def active(search_space: SearchSpace, values: Mapping[str, Any]) -> list[str]:
    """The keys that are searched at these values of searched keys, in the search space's order.

    A condition on a key does not hold if the key is not searched there, even if the base's value would satisfy it.
    """
    return [
        key
        for key in search_space
        if all(values.get(other) in allowed for other, allowed in conditions(search_space, key).items())
    ]


def where_clause(when: Mapping[str, list[Scalar]]) -> str:
    """Conditions in words, to follow a key: ` where train.optimizer is sgd or adamw`; empty without conditions."""
    clauses = [
        f"{key} is {' or '.join(value if isinstance(value, str) else shown(value) for value in values)}"
        for key, values in when.items()
    ]
    return f" where {' and '.join(clauses)}" if clauses else ""
