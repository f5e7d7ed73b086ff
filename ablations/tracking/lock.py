"""One driver per study: two would train every trial twice and overwrite each other."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import filelock

from ablations.errors import TrackingError
from ablations.tracking.store import Address, without_passwords


@contextmanager
def hold(address: Address) -> Iterator[None]:
    """Hold a study at a profile while a `with` block runs.

    The operating system releases the lock when its process ends, however it ends, so a lock is never stale.

    Args:
        address: of the study. Drivers on a store that is a file meet beside it; those on a server meet only if they share a
            working folder.

    Raises:
        TrackingError: another process holds it; the message names the process.
    """
    lock, holder = _files(address)
    folder = lock.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(lock, timeout=0)
        held.acquire()
    except filelock.Timeout:
        raise TrackingError(
            f"{address} is already being run by {_described(holder)}. Wait for it to end, or stop it."
        ) from None
    except OSError as error:
        raise TrackingError(
            f"the study cannot be locked in {folder}: {error.strerror}. Make this folder writable."
        ) from error
    try:
        # In another file: a process that tries the lock empties the lock's file.
        holder.write_text(
            json.dumps(
                {
                    "pid": os.getpid(),
                    "host": platform.node(),
                    "since": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
                    "command": without_passwords(" ".join(sys.argv[1:])),
                }
            ),
            encoding="utf-8",
        )
        yield
    finally:
        holder.unlink(missing_ok=True)
        held.release()


def held_by(address: Address) -> str | None:
    """The process that holds a study, for people; None if no process does that shares a lock with this one."""
    lock, holder = _files(address)
    # A killed process leaves its description behind, so only the lock tells. A holder writes its description at once.
    if not holder.exists():
        return None
    try:
        with filelock.FileLock(lock, timeout=0):
            return None
    except filelock.Timeout:
        return _described(holder)
    except OSError:
        # Another user's, or in a folder that is read-only.
        return f"{_described(holder)}, unless it was killed: its lock cannot be opened here"


def _files(address: Address) -> tuple[Path, Path]:
    """The lock, and who holds it."""
    folder = address.store.state_folder / "locks"
    name = f"{address.study}-{address.profile}"
    return folder / f"{name}.lock", folder / f"{name}.json"


def _described(holder: Path) -> str:
    try:
        values = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {values['pid']} on {values['host']} since {values['since']} (ablations {values['command']})"
    # The lock was taken or released just now.
    except (OSError, ValueError, KeyError):
        return "another process"
