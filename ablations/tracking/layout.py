"""How trials are laid out in MLflow: names of experiments, tags, metrics and artifacts."""

from __future__ import annotations

import gc
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit
from urllib.request import url2pathname

import mlflow
from mlflow import MlflowClient
from mlflow.artifacts import load_text
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from pydantic import TypeAdapter

from ablations.costs import MEASUREMENTS, Measurement
from ablations.errors import TrackingError
from ablations.planning.plan import Look
from ablations.tracking.store import Store
from ablations.trial import EpochRecord, Phase, RecordedTrial, TrialResult

TRIAL_ID = "ablations.trial_id"
STUDY = "ablations.study"
PROFILE = "ablations.profile"
VARIANT = "ablations.variant"
VARIANT_KEY = "ablations.variant_key"
FAMILY = "ablations.family"
PHASE = "ablations.phase"
SEED = "ablations.seed"
NUMBER = "ablations.number"
STATUS = "ablations.status"
MESSAGE = "ablations.message"
MODEL_MESSAGE = "ablations.model_message"
REASON = "ablations.reason"
ATTEMPTS = "ablations.attempts"
PARTS = "ablations.accumulated_parts"
HYPERPARAMETERS = "ablations.hyperparameters"
KIND = "ablations.kind"
PLAN_ID = "ablations.plan_id"
LOOKS = "ablations.looks"
SESSION = "ablations.session"
SETTLED = "ablations.settled_plan_id"
SINCE = "ablations.since_ms"
PARENT = "mlflow.parentRunId"
DESCRIPTION = "mlflow.note.content"

PLAN_FILE = "plan.json"
STUDY_FILE = "study.yaml"
MEASUREMENTS_FILE = "measurements.json"
TRIALS_FILE = "trials.json"
TRIAL_FILE = "trial.json"

LAST_METRIC = "epoch_seconds"
"""The last metric of an epoch's to be written: where it is, the others are."""

_TYPES = get_type_hints(EpochRecord)
_LOOKS = TypeAdapter(list[Look])
_TRIAL = TypeAdapter(RecordedTrial)
PAGE = 1000
MAX_TAG_CHARACTERS = 5000
"""Of a longer value of a tag MLflow may drop the rest."""


def session_file(session: str) -> str:
    """The file in a study's run that describes one of the runs that trained: versions, processor, commit, command."""
    return f"session-{session}.json"


def epoch_metrics(record: EpochRecord) -> dict[str, float]:
    """An epoch's metrics by name; what did not happen is left out."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: float(value) for name, value in values.items() if value is not None and name != "timestamp_ms"}


def epoch_record(metrics: dict[str, float], timestamp_ms: int) -> EpochRecord | None:
    """The inverse of `epoch_metrics`; None where there was no epoch."""
    if "epoch" not in metrics:
        return None
    values: dict[str, Any] = {"timestamp_ms": timestamp_ms}
    for name, kind in _TYPES.items():
        if name != "timestamp_ms":
            value = metrics.get(name)
            values[name] = value if value is None or kind is float else int(value)
    return EpochRecord(**values)


def children(client: MlflowClient, experiment_id: str) -> list[Run]:
    """All trials of an experiment, finished or not."""
    return all_pages(client.search_runs, [experiment_id], f"tags.`{KIND}` = 'trial'")


def all_pages(search: Callable[..., Any], *arguments: Any) -> list[Any]:
    """All that one of the client's searches finds; it gives a page at a time."""
    found: list[Any] = []
    token = None
    with _no_collection():
        while True:
            page = search(*arguments, max_results=PAGE, page_token=token)
            found.extend(page)
            token = page.token
            if not token:
                return found


def artifact_folder(artifact_uri: str) -> Path | None:
    """Where the files of a run of the current store are; None where a server keeps them.

    A database holds absolute paths. Of one that was moved, together with the folder `mlruns` beside it, they are there.
    """
    parts = urlsplit(artifact_uri)
    if parts.scheme != "file":
        return None
    folder = Path(url2pathname(parts.path))
    file = Store(mlflow.get_tracking_uri()).file
    beside = None if file is None else file.parent.joinpath("mlruns", *folder.parts[-2:])
    return folder if beside is None or folder.exists() else beside


@contextmanager
def _no_collection() -> Iterator[None]:
    """Garbage collection is off: it would walk the many new objects again and again, two thirds of the time of a search."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(frozen=True)
class Label:
    """Which trial a run is of, also while it has no outcome."""

    trial_id: str
    variant: str
    phase: Phase
    seed: int


_LABEL = TypeAdapter(Label)


def label(run: Run) -> Label:
    """Of a run of a trial.

    Raises:
        TrackingError: the run's tags are not what the suite writes.
    """
    tags = run.data.tags
    with _as_recorded(run):
        return _LABEL.validate_python(
            {
                "trial_id": tags[TRIAL_ID],
                "variant": tags[VARIANT],
                "phase": tags[PHASE],
                "seed": int(tags[SEED]),
            }
        )


def recorded(run: Run) -> RecordedTrial | None:
    """A trial from its run, with its last epoch only; None while it has no outcome.

    Raises:
        TrackingError: the run's tags are not what the suite writes.
    """
    with _as_recorded(run):
        return _recorded(run)


@contextmanager
def _as_recorded(run: Run) -> Iterator[None]:
    """Turn what is wrong with a run's tags into a message for people."""
    try:
        yield
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TrackingError(
            f"the tags of run {run.info.run_id} ({run.info.run_name}) are not as recorded ({_why(error)}). "
            f"Delete the run in MLflow, and run the study again."
        ) from error


