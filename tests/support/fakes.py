"""Stand-ins for the runner's ports. tests/contract holds them and the real ones to the same tests."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import tiny

from ablations.analysis.looks import TakenLook
from ablations.costs import Measurement, Workload
from ablations.looking import Looking
from ablations.planning.frozen import Ledger
from ablations.planning.plan import Plan
from ablations.runner import Outcome, Runner
from ablations.trial import Ended, EpochRecord, Order, Reason, TrialResult, TrialSpec
from ablations.tuning import VariantTuner

Training = Generator[EpochRecord, Order, TrialResult | None]


class InProcessExecutor:
    """Trains in this process; each wait runs one step of every trial."""

    def __init__(self, train: Callable[[TrialSpec], Training], num_workers: int = 2) -> None:
        self.num_workers = num_workers
        self.most_under_way = 0
        self.measured: list[Workload] = []
        self._train = train
        self._under_way: dict[str, tuple[TrialSpec, Training, Order | None]] = {}

    def submit(self, spec: TrialSpec) -> None:
        if len(self._under_way) == self.num_workers:
            raise RuntimeError("all workers are busy")
        self._under_way[spec.id] = (spec, self._train(spec), None)
        self.most_under_way = max(self.most_under_way, len(self._under_way))

    def wait(self, on_epoch: Callable[[TrialSpec, EpochRecord], Order], timeout_seconds: float) -> list[Ended]:
        ended = []
        for spec, training, order in list(self._under_way.values()):
            try:
                record = training.send(order)  # type: ignore[arg-type]
            except StopIteration as stop:
                ended.append(Ended(spec, stop.value))
            except Exception as error:  # noqa: BLE001
                message = f"{type(error).__name__}: {error}"
                reason: Reason = "out_of_memory" if isinstance(error, MemoryError) else "error"
                ended.append(Ended(spec, TrialResult(spec.id, "failed", message=message, reason=reason)))
            else:
                self._under_way[spec.id] = (spec, training, on_epoch(spec, record))
        for each in ended:
            del self._under_way[each.spec.id]
        return ended

    def recall(self) -> list[Ended]:
        return []

    def forget(self, spec: TrialSpec) -> None: ...

    def measure(self, workload: Workload, stopping: Callable[[], bool] = lambda: False) -> Measurement:
        if self._under_way:
            raise RuntimeError("a trial is under way")
        self.measured.append(workload)
        return tiny.measurement(processor=f"abacus {len(self.measured)}")

    def close(self) -> None:
        self._under_way.clear()


class FakeTraining:
    """Makes records up instead of training; remembers paused trials, as checkpoints do."""

    def __init__(self, accuracy: Callable[[TrialSpec], float] = lambda spec: 50.0) -> None:
        self.accuracy = accuracy
        self.started: list[TrialSpec] = []
        self.num_epochs = 0
        self.crashing: Callable[[TrialSpec], bool] = lambda spec: False
        self.hungry: Callable[[TrialSpec], bool] = lambda spec: False
        self.changed: Callable[[TrialResult], TrialResult] = lambda result: result
        self._paused: dict[str, int] = {}

    def __call__(self, spec: TrialSpec) -> Training:
        self.started.append(spec)
        return self._training(spec)

    def _training(self, spec: TrialSpec) -> Training:
        if self.crashing(spec):
            raise RuntimeError("out of luck")
        if self.hungry(spec):
            raise MemoryError("out of memory")
        done = self._paused.pop(spec.id, 0)
        whole = self.changed(tiny.result(spec, self.accuracy(spec)))
        for record in whole.epochs:
            self.num_epochs += record.epoch > done
            order = yield record
            if order == "pause":
                self._paused[spec.id] = record.epoch
                return None
            if order == "prune":
                return TrialResult(spec.id, "pruned", whole.epochs[: record.epoch])
        return whole


class MemoryStore:
    """Stores results in a dictionary; like a database, it outlives the store."""

    def __init__(
        self, results: dict[str, TrialResult] | None = None, measurements: dict[str, Measurement] | None = None
    ) -> None:
        self.results = {} if results is None else results
        self.settled_ids: set[str] = set()
        self.measurements = {} if measurements is None else measurements
        self.log: list[tuple[str, str]] = []
        self.ledgers: list[Ledger] = []

    def keep(self, ledger: Ledger) -> None:
        self.ledgers = [*self.ledgers, ledger] if not self.ledgers else [self.ledgers[0].with_records_of(ledger)]

    def known(self, spec: TrialSpec) -> TrialResult | None:
        return self.results.get(spec.id)

    def claim(self, spec: TrialSpec) -> TrialResult | None:
        return self.results.get(spec.id)

    def start(self, spec: TrialSpec) -> None:
        self.log.append(("start", spec.id))

    def epoch(self, spec: TrialSpec, record: EpochRecord) -> None:
        self.log.append((f"epoch {record.epoch}", spec.id))

    def end(self, spec: TrialSpec, result: TrialResult | None) -> None:
        self.log.append(("end", spec.id))
        if result is not None:
            self.results[spec.id] = result

    def settled(self, trial_ids: Sequence[str]) -> None:
        self.settled_ids = set(trial_ids)

    def measured(self, measurements: Mapping[str, Measurement]) -> None:
        self.measurements.clear()
        self.measurements.update(measurements)


class NoDisplay:
    """Shows nothing."""

    def found(self, spec: TrialSpec, result: TrialResult) -> None: ...
    def started(self, spec: TrialSpec) -> None: ...
    def epoch(self, spec: TrialSpec, record: EpochRecord) -> None: ...
    def ended(self, spec: TrialSpec, result: TrialResult | None) -> None: ...
    def retrying(self, spec: TrialSpec, result: TrialResult) -> None: ...
    def measuring(self, number: int, total: int) -> None: ...
    def warn(self, text: str) -> None: ...
    def needs(self, num_seeds: Mapping[str, int], num_examinations: Mapping[str, int]) -> None: ...
    def looked(self, look: TakenLook) -> None: ...


class Bench:
    """A store and a training that outlive runs, as a database and checkpoints do."""

    def __init__(self) -> None:
        self.training = FakeTraining()
        self.store = MemoryStore()
        self.shown: list[tuple[str, str]] = []
        self.executor: InProcessExecutor | None = None
        self.forget: Callable[[TrialSpec], None] = lambda spec: None

    def run(
        self,
        plan: Plan,
        *,
        num_workers: int = 2,
        deadline: float | None = None,
        interrupted: Callable[[], bool] = lambda: False,
        display: Any = None,
        retry: bool = False,
        futility: bool = True,
    ) -> Outcome:
        self.training.started.clear()
        self.training.num_epochs = 0
        self.executor = InProcessExecutor(self.training, num_workers)
        self.executor.forget = self.forget  # type: ignore[method-assign]
        display = display or NoDisplay()
        return Runner(
            plan,
            tuner=VariantTuner,
            confirmations=Looking(plan, self.store, display, futility=futility),
            executor=self.executor,
            store=self.store,
            display=display,
            deadline=deadline,
            interrupted=interrupted,
            retry=retry,
        ).run()

    @property
    def trained(self) -> list[tuple[str, str, int]]:
        return [(spec.phase, spec.variant, spec.seed) for spec in self.training.started]

    def confirmed(self) -> list[tuple[int, str]]:
        return [(seed, variant) for phase, variant, seed in self.trained if phase == "confirm"]
