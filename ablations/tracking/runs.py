"""Runs of the store, and the records in them."""

from __future__ import annotations

import gc
import json
import math
import re
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from ablations.costs import MEASUREMENTS, Measurement
from ablations.errors import TrackingError
from ablations.planning.plan import Plan, search_of_tuning
from ablations.tracking import layout
from ablations.tracking.artifacts import artifact_text, stored_text
from ablations.tracking.client import Client, Run, ViewType
from ablations.trial import Phase, RecordedTrial, TrialResult

PAGE = 1000
"""Largest number of runs in an answer to a search."""
_TIME_MS = re.compile(r"[0-9]{1,14}")


def study_runs(client: Client, experiment_ids: Sequence[str]) -> list[Run]:
    """All runs of studies, deleted ones too: they may hold looks. First those that count.

    A run with a plan counts before one without, then a run that was not deleted, then the run of the study's last start.
    """
    found = all_pages(client.search_runs, experiment_ids, f"tags.`{layout.KIND}` = 'study'", ViewType.ALL)

    def rank(run: Run) -> tuple[bool, bool, int, str]:
        is_deleted = run.info.lifecycle_stage != "active"
        return layout.PLAN_ID not in run.data.tags, is_deleted, -since_ms(run), run.info.run_id

    return sorted(found, key=rank)


def since_ms(parent: Run) -> int:
    """Wall clock at the last start of a study, milliseconds since 1970."""
    since = parent.data.tags.get(layout.SINCE, "")
    # An edited time is ignored.
    return int(since) if _TIME_MS.fullmatch(since) else int(parent.info.start_time)


def trial_runs(client: Client, experiment_id: str) -> list[Run]:
    """All trials of an experiment, finished or not."""
    return all_pages(client.search_runs, [experiment_id], f"tags.`{layout.KIND}` = 'trial'")


def all_pages(search: Callable[..., Any], *arguments: Any) -> list[Any]:
    """All results of one of the client's searches, page by page."""
    found: list[Any] = []
    token = None
    with _no_collection():
        while True:
            page = search(*arguments, max_results=PAGE, page_token=token)
            found.extend(page)
            token = page.token
            if not token:
                return found


@contextmanager
def _no_collection() -> Iterator[None]:
    """Turn garbage collection off: it would walk the many new objects repeatedly, two thirds of the time of a search."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(frozen=True)
class Label:
    """The trial of a run, also while it has no outcome."""

    id: str
    variant: str
    phase: Phase
    seed: int


_LABEL = TypeAdapter(Label)
_TRIAL = TypeAdapter(RecordedTrial)


def label(run: Run) -> Label:
    """Read the trial of a run.

    Raises:
        TrackingError: the run's tags are not as the suite writes them.
    """
    tags = run.data.tags
    with _as_recorded(run):
        return _LABEL.validate_python(
            {
                "id": tags[layout.TRIAL_ID],
                "variant": tags[layout.VARIANT],
                "phase": tags[layout.PHASE],
                "seed": int(tags[layout.SEED]),
            }
        )


def num_recorded(plan: Plan, children: Sequence[Run]) -> dict[str, int]:
    """By variant: number of confirmation seeds up to the last one with a run, or with a run of its search.

    Args:
        plan: of the study.
        children: runs of its trials.
    """
    places = {str(seed): place for place, seed in enumerate(plan.seeds, start=1)}
    found: dict[str, int] = {}
    for run in children:
        tags = run.data.tags
        if tags.get(layout.PHASE) == "confirm" and (place := places.get(tags.get(layout.SEED, ""))):
            found[tags[layout.VARIANT]] = max(place, found.get(tags[layout.VARIANT], 0))
        elif plan.is_by_search and tags.get(layout.PHASE) == "tune" and tags.get(layout.SEED, "").isdigit():
            # A search that goes on is for seeds that a later look needs.
            search = search_of_tuning(int(tags[layout.SEED])) - plan.first_search + 1
            if 0 < search <= plan.num_searches:
                variant = tags[layout.VARIANT]
                found[variant] = max(search * plan.seeds_per_search, found.get(variant, 0))
    return found


def of_earlier_tuning(labels: Collection[Label], settled: Container[str]) -> set[str]:
    """Ids of trials that are not the plan's. Those of searches that go on now, for a later look, are the plan's.

    Args:
        labels: of all trials of the plan's variants.
        settled: ids of the plan's trials, when searches were last done.
    """
    done = {
        (label.variant, search_of_tuning(label.seed))
        for label in labels
        if label.phase == "tune" and label.id in settled
    }
    return {
        label.id
        for label in labels
        if label.id not in settled
        and (label.phase == "confirm" or (label.variant, search_of_tuning(label.seed)) in done)
    }


def recorded(client: Client, run: Run) -> RecordedTrial | None:
    """Read a trial from its run, with its last epoch only; None while it has no outcome.

    Raises:
        TrackingError: the run's tags or its file are not as the suite writes them.
    """
    with _as_recorded(run):
        trial = _recorded(run)
    if trial is None or trial.result.status != "finished" or _has_all_metrics(run, trial):
        return trial
    # Older versions left it to MLflow to write asynchronously, and so lost metrics.
    return replace(trial, result=in_brief(stored_result(client, run)))


def in_brief(result: TrialResult) -> TrialResult:
    """A result with its last epoch only, and without images: the part of it in metrics and tags."""
    return replace(result, epochs=result.epochs[-1:], test_correct=None, num_test_images=None, test_labels=None)


def _has_all_metrics(run: Run, trial: RecordedTrial) -> bool:
    """Whether the metrics of a finished trial reach to its end."""
    last = trial.result.last
    is_tested = trial.phase == "tune" or trial.result.test_accuracy_percent is not None
    return is_tested and last is not None and str(last.epoch) == run.data.params.get("train.epochs")


@contextmanager
def _as_recorded(run: Run) -> Iterator[None]:
    """Turn errors in a run's tags into a message for people."""
    try:
        yield
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TrackingError(
            f"the tags of run {run.info.run_id} ({run.info.run_name}) are not as recorded ({_on_one_line(error)}). "
            f"Delete the run in MLflow, and run the study again."
        ) from error


