"""Registered networks and data sets: entry points of installed packages."""

from __future__ import annotations

import re
from functools import cache
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
    found = [each for each in _entry_points(group) if each.name == name and _NAME.fullmatch(name)]
    if not found:
        raise KeyError(name)
    packages = sorted({_package(each) for each in found})
    if len(packages) > 1:
        raise RegistrationError(
            f"{name} is registered by several packages: {', '.join(packages)}; uninstall all but one"
        )
    try:
        return found[0].load(), packages[0]
    # Code of the package runs, and may raise anything.
    except Exception as error:
        raise RegistrationError(
            f"{name} cannot be imported: {packages[0]} registers {found[0].value}; {type(error).__name__}: {error}"
        ) from error


# Cached: it reads the metadata of every installed package.
@cache
def _entry_points(group: Group) -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points  # takes a while to load

    return tuple(entry_points(group=group))


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed package"
