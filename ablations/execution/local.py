"""Runs trials on this machine: one process a core, or some a CUDA device, each training one trial at a time.

The driver imports no torch; the workers import no mlflow and no optuna.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from ablations.costs import MeasureError, Measurement, Workload
from ablations.datasets import DATASETS
from ablations.execution.environment import give_back_memory, keep_freed_memory, memory_error, num_cores
from ablations.execution.probe import MOST, Probe, best_number, train_for_a_moment
from ablations.execution.scratch import ScratchFolder
from ablations.plan import Machine
from ablations.trial import Device, Ended, EpochRecord, Order, Reason, TrialResult, TrialSpec
from ablations.units import in_words, mebibytes, plural, printable, raised
from nin.config import ConfigError

OnEpoch = Callable[[TrialSpec, EpochRecord], Order]

PATIENCE_SECONDS = 1800.0
"""A worker is never given up as hung earlier than this after it was last heard of: it may be fetching its data."""
PATIENCE_EPOCHS = 20
"""Nor earlier than this many times the longest epoch of the same variant."""
SLOWEST_FLOPS = 1e9
"""Nor, before any epoch of the variant has ended, while a processor of so many FLOP/s would still be in the first."""


PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
"""Where Linux tells of the system, and of groups of processes."""

_DRIVERS_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SetupError(Exception):
    """Workers cannot do any trial: data or device is missing. The message is for people."""


@dataclass(frozen=True)
class _Warned:
    """What a worker has to say to people while its trial goes on."""

    text: str


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    index: int
    """Among the workers; on CUDA it decides the device."""
    num_memory_kills: int
    """What the system had killed for want of memory when this one started."""
    spec: TrialSpec | None = None
    silent_seconds: float = 0.0
    """Waited for it since it was last heard of."""


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
        self._workers: list[_Worker] = []

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
    def _answer(worker: _Worker) -> Any:
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
                case _Warned(text):
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
    def _end(workers: Sequence[_Worker]) -> None:
        for worker in workers:
            worker.connection.close()
            # They heed no SIGTERM, and a stopped one could not.
            worker.process.kill()
        for worker in workers:
            worker.process.join()

    def _idle_worker(self) -> _Worker:
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
    def _send(worker: _Worker, message: TrialSpec | Workload | Probe | Order) -> None:
        # A worker that died meanwhile is noticed by the next wait, which names the cause.
        with suppress(ConnectionError):
            worker.connection.send(message)

    def _start(self, index: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        folders = self._data_dir, self._checkpoint_dir, self._shared_dir
        process = self._context.Process(
            target=work,
            args=(theirs, *folders, self._device, index % self._num_devices, self._weights_dir),
            daemon=True,
        )
        # Inherited by the worker: from its first instant on, a signal to all processes of the terminal, or of a job that
        # is ended, is the driver's matter.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in _DRIVERS_SIGNALS}
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
        return _Worker(process, ours, index, _num_memory_kills())

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

    def _give_up(self, worker: _Worker) -> Ended:
        """A worker hangs: its trial failed, and another worker takes its place."""
        worker.process.kill()
        self._restart(worker)
        return self._failed(worker, "hung", f"nothing was heard of it for {in_words(worker.silent_seconds)}")

    def _replace(self, worker: _Worker) -> Ended:
        """A worker died: its trial failed, and another worker takes its place, where there is room for it."""
        worker.process.join()
        if worker.process.exitcode == -signal.SIGKILL and _num_memory_kills() > worker.num_memory_kills:
            ended = self._failed(worker, "out_of_memory", "the system killed the worker process")
            self._make_room(worker)
            return ended
        return self._failed(worker, "crashed", f"the worker process died: {self._restart(worker)}")

    @staticmethod
    def _failed(worker: _Worker, reason: Reason, message: str) -> Ended:
        spec = worker.spec
        assert spec is not None
        return Ended(spec, failure(spec, reason, message))

    def _make_room(self, worker: _Worker) -> None:
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

    def _is_beside(self, one: _Worker, other: _Worker) -> bool:
        """Whether two workers share a device's memory."""
        same = self._device == "cpu" or one.index % self._num_devices == other.index % self._num_devices
        return same and one is not other

    def _restart(self, worker: _Worker) -> str:
        """Put another worker in a dead one's place; how it died."""
        worker.process.join()
        code = worker.process.exitcode or 0
        self._workers[self._workers.index(worker)] = self._start(worker.index)
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def failure(spec: TrialSpec, reason: Reason, message: str) -> TrialResult:
    """How a trial failed. One that ran out of memory, and whose batch cannot be split, is told which batch to choose."""
    # A store refuses some of what libraries say, such as bytes of a path that are no text, and with it all that waits behind.
    message = printable(message)
    workload = Workload.of(spec.config, spec.device)
    if reason == "out_of_memory" and workload.has_batch_statistics and workload.batch_size > 1:
        half = replace(workload, batch_size=workload.batch_size // 2)
        message += (
            f". Its batch cannot be split without changing what batch normalisation computes: choose a train.batch_size of "
            f"{half.batch_size}"
        )
        if half.memory is not None and workload.memory is not None:
            peaks = [mebibytes(each.peak_training_bytes) for each in (half.memory, workload.memory)]
            message += f", which takes {peaks[0]} instead of {peaks[1]}"
    return TrialResult(spec.id, "failed", message=message, reason=reason)


def _num_memory_kills() -> int:
    """Processes that the system has killed for want of memory, of this one's group where it has one; 0 where it does not say.

    A group is a container, a scheduler's job or a login. The whole system's count has what befell others in it.
    """
    for file in (*_memory_groups(), PROC / "vmstat"):
        with suppress(OSError, ValueError):
            counts = dict(line.split() for line in file.read_text().splitlines())
            return int(counts.get("oom_kill", 0))
    return 0


def _memory_groups() -> Iterator[Path]:
    """Files that may count the kills in this process's group, of both versions of cgroups."""
    with suppress(OSError, ValueError):
        for line in (PROC / "self" / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                yield CGROUPS / path.lstrip("/") / "memory.events"
            elif "memory" in controllers.split(","):
                yield CGROUPS / "memory" / path.lstrip("/") / "memory.oom_control"
    # In a container the path may be the host's, and the group's own folder stands here.
    yield CGROUPS / "memory.events"


def remove_checkpoint(folder: Path, spec: TrialSpec) -> None:
    """Remove what a trial that is recorded has left."""
    for suffix in (".pt", ".part"):
        _checkpoint(folder, spec).with_suffix(suffix).unlink(missing_ok=True)


def _checkpoint(folder: Path, spec: TrialSpec) -> Path:
    return folder / f"{spec.id}.pt"


def work(
    connection: Connection,
    data_dir: Path,
    checkpoint_dir: Path,
    shared_dir: Path,
    device: Device,
    index: int,
    weights_dir: Path | None = None,
) -> None:
    """A worker's life: take a trial, send its records, send its result, until the driver hangs up.

    A workload in a trial's place is measured, and a probe trains for a moment.
    """
    # The driver decides what an interrupt means; workers learn it between epochs.
    for number in _DRIVERS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # torch's profiler, which counts memory, writes to stderr otherwise.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    import torch

    from ablations.execution.data import DataError, DataSource
    from ablations.execution.train import CheckpointWarning, run_trial

    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
        if issubclass(category, CheckpointWarning):
            connection.send(_Warned(str(message)))
        else:
            shown(message, category, *rest, **named)

    warnings.showwarning = show
    # Each time, not once a place in the code.
    warnings.simplefilter("always", CheckpointWarning)
    # AdamW's, of a step that is run as it is: those before the recording, and of the smaller batch at an epoch's end.
    warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")
    # It is, where each map has one maximum: its gradient is added to a zero.
    warnings.filterwarnings("ignore", message="adaptive_max_pool2d_backward_cuda does not have a deterministic")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Deterministic mode writes NaN into all fresh memory, to show reads of it: a sixth of a small network's step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    keep_freed_memory()
    if device == "cuda":
        if not torch.cuda.is_available():
            connection.send(
                f"the CUDA driver shows a device, but this torch ({torch.__version__}) cannot use it. Install a torch built for "
                f"CUDA, or hide the device with CUDA_VISIBLE_DEVICES= to run on the CPU."
            )
            return
        torch.cuda.set_device(index)
        torch.backends.cudnn.benchmark = False
    source = DataSource(data_dir, device, shared_dir)
    try:
        while True:
            spec: TrialSpec | Workload | Probe = connection.recv()
            if isinstance(spec, Workload):
                connection.send(_measured(spec))
                continue
            if isinstance(spec, Probe):
                connection.send(_probed(spec, connection))
                continue
            weights = None if weights_dir is None else weights_dir / f"{spec.id}.pt"
            trial = run_trial(spec, source, _checkpoint(checkpoint_dir, spec), weights)
            try:
                record = next(trial)
                while True:
                    connection.send(record)
                    record = trial.send(connection.recv())
            except StopIteration as stop:
                # Before the driver hears of it: what it runs next may be a trial that wants all the memory there is.
                give_back_memory()
                torch.cuda.empty_cache()
                connection.send(stop.value)
            except DataError as error:
                connection.send(str(error))
            except (EOFError, ConnectionError):
                raise
            # Whatever fails is that trial's result, not the study's end.
            except Exception as error:  # noqa: BLE001
                short = memory_error(error)
                reason: Reason = "error" if short is None else "out_of_memory"
                connection.send(failure(spec, reason, raised(short or error)))
    except (EOFError, ConnectionError):
        return  # the driver is gone


def _measured(workload: Workload) -> Measurement | MeasureError:
    import torch

    from ablations.execution.measure import measure

    try:
        return measure(workload)
    # Whatever fails leaves these costs unknown; the study goes on.
    except Exception as error:  # noqa: BLE001
        return MeasureError(raised(error))
    finally:
        with suppress(RuntimeError):  # of a device that an error has left unusable
            torch.cuda.empty_cache()


def _probed(probe: Probe, connection: Connection) -> float | MeasureError:
    def wait() -> None:
        connection.send("ready")
        connection.recv()

    try:
        return train_for_a_moment(probe.workload, wait)
    except (EOFError, ConnectionError):
        raise
    # Whatever fails, so many of it do not go here; and the trial itself will say why.
    except Exception as error:  # noqa: BLE001
        return MeasureError(raised(error))
