"""Finds the part of the driver that saturates first with 1,000 devices: `python -m benchmarks.scale --trials 100000 --store away`.

The real runner, tuner and recorder drive simulated devices. Their trials train nothing, and their clock jumps to the next end of
a trial. So the table shows how many trials per second the driver and its store can finish at most. A trial has ten epochs and
10,000 test images; there are 50 variants, and half of the trials are tuning. Each row comes from a separate process.
"""

from __future__ import annotations

import argparse
import heapq
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from ablations.execution.dry import DryExecutor
from ablations.trial import Ended, TrialSpec, derive
from benchmarks.driver import made_up_plan

NUM_DEVICES = 1000
NUM_VARIANTS = 50
NUM_EPOCHS = 10
MEAN_SECONDS = 20.0
"""Of a simulated trial: 1,000 devices finish 50 trials per second."""
NOBODY = "http://127.0.0.1:9"
"""A store that never answers: records stay queued in the spool."""


def main() -> None:
    """Drive each number of trials, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--trials", type=int, action="append", help="Number of trials, at least 400; may be given several times."
    )
    parser.add_argument(
        "--store",
        default="sqlite",
        help="none: nothing is recorded; away: the spool only; sqlite: MLflow on a new database; else an MLflow server's URI.",
    )
    parser.add_argument("--devices", type=int, default=NUM_DEVICES)
    parser.add_argument("--sampler", default="qmc", choices=["qmc", "random", "tpe"])
    parser.add_argument("--drive", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive:
        print(json.dumps(_drive(arguments)))
        return
    print(
        "| trials | store | driver: trials/s | processor ms per trial | ms in tuner, recorder, rest | peak MB | store: trials/s |"
    )
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for num_trials in arguments.trials or [1000]:
        options = ["--store", arguments.store, "--devices", str(arguments.devices), "--sampler", arguments.sampler]
        command = [sys.executable, "-m", "benchmarks.scale", "--drive", "--trials", str(num_trials), *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        row = json.loads(done.stdout.splitlines()[-1])
        store = arguments.store if "://" not in arguments.store else "server"
        written = f"{num_trials / row['written']:.0f}" if row["written"] else ""
        parts = row["tuner"], row["recorder"], row["driven"] - row["tuner"] - row["recorder"]
        print(
            f"| {num_trials:,} | {store} | {num_trials / row['driven']:.0f} | {1000 * row['processor'] / num_trials:.1f} "
            f"| {', '.join(f'{1000 * each / num_trials:.1f}' for each in parts)} | {row['peak_mb']:.0f} | {written} |",
            flush=True,
        )


class SimulatedExecutor(DryExecutor):
    """Devices with a made-up time for each trial; at each wait the clock jumps to the next end."""

    def __init__(self, num_workers: int) -> None:
        super().__init__(num_workers)
        self._ends: list[tuple[float, str, TrialSpec]] = []
        self._now_seconds = 0.0

    def submit(self, spec: TrialSpec) -> None:
        """Take a trial, for between half and one and a half of the mean time."""
        chance = derive(spec.id, "seconds") / 2**63
        heapq.heappush(self._ends, (self._now_seconds + MEAN_SECONDS * (0.5 + chance), spec.id, spec))

    def wait(self, on_epoch: Any, timeout_seconds: float) -> list[Ended]:
        """The trial that ends next."""
        self._now_seconds, _, spec = heapq.heappop(self._ends)
        super().submit(spec)
        return super().wait(on_epoch, timeout_seconds)


class _Timed:
    """Another object; adds up the seconds in its methods."""

    def __init__(self, other: Any, seconds: Counter[str], name: str) -> None:
        self._other, self._seconds, self._name = other, seconds, name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._other, attribute)
        if not callable(found):
            return found

        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            try:
                return found(*arguments)
            finally:
                self._seconds[self._name] += time.perf_counter() - started  # type: ignore[assignment]

        return timed


class _Nothing:
    """A store without memory, or a display that shows nothing."""

    measurements: dict[str, Any] = {}
    ledgers: tuple[Any, ...] = ()

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None


def _drive(arguments: argparse.Namespace) -> dict[str, float | None]:
    from ablations.looking import Looking
    from ablations.runner import Runner
    from ablations.tracking.recorder import Recorder
    from ablations.tracking.store import Store
    from ablations.tuning import VariantTuner

    logging.disable()
    plan = made_up_plan(arguments.trials[0], NUM_VARIANTS, arguments.sampler)
    seconds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        uris = {"sqlite": f"sqlite:///{folder}/mlflow.db", "away": NOBODY}
        uri = uris.get(arguments.store, arguments.store)
        if arguments.store == "away":
            os.chdir(folder)
        store: Any = _Nothing() if arguments.store == "none" else Recorder(Store(uri), plan, "made up")
        started, started_processor = time.perf_counter(), time.process_time()
        outcome = Runner(
            plan,
            tuner=lambda plan, variant, search: _Timed(VariantTuner(plan, variant, search), seconds, "tuner"),
            confirmations=Looking(plan, store, _Nothing(), futility=True),
            executor=SimulatedExecutor(arguments.devices),
            store=_Timed(store, seconds, "recorder"),
            display=_Nothing(),
            deadline=None,
            interrupted=lambda: False,
        ).run()
        driven, processor = time.perf_counter() - started, time.process_time() - started_processor
        assert outcome.state == "complete", outcome
        store.close(True)
        written = None if arguments.store in {"none", "away"} else time.perf_counter() - started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times = {"driven": driven, "processor": processor, "tuner": seconds["tuner"], "recorder": seconds["recorder"]}
    return {**times, "written": written, "peak_mb": peak_mb}


if __name__ == "__main__":
    main()
