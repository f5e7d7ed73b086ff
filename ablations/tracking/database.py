"""The database of a store: creation, and failures as messages."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from textwrap import shorten

import filelock
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from ablations.errors import StoreAwayError, TrackingError
from ablations.text import nearest
from ablations.tracking import own_settings
from ablations.tracking.artifacts import FILES
from ablations.tracking.client import Client, MlflowException
from ablations.tracking.store import Store, without_passwords

_OTHER_SCHEMA = re.compile(r"\(found version (\w+), but expected|Can't locate revision identified by '(\w+)'")
"""MLflow's and alembic's words for a database of another version of MLflow, with its revision."""
_NO_MLFLOW = re.compile(
    r"not in a valid JSON format|failed with error code 4(?!01|03)\d\d != 200|^INTERNAL_ERROR: Response: "
)
"""MLflow's words for the answer of another server: a page, or JSON without a code of MLflow's."""


@contextmanager
def store_errors(store: Store) -> Iterator[None]:
    """Call the store in a `with` block: with the suite's settings, and with failures as messages for people.

    Raises:
        StoreAwayError: waiting may help.
        TrackingError: it will not.
    """
    try:
        with own_settings():
            yield
    except (MlflowException, SQLAlchemyError, CommandError, OSError, ImportError) as error:
        raise _for_people(store, error) from error


def _for_people(store: Store, error: Exception) -> TrackingError:
    # The ends of SQLAlchemy's messages do not help people.
    text = without_passwords(" ".join(str(error).split())).partition(" [SQL: ")[0].partition(" (Background on ")[0]
    code = getattr(error, "error_code", "INTERNAL_ERROR" if isinstance(error, OSError) else None)
    if "database is locked" in text:
        return StoreAwayError(f"the MLflow store {store} is locked by another program")
    if other := _OTHER_SCHEMA.search(text):
        return TrackingError(_other_version(store, other[1] or other[2]))
    if isinstance(error, ModuleNotFoundError):
        return TrackingError(
            f"the MLflow store {store} needs the Python module {error.name}, which is not installed. Install it with pip, or "
            "name an installed driver, as in postgresql+psycopg2://HOST/DATABASE."
        )
    if "unsupported URI" in text:
        kinds = nearest(store.uri.partition(":")[0], ["http", "https", "mssql", "mysql", "postgresql", "sqlite"])
        return TrackingError(f"MLflow has no kind of store for {store}; {kinds} Name another with --tracking-uri.")
    if store.is_server and _NO_MLFLOW.search(text):
        return TrackingError(
            f"{store} answers, but is no MLflow server. Check the address, and name the server with --tracking-uri."
        )
    if store.file is None and code in {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"}:
        # The end of the chain of causes: "[Errno 111] Connection refused", "Read timed out."
        reason = (getattr(error, "strerror", None) or text.rsplit(": ", 1)[-1].strip("\"'()"))[:100]
        reason += ")" * (reason.count("(") - reason.count(")"))
        return StoreAwayError(f"the MLflow server at {store} does not answer ({reason})")
    why = shorten(text.rstrip("."), 300, placeholder=" …")
    return TrackingError(
        f"the MLflow store {store} cannot be used: {why}. Repair it, or name another with --tracking-uri."
    )


def _other_version(store: Store, revision: str) -> str:
    """The message for the database of another version of MLflow.

    Args:
        store: the database.
        revision: of its schema; every MLflow has the revisions of earlier ones.
    """
    known = files("mlflow.store.db_migrations").joinpath("versions").iterdir()
    if any(file.name.startswith(f"{revision}_") for file in known):
        upgrade = shlex.join(["python", "-m", "mlflow", "db", "upgrade", str(store)])
        hidden = " (with the password for ***)" if str(store) != store.uri else ""
        return f"the MLflow store {store} was made by an older MLflow. Copy its database, then upgrade it{hidden} with: {upgrade}"
    return (
        f"the MLflow store {store} was made or upgraded by a newer MLflow than the one installed here. Install the newer one: "
        "python -m pip install --upgrade mlflow"
    )


def make_database(store: Store) -> None:
    """Create a local store's database if there is none, whole or not at all.

    MLflow takes seconds for it, and a database that a kill left half made can never be opened.

    Raises:
        OSError: it cannot be written.
    """
    file = store.file
    if file is None or file.exists():
        return
    folder = store.state_folder
    folder.mkdir(parents=True, exist_ok=True)
    # Two studies have different locks, and may create the same database.
    with filelock.FileLock(folder / "database.lock"):
        if not file.exists():
            part = folder / f"{file.name}.part"
            for left in folder.glob(f"{part.name}*"):
                left.unlink()  # of a kill, and its journal
            Client(f"sqlite:///{part}").search_experiments()
            part.replace(file)


def require_writable(store: Store) -> None:
    """Refuse to write to a local database that takes no writes, or that has a second name.

    Raises:
        TrackingError: with the way to a copy.
    """
    file = store.file
    if file is None or not file.exists():
        return
    if file.stat().st_nlink > 1:
        # SQLite's journal and the suite's lock are beside a name.
        raise TrackingError(
            f"the MLflow store {file} has a second name (a hard link), and writers under two names may damage it. Use a symbolic "
            "link or a copy in its place."
        )
    if not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        # Not the whole folder: people stand in it, and a folder cannot be copied into itself.
        parts = [str(path) for path in (file, file.parent / FILES, store.state_folder) if path.exists()]
        copy = f"{file.parent.name}-copy"
        commands = [
            *([] if os.access(Path.cwd(), os.W_OK) else ["cd"]),
            shlex.join(["mkdir", copy]),
            shlex.join(["cp", "-rL", *parts, copy]),
            shlex.join(["chmod", "-R", "u+w", copy]),
            shlex.join(["python", "-m", "ablations", "report", "--tracking-uri", f"sqlite:///{copy}/{file.name}"]),
        ]
        raise TrackingError(
            f"the MLflow store {file} cannot be written to: it or its folder is read-only. Make them writable, or report a copy: "
            f"{' && '.join(commands)}"
        )
