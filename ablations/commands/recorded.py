"""Recorded studies as commands take them: by name or by file, at one profile or at all."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress

from ablations.commands.messages import warn
from ablations.commands.studies import open_study
from ablations.errors import StudyFileError, UserError
from ablations.studyfile.loading import find
from ablations.text import nearest, plural, shown
from ablations.tracking.displaced import displaced
from ablations.tracking.reader import recorded_studies
from ablations.tracking.spool import num_waiting
from ablations.tracking.store import Address, Store


def recorded_study(store: Store, study: str, profile: str | None) -> Address:
    """Find one recorded study.

    Args:
        store: holds it.
        study: name or file.
        profile: of the run; None if it is recorded at one only.

    Raises:
        UserError: it is not recorded, or at several profiles.
        TrackingError: the store cannot be used.
    """
    recorded = recorded_studies(store)
    name = _study_name(study, recorded)
    found = [each for each in recorded if each.study == name and profile in {None, each.profile}]
    if not found:
        raise UserError(_not_recorded(store, [study], profile, recorded))
    if len(found) > 1:
        profiles = ", ".join(each.profile for each in found)
        raise UserError(f"{name} is recorded at several profiles; choose one with --profile: {profiles}")
    return found[0]


def all_recorded(store: Store, studies: Sequence[str], profile: str | None) -> list[Address]:
    """Find recorded studies, in the order of their names in the command.

    Args:
        store: holds them.
        studies: names or files; none: all of the store.
        profile: of the runs; None: all profiles.

    Raises:
        UserError: one is not recorded, or the store holds none.
        TrackingError: the store cannot be used.
    """
    recorded = recorded_studies(store)
    at_profile = [each for each in recorded if profile in {None, each.profile}]
    held = {each.study for each in at_profile}
    names = {_study_name(study, recorded): study for study in studies} if studies else dict.fromkeys(sorted(held), "")
    lacking = [study for name, study in names.items() if name not in held]
    if lacking or not names:
        raise UserError(_not_recorded(store, lacking, profile, recorded))
    return [each for name in names for each in at_profile if each.study == name]


def warn_of_waiting(address: Address) -> None:
    """Warn if records of a study are queued: its store does not have them yet."""
    waiting = num_waiting(address)
    if waiting:
        command = f"python -m ablations sync{address.store.option}"
        warn(f"{plural(waiting, 'record')} of {address.study} not in MLflow yet. Send them with: {command}")


def _study_name(study: str, recorded: Sequence[Address]) -> str:
    """Name of a study; a file is read only if `study` is its path, or no recorded name."""
    if study.endswith((".yaml", ".yml")):
        return open_study(study).spec.study
    if study not in {each.study for each in recorded}:
        # `run` takes the name of a file, too, and records under the name in it.
        with suppress(StudyFileError):
            return open_study(study).spec.study
    return study


def _not_recorded(store: Store, studies: Sequence[str], profile: str | None, recorded: Sequence[Address]) -> str:
    """The message for studies, as they were typed, without a record; without studies: for an empty store."""
    is_file = bool(studies) and _is_file(studies[0])
    if store.file is not None and not store.file.exists():
        return (
            f"no MLflow store is at {store.file}: nothing was run here yet. Go to the folder in which studies were run, or name its "
            "store: --tracking-uri sqlite:////FOLDER/mlflow.db. Or run one here: python -m ablations run "
            + shlex.quote(studies[0] if is_file else "one_by_one")
        )
    at = f" at profile {shown(profile)}" if profile else ""
    names = [_study_name(study, recorded) for study in studies]
    for address, reason in displaced(store).items():
        if (not names or address.study in names) and profile in {None, address.profile}:
            return reason
    if not studies:
        return f"{store} holds no study{at}. Run one first: python -m ablations run one_by_one{store.option}"
    lacks = f"{store} holds no study {', '.join(map(shown, names))}{at}"
    others = [each.profile for each in recorded if each.study == names[0]]
    held = sorted({each.study for each in recorded})
    hint = f"; recorded at {', '.join(others)}." if others else f"; {nearest(names[0], held)}" if held else "."
    if not is_file:
        return f"{lacks}{hint} No study file has this name, either; give the path of one to run it."
    command = shlex.join(["python", "-m", "ablations", "run", studies[0], *(["--profile", profile] if profile else [])])
    return f"{lacks}{hint} Run it first: {command}{store.option}"


def _is_file(study: str) -> bool:
    try:
        find(study)
    except StudyFileError:
        return False
    return True
