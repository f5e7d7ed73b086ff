"""The only orchestration: pending trials -> results. Tune every variant, then confirm seed by seed; resume; budget.

At the end, when nothing else runs, each architecture's memory and speed are measured once.

What is recorded is never trained again: the loop asks for trials in the plan's order, and takes those that the store knows
from there. So a first run, a resumed one and one with a variant added are the same code.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from ablations.costs import Measurement, Workload
from ablations.errors import MeasureError
from ablations.planning.plan import Plan
from ablations.text import plural
from ablations.trial import MAX_ATTEMPTS, MAX_PARTS, Ended, EpochRecord, Order, TrialResult, TrialSpec

WAIT_SECONDS = 0.5
"""Longest sleep of the loop, so that an interrupt and the budget are noticed."""


class Executor(Protocol):
    """Something that trains trials."""

    @property
    def num_workers(self) -> int:
        """Trials that it trains side by side: fewer after memory was short, on a cluster as many as there is room for now."""

    def submit(self, spec: TrialSpec) -> None:
        """Start a trial; at most `num_workers` are under way."""

    def wait(self, on_epoch: Callable[[TrialSpec, EpochRecord], Order], timeout_seconds: float) -> list[Ended]:
        """Wait until something happens; answer each epoch; the trials that ended."""

    def recall(self) -> list[Ended]:
        """Take back the trials under way that no worker trains now: they are paused where they were saved last."""

    def forget(self, spec: TrialSpec) -> None:
        """A trial is recorded: what it could go on from is not needed any more."""

    def measure(self, workload: Workload, stopping: Callable[[], bool]) -> Measurement:
        """Measure what an architecture takes, while no trial is under way; MeasureError where it cannot be."""

    def close(self) -> None:
        """End all workers."""


class Store(Protocol):
    """Something that remembers trials."""

    def claim(self, spec: TrialSpec) -> TrialResult | None:
        """The recorded result of a trial, if it has one; it may be that it failed."""

    def start(self, spec: TrialSpec) -> None:
        """A trial starts, or starts again."""

    def epoch(self, spec: TrialSpec, record: EpochRecord) -> None:
        """An epoch of a trial ended."""

    def end(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused."""

    def settled(self, trial_ids: Sequence[str]) -> None:
        """Tuning is done, and these trials are the study's, each as often as it was asked for.

        Others of the same variants may be recorded: those of an earlier tuning in which a trial crashed.
        """

    @property
    def measurements(self) -> Mapping[str, Measurement]:
        """What was measured, by the workload's id."""

    def measured(self, measurements: Mapping[str, Measurement]) -> None:
        """Architectures were measured, all on one machine and one after the other: these replace earlier ones."""


class Tuner(Protocol):
    """The search of one variant."""

    @property
    def done(self) -> bool:
        """Whether every tuning trial of the variant has a result."""

    @property
    def winner(self) -> dict[str, object] | None:
        """The chosen values; None when every trial failed."""

    @property
    def asked(self) -> tuple[TrialSpec, ...]:
        """Every trial so far, as often as the search came upon it."""

    def ask(self) -> list[TrialSpec]:
        """The trials that can start now."""

    def report(self, spec: TrialSpec, record: EpochRecord) -> Order:
        """What a search trial should do after an epoch."""

    def tell(self, result: TrialResult) -> None:
        """Take in how one of the trials asked for ended."""


