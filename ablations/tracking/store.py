"""Where a store is, what lies beside it on this machine, and its failures in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

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
        text = " ".join(str(error).split()).replace(tracking_uri.rstrip("/"), shown)[:300]
        code = getattr(error, "error_code", "INTERNAL_ERROR" if isinstance(error, OSError) else None)
        if "database is locked" in text:
            raise StoreAway(f"the MLflow store {shown} is locked by another program") from error
        if schema.database(tracking_uri) is None and code in {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"}:
            raise StoreAway(f"the MLflow server at {shown} does not answer ({text})") from error
        raise schema.TrackingError(f"the MLflow store {shown} cannot be used: {text}") from error


def shown_uri(uri: str) -> str:
    """A tracking URI without its password."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return parts._replace(netloc=f"***@{parts.netloc.rsplit('@', 1)[1]}").geturl()


def state_folder(tracking_uri: str) -> Path:
    """Where this machine keeps what belongs to a store: beside a local database, else in the working folder."""
    file = schema.database(tracking_uri)
    return (Path() if file is None else file.parent) / ".ablations"
