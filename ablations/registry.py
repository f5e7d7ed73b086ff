"""Registered networks and data sets: entry points of installed packages."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ablations.errors import RegistrationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Group = Literal["ablations.models", "ablations.datasets"]
"""Groups of entry points: networks (`nin.model.Network`) and data sets (`ablations.datasets.Dataset`)."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")


def names(group: Group) -> tuple[str, ...]:
    """The names that installed packages register in a group, sorted."""
    return tuple(sorted({each.name for each in _entry_points(group) if _NAME.fullmatch(each.name)}))


@cache
def find(group: Group, name: str) -> tuple[object, str]:
    """The object registered under a name, and its package, such as "my-networks 1.0".

    Raises:
        KeyError: no package registers the name.
        RegistrationError: several packages register the name, or the package cannot be imported.
    """
    found = _registering(group, name)
    if not found:
        raise KeyError(name)
    packages = sorted({_package(each) for each in found})
    if len(packages) > 1:
        raise RegistrationError(
            f"{name} is registered by several packages: {', '.join(packages)}; uninstall all but one"
        )
    try:
        # Standard output is for the suite's own words, and other programs read them.
        with redirect_stdout(sys.stderr):
            return found[0].load(), packages[0]
    # Code of the package runs, and may raise anything.
    except Exception as error:
        raise RegistrationError(
            f"{name} cannot be imported: {packages[0]} registers {found[0].value}; {type(error).__name__}: {error}"
        ) from error


def code(group: Group, name: str) -> dict[str, str]:
    """The package that registers a name, with a digest of its source files; empty if there are none here. Imports no package.

    The files are those of the top-level package or module that the entry point names.
    """
    # Any finder may be installed, and raise anything; files may be unreadable.
    with suppress(Exception):
        entries = _registering(group, name)
        files = {each: list(_source_files(each.module)) for each in entries}
        if all(files.values()):
            return {_package(each): _digest(files[each]) for each in entries}
    return {}


def _source_files(module: str) -> Iterator[tuple[str, Path]]:
    """Python files of a module's top-level package, each with its name in there."""
    spec = _top_level(module)
    if spec is None:
        return
    if spec.submodule_search_locations is None:
        file = Path(spec.origin or "")
        if file.suffix == ".py":
            yield file.name, file
        return
    for folder in map(Path, spec.submodule_search_locations):
        yield from ((file.relative_to(folder).as_posix(), file) for file in folder.rglob("*.py"))


def _top_level(module: str) -> ModuleSpec | None:
    """The package at the top; inside of a namespace, which unrelated packages share, the one below it."""
    name, *rest = module.split(".")
    spec = find_spec(name)
    while spec is not None and spec.origin is None and rest:
        name = f"{name}.{rest.pop(0)}"
        spec = PathFinder.find_spec(name, spec.submodule_search_locations)
    return spec


def _digest(files: list[tuple[str, Path]]) -> str:
    """16 hexadecimal digits of the SHA-256 of the files' names and contents."""
    whole = hashlib.sha256()
    for name, file in sorted(files):
        whole.update(f"{name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()[:16]


def _registering(group: Group, name: str) -> list[EntryPoint]:
    return [each for each in _entry_points(group) if each.name == name and _NAME.fullmatch(name)]


# Cached: it reads the metadata of every installed package.
@cache
def _entry_points(group: Group) -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points  # takes a while to load

    return tuple(entry_points(group=group))


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed package"
