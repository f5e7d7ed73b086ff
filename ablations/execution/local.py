"""Trains trials on this machine: sets the number of worker processes, and gives each of them its trials."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from pathlib import Path

from ablations.costs import Measurement, Workload
from ablations.datasets import DATASETS
from ablations.errors import MeasureError, SetupError
from ablations.execution.environment import num_cores
from ablations.execution.folders import Folders
from ablations.execution.probe import MOST, best_number
from ablations.execution.protocol import Probe, Warned, WorkerSetup, failed
from ablations.execution.scratch import ScratchFolder
from ablations.execution.worker_process import WorkerDiedError, WorkerProcess
from ablations.text import in_words, plural
from ablations.trial import Ended, EpochRecord, Machine, Order, TrialResult, TrialSpec
from nin.config import ConfigError

OnEpoch = Callable[[TrialSpec, EpochRecord], Order]
"""Decides after each epoch how its trial goes on."""

HANG_SECONDS = 1800.0
"""A worker counts as hung after this much silence at the earliest: it may be downloading its data."""

HANG_EPOCHS = 20
"""Added to that: this many times the longest epoch of the same variant."""

SLOWEST_FLOPS = 1e9
"""Added until an epoch of the variant has ended: the time of its first epoch on a processor of this many FLOP/s."""


class LocalExecutor:
    """Trains trials in worker processes, which start with the first trials and serve the later ones, too."""

    def __init__(
        self,
        machine: Machine,
        data_dir: Path,
        checkpoint_dir: Path,
        warn: Callable[[str], None] = warnings.warn,
        say: Callable[[str], None] = lambda text: None,
        weights_dir: Path | None = None,
        shared_dir: Path | None = None,
        share_devices: bool = True,
    ) -> None:
        """Start no worker yet.

        Args:
            machine: sets the device and the number of workers. On CUDA the first trial's network is probed, and more workers
                start if they raise the images per second.
            data_dir: folder of the data sets.
            checkpoint_dir: folder of the trials' states.
            warn: is called with problems, except for failed trials.
            say: is called with findings about the machine.
            weights_dir: folder for the final weights of confirmation trials, a file each; None keeps none.
            shared_dir: folder for images after reading and resizing, for all workers to map; None makes one, and `close` removes it.
            share_devices: whether a CUDA device may take several trials in parallel.
        """
        self._warn = warn
        self._say = say
        # On a CPU one worker per core is best for every network.
        self._probed = machine.device == "cpu" or not share_devices
        self._longest_epoch_seconds: dict[str, float] = {}
        """By variant."""
        self.num_workers = machine.num_workers
        self._device = machine.device
        self._num_devices = machine.num_workers
        self._scratch = ScratchFolder() if shared_dir is None else None
        shared = self._scratch.path if self._scratch else shared_dir
        assert shared is not None
        self._folders = Folders(data_dir, checkpoint_dir, shared, weights_dir)
        self._workers: list[WorkerProcess] = []

    def submit(self, spec: TrialSpec) -> None:
        """Start a trial. At most `num_workers` may be under way; on CUDA the first one may raise their number.

        Raises:
            RuntimeError: every worker is busy.
        """
        if not self._probed:
            self.probe(Workload.of(spec.config, spec.device))
        self._idle_worker().train(spec)

    def recall(self) -> list[Ended]:
        """None: every trial under way has a worker here."""
        return []

    def forget(self, spec: TrialSpec) -> None:
        """Remove the checkpoint of a recorded trial."""
        self._folders.remove_checkpoint(spec)

    def probe(self, workload: Workload) -> None:
        """Set the number of workers to the one with the most images per second in total; takes seconds per number tried.

        Args:
            workload: the network to train meanwhile.

        Raises:
            RuntimeError: a trial is under way.
        """
        self._refuse_if_busy()
        self._probed = True
        most = max(1, min(MOST, num_cores() // self._num_devices))
        number, gain = best_number(lambda each: self._rate(workload, each * self._num_devices), most)
        self.num_workers = number * self._num_devices
        _end(self._workers[self.num_workers :])
        del self._workers[self.num_workers :]
        if number > 1:
            self._say(f"{number} trials in parallel on each device: {gain:.2f} times the images per second of one")

    def _rate(self, workload: Workload, number: int) -> float | None:
        """Images per second of this many workers together; None if one of them cannot train."""
        while len(self._workers) < number:
            self._workers.append(self._new_worker(len(self._workers)))
        for worker in self._workers:
            worker.send(Probe(workload))
        # All are ready before any begins, or the first would have the device to itself for a while.
        ready = [worker for worker in self._workers if worker.answer(HANG_SECONDS) == "ready"]
        for worker in ready:
            worker.send("go")
        answers = {worker: worker.answer(HANG_SECONDS) for worker in ready}
        rates = {worker: rate for worker, rate in answers.items() if isinstance(rate, float)}
        for worker in self._workers:
            if worker not in rates:
                worker.restart()
        return sum(rates.values()) if len(rates) == len(self._workers) else None

    def measure(self, workload: Workload, stopping: Callable[[], bool] = lambda: False) -> Measurement:
        """Measure memory and speed of an architecture on this machine, with no trial in parallel; takes seconds.

        Args:
            workload: the architecture and how it is trained.
            stopping: whether to give up; asked twice a second.

        Raises:
            MeasureError: it cannot be measured here, or the measurement was given up.
            RuntimeError: a trial is under way.
            SetupError: there is no device.
        """
        self._refuse_if_busy()
        worker = self._idle_worker()
        worker.send(workload)
        deadline = time.monotonic() + HANG_SECONDS
        while not worker.has_message(0.5):
            if stopping() or time.monotonic() > deadline:
                worker.restart()
                raise MeasureError(f"it took more than {HANG_SECONDS:g} s, or the run was stopped")
        try:
            message = worker.receive()
        except WorkerDiedError as death:
            worker.restart()
            raise MeasureError(f"the worker process died: {death}") from None
        if isinstance(message, MeasureError | SetupError):
            raise message
        assert isinstance(message, Measurement)
        return message

    def wait(self, on_epoch: OnEpoch, timeout_seconds: float) -> list[Ended]:
        """Wait until something happens, and answer each epoch's record at once.

        Args:
            on_epoch: decides how a trial goes on.
            timeout_seconds: longest wait.

        Returns:
            The trials that ended meanwhile.

        Raises:
            SetupError: a worker found no data or no device.
        """
        epochs, ended = self.listen(timeout_seconds)
        for spec, record in epochs:
            self.instruct(spec, on_epoch(spec, record))
        return ended

    def listen(self, timeout_seconds: float) -> tuple[list[tuple[TrialSpec, EpochRecord]], list[Ended]]:
        """Wait until something happens.

        Args:
            timeout_seconds: longest wait.

        Returns:
            Records of epochs, whose trials now wait for `instruct`; and the trials that ended.

        Raises:
            SetupError: a worker found no data or no device.
        """
        busy = [(worker, worker.spec) for worker in self._workers if worker.spec is not None]
        started = time.monotonic()
        ready = wait([worker.connection for worker, _ in busy], timeout_seconds)
        # At most the timeout: if this process was suspended, its workers may have been, too.
        waited = min(time.monotonic() - started, timeout_seconds)
        epochs: list[tuple[TrialSpec, EpochRecord]] = []
        ended: list[Ended] = []
        for worker, spec in busy:
            if worker.connection not in ready:
                worker.silent_seconds += waited
                if worker.silent_seconds > self._patience_seconds(spec):
                    ended.append(self._hung(worker, spec))
                continue
            worker.silent_seconds = 0.0
            try:
                message = worker.receive()
            except WorkerDiedError as death:
                ended.append(self._lost(worker, spec, death))
                continue
            match message:
                case EpochRecord():
                    longest = self._longest_epoch_seconds.get(spec.variant, 0.0)
                    self._longest_epoch_seconds[spec.variant] = max(longest, message.epoch_seconds)
                    epochs.append((spec, message))
                case Warned(text):
                    self._warn(text)
                case SetupError():
                    raise message
                case _:
                    assert message is None or isinstance(message, TrialResult)
                    ended.append(Ended(spec, message))
                    self._release(worker, message)
        return epochs, ended

    def instruct(self, spec: TrialSpec, order: Order) -> None:
        """Send the order that answers a record from `listen`."""
        for worker in self._workers:
            if worker.spec == spec:
                worker.send(order)

    def close(self) -> None:
        """End all workers; trials under way lose all progress since their checkpoints."""
        _end(self._workers)
        self._workers.clear()
        if self._scratch:
            self._scratch.close()

    def _refuse_if_busy(self) -> None:
        if any(worker.spec is not None for worker in self._workers):
            raise RuntimeError("a trial is under way, and would disturb the measurement")

    def _new_worker(self, index: int) -> WorkerProcess:
        return WorkerProcess(index, WorkerSetup(self._folders, self._device, index % self._num_devices))

    def _idle_worker(self) -> WorkerProcess:
        """A worker without a trial.

        Raises:
            RuntimeError: every worker is busy.
        """
        for worker in self._workers:
            if worker.spec is None:
                if not worker.is_alive:
                    worker.restart()  # somebody killed it while it was idle
                return worker
        if len(self._workers) == self.num_workers:
            raise RuntimeError(f"all {self.num_workers} workers are busy")
        taken = {worker.index for worker in self._workers}
        self._workers.append(self._new_worker(next(each for each in range(self.num_workers) if each not in taken)))
        return self._workers[-1]

    def _patience_seconds(self, spec: TrialSpec) -> float:
        """How long a trial's worker may send nothing before it counts as hung."""
        longest = self._longest_epoch_seconds.get(spec.variant)
        if longest is not None:
            return HANG_SECONDS + HANG_EPOCHS * longest
        data = spec.config.data
        num_images = data.train_size or DATASETS[data.name].num_train
        try:
            macs = Workload.of(spec.config, spec.device).costs.macs
        except ConfigError:
            macs = 0  # a registered network refuses a tuned value; its trial will say so
        # Forward and backward take three times the forward pass, and a MAC is two FLOPs.
        return HANG_SECONDS + 6 * macs * num_images / SLOWEST_FLOPS

    def _hung(self, worker: WorkerProcess, spec: TrialSpec) -> Ended:
        silent = in_words(worker.silent_seconds)
        worker.restart()
        return Ended(spec, failed(spec, "hung", f"the worker process sent nothing for {silent}"))

    def _lost(self, worker: WorkerProcess, spec: TrialSpec, death: WorkerDiedError) -> Ended:
        """A worker died, and its trial failed with it."""
        if death.out_of_memory:
            self._make_room(worker)
            return Ended(spec, failed(spec, "out_of_memory", "the system killed the worker process"))
        worker.restart()
        return Ended(spec, failed(spec, "crashed", f"the worker process died: {death}"))

    def _release(self, worker: WorkerProcess, result: TrialResult | None) -> None:
        """A trial has left its worker; restart the worker if remains of the trial could harm the next one."""
        if result is not None and result.reason == "out_of_memory":
            self._make_room(worker)
        elif result is not None and result.reason == "error" and self._device == "cuda":
            # The error may have left a context or a stream behind that no later trial could use.
            worker.restart()
        else:
            worker.spec = None

    def _make_room(self, worker: WorkerProcess) -> None:
        """A worker ran out of memory: end it, and start another one only if no other trial shares the memory."""
        sharing = [each for each in self._workers if each.spec is not None and self._share_memory(each, worker)]
        if not sharing:
            worker.restart()
            return
        _end([worker])
        self._workers.remove(worker)
        self.num_workers -= 1
        trials = plural(len(sharing) + 1, "trial")
        self._warn(f"out of memory with {trials} in parallel; the rest of this run trains one fewer at a time")

    def _share_memory(self, one: WorkerProcess, other: WorkerProcess) -> bool:
        """Whether two different workers share a device's memory."""
        same = self._device == "cpu" or one.setup.device_index == other.setup.device_index
        return same and one is not other


def _end(workers: Sequence[WorkerProcess]) -> None:
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.join()
