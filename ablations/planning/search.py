"""The search space of a profile and its tuning, resolved and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ablations.errors import KeyPath, Problems, SpecError
from ablations.planning.settings import Settings
from ablations.studyfile.distributions import (
    CategoricalDistribution,
    Scalar,
    SearchSpace,
    active,
    conditions,
    is_scale,
    where_clause,
)
from ablations.studyfile.spec import Tuning
from ablations.text import nearest, shown
from ablations.trial import TrialConfig

_RECIPE = frozenset({"train.batch_size", "train.warmup_epochs"})
"""Keys of the recipe whose values `check_trainable` may refuse for one variant and not for another."""


@dataclass(frozen=True)
class Search:
    """The search of every variant."""

    space: SearchSpace
    """Empty if nothing is tuned."""
    path: KeyPath
    """Place of the space in the study file."""
    tuning: Tuning
    """Start points resolved."""

    @cached_property
    def points_to_check(self) -> list[tuple[str, dict[str, Any]]]:
        """Points of the space at which to price and check each variant, each with the key it probes.

        They change the network, or a part of the recipe that some variant may not allow.
        """
        return [
            (key, self._with_smallest_batch(point))
            for key in self.space
            for point in _probes(self.space, key)
            if any(name.startswith("model.") or name in _RECIPE for name in point)
        ]

    def _with_smallest_batch(self, point: dict[str, Any]) -> dict[str, Any]:
        """The point with the smallest batch size that the search can draw there."""
        key = "train.batch_size"
        if key not in self.space or key in point:
            return point
        needed = conditions(self.space, key)
        if any(point.get(other, values[0]) not in values for other, values in needed.items()):
            return point
        return {other: values[0] for other, values in needed.items()} | point | {key: min(self.space[key].probes())}


def resolve_search(
    settings: Settings, base: TrialConfig | None, scientific: frozenset[str], problems: Problems
) -> Search:
    """The search at a profile; an empty one if it has errors.

    Args:
        settings: of the study at the profile.
        base: the base at the profile; None if it has errors, which `problems` knows.
        scientific: keys in which variants differ; they cannot be searched.
        problems: receives the errors: keys that cannot be searched, values that break a rule, conditions that contradict one
            another, start points that do not fit the space.
    """
    replaced = settings.scale.search_space
    space = settings.spec.search_space if replaced is None else replaced
    path: KeyPath = ("search_space",) if replaced is None else (*settings.profile_path, "search_space")
    changed = {key: value for key, value in settings.scale.tuning.model_dump().items() if value is not None}
    tuning = settings.spec.tuning.model_copy(update=changed)
    where: KeyPath = ("tuning",) if "start_points" not in changed else (*settings.profile_path, "tuning")
    start = tuning.start_points
    num_before = len(problems)
    with problems.caught():
        _check_conditions(space, path)
        with problems.caught():
            _check_keys(space, path, scientific)
            with problems.caught(below=() if base else path):
                _check_values(space, path, settings)
            if start is None and base and len(problems) == num_before:
                start = _base_point({key: base.value(key) for key in space}, space, path)
        _check_start_points(start or [], tuning.trials, space, where)
    if start is None or len(problems) > num_before:
        return Search({}, path, tuning.model_copy(update={"start_points": None}))
    drawn = [{key: space[key].as_drawn(value) for key, value in point.items()} for point in start]
    return Search(space, path, tuning.model_copy(update={"start_points": drawn}))


def _check_keys(space: SearchSpace, at: KeyPath, scientific: frozenset[str]) -> None:
    """Refuse keys that cannot be searched."""
    problems = Problems()
    for key in space:
        if key in scientific:
            problem = "variants differ in this key, so it cannot be tuned: it is the question."
            problems.add(SpecError((*at, key), problem, at_key=True))
        elif is_scale(key):
            problem = "this key sets the study's scale; only hyperparameters of model and train can be tuned."
            problems.add(SpecError((*at, key), problem, at_key=True))
    problems.raise_any()


def _check_values(space: SearchSpace, at: KeyPath, settings: Settings) -> None:
    """Refuse unknown keys, and values beyond the rules of the configuration."""
    problems = Problems()
    for key in space:
        for point in _probes(space, key):
            with problems.caught():
                settings.resolve((point, at))
    problems.raise_any()


def _check_conditions(space: SearchSpace, at: KeyPath) -> None:
    """Refuse conditions that name no categorical key or value, form a circle, or never hold."""
    problems = Problems()
    for key, distribution in space.items():
        for other, values in distribution.when.items():
            with problems.caught():
                _check_condition(other, values, space, (*at, key, "when", other))
    problems.raise_any()
    _refuse_circles(space, at)
    for key in space:
        never = next((other for other, values in conditions(space, key).items() if not values), None)
        if never is not None:
            problem = (
                f"this condition never holds: with the conditions of the keys in it, no value of {never!r} is left."
            )
            problems.add(SpecError((*at, key, "when"), problem, at_key=True))
    problems.raise_any()


def _check_condition(other: str, values: Sequence[Scalar], space: SearchSpace, path: KeyPath) -> None:
    if other not in space:
        raise SpecError(path, f"a condition must name another searched key; {nearest(other, space)}", at_key=True)
    condition = space[other]
    if not isinstance(condition, CategoricalDistribution):
        raise SpecError(
            path,
            f"a condition must be on a categorical key, but {other!r} is searched as {condition.type}; list its choices or "
            "remove the condition.",
            at_key=True,
        )
    for index, value in enumerate(values):
        if not condition.contains(value):
            choices = ", ".join(map(shown, condition.choices))
            raise SpecError((*path, index), f"must be one of the choices of {other} ({choices}); given {shown(value)}.")


def _refuse_circles(space: SearchSpace, at: KeyPath) -> None:
    try:
        TopologicalSorter({key: distribution.when for key, distribution in space.items()}).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1][::-1]
        raise SpecError(
            (*at, circle[0], "when", circle[1]),
            f"conditions must not form a circle; given {' -> '.join(circle)}. Remove one of them.",
            at_key=True,
        ) from error


def _probes(space: SearchSpace, key: str) -> list[dict[str, Any]]:
    """Points to try out a key's whole distribution: each of its probes, with its conditions met.

    Keys without a condition on the way keep the base's values.
    """
    held = {other: values[0] for other, values in conditions(space, key).items()}
    return [{**held, key: value} for value in space[key].probes()]


def _base_point(own: Mapping[str, Any], space: SearchSpace, at: KeyPath) -> list[dict[str, Any]]:
    """The default start point: the base's values; none without a search space."""
    point = {key: own[key] for key in active(space, own)}
    problems = Problems()
    for key, value in point.items():
        if not space[key].contains(value):
            problem = (
                f"the search starts at the base's {key} = {shown(value)}, which is outside the search space; widen the space "
                "or set tuning.start_points."
            )
            problems.add(SpecError((*at, key), problem, at_key=True))
    problems.raise_any()
    return [point] if point else []


