"""Recorded trials for other programs: a tidy table as CSV and Parquet, and the search as an Optuna storage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pandas import DataFrame
from pandas.api.types import infer_dtype

from ablations.planning.plan import Plan
from ablations.trial import RecordedTrial


def trials_frame(trials: Iterable[RecordedTrial]) -> DataFrame:
    """A table of one row per trial, with a column for each tuned hyperparameter; accuracies in percent."""
    rows = [
        {
            "variant": trial.variant,
            "phase": trial.phase,
            "seed": trial.seed,
            "number": trial.number,
            "status": trial.result.status,
            "validation_accuracy_percent": last.validation_accuracy_percent if (last := trial.result.last) else None,
            "test_accuracy_percent": trial.result.test_accuracy_percent,
            **trial.hyperparameters,
            "trial_id": trial.id,
            "run_id": trial.run_id,
        }
        for trial in trials
    ]
    # A confirmation has no number, and whole numbers stay whole.
    return DataFrame(rows).astype({"number": "Int64"} if rows else {})


def write_export(plan: Plan, trials: Iterable[RecordedTrial], folder: Path) -> Iterator[Path]:
    """Write a study's trials for other programs, over earlier exports; yields each file once it is written.

    Args:
        plan: the study's plan.
        trials: the study's recorded trials.
        folder: for `trials.csv`, `trials.parquet` and, if the study tunes, `tuning.db`.

    Raises:
        OSError: a file cannot be written.
    """
    trials = list(trials)
    frame = trials_frame(trials)
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / "trials.csv", index=False)
    yield folder / "trials.csv"
    # A column of a Parquet file has one type, and choices may have several.
    mixed = [name for name in frame if infer_dtype(frame[name], skipna=True).startswith("mixed")]
    frame.astype(dict.fromkeys(mixed, str)).to_parquet(folder / "trials.parquet", index=False)
    yield folder / "trials.parquet"
    if plan.tuned:
        from ablations.tuning import write_storage

        write_storage(plan, trials, folder / "tuning.db")
        yield folder / "tuning.db"
