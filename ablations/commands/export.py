"""`export`: recorded trials for other programs."""

from __future__ import annotations

import shlex
from pathlib import Path

from ablations.commands.recorded import recorded_study
from ablations.errors import UserError
from ablations.export import write_export
from ablations.text import plural
from ablations.tracking.reader import read_study
from ablations.tracking.store import Store


def export(store: Store, study: str, profile: str | None, output: Path) -> None:
    """Write the trials of a recorded study as tables, and its search as a database.

    Args:
        store: holds it.
        study: name or file.
        profile: of the run; None if it is recorded at one only.
        output: folder of the exports.

    Raises:
        AblationsError: it is not recorded, or the folder cannot be written to.
    """
    address = recorded_study(store, study, profile)
    stored = read_study(address, whole={"tune", "confirm", "examine"})
    folder = output / address.study / address.profile
    try:
        for path in write_export(stored.plan, stored.trials, folder):
            curves = "the epochs of " if path.stem == "epochs" else ""
            number = plural(len(stored.trials), "trial")
            print(_dashboard(path) if path.suffix == ".db" else f"{path}: {curves}{number}")
    except OSError as error:
        raise UserError(f"nothing can be written to {folder}: {error.strerror}. Name another with --output.") from error


def _dashboard(path: Path) -> str:
    return f"{path}: the search; look at it with: {shlex.join(['optuna-dashboard', f'sqlite:///{path}'])}"
