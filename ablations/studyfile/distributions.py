"""What a search space is made of: distributions, and the conditions between its keys."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ablations.text import shown
from ablations.trial import Section

MAX_MAGNITUDE = 1e100
"""Of the ends of a search."""


MAX_CHOICES = 100
"""Of a searched key: all of them are tried out while planning."""


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