def _recorded(run: Run) -> RecordedTrial | None:
    tags = run.data.tags
    status = tags.get(layout.STATUS)
    if status not in {"finished", "diverged", "pruned", "failed"}:
        return None
    labels = layout.Labels.from_tags(tags)
    last = layout.epoch_record(run.data.metrics, run.info.end_time or 0)
    return _TRIAL.validate_python(
        {
            "run_id": run.info.run_id,
            "variant": labels.variant,
            "variant_key": labels.variant_key,
            "phase": tags[layout.PHASE],
            "seed": int(tags[layout.SEED]),
            "number": labels.number,
            "hyperparameters": labels.hyperparameters,
            "session": tags.get(layout.SESSION),
            "started_ms": run.info.start_time,
            "ended_ms": run.info.end_time,
            "result": {
                "trial_id": tags[layout.TRIAL_ID],
                "status": status,
                "epochs": [last] if last else [],
                "test_accuracy_percent": run.data.metrics.get("test_accuracy_percent"),
                "message": tags.get(layout.MESSAGE) or None,
                "reason": tags.get(layout.REASON) or None,
                "num_attempts": int(tags.get(layout.ATTEMPTS, 1)),
                "accumulated_parts": int(tags.get(layout.PARTS, 1)),
            },
        }
    )


def stored_result(client: Client, run: Run) -> TrialResult:
    """Read a trial's whole result, every epoch and the correctness bits, from the file in its run.

    Raises:
        TrackingError: the file is missing or damaged, or disagrees with MLflow's metric.
    """
    try:
        text = artifact_text(client, run.info.artifact_uri, layout.TRIAL_FILE)
        result = TrialResult.from_json(json.loads(text)["result"])
        if result.trial_id != run.data.tags[layout.TRIAL_ID]:
            raise ValueError(f"it is the file of trial {result.trial_id}")
        logged, told = run.data.metrics.get("test_accuracy_percent"), result.test_accuracy_percent
        if logged is not None and told is not None and not math.isclose(logged, told, rel_tol=1e-9):
            raise ValueError(f"a test accuracy of {told:g} %, where MLflow's metric has {logged:g} %")
        return result
    except (KeyError, TypeError, ValueError, RecursionError, FileNotFoundError) as error:
        state = "missing" if isinstance(error, FileNotFoundError) else f"damaged ({_on_one_line(error)})"
        raise TrackingError(
            f"{layout.TRIAL_FILE} of run {run.info.run_id} ({run.info.run_name}) is {state}. Delete the run in MLflow, and run "
            f"the study again."
        ) from error


def stored_measurements(client: Client, parent: Run) -> dict[str, Measurement]:
    """Read a study's measurements, by the workload's id, from the file in its parent run."""
    text = stored_text(client, parent, layout.MEASUREMENTS_FILE)
    try:
        return {} if text is None else MEASUREMENTS.validate_json(text)
    except ValueError:
        return {}  # of another version: the next run measures again


def _on_one_line(error: Exception) -> str:
    """An error in one short line; pydantic's have several."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
