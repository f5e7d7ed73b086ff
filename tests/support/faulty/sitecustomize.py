"""Causes real faults, and keeps measurements brief. Python imports this file at its start if the folder is on PYTHONPATH.

FAULTS is a JSON object: by name of a fault, the affected trials as `<variant> <seed>`, or a number.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

FAULTS: dict[str, Any] = json.loads(os.environ.get("FAULTS", "{}"))
IS_WORKER = "--multiprocessing-fork" in sys.orig_argv


def limit_memory(num_bytes: int) -> None:
    """Limit this process to its present memory plus `num_bytes`."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + num_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def befall_trials() -> None:
    from ablations.execution import train

    run_trial, make_step = train.run_trial, train.make_step

    def faulty(spec: Any, *rest: Any) -> Generator[Any, Any, Any]:
        trial = f"{spec.variant} {spec.seed}"
        if trial in FAULTS.get("segfault", []):
            ctypes.string_at(0)
        if trial in FAULTS.get("no_memory", []):
            bytearray(1 << 62)
        return (yield from run_trial(spec, *rest))

    def starved(*arguments: Any) -> Any:
        step = make_step(*arguments)
        # Once the data is there and the network is made, so that the batch decides.
        limit_memory(FAULTS["memory"])
        return step

    train.run_trial = faulty
    if "memory" in FAULTS:
        train.make_step = starved


def set_clock_back(signal: str) -> None:
    """Set the clock back by an hour once there is a file of this name."""
    now, now_ns = time.time, time.time_ns
    back = lambda: 3600 * os.path.exists(signal)  # noqa: E731, PTH110
    time.time = lambda: now() - back()
    time.time_ns = lambda: now_ns() - back() * 1_000_000_000


def measure_briefly() -> None:
    """Spend hardly any time on the timings at the end of a study: the tests of a whole run look at none."""
    # Before torch loads, as the worker itself would.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    from ablations.execution import measure

    measure.measure.__kwdefaults__["seconds"] = 0.01


if "clock" in FAULTS:
    set_clock_back(FAULTS["clock"])
if IS_WORKER and FAULTS.keys() - {"clock"}:
    befall_trials()
# Last: what it imports takes the faulty functions with it.
if IS_WORKER:
    measure_briefly()
