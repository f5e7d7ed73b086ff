"""The only orchestration: look by look it tunes and confirms the variants, within a budget, and can be resumed.

At the end, when nothing else runs, it measures each architecture's memory and speed once.

A recorded trial is never trained again: the loop asks for trials in the plan's order, and takes known ones from the store.
So a first run, a resumed run and a run with a new variant are the same code.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Literal

from ablations.costs import Workload
from ablations.errors import MeasureError
from ablations.planning.plan import Plan, search_of_tuning
from ablations.ports import Confirmations, Display, Executor, Searched, Step, TrialStore, Tuner
from ablations.text import plural
from ablations.trial import MAX_ATTEMPTS, MAX_PARTS, Ended, EpochRecord, Order, TrialResult, TrialSpec

WAIT_SECONDS = 0.5
"""Longest sleep of the loop: it must notice an interrupt and the end of the budget."""
State = Literal["complete", "budget", "interrupted"]


@dataclass(frozen=True)
class Outcome:
    """How a run of a study ended."""

    state: State
    num_trained: int
    """Number of trials with a result from this run."""
    num_found: int
    """Number of trials with a recorded result."""
    unmeasured: tuple[str, ...] = ()
    """Why architectures could not be measured."""
    given_up: tuple[str, ...] = ()
    """Messages of trials with too many failures for a retry, in this run or before it."""


@dataclass
class _Phase:
    """Trials of one phase on their way to a result."""

    pending: Callable[[], Iterable[TrialSpec]]
    """The trials that can start now; called again after results."""
    on_result: Callable[[TrialSpec, TrialResult], None] = lambda spec, result: None
    on_epoch: Callable[[TrialSpec, EpochRecord], Order] = lambda spec, record: "go"
    queue: deque[TrialSpec] = field(default_factory=deque)
    retries: deque[TrialSpec] = field(default_factory=deque)
    """To start one by one when nothing else can run."""
    under_way: set[str] = field(default_factory=set)
    """Ids of the executor's trials."""
    paused: bool = False
    """Whether any trial left its worker without a result."""


