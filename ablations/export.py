"""Recorded trials for other programs: tables of trials and epochs as CSV and Parquet, and the search as an Optuna storage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from operator import attrgetter
from pathlib import Path

from pandas import DataFrame
from pandas.api.types import infer_dtype

from ablations.planning.plan import Plan
from ablations.trial import EpochRecord, RecordedTrial

_METRICS = tuple(field.name for field in fields(EpochRecord))
_VALUES = attrgetter(*_METRICS)


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


def epochs_frame(trials: Iterable[RecordedTrial]) -> DataFrame:
    """The curves: a table of one row per trial and epoch, with every metric of an epoch and its unit in the name.

    Args:
        trials: read with all of their epochs.
    """
    labels = ("variant", "phase", "seed", "number")
    rows = [
        (trial.variant, trial.phase, trial.seed, trial.number, *_VALUES(epoch), trial.id)
        for trial in trials
        for epoch in trial.result.epochs
    ]
    frame = DataFrame(rows, columns=[*labels, *_METRICS, "trial_id"])
    # Whole numbers stay whole where some are missing.
    return frame.astype({"number": "Int64", "learning_onset_step": "Int64"})


def write_export(plan: Plan, trials: Iterable[RecordedTrial], folder: Path) -> Iterator[Path]:
    """Write a study's trials for other programs, over earlier exports; yields each file once it is written.

    Args:
        plan: the study's plan.
        trials: the study's recorded trials.
        folder: for `trials` and `epochs` as CSV and Parquet and, if the study tunes, `tuning.db`.

    Raises:
        OSError: a file cannot be written.
    """
    trials = list(trials)
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (("trials", trials_frame(trials)), ("epochs", epochs_frame(trials))):
        frame.to_csv(folder / f"{name}.csv", index=False)
        yield folder / f"{name}.csv"
        # A column of a Parquet file has one type, and choices may have several.
        mixed = [column for column in frame if infer_dtype(frame[column], skipna=True).startswith("mixed")]
        frame.astype(dict.fromkeys(mixed, str)).to_parquet(folder / f"{name}.parquet", index=False)
        yield folder / f"{name}.parquet"
    if plan.tuned:
        from ablations.tuning import write_storage

        write_storage(plan, trials, folder / "tuning.db")
        yield folder / "tuning.db"
