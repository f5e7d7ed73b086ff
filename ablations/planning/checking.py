"""All errors of a study file at once: those of its keys and values, and those of planning it at each profile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ablations.errors import SpecError
from ablations.planning.plan import Plan
from ablations.planning.planner import make_plan
from ablations.studyfile.loading import StudyFile, read_file
from ablations.studyfile.spec import StudySpec
from ablations.trial import Machine

ANY_MACHINE = Machine("cpu", bf16=False, num_workers=1, description="")
"""No rule depends on the machine."""


def read_study(path: Path) -> StudyFile:
    """Read a study file.

    Raises:
        StudyFileError: it cannot be read or breaks a rule; it has all errors of the file, those of planning included.
    """
    return read_file(path, planning_errors)


def plan_study(file: StudyFile, profile: str, machine: Machine) -> Plan:
    """Plan a study at a profile; only errors of other profiles do not stop it.

    Raises:
        StudyFileError: it cannot be planned; the message has all errors of the file, at the other profiles too.
    """
    try:
        return make_plan(file.spec, profile, machine)
    except SpecError as error:
        # A profile that is not there is an error of the command, not of the file.
        others = planning_errors(file.spec) if profile in file.spec.profiles else ()
        raise file.located([error, *others]) from error


def planning_errors(spec: StudySpec) -> Iterator[SpecError]:
    """The errors of planning a study at each of its profiles; each error has the others at its profile."""
    for profile in spec.profiles:
        try:
            make_plan(spec, profile, ANY_MACHINE)
        except SpecError as error:
            yield error
