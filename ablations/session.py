"""One run of a study, put together: lock, recorder, search, workers, runner. The command line and Python both run studies here."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from ablations.runner import Display, Executor, Outcome, Runner
from nin.config import ConfigError

if TYPE_CHECKING:
    from ablations.analysis.summary import StudySummary
    from ablations.execution.cluster import Cluster
    from ablations.execution.cluster_executor import ClusterExecutor
    from ablations.execution.local import LocalExecutor
    from ablations.planning.plan import Plan
    from ablations.trial import Machine

CHECKPOINTS = Path(".ablations") / "checkpoints"
"""Folder of the trials' states; in the current one, so that the same command there finds them."""


class Watched(Display, Protocol):
    """A display that is shown while trials run."""

    def warn(self, text: str) -> None:
        """Something goes wrong, and the study goes on; from any thread."""

    def say(self, text: str) -> None:
        """Something was found out that changes nothing but how long the study takes."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True)
class Ran:
    """What came of a run."""

    outcome: Outcome
    waiting: str | None
    """Records that the store did not take, and where they are; None where it has all."""
    trouble: str | None
    """Why it did not take them."""
    summary: StudySummary | None
    """What the store now says, as `look` gives it; None while records wait for it."""


def run(
    plan: Plan,
    study_text: str,
    executor: Executor,
    display: Watched,
    *,
    tracking_uri: str,
    command: str,
    deadline: float | None,
    weights_dir: Path | None = None,
    retry: bool = False,
    elsewhere: Mapping[str, Any] = MappingProxyType({}),
) -> Ran:
    """Train what is missing of a plan, record it, and look at the results.

    The first Ctrl-C or SIGTERM stops it between epochs, the second at once. So it is run in the main thread.

    Args:
        plan: what is to be done.
        study_text: the study file.
        executor: trains; it is closed at the end.
        display: shows.
        tracking_uri: of the store.
        command: that does the same again; recorded with the trials.
        deadline: `time.monotonic()` after which trials pause at the end of their epoch; None for none.
        weights_dir: where the executor leaves weights, to be recorded as models; None records none.
        retry: whether trials that were given up get as many attempts again.
        elsewhere: what of the provenance is not this machine's, where others train.

    Raises:
        TrackingError: the store cannot be used, or another process runs the study.
        SetupError: data or device is missing.
        OSError: the spool cannot be kept, or is full.
    """
    from ablations.execution.environment import provenance
    from ablations.tracking.lock import hold
    from ablations.tracking.recorder import Recorder
    from ablations.tuning import VariantTuner

    interrupts = _Interrupts()
    try:
        with hold(tracking_uri, plan.study, plan.profile):
            session = {**provenance(), **elsewhere, "command": command}
            recorder = Recorder(tracking_uri, plan, study_text, display.warn, session=session, weights_dir=weights_dir)
            complete = False
            try:
                with interrupts, display:
                    outcome = Runner(
                        plan,
                        tuner=VariantTuner,
                        executor=executor,
                        store=recorder,
                        display=display,
                        deadline=deadline,
                        interrupted=lambda: interrupts.seen,
                        retry=retry,
                    ).run()
                complete = outcome.state == "complete"
            finally:
                # However it ended: this process may run the study again, and one thread only may empty the spool.
                recorder.close(complete)
            waiting = recorder.waiting
            summary = None if waiting else look(tracking_uri, plan.study, plan.profile)
            return Ran(outcome, waiting, recorder.trouble, summary)
    finally:
        executor.close()


def local_executor(
    machine: Machine, data_dir: Path, display: Watched, *, weights_dir: Path | None = None
) -> LocalExecutor:
    """Workers on this machine, their checkpoints in the current folder.

    Args:
        machine: decides how many there are, and their device.
        data_dir: of the data sets.
        display: hears what goes wrong without ending a trial, and what is found out about the machine.
        weights_dir: of the weights that confirmations end with; None keeps none.

    Raises:
        SetupError: checkpoints cannot be kept.
    """
    from ablations.execution.local import LocalExecutor

    return LocalExecutor(machine, data_dir, _checkpoints(), display.warn, display.say, weights_dir=weights_dir)


def connect(address: str) -> Cluster:
    """Connect to a Ray cluster.

    Args:
        address: "local" to start one on this machine, "auto" for the one that this machine is a node of, else HOST:PORT.

    Raises:
        SetupError: Ray is not installed, there is no such cluster, or its nodes cannot run the suite.
    """
    from ablations.errors import SetupError

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
    """Workers on a cluster that is connected to, their checkpoints in the current folder.

    Args:
        cluster: decides how many there are, and their device.
        data_dir: of the data sets, on every node.
        display: hears what went wrong without ending a trial.

    Raises:
        SetupError: checkpoints cannot be kept.
    """
    from ablations.execution.cluster_executor import ClusterExecutor

    return ClusterExecutor(cluster, data_dir, _checkpoints(), display.warn)


def _checkpoints() -> Path:
    from ablations.errors import SetupError

    try:
        CHECKPOINTS.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"checkpoints cannot be kept in {CHECKPOINTS}: {error.strerror}. Run in a folder that you may write to."
        ) from error
    return CHECKPOINTS


def look(tracking_uri: str, study: str, profile: str) -> StudySummary:
    """What the recorded trials say. Where it gives verdicts it is recorded as a look, which spends of the study's error budget.

    Raises:
        TrackingError: the store cannot be used, or does not hold the study, or a network whose dials were tuned is of a package
            that is not installed here.
    """
    from ablations.analysis.looks import gave_verdicts
    from ablations.analysis.summarize import summarize
    from ablations.errors import TrackingError
    from ablations.tracking.reader import read_study
    from ablations.tracking.recorder import record_looks

    stored = read_study(tracking_uri, study, profile)
    try:
        summary = summarize(stored.plan, stored.trials, stored.provenance, stored.measurements, stored.looks)
    except ConfigError as error:
        raise TrackingError(f"what {study} costs cannot be counted here: {error.message}") from error
    if gave_verdicts(summary) and stored.plan.this_look not in stored.looks:
        record_looks(tracking_uri, stored.provenance["parent_run_id"], [*stored.looks, stored.plan.this_look])
    return summary


class _Interrupts:
    """Counts Ctrl-C and SIGTERM while a study runs: the first stops it between epochs, the second at once."""

    def __init__(self) -> None:
        self.seen = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._interrupt)

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True
        sys.stderr.write("\nstopping at the end of this step; once more to stop at once\n")
