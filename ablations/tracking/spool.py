"""The queue of records for the store: lines of JSON on this machine's disk."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ablations.errors import TrackingError
from ablations.tracking.entries import Entry, from_line, to_line
from ablations.tracking.store import Address, Store


class Spool:
    """A queue of entries, first in, first out: on disk before `append` returns, gone when `done`.

    Only the holder of the study's lock may open it. One thread may append while another one takes.
    """

    def __init__(self, path: Path) -> None:
        """Open a spool with the entries that an earlier process left.

        Raises:
            OSError: it cannot be read or repaired.
        """
        self.path = path
        self._changed = threading.Condition()
        self._closed = False
        self._position = 0
        whole = path.read_bytes() if path.exists() else b""
        self._sizes = deque(len(line) for line in whole.splitlines(keepends=True))
        if not whole.endswith(b"\n") and whole:
            # A kill cut the last line short, before `append` returned.
            os.truncate(path, len(whole) - self._sizes.pop())

    @property
    def waiting(self) -> int:
        """Number of queued entries."""
        return len(self._sizes)

    def __iter__(self) -> Iterator[Entry]:
        """All entries in order, of a spool without `done` entries.

        Raises:
            TrackingError: a line is damaged.
        """
        for number, line in enumerate(self.path.read_bytes().splitlines() if self._sizes else (), start=1):
            try:
                yield from_line(line)
            except ValueError as error:
                raise TrackingError(
                    f"line {number} of {self.path} is damaged. Each line is one record that is queued for MLflow: delete "
                    f"this one, and run the study again to replace it."
                ) from error

    def append(self, entry: Entry) -> None:
        """Add an entry at the end.

        Raises:
            OSError: it cannot be written; the file stays as it was.
        """
        line = to_line(entry)
        with self._changed:
            end = self.path.stat().st_size if self._sizes else 0
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("ab") as file:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                if self.path.exists():
                    os.truncate(self.path, end)
                raise OSError(error.errno, error.strerror, str(self.path)) from error
            self._sizes.append(len(line))
            self._changed.notify_all()

    def first(self) -> Entry | None:
        """Wait for the first entry; None if the spool is closed and empty."""
        return next(iter(self.first_few(1)), None)

    def first_few(self, most: int) -> list[Entry]:
        """Wait for the first entries, at least one; none if the spool is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._sizes or self._closed)
            sizes = list(islice(self._sizes, most))
            if not sizes:
                return []
            with self.path.open("rb") as file:
                file.seek(self._position)
                return [from_line(file.read(size)) for size in sizes]

    def done(self, count: int = 1) -> None:
        """Remove the first entries: they are in the store."""
        with self._changed:
            if len(self._sizes) == count:
                # First, since a caller that sees an empty spool may open the next one.
                self.path.unlink()
            for _ in range(count):
                self._position += self._sizes.popleft()
            if not self._sizes:
                self._position = 0

    def close(self) -> None:
        """Promise that no entry will be appended."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def pause(self, seconds: float) -> bool:
        """Sleep until the spool is closed, or for these seconds; whether it is closed."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, seconds)


def spools(store: Store) -> list[Address]:
    """Studies with records that are queued for a store."""
    names = (file.stem.split("-") for file in sorted(store.spool_folder.glob("*-*.jsonl")))
    return [Address(study, profile, store) for study, profile, *_ in names]


def elsewhere(store: Store) -> list[Path]:
    """Queues beside this store's: of servers, and of databases that had another name."""
    queues = sorted(store.spool_folder.parent.glob("*/*-*.jsonl"))
    return [file for file in queues if file.parent != store.spool_folder]


def num_waiting(address: Address) -> int:
    """Number of a study's queued records."""
    return address.spool.read_bytes().count(b"\n") if address.spool.exists() else 0
