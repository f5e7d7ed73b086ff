"""TODO"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType
from typing import Any

from ablations.costs import Measurement, Workload
from ablations.datasets import DATASETS
from ablations.errors import MeasureError, SetupError
from ablations.execution.checkpoints import remove_checkpoint
from ablations.execution.environment import num_cores
from ablations.execution.memory import num_memory_kills
from ablations.execution.probe import MOST, Probe, best_number
from ablations.execution.scratch import ScratchFolder
from ablations.execution.worker import DRIVERS_SIGNALS, Warned, failure, work
from ablations.execution.worker_process import WorkerProcess
from ablations.text import in_words, plural
from ablations.trial import Ended, EpochRecord, Machine, Order, Reason, TrialSpec
from nin.config import ConfigError

OnEpoch = Callable[[TrialSpec, EpochRecord], Order]


PATIENCE_SECONDS = 1800.0
"""A worker is never given up as hung earlier than this after it was last heard of: it may be fetching its data."""


PATIENCE_EPOCHS = 20
"""Nor earlier than this many times the longest epoch of the same variant."""


SLOWEST_FLOPS = 1e9
"""Nor, before any epoch of the variant has ended, while a processor of so many FLOP/s would still be in the first."""


class LocalExecutor:
    """Trains trials in worker processes, which start with the first trial and stay for the next."""

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
        """No worker yet.

        Args:
            machine: decides how many there are, and their device; on CUDA devices the first trial's network is probed,
                and there are more where that pays.
            data_dir: of the data sets.
            checkpoint_dir: of the trials' states.
            warn: hears what went wrong without ending a trial.
            say: hears what was found out about the machine.
            weights_dir: of the weights that confirmations end with, a file each; None keeps none.
            shared_dir: where workers leave the images that they have read and resized, for each other; None for a folder that
                is gone with this executor.
            share_devices: whether a CUDA device may take several trials at a time.
        """
        self._warn = warn
        self._say = say
        # On a CPU one a core is best, whatever the network.
        self._probed = machine.device == "cpu" or not share_devices
        self._longest_epoch: dict[str, float] = {}
        """Of a variant, in seconds."""
        self.num_workers = machine.num_workers
        self._device = machine.device
        self._num_devices = machine.num_workers
        self._data_dir = data_dir
        self._checkpoint_dir = checkpoint_dir
        self._weights_dir = weights_dir
        self._scratch: ScratchFolder | None = None
        if shared_dir is None:
            self._scratch = ScratchFolder()
            shared_dir = self._scratch.path
        self._shared_dir = shared_dir
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[WorkerProcess] = []

    def submit(self, spec: TrialSpec) -> None:
        """Start a trial. At most `num_workers` may be under way; the first trial on CUDA devices may raise their number.

        Raises:
            RuntimeError: every worker is busy.
        """
        if not self._probed:
            self.probe(Workload.of(spec.config, spec.device))
        worker = self._idle_worker()
        worker.spec, worker.silent_seconds = spec, 0.0
        self._send(worker, spec)

    def recall(self) -> list[Ended]:
        """None: here every trial under way has a worker."""
        return []

    def forget(self, spec: TrialSpec) -> None:
        """A trial is recorded: its checkpoint is not needed any more."""
        remove_checkpoint(self._checkpoint_dir, spec)

    def probe(self, workload: Workload) -> None:
        """Have as many workers a device as make the most of it, all training this network; takes some seconds each.

        Args:
            workload: what they train.

        Raises:
            RuntimeError: a trial is under way.
        """
        if any(worker.spec is not None for worker in self._workers):
            raise RuntimeError("a trial is under way, and would be measured with it")
        self._probed = True
        most = max(1, min(MOST, num_cores() // self._num_devices))
        number, gain = best_number(lambda each: self._rate(workload, each * self._num_devices), most)
        self.num_workers = number * self._num_devices
        self._end(self._workers[self.num_workers :])
        del self._workers[self.num_workers :]
        if number > 1:
            self._say(f"{number} trainings at a time on each device: {gain:.2f} times the images a second of one")

    def _rate(self, workload: Workload, number: int) -> float | None:
        """Images a second of so many workers together; None where one of them could not."""
        while len(self._workers) < number:
            self._workers.append(self._start(len(self._workers)))
        for worker in self._workers:
            self._send(worker, Probe(workload))
        # All are ready before any begins, or the first would have the device to itself for a while.
        answers = [self._answer(worker) for worker in self._workers]
        for worker, answer in zip(self._workers, answers, strict=True):
            if answer == "ready":
                self._send(worker, "go")
        # One that is not ready has said all it will, and would take the word for a trial.
        rates = [
            self._answer(worker) if answer == "ready" else answer
            for worker, answer in zip(self._workers, answers, strict=True)
        ]
        failed = [worker for worker, rate in zip(self._workers, rates, strict=True) if not isinstance(rate, float)]
        for worker in failed:
            # What it has allocated goes with it.
            worker.process.kill()
            self._restart(worker)
        return None if failed else sum(rates, 0.0)

    @staticmethod
    def _answer(worker: WorkerProcess) -> Any:
        """What a worker says to a probe; MeasureError where it died or hangs."""
        try:
            if worker.connection.poll(PATIENCE_SECONDS):
                return worker.connection.recv()
        except (EOFError, OSError):
            pass
        return MeasureError("no answer")

    def measure(self, workload: Workload, stopping: Callable[[], bool] = lambda: False) -> Measurement:
        """Measure what an architecture takes of this machine, with nothing beside it; takes seconds.

        Args:
            workload: what is measured.
            stopping: whether to give it up, asked twice a second.

        Raises:
            MeasureError: it cannot be measured here, or was given up.
            RuntimeError: a trial is under way.
            SetupError: there is no device.
        """
        if any(worker.spec is not None for worker in self._workers):
            raise RuntimeError("a trial is under way, and would be measured with it")
        worker = self._idle_worker()
        self._send(worker, workload)
        deadline = time.monotonic() + PATIENCE_SECONDS
        try:
            while not worker.connection.poll(0.5):
                if stopping() or time.monotonic() > deadline:
                    worker.process.kill()
                    self._restart(worker)
                    raise MeasureError(f"it took more than {PATIENCE_SECONDS:g} s, or the run was stopped")
            message = worker.connection.recv()
        except (EOFError, OSError):
            how = self._restart(worker)
            raise MeasureError(f"the worker process died: {how}") from None
        match message:
            case Measurement():
                return message
            case MeasureError():
                raise message
            case _:
                raise SetupError(message)

    def wait(self, on_epoch: OnEpoch, timeout_seconds: float) -> list[Ended]:
        """Wait until something happens; every epoch's record is answered with an order at once.

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
        """Wait until something happens: epochs, whose trials wait for an order, and the trials that ended.

        Args:
            timeout_seconds: longest wait.

        Raises:
            SetupError: a worker found no data or no device.
        """
        busy = {worker.connection: worker for worker in self._workers if worker.spec is not None}
        epochs, ended = [], []
        started = time.monotonic()
        ready = wait(list(busy), timeout_seconds)
        # At most the timeout: while this process was suspended, so may have been its workers.
        waited = min(time.monotonic() - started, timeout_seconds)
        for connection, worker in busy.items():
            if connection not in ready:
                worker.silent_seconds += waited
                if worker.silent_seconds > self._patience_seconds(worker.spec):
                    ended.append(self._give_up(worker))
                continue
            worker.silent_seconds = 0.0
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                ended.append(self._replace(worker))
                continue
            spec = worker.spec
            assert spec is not None
            match message:
                case EpochRecord():
                    longest = self._longest_epoch.get(spec.variant, 0.0)
                    self._longest_epoch[spec.variant] = max(longest, message.epoch_seconds)
                    epochs.append((spec, message))
                case Warned(text):
                    self._warn(text)
                case str():
                    raise SetupError(message)
                case _:
                    ended.append(Ended(spec, message))
                    if message is not None and message.reason == "out_of_memory":
                        # What it holds of it goes with the process.
                        worker.process.kill()
                        self._make_room(worker)
                    elif message is not None and message.reason == "error" and self._device == "cuda":
                        # So does what a device's error may leave behind: a context or a stream that no later trial could use.
                        worker.process.kill()
                        self._restart(worker)
                    else:
                        worker.spec = None
        return epochs, ended

    def instruct(self, spec: TrialSpec, order: Order) -> None:
        """Say how a trial goes on after an epoch that was listened to."""
        for worker in self._workers:
            if worker.spec == spec:
                self._send(worker, order)

    def close(self) -> None:
        """End all workers; what they are doing is lost."""
        self._end(self._workers)
        self._workers.clear()
        if self._scratch:
            self._scratch.close()

    @staticmethod
    def _end(workers: Sequence[WorkerProcess]) -> None:
        for worker in workers:
            worker.connection.close()
            # They heed no SIGTERM, and a stopped one could not.
            worker.process.kill()
        for worker in workers:
            worker.process.join()

    def _idle_worker(self) -> WorkerProcess:
        """A worker with nothing to do.

        Raises:
            RuntimeError: every worker is busy.
        """
        for index, each in enumerate(self._workers):
            if each.spec is None and not each.process.is_alive():
                self._workers[index] = self._start(each.index)  # killed while it was idle
        worker = next((each for each in self._workers if each.spec is None), None)
        if worker is None:
            if len(self._workers) == self.num_workers:
                raise RuntimeError(f"all {self.num_workers} workers are busy")
            taken = {each.index for each in self._workers}
            worker = self._start(next(index for index in range(self.num_workers) if index not in taken))
            self._workers.append(worker)
        return worker

    @staticmethod
    def _send(worker: WorkerProcess, message: TrialSpec | Workload | Probe | Order) -> None:
        # A worker that died meanwhile is noticed by the next wait, which names the cause.
        with suppress(ConnectionError):
            worker.connection.send(message)

    def _start(self, index: int) -> WorkerProcess:
        ours, theirs = self._context.Pipe()
        folders = self._data_dir, self._checkpoint_dir, self._shared_dir
        process = self._context.Process(
            target=work,
            args=(theirs, *folders, self._device, index % self._num_devices, self._weights_dir),
            daemon=True,
        )
        # Inherited by the worker: from its first instant on, a signal to all processes of the terminal, or of a job that
        # is ended, is the driver's matter.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in DRIVERS_SIGNALS}
        # A worker imports the main module anew, though it needs nothing of it: a script that runs a study at its top would
        # run it in each worker again.
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = main
            for number, handler in before.items():
                signal.signal(number, handler)
        theirs.close()
        return WorkerProcess(process, ours, index, num_memory_kills())

    def _patience_seconds(self, spec: TrialSpec | None) -> float:
        """How long a trial may be silent."""
        assert spec is not None
        longest = self._longest_epoch.get(spec.variant)
        if longest is None:
            data = spec.config.data
            num_images = data.train_size or DATASETS[data.name].num_train
            try:
                macs = Workload.of(spec.config, spec.device).costs.macs
            except ConfigError:
                macs = 0  # a registered network that refuses a dial's tuned value; its trial will say so
            # Forward and backward take three times the forward pass, and a MAC is two FLOPs.
            return PATIENCE_SECONDS + 6 * macs * num_images / SLOWEST_FLOPS
        return PATIENCE_SECONDS + PATIENCE_EPOCHS * longest

    def _give_up(self, worker: WorkerProcess) -> Ended:
        """A worker hangs: its trial failed, and another worker takes its place."""
        worker.process.kill()
        self._restart(worker)
        return self._failed(worker, "hung", f"nothing was heard of it for {in_words(worker.silent_seconds)}")

    def _replace(self, worker: WorkerProcess) -> Ended:
        """A worker died: its trial failed, and another worker takes its place, where there is room for it."""
        worker.process.join()
        if worker.process.exitcode == -signal.SIGKILL and num_memory_kills() > worker.num_memory_kills:
            ended = self._failed(worker, "out_of_memory", "the system killed the worker process")
            self._make_room(worker)
            return ended
        return self._failed(worker, "crashed", f"the worker process died: {self._restart(worker)}")

    @staticmethod
    def _failed(worker: WorkerProcess, reason: Reason, message: str) -> Ended:
        spec = worker.spec
        assert spec is not None
        return Ended(spec, failure(spec, reason, message))

    def _make_room(self, worker: WorkerProcess) -> None:
        """A worker ran out of memory, and ends: where others shared its device with it, there is one fewer from now on."""
        sharing = [each for each in self._workers if each.spec is not None and self._is_beside(each, worker)]
        if not sharing:
            self._restart(worker)
            return
        worker.process.join()
        self._workers.remove(worker)
        self.num_workers -= 1
        trials = plural(len(sharing) + 1, "trial")
        self._warn(f"memory was short with {trials} side by side; from now on one fewer at a time")

    def _is_beside(self, one: WorkerProcess, other: WorkerProcess) -> bool:
        """Whether two workers share a device's memory."""
        same = self._device == "cpu" or one.index % self._num_devices == other.index % self._num_devices
        return same and one is not other

    def _restart(self, worker: WorkerProcess) -> str:
        """Put another worker in a dead one's place; how it died."""
        worker.process.join()
        code = worker.process.exitcode or 0
        self._workers[self._workers.index(worker)] = self._start(worker.index)
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
