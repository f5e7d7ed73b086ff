"""Trains tiny trials, in this process or with an executor."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import tiny

from ablations.execution.data import DataSource
from ablations.execution.train import run_trial
from ablations.trial import Ended, EpochRecord, Order, TrialResult, TrialSpec

SGD = {"model__dropout": 0.5}
ADAMW = {"model__dropout": 0.5, "train__optimizer": "adamw", "train__lr": 0.003, "train__momentum": 0.0}

OnEpoch = Callable[[TrialSpec, EpochRecord], Order]


class Waits(Protocol):
    def wait(self, on_epoch: OnEpoch, timeout_seconds: float) -> list[Ended]: ...


def run(spec: TrialSpec, source: DataSource, checkpoint: Path | None = None, **orders: Any) -> TrialResult | None:
    """Train in this process; `orders` as in `tiny.finish`."""
    return tiny.finish(run_trial(spec, source, checkpoint), **orders)


def go(spec: TrialSpec, record: EpochRecord) -> Order:
    return "go"


def until_ended(executor: Waits, on_epoch: OnEpoch = go) -> Ended:
    """The next trial of an executor that ends."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for ended in executor.wait(on_epoch, 1.0):
            return ended
    raise TimeoutError("the trial did not end")
