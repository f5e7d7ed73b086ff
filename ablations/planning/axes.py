"""The variants of a study: the named ones, and the points of its axes (`grid`, `zip`, `leave_one_out`)."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablations.errors import KeyPath, Problems, SpecError
from ablations.studyfile.spec import MAX_NAME, StudySpec, Variant
from ablations.text import readable

MAX_VARIANTS = 1000
"""Named variants of a study, and points of each kind of axis; a grid grows faster than one thinks."""


@dataclass(frozen=True)
class Candidate:
    """A variant, and the place of its settings in the file."""

    name: str
    variant: Variant
    path: KeyPath
    """Place of its settings."""
    named: bool
    """Whether the study names it. A named variant equal to another is a mistake; a point of an axis is left out."""


def candidates(spec: StudySpec, problems: Problems) -> dict[str, Candidate]:
    """All variants of a study by name: the named ones first, in their order, then the axes' points.

    Args:
        spec: the study.
        problems: receives the errors: lists of a `zip` that differ in length, too many variants, and names of points that
            are taken or too long.
    """
    found: dict[str, Candidate] = {}
    with problems.caught():
        _refuse_too_many("variants", [len(spec.variants)])
        for name, variant in spec.variants.items():
            found[name] = Candidate(name, variant, ("variants", name, "set"), named=True)
    with problems.caught():
        _add_points(found, "grid", _grid(spec.grid))
    with problems.caught():
        _add_points(found, "zip", _zip(spec.zip))
    with problems.caught():
        _refuse_too_many("leave_one_out", [len(spec.leave_one_out)])
        _add_points(found, "leave_one_out", ({key: value} for key, value in spec.leave_one_out.items()))
    return found


def _add_points(found: dict[str, Candidate], axis: str, points: Iterable[dict[str, Any]]) -> None:
    for point in points:
        prefix = "without_" if axis == "leave_one_out" else ""
        name = prefix + _name(point, with_values=axis != "leave_one_out")
        if len(name) > MAX_NAME:
            raise SpecError(
                (axis,),
                f"a point would have the name {name[:40]}... of {len(name)} characters; at most {MAX_NAME} are allowed.",
                at_key=True,
            )
        if name in found:
            raise SpecError(
                (axis,),
                f"two variants would have the name {name!r}; give each value once or rename the variant.",
                at_key=True,
            )
        found[name] = Candidate(name, Variant(set=point), (axis,), named=False)


def _grid(axes: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination; the last axis varies fastest."""
    _refuse_too_many("grid", [len(values) for values in axes.values()])
    if axes:
        for values in itertools.product(*axes.values()):
            yield dict(zip(axes, values, strict=True))


def _zip(axes: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """The first values together, then the second ones, and so on."""
    lengths = {key: len(values) for key, values in axes.items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{key} {length}" for key, length in lengths.items())
        raise SpecError(("zip",), f"zipped lists must have the same length; given {given}.", at_key=True)
    _refuse_too_many("zip", list(lengths.values())[:1])
    for values in zip(*axes.values(), strict=True):
        yield dict(zip(axes, values, strict=True))


def _refuse_too_many(section: str, lengths: Sequence[int]) -> None:
    """Refuse lists of these lengths if crossing them makes too many variants."""
    count = math.prod(lengths)
    if count > MAX_VARIANTS:
        shape = f"{readable(' x '.join(map(str, lengths)))} are " if len(lengths) > 1 else ""
        # Python does not write out a number of thousands of digits, and nobody reads one.
        shown = f"{count:,}" if count < 10**15 else "more than 10^15"
        raise SpecError((section,), f"{shape}{shown} variants; at most {MAX_VARIANTS:,} are allowed.", at_key=True)


def _name(point: Mapping[str, Any], *, with_values: bool) -> str:
    """A name for people: `init_xavier_uniform_lr_0_05`."""
    parts = []
    for key, value in point.items():
        parts.append(key.rsplit(".", 1)[-1])
        if with_values:
            parts.append(re.sub(r"[^a-z0-9]+", "_", str(value).lower()).strip("_") or "empty")
    return "_".join(parts)