class Runner:
    """Drives one study at one profile to its end, or to the end of the budget."""

    def __init__(
        self,
        plan: Plan,
        *,
        tuner: Callable[[Plan, str, int], Tuner],
        confirmations: Confirmations,
        executor: Executor,
        store: TrialStore,
        display: Display,
        deadline: float | None,
        interrupted: Callable[[], bool],
        retry: bool = False,
    ) -> None:
        """Start nothing yet.

        Args:
            plan: the study's plan.
            tuner: makes a search of a variant, given its name and the number of the search.
            confirmations: decides which searches and confirmation trials are needed.
            executor: trains.
            store: remembers.
            display: shows.
            deadline: `time.monotonic()` after which trials pause at the end of their epoch; None for no limit.
            interrupted: whether the user asked to stop.
            retry: whether given-up trials get as many attempts again.
        """
        self._plan = plan
        self._tuner = tuner
        self._confirmations = confirmations
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
        """Ids of the tuning trials, each as often as the search asked for it."""
        self._unwritten: deque[tuple[TrialSpec, EpochRecord]] = deque()
        """Epochs that are answered and not in the store yet: no worker waits for the store."""
        self._num_failed: dict[str, int] = {}
        """Failed attempts, by id, at the trials to retry."""

    def run(self) -> Outcome:
        """Tune, confirm, measure."""
        winners: dict[Searched, dict[str, object] | None] = {}
        results: dict[str, TrialResult] = {}
        complete = True
        while complete and (step := self._confirmations.next(results)) != Step():
            complete = self._tune(step.searches, winners) if step.searches else self._confirm(step.trials, results)
        complete = complete and self._measure(winners)
        state: State = "complete" if complete else "interrupted" if self._interrupted() else "budget"
        return Outcome(state, self._num_trained, self._num_found, tuple(self._unmeasured), tuple(self._given_up))

    def _stopping(self) -> bool:
        return self._interrupted() or (self._deadline is not None and time.monotonic() > self._deadline)

    def _tune(self, searches: Sequence[Searched], winners: dict[Searched, dict[str, object] | None]) -> bool:
        """Whether searches came to their ends; `winners` receives their values."""
        tuners = {each: self._tuner(self._plan, *each) for each in searches if self._plan.tuned}

        def of(spec: TrialSpec) -> Tuner:
            return tuners[spec.variant, search_of_tuning(spec.seed)]

        def pending() -> Iterable[TrialSpec]:
            # Number by number: if the budget runs out, every variant has been searched about equally far.
            in_turn = zip_longest(*(tuner.ask() for tuner in tuners.values()))
            return (spec for specs in in_turn for spec in specs if spec)

        phase = _Phase(
            pending,
            on_result=lambda spec, result: of(spec).tell(result),
            on_epoch=lambda spec, record: of(spec).report(spec, record),
        )
        self._drain(phase)
        if not all(tuner.done for tuner in tuners.values()):
            return False
        self._asked += [spec.id for tuner in tuners.values() for spec in tuner.asked]
        winners |= {each: tuners[each].winner if each in tuners else {} for each in searches}
        self._store.settled([*self._asked, *self._confirmations.tuned(winners)])
        return True

    def _confirm(self, specs: Iterable[TrialSpec], results: dict[str, TrialResult]) -> bool:
        """Whether confirmation trials all came to their ends; `results` receives theirs."""

        def keep(spec: TrialSpec, result: TrialResult) -> None:
            results[spec.id] = result

        once = iter([specs])
        return self._drain(_Phase(lambda: next(once, []), on_result=keep))

    def _measure(self, winners: Mapping[Searched, dict[str, object] | None]) -> bool:
        """Whether every architecture was measured, or cannot be: at the values of each variant's first search.

        If one is new, all are measured again: a report compares measurements taken side by side.
        """
        first = self._plan.first_search
        tuned = {name: self._plan.workload(name, each) for (name, search), each in winners.items() if search == first}
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

    def _drain(self, phase: _Phase) -> bool:
        """Run trials until no more are pending; whether all have a result.

        A failed trial is retried alone, when nothing else can run: memory is free by then, and an accident has passed.
        Choices that depend on it, such as the winner of a search, wait for the retry. A search that went on without it
        would choose again once it succeeds, and the confirmations trained in between would be wasted.
        """

        def answer(spec: TrialSpec, record: EpochRecord) -> Order:
            self._display.epoch(spec, record)
            self._unwritten.append((spec, record))
            order = phase.on_epoch(spec, record)
            return "pause" if order == "go" and self._stopping() and record.epoch < spec.config.train.epochs else order

        while True:
            phase.queue.extend(phase.pending())
            if phase.retries and not phase.queue and not phase.under_way:
                phase.queue.append(phase.retries.popleft())
            found = self._start(phase)
            if not phase.under_way:
                if found:
                    continue
                return not phase.queue and not phase.retries and not phase.paused
            # A cluster that lost its last node never ends the epochs after which its trials would pause.
            recalled = self._executor.recall() if self._stopping() else []
            for ended in [*recalled, *self._executor.wait(answer, WAIT_SECONDS)]:
                self._end(ended, phase)
            self._write()

    def _start(self, phase: _Phase) -> bool:
        """Start queued trials while workers are free; whether the store already had results for some."""
        found = False
        while phase.queue and len(phase.under_way) < self._executor.num_workers:
            spec = phase.queue[0]
            known = self._known(spec)
            if known is None and self._stopping():
                break
            phase.queue.popleft()
            if known is None:
                self._store.start(spec)
                self._display.started(spec)
                self._executor.submit(spec)
                phase.under_way.add(spec.id)
                continue
            found = True
            if (retry := _next_attempt(spec, known)) is not None:
                self._num_failed[spec.id] = known.num_attempts
                phase.retries.append(retry)
                continue
            self._num_found += 1
            self._let_go(spec, known)
            self._display.found(spec, known)
            phase.on_result(spec, known)
        return found

    def _end(self, ended: Ended, phase: _Phase) -> None:
        """Record a trial that left its worker: it paused, will be retried, or has its result."""
        spec, result = ended.spec, self._counted(ended)
        phase.under_way.discard(spec.id)
        self._write()
        # A failed attempt is recorded, too: a later run must know how many there were.
        self._store.end(spec, result)
        if result is None:
            self._display.ended(spec, None)
            phase.paused = True
        elif (retry := _next_attempt(spec, result)) is not None:
            self._display.retrying(retry, result)
            phase.retries.append(retry)
        else:
            self._display.ended(spec, result)
            self._num_trained += 1
            self._let_go(spec, result)
            phase.on_result(spec, result)

    def _let_go(self, spec: TrialSpec, result: TrialResult) -> None:
        """Give a failed trial up; forget the checkpoint of any other."""
        if result.status == "failed":
            self._given_up.append(_failure(spec, result))
        else:
            self._executor.forget(spec)

    def _known(self, spec: TrialSpec) -> TrialResult | None:
        """The recorded result of a trial, unless it is to run now: a retry, or a given-up trial with `retry`."""
        if spec.id in self._num_failed:
            return None
        known = self._store.claim(spec)
        if known is not None and known.status == "failed" and self._retry and _next_attempt(spec, known) is None:
            return None
        return known

    def _counted(self, ended: Ended) -> TrialResult | None:
        """The trial's result, with the number of attempts and the parts of the last one."""
        if ended.result is None:
            return None
        num_attempts = self._num_failed.get(ended.spec.id, 0) + 1
        parts = max(ended.spec.accumulated_parts, ended.result.accumulated_parts)
        if ended.result.status == "failed":
            self._num_failed[ended.spec.id] = num_attempts
        return replace(ended.result, num_attempts=num_attempts, accumulated_parts=parts)

    def _write(self) -> None:
        while self._unwritten:
            self._store.epoch(*self._unwritten.popleft())


def _next_attempt(spec: TrialSpec, result: TrialResult) -> TrialSpec | None:
    """The next attempt at a trial that failed; None if it did not fail, or is given up."""
    if result.status != "failed":
        return None
    # It ran alone, so its batch takes more memory than there is. In parts it makes the same step, but for batch statistics.
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