def _recorded(run: Run) -> RecordedTrial | None:
    tags = run.data.tags
    status = tags.get(STATUS)
    if status not in {"finished", "diverged", "pruned", "failed"}:
        return None
    last = epoch_record(run.data.metrics, run.info.end_time or 0)
    return _TRIAL.validate_python(
        {
            "run_id": run.info.run_id,
            "variant": tags[VARIANT],
            "variant_key": tags[VARIANT_KEY],
            "phase": tags[PHASE],
            "seed": int(tags[SEED]),
            "number": int(tags[NUMBER]) if NUMBER in tags else None,
            "hyperparameters": json.loads(tags[HYPERPARAMETERS]),
            "session": tags.get(SESSION),
            "result": {
                "trial_id": tags[TRIAL_ID],
                "status": status,
                "epochs": [last] if last else [],
                "test_accuracy_percent": run.data.metrics.get("test_accuracy_percent"),
                "message": tags.get(MESSAGE) or None,
                "reason": tags.get(REASON) or None,
                "num_attempts": int(tags.get(ATTEMPTS, 1)),
                "accumulated_parts": int(tags.get(PARTS, 1)),
            },
        }
    )


def outcome_tags(result: dict[str, Any]) -> dict[str, str]:
    """What is told of how a trial ended, beside its status; `result` as `TrialResult.to_json` gives it."""
    # Of an attempt that failed the run has some already. A spool may hold what an older version wrote.
    return {
        MESSAGE: result["message"] or "",
        REASON: result.get("reason") or "",
        ATTEMPTS: str(result.get("num_attempts", 1)),
        PARTS: str(result.get("accumulated_parts", 1)),
    }


def stored_text(client: MlflowClient, run: Run, file: str) -> str | None:
    """A file of a run; None where it has no such file."""
    folder = artifact_folder(run.info.artifact_uri)
    if folder is not None:
        return artifact_text(run.info.artifact_uri, file) if (folder / file).exists() else None
    if file not in {item.path for item in client.list_artifacts(run.info.run_id)}:
        return None
    return artifact_text(run.info.artifact_uri, file)


def artifact_text(artifact_uri: str, file: str) -> str:
    """A file of a run.

    Raises:
        FileNotFoundError: the run has no such file.
    """
    folder = artifact_folder(artifact_uri)
    if folder is not None:
        # MLflow's own way takes sixteen times as long, and a report reads thousands.
        return (folder / file).read_text(encoding="utf-8")
    try:
        text: str = load_text(f"{artifact_uri}/{file}")
    except MlflowException as error:
        # The client has one code for this and for a server that does not answer.
        if "404 Client Error" in str(error):
            raise FileNotFoundError(f"{file} is not there") from error
        raise
    return text


def stored_measurements(client: MlflowClient, parent: Run) -> dict[str, Measurement]:
    """What was measured for a study, by the workload's id, from the file in its parent run."""
    text = stored_text(client, parent, MEASUREMENTS_FILE)
    try:
        return {} if text is None else MEASUREMENTS.validate_json(text)
    except ValueError:
        return {}  # another version's: as good as none, and the next run measures anew


def looks_tags(looks: Iterable[Look]) -> dict[str, str]:
    """The looks taken at a study's results as tags; `stored_looks` is the inverse."""
    text = json.dumps([asdict(look) for look in looks])
    pieces = [text[start : start + MAX_TAG_CHARACTERS] for start in range(0, len(text), MAX_TAG_CHARACTERS)]
    return dict(zip(_looks_names(), pieces, strict=False))


def _looks_names() -> Iterator[str]:
    yield LOOKS
    yield from (f"{LOOKS}.{number}" for number in itertools.count(2))


def stored_looks(parent: Run) -> list[Look]:
    """The looks taken at a study's results, the first one first.

    Raises:
        TrackingError: they were recorded by another version of the suite.
    """
    tags = parent.data.tags
    text = "".join(tags[name] for name in itertools.takewhile(tags.__contains__, _looks_names()))
    try:
        return _LOOKS.validate_json(text or "[]")
    except ValueError as error:
        raise TrackingError(
            f"the tag {LOOKS} of run {parent.info.run_id} was recorded by another version of the suite, or edited. "
            f"Read it with that version, or give the tag its value back in MLflow."
        ) from error


def stored_result(artifact_uri: str) -> TrialResult:
    """A trial's whole result, every epoch and the correctness bits, from the file in its run.

    Raises:
        TrackingError: the file is damaged.
    """
    try:
        return TrialResult.from_json(json.loads(artifact_text(artifact_uri, TRIAL_FILE))["result"])
    except (KeyError, TypeError, ValueError, RecursionError, FileNotFoundError) as error:
        raise TrackingError(
            f"{artifact_uri}/{TRIAL_FILE} is damaged ({_why(error)}). Delete its run in MLflow, and run the study again."
        ) from error


def _why(error: Exception) -> str:
    """An error in one short line; pydantic's have several."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
