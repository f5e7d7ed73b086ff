"""A worker process as the driver holds it. Only the new process loads torch."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import ModuleType

from ablations.execution.memory import num_memory_kills
from ablations.execution.protocol import FromWorker, ToWorker, WorkerSetup
from ablations.trial import TrialSpec

DRIVERS_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals for the driver only; it tells its workers between epochs."""

_SPAWN = multiprocessing.get_context("spawn")


class WorkerDiedError(Exception):
    """A worker process ended; the message says how, such as `signal SIGSEGV`.

    Attributes:
        out_of_memory: whether the system killed the process because memory ran out.
    """

    def __init__(self, how: str, *, out_of_memory: bool) -> None:
        super().__init__(how)
        self.out_of_memory = out_of_memory


class WorkerProcess:
    """One worker: its process, restarted when necessary, and the driver's end of its pipe.

    Attributes:
        index: number among the workers.
        setup: its device and folders.
        connection: the driver's end of the pipe, to wait for several workers at once; a restart makes another one.
        spec: its trial; None while it is idle.
        silent_seconds: how long the driver has waited since the last message.
    """

    def __init__(self, index: int, setup: WorkerSetup) -> None:
        """Start the process.

        Args:
            index: number among the workers.
            setup: its device and folders.
        """
        self.index = index
        self.setup = setup
        self._start()

    def _start(self) -> None:
        self.spec: TrialSpec | None = None
        self.silent_seconds = 0.0
        self._num_memory_kills = num_memory_kills()
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=_live, args=(theirs, self.setup), daemon=True)
        with _signals_ignored(), _empty_main_module(), _same_hashes():
            process.start()
        theirs.close()
        # Only now: if the system refuses another process, `kill` and `join` still find the ended one.
        self.connection: Connection = ours
        self._process = process

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.is_alive()

    def train(self, spec: TrialSpec) -> None:
        """Give the worker a trial."""
        self.spec = spec
        self.silent_seconds = 0.0
        self.send(spec)

    def send(self, message: ToWorker) -> None:
        """Send a message; if the process is dead, nothing happens, since the next `receive` says so."""
        with suppress(ConnectionError):
            self.connection.send(message)

    def has_message(self, timeout_seconds: float) -> bool:
        """Wait until `receive` would return or raise at once; False if the timeout passes first."""
        try:
            return self.connection.poll(timeout_seconds)
        except OSError:
            return True

    def receive(self) -> FromWorker:
        """Wait for the next message.

        Raises:
            WorkerDiedError: the process ended instead.
        """
        try:
            message: FromWorker = self.connection.recv()
        except (EOFError, OSError):
            raise self._death() from None
        return message

    def answer(self, timeout_seconds: float) -> FromWorker:
        """The next message; None if the process ends or the timeout passes first."""
        with suppress(WorkerDiedError):
            return self.receive() if self.has_message(timeout_seconds) else None
        return None

    def restart(self) -> None:
        """End the process, which frees all its memory, and start another one."""
        self.kill()
        self.join()
        self._start()

    def kill(self) -> None:
        """Begin to end the process; its trial is lost."""
        self.connection.close()
        # Workers ignore SIGTERM, and a stopped process cannot handle it.
        self._process.kill()

    def join(self) -> None:
        """Wait for the end of the process."""
        self._process.join()

    def _death(self) -> WorkerDiedError:
        self.join()
        code = self._process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        killed = code == -signal.SIGKILL and num_memory_kills() > self._num_memory_kills
        return WorkerDiedError(how, out_of_memory=killed)


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Let a new process ignore the driver's signals from its first instant on.

    Ctrl-C goes to all processes of the terminal, SIGTERM to all processes of a job that a scheduler ends. Only the main thread
    may set this; the process of another thread ignores them once it has started.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, signal.SIG_IGN) for number in DRIVERS_SIGNALS if is_main}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _empty_main_module() -> Iterator[None]:
    """Keep a new process from importing the driver's main module.

    Each worker would otherwise run a script again that calls the suite without a guard.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _same_hashes() -> Iterator[None]:
    """Let a new process go through the texts of a set in the same order as every other worker.

    A package's network may be built from one, and draw its weights in that order.
    """
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = before


def _live(connection: Connection, setup: WorkerSetup) -> None:
    """The worker process: torch is loaded here, and never in the driver."""
    _print_on_stderr()
    for number in DRIVERS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Otherwise torch's profiler, which counts memory, writes to stderr.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    from ablations.execution.worker import work

    work(connection, setup)


def _print_on_stderr() -> None:
    """Send prints of a network, and of libraries below it, to standard error: they must not come between the driver's lines."""
    # Without a standard error, file descriptor 2 may be any file.
    os.dup2(os.open(os.devnull, os.O_WRONLY) if sys.stderr is None else 2, 1)
