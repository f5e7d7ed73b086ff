"""One run of a study, put together: lock, recorder, search, workers, runner. Commands and Python run studies here."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from ablations import datasets, networks
from ablations.errors import SetupError, TrackingError
from ablations.ports import Display, Executor
from ablations.runner import Outcome, Runner
from ablations.tracking.store import Address, Store
from nin.config import ConfigError

if TYPE_CHECKING:
    from ablations.analysis.looks import TakenLook
    from ablations.analysis.summary import StudySummary
    from ablations.execution.cluster import Cluster
    from ablations.execution.cluster_executor import ClusterExecutor
    from ablations.execution.local import LocalExecutor
    from ablations.planning.plan import Plan
    from ablations.trial import Machine

CHECKPOINTS = Path(".ablations") / "checkpoints"
"""Folder of the trials' states: in the working folder, so that the same command there finds them."""


class Watched(Display, Protocol):
    """A display, shown while trials run."""

    def warn(self, text: str) -> None:
        """Warn of a fault; the study continues. From any thread."""

    def say(self, text: str) -> None:
        """Print a finding that changes only how long the study takes."""

    def needs(self, num_seeds: Mapping[str, int], num_examinations: Mapping[str, int]) -> None:
        """Number of seeds of each variant that are needed now, and of its trials in the cross-examination."""

    def looked(self, look: TakenLook) -> None:
        """A look was taken."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True)
class RunRequest:
    """A run of a study, decided before its first trial."""

    plan: Plan
    study_text: str
    """The study file."""
    store: Store
    """Remembers the trials."""
    command: str
    """Does the same again; recorded with the trials."""
    deadline: float | None = None
    """`time.monotonic()` after which trials pause at the end of their epoch; None for none."""
    weights_dir: Path | None = None
    """Folder in which the executor leaves weights, to be recorded as models; None records none."""
    futility: bool = True
    """Whether a contrast that is unlikely to get a word gets no more seeds."""
    is_warned: bool = False
    """Whether the user has been warned of verdicts that the plan cannot have, as far as that is known before tuning."""
    retry: bool = False
    """Whether given-up trials get as many attempts again."""
    elsewhere: Mapping[str, Any] = field(default_factory=dict)
    """Provenance of the machines that train, if they are not this one."""

    @property
    def address(self) -> Address:
        """Of the study in the store."""
        return Address(self.plan.study, self.plan.profile, self.store)


@dataclass(frozen=True)
class Ran:
    """How a run of a study ended."""

    outcome: Outcome
    waiting: str | None
    """Queued records and their file; None if the store has all."""
    trouble: str | None
    """Why the store did not take them."""
    summary: StudySummary | None
    """The results in the store, as `look` gives them; None while records are queued."""


def run(request: RunRequest, executor: Executor, display: Watched) -> Ran:
    """Train the missing trials of a plan, record them, and look at the results.

    In the main thread the first Ctrl-C or SIGTERM stops it between epochs, the second at once.

    Args:
        request: says what to run.
        executor: trains; it is closed at the end.
        display: shows.

    Raises:
        TrackingError: the store cannot be used, or another process runs the study.
        SetupError: data or device is missing.
        OSError: the spool cannot be kept, or is full.
    """
    from ablations.tracking.lock import hold

    try:
        with hold(request.address):
            return _run(request, executor, display)
    finally:
        executor.close()


def _run(request: RunRequest, executor: Executor, display: Watched) -> Ran:
    from ablations.analysis.code import PACKAGE_CODE
    from ablations.execution.environment import provenance
    from ablations.looking import Looking
    from ablations.tracking.recorder import Recorder
    from ablations.tuning import VariantTuner

    interrupts = _Interrupts()
    for text in _replaced_code(request):
        display.warn(text)
    plan = request.plan
    code = {**networks.installed_code(plan.networks), **datasets.installed_code(plan.data.name)}
    session = {**provenance(), PACKAGE_CODE: code, **request.elsewhere, "command": request.command}
    recorder = Recorder(
        request.store, request.plan, request.study_text, display.warn, session=session, weights_dir=request.weights_dir
    )
    complete = False
    try:
        with interrupts, display:
            outcome = Runner(
                request.plan,
                tuner=VariantTuner,
                confirmations=Looking(plan, recorder, display, futility=request.futility, is_warned=request.is_warned),
                executor=executor,
                store=recorder,
                display=display,
                deadline=request.deadline,
                interrupted=lambda: interrupts.seen,
                retry=request.retry,
            ).run()
        complete = outcome.state == "complete"
    finally:
        # However it ended: this process may run the study again, and only one thread may empty the spool.
        recorder.close(complete)
    waiting = recorder.waiting
    return Ran(outcome, waiting, recorder.trouble, None if waiting else look(request.address))


def _replaced_code(request: RunRequest) -> Iterator[str]:
    """Warn if found trials were trained with other code of a registered network than is installed now."""
    from ablations.analysis.code import replaced_code
    from ablations.tracking.reader import read_progress

    installed = networks.installed_code(request.plan.networks)
    # A study that is new, or whose store does not answer, is no reason to warn here.
    with suppress(TrackingError):
        if installed:
            yield from replaced_code(read_progress(request.address).code, installed)


def local_executor(
    machine: Machine, data_dir: Path, display: Watched, *, weights_dir: Path | None = None
) -> LocalExecutor:
    """Workers on this machine, their checkpoints in the working folder.

    Args:
        machine: decides how many there are, and their device.
        data_dir: of the data sets.
        display: gets warnings, and findings about the machine.
        weights_dir: folder of the final weights of confirmation trials; None keeps none.

    Raises:
        SetupError: checkpoints cannot be kept.
    """
    from ablations.execution.local import LocalExecutor

    return LocalExecutor(machine, data_dir, _checkpoints(), display.warn, display.say, weights_dir=weights_dir)


def connect(address: str) -> Cluster:
    """Connect to a Ray cluster.

    Args:
        address: "local" starts one on this machine, "auto" means the cluster of this machine, else HOST:PORT.

    Raises:
        SetupError: Ray is not installed, there is no such cluster, or its nodes cannot run the suite.
    """
    if address == "local":
        # Ray reads it once, when it is imported, and then listens on loopback only.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        from ablations.execution import cluster
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise SetupError(
            "a cluster needs Ray, which is not installed. Install the extra 'cluster' of this package, or only: python -m pip "
            "install 'ray>=2.59'"
        ) from error
    return cluster.connect(address)


def cluster_executor(cluster: Cluster, data_dir: Path, display: Watched) -> ClusterExecutor:
    """Workers on a connected cluster, their checkpoints in the working folder.

    Args:
        cluster: a connected one; decides how many there are, and their device.
        data_dir: of the data sets, on every node.
        display: gets warnings.

    Raises:
        SetupError: checkpoints cannot be kept.
    """
    from ablations.execution.cluster_executor import ClusterExecutor

    return ClusterExecutor(cluster, data_dir, _checkpoints(), display.warn)


def _checkpoints() -> Path:
    try:
        CHECKPOINTS.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"checkpoints cannot be kept in {CHECKPOINTS}: {error.strerror}. Run in a folder that is writable."
        ) from error
    return CHECKPOINTS


def look(address: Address) -> StudySummary:
    """Summarize the recorded trials. The looks in it are recorded: those with verdicts spend error budget.

    Raises:
        TrackingError: the store cannot be used or does not hold the study, or the package of a tuned network is not installed
            here.
    """
    from ablations.analysis.summarize import summarize
    from ablations.tracking.ledgers import record_looks
    from ablations.tracking.reader import read_study

    stored = read_study(address)
    try:
        summary = summarize(stored.plan, stored.trials, stored.provenance, stored.measurements, stored.ledgers)
    except ConfigError as error:
        raise TrackingError(f"the costs of {address.study} cannot be counted here: {error.message}") from error
    known = stored.ledgers[0]
    if any(look.alpha and look not in known.looks for look in summary.taken):
        record_looks(address.store, stored.provenance["parent_run_id"], replace(known, looks=summary.taken))
    return summary


class _Interrupts:
    """Counts Ctrl-C and SIGTERM while a study runs: the first stops it between epochs, the second at once.

    In another thread than the main one it hears of none: Python allows signal handlers only there.
    """

    def __init__(self) -> None:
        self.seen = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        is_main = threading.current_thread() is threading.main_thread()
        for number in (signal.SIGINT, signal.SIGTERM) if is_main else ():
            self._before[number] = signal.signal(number, self._interrupt)

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True
        sys.stderr.write("\nstopping at the end of this step; once more to stop at once\n")
