"""An executor that trains nothing: for `run --dry-run`, and for benchmarks of everything but the training."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ablations.costs import Measurement, Workload
from ablations.datasets import DATASETS
from ablations.trial import Ended, EpochRecord, Order, TrialResult, TrialSpec, derive


class DryExecutor:
    """Ends every trial at the next wait, with made-up epochs. Its id decides its accuracy, around 90 percent."""

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers
        self._under_way: list[TrialSpec] = []

    def submit(self, spec: TrialSpec) -> None:
        """Take a trial."""
        self._under_way.append(spec)

    def wait(self, on_epoch: Callable[[TrialSpec, EpochRecord], Order], timeout_seconds: float) -> list[Ended]:
        """Make up the records and results of all trials under way; each obeys its orders."""
        ended = [Ended(spec, _made_up(spec, on_epoch)) for spec in self._under_way]
        self._under_way.clear()
        return ended

    def recall(self) -> list[Ended]:
        """None: all trials end at the next wait."""
        return []

    def forget(self, spec: TrialSpec) -> None:
        """Nothing was kept."""

    def measure(self, workload: Workload, stopping: Callable[[], bool]) -> Measurement:
        """Made up, too."""
        return Measurement("none: a dry run", 1, "none", 1, 1, 1, 1.0, 1.0, 0.0, 1.0, 0.0)

    def close(self) -> None:
        """There are no workers."""


def _made_up(spec: TrialSpec, on_epoch: Callable[[TrialSpec, EpochRecord], Order]) -> TrialResult | None:
    """A trial's result; None if it was paused."""
    generator = np.random.default_rng(derive(spec.id, "made up"))
    accuracy_percent = 90 + float(generator.normal(0, 0.3))
    epochs: list[EpochRecord] = []
    for epoch in range(1, spec.config.train.epochs + 1):
        now = time.time_ns() // 1_000_000
        epochs.append(EpochRecord(epoch, epoch, 0.5, accuracy_percent, 0.4, accuracy_percent, 0, 1, 3000.0, 0.01, now))
        order = on_epoch(spec, epochs[-1])
        if order == "pause":
            return None
        if order == "prune":
            return TrialResult(spec.id, "pruned", tuple(epochs))
    if spec.phase == "tune":
        return TrialResult(spec.id, "finished", tuple(epochs))
    dataset = DATASETS[spec.config.data.name]
    right = generator.random(dataset.num_test) < accuracy_percent / 100
    labels = (np.arange(dataset.num_test) % dataset.num_classes).astype(np.uint8)
    test = 100 * float(right.mean()), np.packbits(right).tobytes(), dataset.num_test, labels.tobytes()
    return TrialResult(spec.id, "finished", tuple(epochs), *test)
