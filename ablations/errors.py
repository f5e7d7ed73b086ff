"""Errors that a user can cause: one base class, caught once, with complete messages for people."""

from __future__ import annotations

from collections.abc import Iterable

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
    """

    def __init__(self, path: Iterable[str | int], problem: str, *, at_key: bool = False) -> None:
        self.path: KeyPath = tuple(path)
        self.problem = problem
        self.at_key = at_key
        super().__init__(f"{'.'.join(map(str, self.path))}: {problem}")


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
