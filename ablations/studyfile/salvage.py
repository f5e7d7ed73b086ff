"""The rest of a study with errors, mended where it is wrong, so that one message reports the errors of the rest, too."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from ablations.errors import CostError, KeyPath, Problems, SpecError
from ablations.studyfile.messages import spec_errors
from ablations.studyfile.spec import StudySpec

_MAX_ROUNDS = 10
"""A mended place may show an error of the section around it."""
_RECIPE = {"epochs": 100_000, "batch_size": 32, "lr": 0.01}
"""A recipe that few rules refuse; any warm-up ends within these epochs."""


def salvaged(values: dict[str, Any], check: Callable[[StudySpec], Iterable[SpecError]]) -> Iterator[SpecError]:
    """Further errors of a study with errors of keys or values, without those that follow from these.

    Args:
        values: the study.
        check: the rules for a study whose keys and values are right.

    Yields:
        Errors; a place may have a known one already.
    """
    tree = copy.deepcopy(values)
    mended: list[KeyPath] = []
    for _ in range(_MAX_ROUNDS):
        try:
            spec = StudySpec.model_validate(tree)
        except ValidationError as error:
            # Pydantic looks for the baseline only among variants that are right.
            found = [each for each in spec_errors(error, StudySpec) if each.path == ("baseline",)]
            yield from (each for each in found if not _follows(each, mended))
            paths = [_place(tree, each["loc"], each["type"]) for each in error.errors(include_url=False)]
            for path in paths:
                if not _mend(tree, path):
                    return
            mended += paths
        else:
            yield from (each for each in Problems(check(spec)) if not _follows(each, mended))
            return


def _place(tree: dict[str, Any], loc: tuple[int | str, ...], kind: str) -> KeyPath:
    """Path of the smallest part of the study that an error of pydantic's makes unclear."""
    node: Any = tree
    path: KeyPath = ()
    for part in ("baseline",) if kind == "baseline" else loc:
        if isinstance(part, int):
            break
        # Pydantic's places also name members of unions.
        if isinstance(node, dict) and part in node:
            node, path = node[part], (*path, part)
    if kind == "missing":
        path = (*path, loc[-1])
    match path:
        case ("variants", _, "match", *_):
            return path[:3]
        case ("profiles", _, "set" | "presets", *_):
            return path[:2]
        case ("search_space", _, *_):
            return path[:2]
        case ("profiles", _, "search_space", _, *_):
            return path[:4]
    return path


def _mend(tree: dict[str, Any], path: KeyPath) -> bool:
    """Put a stand-in in a wrong place, or leave the place out; False if the rest says nothing without it."""
    match path:
        case (
            ()
            | ("base",)
            | ("base", "model")
            | ("base", "data")
            | ("base", "data", "name" | "validation")
            | ("variants",)
        ):
            return False
    parent: Any = tree
    for part in path[:-1]:
        parent = parent.get(part) if isinstance(parent, dict) else None
    if isinstance(parent, dict):
        stand_in = _stand_in(tree, path)
        if stand_in is None:
            parent.pop(path[-1], None)
        else:
            parent[path[-1]] = stand_in
    return True


def _stand_in(tree: dict[str, Any], path: KeyPath) -> Any:
    """A value that few rules look at; None for keys that may be missing."""
    match path:
        case ("study",) | ("question",) | ("profiles", _, "description"):
            return "any"
        case ("base", "train"):
            return _RECIPE
        case ("base", "train", key):
            return _RECIPE.get(str(key))
        case ("decision",):
            return {"margin": 1.0}
        case ("decision", "margin"):
            return 1.0
        case ("profiles",):
            return {"any": {"description": "any"}}
        case ("baseline",):
            variants: dict[str, Any] = tree["variants"] if isinstance(tree.get("variants"), dict) else {}
            # Rules for baselines forbid these.
            free = [
                name
                for name, each in variants.items()
                if not (isinstance(each, dict) and {"versus", "expect"} & each.keys())
            ]
            return next(iter([*free, *variants]), None)
        case (*_, "start_points"):
            # Without the key, the search would start at the base's values.
            return []
    return None


def _follows(error: SpecError, mended: Sequence[KeyPath]) -> bool:
    return any(_follows_from(path, error) for path in mended)


def _follows_from(path: KeyPath, error: SpecError) -> bool:
    """Whether an error may come from the mending of a place."""
    last = error.path[-1] if error.path else ""
    match path:
        case ("base", "data", *_):
            return isinstance(error, CostError)
        case ("base", *keys):
            key = ".".join(map(str, keys))
            return path == error.path[: len(path)] or any(f"{part}.".startswith(f"{key}.") for part in error.path)
        case ("variants", _):
            return last in {"versus", "params", "macs", "baseline"}
        case ("variants", _, "set" | "match"):
            return isinstance(error, CostError) or error.path == path[:2]
        case ("search_space", *_) | ("profiles", _, "search_space", *_):
            return bool({"start_points", "when"} & set(error.path))
        case (*_, "seeds" | "looks" | "first_seed"):
            return len(error.path) == 2 and error.path[0] == "profiles"
        case ("baseline",):
            return error.at_key and last in {"versus", "expect"}
    return False
