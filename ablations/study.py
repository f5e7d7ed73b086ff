"""A study for Python: what it would do, and what came of it. Runs are the command line's: they have workers, locks and interrupts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablations.loading import StudyFile

if TYPE_CHECKING:
    from pandas import DataFrame

    from ablations.plan import Plan


@dataclass(frozen=True)
class Study:
    """A study file that was read and checked."""

    file: StudyFile

    @property
    def name(self) -> str:
        """Under which its results are recorded."""
        return self.file.spec.study

    @property
    def profiles(self) -> tuple[str, ...]:
        """Scales that it can be run at."""
        return tuple(self.file.spec.profiles)

    def plan(self, profile: str, *, extend: bool = False) -> Plan:
        """All that a run on this machine would do.

        Args:
            profile: one of `profiles`.
            extend: for the second of two planned looks.

        Raises:
            ablations.loading.StudyFileError: it cannot be done; the message says what stands where.
        """
        from ablations.execution.environment import detect
        from ablations.plan import make_plan
        from ablations.spec import SpecError

        try:
            return make_plan(self.file.spec, profile, detect(), extend=extend)
        except SpecError as error:
            raise self.file.located(error) from error

    def results(self, profile: str, *, tracking_uri: str | None = None) -> DataFrame:
        """The recorded trials, one a row, with a column for each hyperparameter that was tuned.

        Verdicts are not among them: each look at those is recorded by the report that shows them.

        Args:
            profile: that it was run at.
            tracking_uri: MLflow store; None: $MLFLOW_TRACKING_URI, else mlflow.db in this folder.

        Raises:
            ablations.tracking.schema.TrackingError: the store cannot be used, or does not hold the study.
        """
        from pandas import DataFrame

        from ablations.tracking.reader import read_study
        from ablations.tracking.schema import default_uri

        return DataFrame(
            [
                {
                    "variant": trial.variant,
                    "phase": trial.phase,
                    "seed": trial.seed,
                    "status": trial.result.status,
                    "validation_accuracy_percent": last.validation_accuracy_percent
                    if (last := trial.result.last)
                    else None,
                    "test_accuracy_percent": trial.result.test_accuracy_percent,
                    **trial.hyperparameters,
                }
                for trial in read_study(tracking_uri or default_uri(), self.name, profile).trials
            ]
        )