def _check_start_points(start: Sequence[Mapping[str, Any]], num_trials: int, space: SearchSpace, at: KeyPath) -> None:
    problems = Problems()
    for index, point in enumerate(start):
        with problems.caught():
            _check_start_point(point, space, (*at, "start_points", index))
    if len(start) > num_trials:
        problem = f"{len(start)} start points need at least {len(start)} trials; given {num_trials}."
        problems.add(SpecError((*at, "start_points"), problem))
    problems.raise_any()


def _check_start_point(point: Mapping[str, Any], space: SearchSpace, path: KeyPath) -> None:
    for key in point:
        if key not in space:
            raise SpecError(
                (*path, key), f"a start point may set only searched keys; {nearest(key, space)}", at_key=True
            )
    searched = active(space, point)
    for key in searched:
        if key not in point:
            needed = where_clause(conditions(space, key))
            raise SpecError(path, f"a start point must set every searched key; {key!r}{needed} is missing.")
        if not space[key].contains(point[key]):
            raise SpecError(
                (*path, key),
                f"the start point {key} = {shown(point[key])} is outside the search space; widen the space or move the point.",
            )
    for key in point:
        if key not in searched:
            raise SpecError(
                (*path, key),
                f"{key} is searched only{where_clause(conditions(space, key))}; remove it from this start point.",
                at_key=True,
            )
