"""Where a store is, and where this machine keeps its locks and queued records. Loads no mlflow."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from ablations.errors import TrackingError
from ablations.paths import expanded
from ablations.text import shown
from ablations.tracking.uri import objection
from ablations.trial import content_hash

_SQLITE = "sqlite:///"
_LOGIN = re.compile(r"(?<=://)[^/\s]\S*@")
_OPTION = re.compile(r"(?i)((?:pass|pwd|token|secret)\w*(?:=|%3d))(?:(?!%3b)[^&;\s])+")


def without_passwords(text: str) -> str:
    """Hide the passwords of tracking URIs in a text: before a host, and among the options."""
    return _OPTION.sub(r"\1***", _LOGIN.sub("***@", text))


def _expanded(uri: str) -> str:
    return f"{_SQLITE}{expanded(uri.removeprefix(_SQLITE))}" if uri.startswith(f"{_SQLITE}~") else uri


@dataclass(frozen=True, repr=False)
class Store:
    """A tracking store. As text it shows no password."""

    uri: str
    """MLflow's tracking URI, passwords included."""
    is_default: bool = field(default=False, compare=False)
    """Whether commands here find it without its option."""

    @classmethod
    def at(cls, uri: str | None) -> Store:
        """The store at a tracking URI; None: the store in MLFLOW_TRACKING_URI, else mlflow.db in this folder.

        `mlflow ui` without flags shows the same one.

        Raises:
            TrackingError: the URI cannot be a store's.
        """
        variable = os.environ.get("MLFLOW_TRACKING_URI")
        default = _expanded(variable or cls.in_folder(Path.cwd()).uri)
        there = default if uri is None else _expanded(uri)
        store = cls(there, is_default=there == default)
        if problem := objection(store.uri):
            where = " in MLFLOW_TRACKING_URI" if uri is None and variable else ""
            raise TrackingError(without_passwords(f"the tracking URI{where}, {shown(store.uri)}, {problem}"))
        return store

    @classmethod
    def in_folder(cls, folder: Path) -> Store:
        """The store in the file mlflow.db of a folder."""
        return cls(f"{_SQLITE}{folder / 'mlflow.db'}")

    def __str__(self) -> str:
        return without_passwords(self.uri)

    def __repr__(self) -> str:
        return f"Store({str(self)!r})"

    @property
    def file(self) -> Path | None:
        """The database of a local store, behind any links; None for a server."""
        # Drivers that come by different links meet at one lock, one queue and one folder of files.
        return Path(os.path.realpath(self.uri.removeprefix(_SQLITE))) if self.uri.startswith(_SQLITE) else None

    @property
    def is_server(self) -> bool:
        """Whether it is an MLflow server, not a database."""
        return self.uri.lower().startswith(("http://", "https://"))

    @property
    def option(self) -> str:
        """Its option in a command, with a space before it; empty if commands find the store without it."""
        return "" if self.is_default else f" --tracking-uri {shlex.quote(str(self))}"

    @property
    def mlflow(self) -> str:
        """Start of a command of MLflow's own on this store; a password has to be filled in."""
        uri = str(self) if self.file is None else f"{_SQLITE}{self.file}"
        return f"MLFLOW_TRACKING_URI={shlex.quote(uri)} python -m mlflow"

    @property
    def state_folder(self) -> Path:
        """Folder of locks and queued records: beside a local database, else in the working folder."""
        return (Path() if self.file is None else self.file.parent) / ".ablations"

    @property
    def spool_folder(self) -> Path:
        """Folder of the records queued for this store."""
        # Stores differ in it. It holds no password, and no folder, since a database may be moved.
        name = str(self).rstrip("/") if self.file is None else self.file.name
        return self.state_folder / "spool" / content_hash(name)

    @property
    def spool_folder_by_link(self) -> Path | None:
        """Where older versions queued records if they came by a link to the database; None if no link is used."""
        if self.file is None:
            return None
        link = Path(self.uri.removeprefix(_SQLITE))
        folder = Path(os.path.realpath(link.parent)) / ".ablations" / "spool" / content_hash(link.name)
        return None if folder == self.spool_folder else folder


@dataclass(frozen=True, order=True)
class Address:
    """A study at one profile in a store."""

    study: str
    profile: str
    store: Store = field(compare=False)

    def __str__(self) -> str:
        return f"{self.study} at profile {self.profile}"

    @property
    def experiment(self) -> str:
        """Name of its experiment in MLflow; results of two profiles never mix."""
        return f"{self.study}/{self.profile}"

    @property
    def spool(self) -> Path:
        """File of its queued records."""
        return self.store.spool_folder / f"{self.study}-{self.profile}.jsonl"

    @property
    def weights_folder(self) -> Path:
        """Folder in which workers leave weights for queued records."""
        return self.spool.with_suffix(".weights")
