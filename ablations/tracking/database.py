"""The database of a store: making it whole, and its failures in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten

import filelock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from ablations.errors import StoreAwayError, TrackingError
from ablations.tracking.store import Store, without_passwords


@contextmanager
def store_errors(store: Store) -> Iterator[None]:
    """Turn the store's failures into a message for people.

    Raises:
        StoreAwayError: waiting may help.
        TrackingError: it will not.
    """
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        # What SQLAlchemy puts behind its messages says nothing to people.
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
            f"the MLflow store {store} cannot be used: {why}. Mend it, or name another (--tracking-uri)."
        ) from error


def make_database(store: Store) -> None:
    """Make a local store's database where there is none, whole or not at all.

    MLflow takes seconds for it, and what a kill leaves of one half made, nothing opens again.

    Raises:
        OSError: it cannot be written.
    """
    file = store.file
    if file is None or file.exists():
        return
    folder = store.state_folder
    folder.mkdir(parents=True, exist_ok=True)
    # Studies have locks of their own; two may meet here.
    with filelock.FileLock(folder / "database.lock"):
        if not file.exists():
            part = folder / f"{file.name}.part"
            for left in folder.glob(f"{part.name}*"):
                left.unlink()  # by a kill; with it goes its journal
            MlflowClient(f"sqlite:///{part}").search_experiments()
            part.replace(file)
