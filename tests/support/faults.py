"""Faults of worker processes, caused for real."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal

import pytest
from places import FAULTY, ROOT


def environment_of(**faults: object) -> dict[str, str]:
    """The environment of processes in which tests/support/faulty causes these faults."""
    return {"PYTHONPATH": f"{FAULTY}{os.pathsep}{ROOT}", "FAULTS": json.dumps(faults)}


def cause(monkeypatch: pytest.MonkeyPatch, **faults: object) -> None:
    """Cause these faults in workers that start from now on."""
    for name, value in environment_of(**faults).items():
        monkeypatch.setenv(name, value)


def kill_worker() -> None:
    """Kill the only worker of this process."""
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
