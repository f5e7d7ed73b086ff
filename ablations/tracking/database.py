"""The database of a store: creation, and failures as messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten

import filelock
from sqlalchemy.exc import SQLAlchemyError

from ablations.errors import StoreAwayError, TrackingError
from ablations.tracking import own_settings
from ablations.tracking.client import Client, MlflowException
from ablations.tracking.store import Store, without_passwords


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
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        # The ends of SQLAlchemy's messages do not help people.
        text = without_passwords(" ".join(str(error).split())).partition(" [SQL: ")[0].partition(" (Background on ")[0]
        code = getattr(error, "error_code", "INTERNAL_ERROR" if isinstance(error, OSError) else None)
        if "database is locked" in text:
            raise StoreAwayError(f"the MLflow store {store} is locked by another program") from error
        if store.file is None and code in {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"}:
            # The end of the chain of causes: "[Errno 111] Connection refused", "Read timed out."
            reason = text.rsplit(": ", 1)[-1].strip("\"'()")[:100]
            reason += ")" * (reason.count("(") - reason.count(")"))
            raise StoreAwayError(f"the MLflow server at {store} does not answer ({reason})") from error
        why = shorten(text.rstrip("."), 300, placeholder=" …")
        raise TrackingError(
            f"the MLflow store {store} cannot be used: {why}. Repair it, or name another with --tracking-uri."
        ) from error


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