class Display(Protocol):
    """Something that shows progress."""

    def found(self, spec: TrialSpec, result: TrialResult) -> None:
        """A trial was recorded already."""

    def started(self, spec: TrialSpec) -> None:
        """A trial starts."""

    def epoch(self, spec: TrialSpec, record: EpochRecord) -> None:
        """An epoch of a trial ended."""

    def ended(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused."""

    def retrying(self, spec: TrialSpec, result: TrialResult) -> None:
        """A trial failed, and will be tried again as `spec` says when nothing else runs."""

    def measuring(self, number: int, total: int) -> None:
        """The costs of an architecture are being measured: which one, from 1, of how many."""


@dataclass(frozen=True)
class Outcome:
    """How a run of a study ended."""

    state: Literal["complete", "budget", "interrupted"]
    num_trained: int
    """Trials that this run trained to an end."""
    num_found: int
    """Trials that were recorded already."""
    unmeasured: tuple[str, ...] = ()
    """Why architectures could not be measured."""
    given_up: tuple[str, ...] = ()
    """Messages of trials that have failed too often to be tried again, in this run or before it."""


class Runner:
    """Drives one study at one profile from where it stands to its end, or to the budget's."""

    def __init__(
        self,
        plan: Plan,
        *,
        tuner: Callable[[Plan, str], Tuner],
        executor: Executor,
        store: Store,
        display: Display,
        deadline: float | None,
        interrupted: Callable[[], bool],
        retry: bool = False,
    ) -> None:
        """A run that is not started yet.

        Args:
            plan: what is to be done.
            tuner: makes the search of a variant, by name.
            executor: trains.
            store: remembers.
            display: shows.
            deadline: `time.monotonic()` after which trials pause at the end of their epoch; None for none.
            interrupted: whether the user asked to stop.
            retry: whether trials that were given up get as many attempts again.
        """
        self._plan = plan
        self._tuner = tuner
        self._executor = executor
        self._store = store
        self._display = display
        self._deadline = deadline
        self._interrupted = interrupted
        self._retry = retry
        self._num_trained = 0
        self._num_found = 0
        self._given_up: list[str] = []
        self._unmeasured: list[str] = []
        self._asked: list[str] = []
        """Ids of the tuning trials, each as often as it was asked for."""
        self._num_failed: dict[str, int] = {}
        """Attempts at the trials that are tried again, in this run and before it, by id."""

    def run(self) -> Outcome:
        """Tune, confirm, measure."""
        winners = self._tune()
        if winners is not None:
            self._store.settled([*self._asked, *(spec.id for spec in self._confirmation(winners))])
        complete = winners is not None and self._confirm(winners) and self._measure(winners)
        state: Literal["complete", "budget", "interrupted"] = "complete"
        if not complete:
            state = "interrupted" if self._interrupted() else "budget"
        return Outcome(
            state,
            self._num_trained,
            self._num_found,
            tuple(self._unmeasured),
            tuple(self._given_up),
        )

    def _stopping(self) -> bool:
        late = self._deadline is not None and time.monotonic() > self._deadline
        return late or self._interrupted()

    def _tune(self) -> dict[str, dict[str, object] | None] | None:
        """The tuned values of each variant; None when stopped before they are known."""
        if not self._plan.tuned:
            return {variant.name: {} for variant in self._plan.variants}
        tuners = {variant.name: self._tuner(self._plan, variant.name) for variant in self._plan.variants}

        def pending() -> Iterable[TrialSpec]:
            asked = {name: deque(tuner.ask()) for name, tuner in tuners.items()}
            # Number by number, so that a budget that runs out has searched every variant about equally far.
            while any(asked.values()):
                for specs in asked.values():
                    if specs:
                        yield specs.popleft()

        self._drain(
            pending,
            on_result=lambda spec, result: tuners[spec.variant].tell(result),
            on_epoch=lambda spec, record: tuners[spec.variant].report(spec, record),
        )
        if not all(tuner.done for tuner in tuners.values()):
            return None
        self._asked = [spec.id for tuner in tuners.values() for spec in tuner.asked]
        return {name: tuner.winner for name, tuner in tuners.items()}

    def _confirm(self, winners: dict[str, dict[str, object] | None]) -> bool:
        """Whether every confirmation trial has a result."""
        once = iter([self._confirmation(winners)])
        return self._drain(
            lambda: next(once, []), on_result=lambda spec, result: None, on_epoch=lambda spec, record: "go"
        )

    def _measure(self, winners: dict[str, dict[str, object] | None]) -> bool:
        """Whether every architecture was measured, or cannot be.

        Where one is new all are measured again, so that what stands side by side in a report was measured side by side.
        """
        tuned = {name: self._plan.workload(name, values) for name, values in winners.items()}
        workloads = {workload.id: workload for workload in tuned.values()}
        if all(key in self._store.measurements for key in workloads):
            return True
        measurements = {}
        for number, (key, workload) in enumerate(workloads.items(), start=1):
            if self._stopping():
                return False
            self._display.measuring(number, len(workloads))
            try:
                measurements[key] = self._executor.measure(workload, self._stopping)
            except MeasureError as error:
                if self._stopping():
                    return False
                names = [name for name, each in tuned.items() if each == workload]
                self._unmeasured.append(f"{', '.join(names)}: {error}")
        self._store.measured(measurements)
        return True

    def _confirmation(self, winners: dict[str, dict[str, object] | None]) -> list[TrialSpec]:
        cells = [cell for cell in self._plan.cells if cell.phase == "confirm"]
        # A variant of which every tuning trial failed is confirmed at the base's values: its failure is then an outcome.
        return [self._plan.trial(cell.variant, "confirm", cell.seed, winners[cell.variant] or {}) for cell in cells]

    def _drain(
        self,
        pending: Callable[[], Iterable[TrialSpec]],
        *,
        on_result: Callable[[TrialSpec, TrialResult], None],
        on_epoch: Callable[[TrialSpec, EpochRecord], Order],
    ) -> bool:
        """Run trials until no more are pending; whether all have a result. `pending` is asked again after results.

        A trial that failed is tried again alone, when nothing else can run: by then memory is free, and what happened by
        chance has passed. What depends on it, such as the choice at a search's end, waits for that: a search that went on
        without it would choose anew once it succeeds, and what was confirmed before would be for nothing.
        """
        queue: deque[TrialSpec] = deque()
        again: deque[TrialSpec] = deque()
        paused = False
        under_way: set[str] = set()
        epochs: list[tuple[TrialSpec, EpochRecord]] = []

        def answer(spec: TrialSpec, record: EpochRecord) -> Order:
            self._display.epoch(spec, record)
            epochs.append((spec, record))
            order = on_epoch(spec, record)
            return "pause" if order == "go" and self._stopping() and record.epoch < spec.config.train.epochs else order

        while True:
            queue.extend(pending())
            if again and not queue and not under_way:
                queue.append(again.popleft())
            found = False
            while queue and len(under_way) < self._executor.num_workers:
                spec = queue[0]
                known = self._known(spec)
                if known is None and self._stopping():
                    break
                queue.popleft()
                if known is not None:
                    found = True
                    if (once_more := _next_attempt(spec, known)) is not None:
                        self._num_failed[spec.id] = known.num_attempts
                        again.append(once_more)
                        continue
                    self._num_found += 1
                    if known.status == "failed":
                        self._given_up.append(_failure(spec, known))
                    else:
                        self._executor.forget(spec)
                    self._display.found(spec, known)
                    on_result(spec, known)
                    continue
                self._store.start(spec)
                self._display.started(spec)
                self._executor.submit(spec)
                under_way.add(spec.id)
            if not under_way:
                if found:
                    continue
                return not queue and not again and not paused
            # With its last node a cluster loses the epochs at whose end a trial would have paused.
            unanswered = self._executor.recall() if self._stopping() else []
            for ended in [*unanswered, *self._executor.wait(answer, WAIT_SECONDS)]:
                spec, result = ended.spec, self._counted(ended)
                under_way.discard(spec.id)
                # Records were answered before they are written, so that no worker waits for the store.
                self._write(epochs)
                # A failed attempt, too: a later run must know how many there were.
                self._store.end(spec, result)
                if result is None:
                    self._display.ended(spec, None)
                    paused = True
                    continue
                if (once_more := _next_attempt(spec, result)) is not None:
                    self._display.retrying(once_more, result)
                    again.append(once_more)
                    continue
                self._display.ended(spec, result)
                self._num_trained += 1
                if result.status != "failed":
                    self._executor.forget(spec)
                else:
                    self._given_up.append(_failure(spec, result))
                on_result(spec, result)
            self._write(epochs)

    def _known(self, spec: TrialSpec) -> TrialResult | None:
        """How a trial ended that is not to be run as it stands: it has a result, has failed, or is given up."""
        if spec.id in self._num_failed:
            return None
        known = self._store.claim(spec)
        if known is not None and known.status == "failed" and self._retry and _next_attempt(spec, known) is None:
            return None
        return known

    def _counted(self, ended: Ended) -> TrialResult | None:
        """How a trial ended, with the number of its attempts, and the parts of the last one."""
        if ended.result is None:
            return None
        spec = ended.spec
        result = replace(
            ended.result,
            num_attempts=self._num_failed.get(spec.id, 0) + 1,
            accumulated_parts=max(spec.accumulated_parts, ended.result.accumulated_parts),
        )
        if result.status == "failed":
            self._num_failed[spec.id] = result.num_attempts
        return result

    def _write(self, epochs: list[tuple[TrialSpec, EpochRecord]]) -> None:
        while epochs:
            self._store.epoch(*epochs.pop(0))


def _next_attempt(spec: TrialSpec, result: TrialResult) -> TrialSpec | None:
    """What is tried next of a trial after an attempt that failed; None where none did, or the trial is given up."""
    if result.status != "failed":
        return None
    # It was alone, so that its batch takes more memory than there is. In parts it makes the same step, but for batch statistics.
    if result.reason == "out_of_memory" and result.num_attempts > 1:
        num_parts = 2 * result.accumulated_parts
        fits = num_parts <= min(MAX_PARTS, spec.config.train.batch_size)
        if fits and not Workload.of(spec.config, spec.device).has_batch_statistics:
            return replace(spec, accumulated_parts=num_parts)
    if result.num_attempts < MAX_ATTEMPTS:
        return replace(spec, accumulated_parts=result.accumulated_parts)
    return None


def _failure(spec: TrialSpec, result: TrialResult) -> str:
    """A failed trial in one line."""
    attempts = plural(result.num_attempts, "attempt")
    return f"{spec.variant}, {spec.phase}, seed {spec.seed}: {result.outcome} after {attempts}: {result.message}"
