"""The runner's ports: what it asks of an executor, a store, a search and a display."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ablations.costs import Measurement, Workload
from ablations.trial import Ended, EpochRecord, Order, TrialResult, TrialSpec


class Executor(Protocol):
    """Trains trials."""

    @property
    def num_workers(self) -> int:
        """Number of trials in parallel: fewer after a lack of memory; on a cluster as many as have room now."""

    def submit(self, spec: TrialSpec) -> None:
        """Start a trial; at most `num_workers` are under way."""

    def wait(self, on_epoch: Callable[[TrialSpec, EpochRecord], Order], timeout_seconds: float) -> list[Ended]:
        """Wait until something happens, and answer each epoch; returns ended trials."""

    def recall(self) -> list[Ended]:
        """Take back trials under way without a worker; they are paused at their last checkpoint."""

    def forget(self, spec: TrialSpec) -> None:
        """Remove the checkpoint of a recorded trial."""

    def measure(self, workload: Workload, stopping: Callable[[], bool]) -> Measurement:
        """Measure an architecture's memory and speed while no trial is under way; MeasureError if it cannot be measured."""

    def close(self) -> None:
        """End all workers."""


class TrialStore(Protocol):
    """Remembers trials."""

    def claim(self, spec: TrialSpec) -> TrialResult | None:
        """The recorded result of a trial, also a failed one; None if there is none."""

    def start(self, spec: TrialSpec) -> None:
        """A trial starts, or starts again."""

    def epoch(self, spec: TrialSpec, record: EpochRecord) -> None:
        """An epoch of a trial ended."""

    def end(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused."""

    def settled(self, trial_ids: Sequence[str]) -> None:
        """The searches that are needed now are done, and these trials are the study's, each as often as a search asked for it.

        The store may hold others of the same variants, such as trials of an earlier tuning with a crash.
        """

    @property
    def measurements(self) -> Mapping[str, Measurement]:
        """Recorded measurements by the workload's id."""

    def measured(self, measurements: Mapping[str, Measurement]) -> None:
        """Replace all measurements by these, taken on one machine, one after the other."""


class Tuner(Protocol):
    """One search of one variant."""

    @property
    def done(self) -> bool:
        """Whether every tuning trial of the variant has a result."""

    @property
    def winner(self) -> dict[str, object] | None:
        """The chosen values; None if every trial failed."""

    @property
    def asked(self) -> tuple[TrialSpec, ...]:
        """Every trial so far, as often as the search drew it."""

    def ask(self) -> list[TrialSpec]:
        """The trials that can start now."""

    def report(self, spec: TrialSpec, record: EpochRecord) -> Order:
        """The order to a search trial after an epoch."""

    def tell(self, result: TrialResult) -> None:
        """Take in the result of a trial."""


Searched = tuple[str, int]
"""A search: its variant, and its number."""


@dataclass(frozen=True)
class Step:
    """The work that a study needs next. First the searches, then the trials; without either the study has its answer."""

    searches: tuple[Searched, ...] = ()
    trials: tuple[TrialSpec, ...] = ()


class Confirmations(Protocol):
    """Decides which searches and confirmation trials a study needs."""

    def tuned(self, values: Mapping[Searched, Mapping[str, object] | None]) -> list[str]:
        """Searches are done and chose these values, None if all their trials failed; ids of all trials that may be needed so far."""

    def next(self, results: Mapping[str, TrialResult]) -> Step:
        """The next step, given the confirmation trials with results, by id."""


class Display(Protocol):
    """Shows progress."""

    def found(self, spec: TrialSpec, result: TrialResult) -> None:
        """A trial was recorded already."""

    def started(self, spec: TrialSpec) -> None:
        """A trial starts."""

    def epoch(self, spec: TrialSpec, record: EpochRecord) -> None:
        """An epoch of a trial ended."""

    def ended(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused."""

    def retrying(self, spec: TrialSpec, result: TrialResult) -> None:
        """A trial failed, and will be retried as `spec` when nothing else runs."""

    def measuring(self, number: int, total: int) -> None:
        """The costs of an architecture are being measured: its number, from 1, and how many there are."""
