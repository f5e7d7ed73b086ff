"""A study for Python: its plan, its run, its results."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

from ablations.errors import TrackingError
from ablations.paths import expanded
from ablations.studyfile.loading import StudyFile
from ablations.tracking.store import Address, Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from ablations.analysis.summary import StudySummary
    from ablations.planning.plan import Plan
    from ablations.reporting.shown import ReportPage
    from ablations.session import Ran


@dataclass(frozen=True)
class Study:
    """A study file, read and checked."""

    file: StudyFile
    name_given: str
    """The path or name that it was loaded by."""

    def __repr__(self) -> str:
        # Of the file's text a notebook's cell would be full.
        return f"Study({self.name_given!r}, profiles={list(self.profiles)})"

    @property
    def name(self) -> str:
        """Its name in the store."""
        return self.file.spec.study

    @property
    def profiles(self) -> tuple[str, ...]:
        """Its scales."""
        return tuple(self.file.spec.profiles)

    def plan(self, profile: str) -> Plan:
        """Plan a run on this machine.

        Args:
            profile: one of `profiles`.

        Raises:
            ablations.errors.StudyFileError: it cannot be planned; the message says why, and where in the file.
        """
        from ablations.execution.environment import detect
        from ablations.planning.checking import plan_study

        return plan_study(self.file, profile, detect())

    def run(
        self,
        profile: str,
        *,
        tracking_uri: str | None = None,
        data_dir: str | PathLike[str] | None = None,
        max_minutes: float | None = None,
        futility: bool = True,
        retry: bool = False,
    ) -> Ran:
        """Train the missing trials, record them in MLflow, and look at the results: the command `run` without its report.

        It needs no `if __name__ == "__main__"` around it. In the main thread an interrupt stops it at the end of the epochs
        under way, and the same call then goes on; in another thread only `max_minutes` does. Checkpoints are kept in this
        folder's `.ablations`.

        Args:
            profile: one of `profiles`.
            tracking_uri: MLflow store; None: $MLFLOW_TRACKING_URI, else mlflow.db in this folder.
            data_dir: folder of the data sets; None: $ABLATIONS_DATA, else `data` in this folder.
            max_minutes: stop after this time, between epochs; None trains to the end.
            futility: give no more seeds to a comparison that has less than a 10 % chance of a word.
            retry: retry trials given up after three failed attempts.

        Returns:
            The outcome, and the summary with its verdicts. The summary is recorded as a look.

        Raises:
            ablations.errors.StudyFileError: it cannot be planned; the message says why, and where in the file.
            ablations.errors.TrackingError: the store cannot be used, or another process runs the study.
            ablations.errors.SetupError: data or device is missing.
            OSError: a disk is full.
            KeyboardInterrupt: it was interrupted; all records are kept.
        """
        started = time.monotonic()
        from ablations import session
        from ablations.execution.environment import detect
        from ablations.terminal.consoles import plain_console
        from ablations.terminal.displays import PlainProgress

        machine, plan = detect(), self.plan(profile)
        # Lines, in a notebook too.
        display = PlainProgress(plan, machine.num_workers, plain_console())
        folder = expanded(data_dir or os.environ.get("ABLATIONS_DATA", "data"))
        request = session.RunRequest(
            plan,
            self.file.text,
            Store.at(tracking_uri),
            command=f"ablations.load({self.name_given!r}).run({profile!r})",
            deadline=None if max_minutes is None else started + 60 * max_minutes,
            futility=futility,
            retry=retry,
        )
        ran = session.run(request, session.local_executor(machine, folder, display), display)
        if ran.outcome.state == "interrupted":
            raise KeyboardInterrupt("all records are kept, and the same call continues")
        return ran

    def summary(self, profile: str, *, tracking_uri: str | None = None) -> StudySummary:
        """Summarize the recorded trials: costs, accuracies, contrasts with their verdicts.

        Verdicts share one error budget. So a summary with verdicts is recorded as a look, as a report is.

        Args:
            profile: of the recorded run.
            tracking_uri: MLflow store; None: $MLFLOW_TRACKING_URI, else mlflow.db in this folder.

        Raises:
            ablations.errors.TrackingError: the store cannot be used, or does not hold the study.
        """
        from ablations.session import look

        return look(self._address(profile, tracking_uri))

    def report(
        self, profile: str, *, output: str | PathLike[str] = "reports", tracking_uri: str | None = None
    ) -> ReportPage:
        """Write the report from the recorded trials, as the command `report` does. A notebook shows the page.

        Args:
            profile: of the recorded run.
            output: folder of all reports; this one is written into `<study>/<profile>` in it.
            tracking_uri: MLflow store; None: $MLFLOW_TRACKING_URI, else mlflow.db in this folder.

        Warns:
            UserWarning: the report is written, but MLflow cannot show it.

        Raises:
            ablations.errors.TrackingError: the store cannot be read, or does not hold the study.
            OSError: the report cannot be written.
        """
        from ablations.reporting.render import description, write_report
        from ablations.reporting.shown import ReportPage
        from ablations.text import timestamp
        from ablations.tracking.layout import MAX_TAG_CHARACTERS
        from ablations.tracking.publish import publish

        address = self._address(profile, tracking_uri)
        summary = self.summary(profile, tracking_uri=tracking_uri)
        folder = expanded(output) / address.study / address.profile
        page = write_report(summary, folder, created=timestamp())
        try:
            publish(address.store, summary, description(summary, max_characters=MAX_TAG_CHARACTERS), folder)
        except TrackingError as error:
            warnings.warn(f"the report is in {folder}, and not in MLflow: {error}", stacklevel=2)
        return ReportPage(page)

    def figure(self, name: str, profile: str, *, tracking_uri: str | None = None) -> Figure:
        """Draw one figure of the report from the recorded trials.

        Args:
            name: of a figure, such as `paired_differences`: the stem of its file in a report.
            profile: of the recorded run.
            tracking_uri: MLflow store; None: $MLFLOW_TRACKING_URI, else mlflow.db in this folder.

        Raises:
            ValueError: there is no such figure, or this study has nothing to draw in it.
            ablations.errors.TrackingError: the store cannot be used, or does not hold the study.
        """
        from ablations.reporting.figures import figure

        return figure(self.summary(profile, tracking_uri=tracking_uri), name)

    def results(self, profile: str, *, tracking_uri: str | None = None) -> DataFrame:
        """The recorded trials, one per row, with a column for each tuned hyperparameter.

        `summary` has the verdicts, and records the look at them.

        Args:
            profile: of the recorded run.
            tracking_uri: MLflow store; None: $MLFLOW_TRACKING_URI, else mlflow.db in this folder.

        Raises:
            ablations.errors.TrackingError: the store cannot be used, or does not hold the study.
        """
        from ablations.export import trials_frame
        from ablations.tracking.reader import read_study

        return trials_frame(read_study(self._address(profile, tracking_uri)).trials)

    def epochs(self, profile: str, *, tracking_uri: str | None = None) -> DataFrame:
        """The learning curves of the recorded trials, one row per trial and epoch.

        Args:
            profile: of the recorded run.
            tracking_uri: MLflow store; None: $MLFLOW_TRACKING_URI, else mlflow.db in this folder.

        Raises:
            ablations.errors.TrackingError: the store cannot be used, or does not hold the study.
        """
        from ablations.export import epochs_frame
        from ablations.progress import PHASES
        from ablations.tracking.reader import read_study

        stored = read_study(self._address(profile, tracking_uri), whole=PHASES)
        return epochs_frame(stored.trials)

    def _address(self, profile: str, tracking_uri: str | None) -> Address:
        return Address(self.name, profile, Store.at(tracking_uri))
