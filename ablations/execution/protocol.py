"""The messages between the driver and its workers. Nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ablations.costs import Measurement, Workload
from ablations.errors import MeasureError, SetupError
from ablations.execution.folders import Folders
from ablations.text import mebibytes, printable
from ablations.trial import Device, EpochRecord, Order, Reason, TrialResult, TrialSpec


@dataclass(frozen=True)
class WorkerSetup:
    """A worker's device and folders.

    Attributes:
        folders: of the run.
        device: where it trains.
        device_index: number of the CUDA device; without meaning on a CPU.
    """

    folders: Folders
    device: Device
    device_index: int = 0


@dataclass(frozen=True)
class Probe:
    """Asks a worker to train a network on random images for a moment.

    The worker sends "ready", waits for "go", and then sends its images per second. If it cannot train, it sends a
    MeasureError in place of either answer.
    """

    workload: Workload


@dataclass(frozen=True)
class Warned:
    """A warning for people, from a worker whose trial goes on."""

    text: str


ToWorker = TrialSpec | Workload | Probe | Order
"""A trial to train, a workload to measure, a probe, or the answer to a record."""

FromWorker = (
    EpochRecord | TrialResult | Warned | SetupError | Measurement | MeasureError | Literal["ready"] | float | None
)
"""A trial's records and its result, None if it was paused; a measurement; the answers to a probe; or a problem."""


def failed(spec: TrialSpec, reason: Reason, message: str) -> TrialResult:
    """The result of a failed trial.

    If memory ran out and the batch cannot be split, the message proposes half of the batch.

    Args:
        spec: the trial.
        reason: the kind of failure.
        message: for people; may hold text of libraries.
    """
    # Libraries may quote bytes that are no text, such as a path's. A store would refuse that record and all queued behind it.
    message = printable(message)
    workload = Workload.of(spec.config, spec.device)
    if reason == "out_of_memory" and workload.has_batch_statistics and workload.batch_size > 1:
        half = replace(workload, batch_size=workload.batch_size // 2)
        message += (
            f". Batch normalisation needs the whole batch, so gradients cannot be accumulated over parts of it: set "
            f"train.batch_size to {half.batch_size}"
        )
        if half.memory is not None and workload.memory is not None:
            peaks = [mebibytes(each.peak_training_bytes) for each in (half.memory, workload.memory)]
            message += f", which takes {peaks[0]} instead of {peaks[1]}"
    return TrialResult(spec.id, "failed", message=message, reason=reason)
