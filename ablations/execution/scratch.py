"""A run's own folder among the system's temporary files, and what runs that were killed left of theirs."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import filelock

PREFIX = "ablations-run-"
_LOCK = "lock"


class ScratchFolder:
    """A folder that goes with its process: removed when it is closed, or by a later run where its process was killed."""

    def __init__(self) -> None:
        """Make the folder; those of dead processes are removed first."""
        _remove_dead(Path(tempfile.gettempdir()))
        self._folder = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        self.path = Path(self._folder.name)
        # The operating system lets go of it when the process ends, however it ends.
        self._lock = filelock.FileLock(self.path / _LOCK)
        self._lock.acquire()

    def close(self) -> None:
        """Remove the folder."""
        self._lock.release()
        self._folder.cleanup()


def _remove_dead(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        # One that another run removes at the same time is gone; one that cannot be removed does no harm.
        with suppress(OSError, filelock.Timeout):
            lock = folder / _LOCK
            # Nobody else's: another user may have put a link to one of our files there. One without a lock is just being made.
            if folder.is_symlink() or not lock.exists():
                continue
            if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
                continue
            with filelock.FileLock(lock, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
