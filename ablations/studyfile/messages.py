"""Pydantic's errors in the words of the suite."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from ablations.errors import KeyPath, SpecError
from ablations.text import closest, nearest, readable, shown

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
"""Rules in the suite's words by pydantic's kind of error; other kinds keep pydantic's words."""


def spec_errors(
    error: ValidationError, model: type[BaseModel], prefix: tuple[str | int, ...] = ()
) -> Iterator[SpecError]:
    """Pydantic's errors in the suite's words.

    Missing keys come last, one error per place, and without keys explained by a misspelt key at the same place.

    Args:
        error: pydantic's.
        model: the validated model.
        prefix: path to the model in the file.
    """
    missing: dict[KeyPath, list[str]] = {}
    misspelt: set[KeyPath] = set()
    for each in error.errors(include_url=False):
        path, kind, value = each["loc"], each["type"], each["input"]
        if kind == "missing":
            missing.setdefault(path[:-1], []).append(str(path[-1]))
        elif kind == "union_tag_not_found":
            missing.setdefault(path, []).append("type")
        elif kind == "extra_forbidden":
            key, known = str(path[-1]), _keys_at(model, path[:-1])
            misspelt.add((*path[:-1], closest(key, known) or ""))
            yield SpecError(
                (*prefix, *path),
                _REPLACED.get(key)
                or _misplaced(key, model, path)
                or f"unknown key '{readable(key)}'; {nearest(key, known)}",
                at_key=True,
            )
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


_REPLACED = {
    "extend_to": "extend_to has become looks: write the numbers of seeds of all looks into the profile, such as looks: [10, 20]. Looks "
    "that were recorded keep their words."
}
"""What to write instead of keys of older versions."""


def _misplaced(key: str, model: type[BaseModel], path: tuple[str | int, ...]) -> str | None:
    """What to do with a key of a profile that was written beside the profiles."""
    if len(path) > 1 or key not in _keys_at(model, ("profiles", "")):
        return None
    return f"{key} is a key of a profile: write it below the profile's name in profiles."


_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def _type_hint(kind: str, value: object) -> str:
    if kind in {"int_type", "float_type"} and isinstance(value, str) and _NUMBER.fullmatch(value):
        return " Write it without quotes."
    if kind == "string_type" and isinstance(value, bool | int | float):
        return " Put it in quotes."
    return ""


def _keys_at(annotation: Any, path: tuple[str | int, ...]) -> list[str]:
    """Names of the keys allowed by a model at `path`."""
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
