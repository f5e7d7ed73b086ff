"""Study files as commands take them: found, read, and planned for this machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ablations.errors import SpecError, UserError
from ablations.studyfile.loading import StudyFile, find, read_file

if TYPE_CHECKING:
    from ablations.planning.plan import Plan
    from ablations.trial import Machine


def open_study(name: str, also_known: Iterable[str] = ()) -> StudyFile:
    """Read a study file.

    Args:
        name: path or name of the study.
        also_known: other names that the command takes in its place, for the message.

    Raises:
        StudyFileError: there is no such file, or it breaks a rule.
    """
    return read_file(find(name, also_known))


def plan_study(file: StudyFile, profile: str, machine: Machine, *, extend: bool = False) -> Plan:
    """Plan a study at a profile.

    Raises:
        StudyFileError: it cannot be planned; the message says where in the file.
    """
    from ablations.planning.planner import make_plan

    try:
        return make_plan(file.spec, profile, machine, extend=extend)
    except SpecError as error:
        raise file.located(error) from error


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
    raise UserError(f"{file.path} has no profile {fitting!r}; choose one with --profile: {', '.join(profiles)}")
