"""Where a store is, what lies beside it on this machine, and its failures in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten

import filelock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from ablations.tracking import schema


class StoreAway(schema.TrackingError):
    """The store cannot be used now, but probably later: its server does not answer, or its database is locked."""


@contextmanager
def store_errors(tracking_uri: str) -> Iterator[None]:
    """Turn the store's failures into a message for people.

    Raises:
        StoreAway: waiting may help.
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
            raise StoreAway(f"the MLflow store {shown} is locked by another program") from error
        if schema.database(tracking_uri) is None and code in {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"}:
            # The end of the chain of causes: "[Errno 111] Connection refused", "Read timed out."
            reason = text.rsplit(": ", 1)[-1].strip("\"'()")[:100]
            reason += ")" * (reason.count("(") - reason.count(")"))
            raise StoreAway(f"the MLflow server at {shown} does not answer ({reason})") from error
        why = shorten(text.rstrip("."), 300, placeholder=" …")
        raise schema.TrackingError(
            f"the MLflow store {shown} cannot be used: {why}. Mend it, or name another (--tracking-uri)."
        ) from error


def make_database(tracking_uri: str) -> None:
    """Make a local store's database where there is none, whole or not at all.

    MLflow takes seconds for it, and what a kill leaves of one half made, nothing opens again.

    Raises:
        OSError: it cannot be written.
    """
    file = schema.database(tracking_uri)
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


def shown_uri(text: str) -> str:
    """A tracking URI, or a text with some in it, without its passwords: those before a host, and those among the options."""
    return _OPTION.sub(r"\1***", _LOGIN.sub("***@", text))


_LOGIN = re.compile(r"(?<=://)[^/\s]\S*@")
_OPTION = re.compile(r"(?i)((?:pass|pwd|token|secret)\w*(?:=|%3d))(?:(?!%3b)[^&;\s])+")


def state_folder(tracking_uri: str) -> Path:
    """Where this machine keeps what belongs to a store: beside a local database, else in the working folder."""
    file = schema.database(tracking_uri)
    return (Path() if file is None else file.parent) / ".ablations"
