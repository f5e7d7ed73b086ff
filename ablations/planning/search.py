"""The search space and its tuning, resolved and checked."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ablations.errors import KeyPath, SpecError
from ablations.planning.settings import Settings
from ablations.studyfile.distributions import (
    CategoricalDistribution,
    Distribution,
    SearchSpace,
    active,
    conditions,
    where_clause,
)
from ablations.studyfile.spec import StudySpec, Tuning
from ablations.text import nearest, shown
from ablations.trial import TrialConfig


def check_search_space(search_space: SearchSpace, at: KeyPath, scientific: frozenset[str], settings: Settings) -> None:
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
        for point in probe_points(search_space, key):
            settings.resolve((point, at))


def _check_conditions(key: str, distribution: Distribution, search_space: SearchSpace, at: KeyPath) -> None:
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
            if not condition.contains(value):
                choices = ", ".join(map(shown, condition.choices))
                raise SpecError(
                    (*path, index), f"must be among the choices of {other}, {choices}; given {shown(value)}."
                )


def _refuse_circles(search_space: SearchSpace, at: KeyPath) -> None:
    try:
        TopologicalSorter({key: distribution.when for key, distribution in search_space.items()}).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1][::-1]
        raise SpecError(
            (*at, circle[0], "when", circle[1]),
            f"conditions do not go in a circle; given {' -> '.join(circle)}. Take one of them out.",
            at_key=True,
        ) from error


def probe_points(search_space: SearchSpace, key: str) -> list[dict[str, Any]]:
    """Points that show whether a key's whole distribution can be: each of its values where the key is searched.

    Keys that it has no condition on keep the base's own values.
    """
    held = {other: values[0] for other, values in conditions(search_space, key).items()}
    return [{**held, key: value} for value in search_space[key].probes()]


def sets_dials(point: Mapping[str, Any]) -> bool:
    """Whether a point changes the network; the recipe alone cannot make one variant's network impossible."""
    return any(key.startswith("model.") for key in point)


def resolved_tuning(spec: StudySpec, profile: str, base: TrialConfig, search_space: SearchSpace, at: KeyPath) -> Tuning:
    """The tuning of a profile, its start points resolved and checked."""
    chosen = spec.profiles[profile]
    changed = {key: value for key, value in chosen.tuning.model_dump().items() if value is not None}
    tuning = spec.tuning.model_copy(update=changed)
    start = tuning.start_points
    if start is None:
        own = {key: base.value(key) for key in search_space}
        point = {key: own[key] for key in active(search_space, own)}
        for key, value in point.items():
            if not search_space[key].contains(value):
                raise SpecError(
                    (*at, key),
                    f"the search starts at the base's own {key} = {shown(value)}, which lies outside; widen the space or "
                    "give tuning.start_points.",
                    at_key=True,
                )
        start = [point] if point else []
    where: KeyPath = ("tuning",) if chosen.tuning.start_points is None else ("profiles", profile, "tuning")
    for index, point in enumerate(start):
        _check_start_point(point, search_space, (*where, "start_points", index))
    if len(start) > tuning.trials:
        raise SpecError(
            (*where, "start_points"), f"{len(start)} start points need as many trials; given {tuning.trials}."
        )
    start = [{key: search_space[key].as_drawn(value) for key, value in point.items()} for point in start]
    return tuning.model_copy(update={"start_points": start})


def _check_start_point(point: Mapping[str, Any], search_space: SearchSpace, path: KeyPath) -> None:
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
        if not search_space[key].contains(point[key]):
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
