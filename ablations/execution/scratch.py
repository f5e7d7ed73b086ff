"""A run's own folder among the system's temporary files; killed runs' folders are removed by later runs."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import filelock

PREFIX = "ablations-run-"
_LOCK = "lock"
_BEING_MADE_SECONDS = 60.0


class ScratchFolder:
    """A folder for the life of its process: `close` removes it, or a later run does if the process was killed."""

    def __init__(self) -> None:
        """Remove the folders of dead processes, and make this one."""
        _remove_dead(Path(tempfile.gettempdir()))
        self._folder = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        self.path = Path(self._folder.name)
        # The operating system releases it at any end of the process.
        self._lock = filelock.FileLock(self.path / _LOCK)
        self._lock.acquire()

    def close(self) -> None:
        """Remove the folder."""
        self._lock.release()
        self._folder.cleanup()


def _remove_dead(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        # Another run may remove it at the same time; a folder that cannot be removed does no harm.
        with suppress(OSError, filelock.Timeout):
            lock = folder / _LOCK
            # Another user may have put a link to our files there. A lock file exists before it is held, so a folder
            # that has just been made cannot be told from a dead one: a later run removes it.
            if folder.is_symlink() or time.time() - lock.stat().st_mtime < _BEING_MADE_SECONDS:
                continue
            if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
                continue
            with filelock.FileLock(lock, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
