"""Errors that a user can cause: one base class, caught once, with complete messages for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

WRONG_INPUT, FAILED = 2, 1
"""Exit codes of these errors."""

KeyPath = tuple[str | int, ...]
"""Keys of a place in a study file, outermost first."""


class AblationsError(Exception):
    """Base of all errors that a user can cause and fix; the message says how.

    Attributes:
        exit_code: of a command that ends in it.
        advice: a sentence for a command to print after the message.
    """

    exit_code = WRONG_INPUT
    advice = ""


class UserError(AblationsError):
    """A command cannot use its options or files."""


class StudyFileError(AblationsError, ValueError):
    """A study file cannot be used."""


class SpecError(AblationsError, ValueError):
    """A study breaks a rule of the study file.

    Attributes:
        path: keys of the place.
        problem: the rule and the given value, for people.
        at_key: whether the key itself is wrong, rather than its value.
        others: further errors of the same study, found by the same check.
    """

    def __init__(self, path: Iterable[str | int], problem: str, *, at_key: bool = False) -> None:
        self.path: KeyPath = tuple(path)
        self.problem = problem
        self.at_key = at_key
        self.others: tuple[SpecError, ...] = ()
        super().__init__(f"{'.'.join(map(str, self.path))}: {problem}")


class CostError(SpecError):
    """A network of a study cannot be priced or matched; its dials and the size of the images decide that together."""


class Problems:
    """Errors of a study, gathered so that one message reports them all: one per place, since others there follow from it."""

    def __init__(self, errors: Iterable[SpecError] = ()) -> None:
        """Gather these errors.

        Args:
            errors: each with its others.
        """
        self._by_place: dict[KeyPath, SpecError] = {}
        for error in errors:
            self.add(error)

    def __iter__(self) -> Iterator[SpecError]:
        return iter(self._by_place.values())

    def __len__(self) -> int:
        return len(self._by_place)

    def add(self, error: SpecError) -> None:
        """Keep an error and its others, except at places that have one."""
        self._add(error, ())

    def _add(self, error: SpecError, below: KeyPath) -> None:
        for each in (error, *error.others):
            if each.path[: len(below)] == below and (each.path != below or not below):
                self._by_place.setdefault(each.path, each)
        error.others = ()

    @contextmanager
    def caught(self, *, below: KeyPath = ()) -> Iterator[None]:
        """Keep an error of this block, and go on after it.

        Args:
            below: keep it only below this place; it is then known to be the place's own, not the base's.
        """
        try:
            yield
        except SpecError as error:
            self._add(error, below)

    def raise_any(self) -> None:
        """Raise the first error, with the others, if there is any."""
        if self._by_place:
            first, *others = self
            first.others = tuple(others)
            raise first


class RegistrationError(AblationsError, ValueError):
    """A registered network or data set cannot be used."""


class SetupError(AblationsError):
    """No trial can be trained here: data or device is missing."""


class DataError(AblationsError):
    """Data is missing, or differs from the published data."""


class MeasureError(AblationsError):
    """An architecture cannot be measured here, such as for lack of memory."""


class TrackingError(AblationsError):
    """The tracking store cannot be used, or does not hold the requested study."""


class StoreAwayError(TrackingError):
    """The store cannot be used now, but probably later: its server does not answer, or its database is locked."""

    exit_code = FAILED
    advice = "Try again later, or name another store with --tracking-uri."
