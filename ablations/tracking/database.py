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
from ablations.tracking import layout
from ablations.tracking.store import shown_uri, state_folder


@contextmanager
def store_errors(tracking_uri: str) -> Iterator[None]:
    """Turn the store's failures into a message for people.

    Raises:
        StoreAwayError: waiting may help.
        TrackingError: it will not.
    """
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        shown = shown_uri(tracking_uri)
        # What SQLAlchemy puts behind its messages says nothing to people.
        text = shown_uri(" ".join(str(error).split())).partition(" [SQL: ")[0].partition(" (Background on ")[0]
        code = getattr(error, "error_code", "INTERNAL_ERROR" if isinstance(error, OSError) else None)
        if "database is locked" in text:
            raise StoreAwayError(f"the MLflow store {shown} is locked by another program") from error
        if layout.database(tracking_uri) is None and code in {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"}:
            # The end of the chain of causes: "[Errno 111] Connection refused", "Read timed out."
            reason = text.rsplit(": ", 1)[-1].strip("\"'()")[:100]
            reason += ")" * (reason.count("(") - reason.count(")"))
            raise StoreAwayError(f"the MLflow server at {shown} does not answer ({reason})") from error
        why = shorten(text.rstrip("."), 300, placeholder=" …")
        raise TrackingError(
            f"the MLflow store {shown} cannot be used: {why}. Mend it, or name another (--tracking-uri)."
        ) from error


def make_database(tracking_uri: str) -> None:
    """Make a local store's database where there is none, whole or not at all.

    MLflow takes seconds for it, and what a kill leaves of one half made, nothing opens again.

    Raises:
        OSError: it cannot be written.
    """
    file = layout.database(tracking_uri)
    if file is None or file.exists():
        return
    folder = state_folder(tracking_uri)
    folder.mkdir(parents=True, exist_ok=True)
    # Studies have locks of their own; two may meet here.
    with filelock.FileLock(folder / "database.lock"):
        if not file.exists():
            part = folder / f"{file.name}.part"
            for left in folder.glob(f"{part.name}*"):
                left.unlink()  # by a kill; with it goes its journal
            MlflowClient(f"sqlite:///{part}").search_experiments()
            part.replace(file)
