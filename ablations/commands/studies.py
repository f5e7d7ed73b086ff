"""Study files as commands take them: found and read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ablations.errors import UserError
from ablations.studyfile.loading import StudyFile, find

if TYPE_CHECKING:
    from ablations.trial import Machine


def open_study(name: str, also_known: Iterable[str] = ()) -> StudyFile:
    """Read a study file.

    Args:
        name: path or name of the study.
        also_known: other names that the command takes in its place, for the message.

    Raises:
        StudyFileError: there is no such file, or it breaks a rule.
    """
    from ablations.planning.checking import read_study

    return read_study(find(name, also_known))


def choose_profile(file: StudyFile, profile: str | None, machine: Machine) -> tuple[str, str]:
    """The profile to run at, and the reason for it.

    Raises:
        UserError: the study has several profiles, and none for this machine.
    """
    profiles = file.spec.profiles
    if profile is not None:
        return profile, "asked for"
    fitting, why = (
        ("book", "a CUDA device is here") if machine.device == "cuda" else ("starter", "no CUDA device is here")
    )
    if fitting in profiles:
        return fitting, why
    if len(profiles) == 1:
        return next(iter(profiles)), "the only one"
    raise UserError(f"{file.spec.study} has no profile {fitting!r}; choose one with --profile: {', '.join(profiles)}")
