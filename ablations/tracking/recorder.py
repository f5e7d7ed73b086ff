"""Writes a study to MLflow: one parent run a study and profile, one child run a trial."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from ablations.analysis import RecordedTrial
from ablations.costs import MEASUREMENTS, Measurement
from ablations.plan import Look, Plan
from ablations.tracking import schema
from ablations.trial import EpochRecord, TrialResult, TrialSpec

FLUSH_SECONDS = 10.0
"""A trial's records are written this often while it runs; a shorter trial is written once, at its end."""


@dataclass
class _Running:
    """A trial under way: its run, once it has one, and the records not yet written."""

    started_ms: int
    flushed_at: float
    run_id: str | None = None
    pending: list[EpochRecord] = field(default_factory=list)


class Recorder:
    """The driver's side of the tracking store.

    A trial is written in few transactions: each costs as much as a hundred metrics. Writing a trial again under its id
    goes to the same run, and records keep their first time stamps, so nothing is stored twice.
    """

    def __init__(self, tracking_uri: str, plan: Plan, study_text: str) -> None:
        """Open the store, and the study's parent run in it.

        Raises:
            TrackingError: the store cannot be reached or opened.
        """
        self._plan = plan
        self.tracking_uri = tracking_uri
        self._running: dict[str, _Running] = {}
        with store_errors(tracking_uri):
            mlflow.set_tracking_uri(tracking_uri)
            self._client = MlflowClient(tracking_uri)
            self.experiment_id = self._experiment()
            parent = self._open_parent()
            self._parent: str = parent.info.run_id
            self.measurements: dict[str, Measurement] = schema.stored_measurements(self._client, parent)
            """Of architectures, by the workload's id."""
            self._run_ids: dict[str, str] = {}
            self.trials: dict[str, RecordedTrial] = {}
            """Trials with an outcome, by id, whichever plan they were run for."""
            for run in schema.children(self._client, self.experiment_id):
                trial_id = run.data.tags[schema.TRIAL_ID]
                self._run_ids[trial_id] = run.info.run_id
                trial = schema.recorded(run)
                if trial is not None:
                    self.trials[trial_id] = trial
            if parent.data.tags.get("ablations.plan_id") != plan.id:
                self._client.log_text(self._parent, study_text, schema.STUDY_FILE)
                self._client.log_text(self._parent, json.dumps(plan.to_json(), indent=1), schema.PLAN_FILE)
                self._client.set_tag(self._parent, "ablations.plan_id", plan.id)

    def _experiment(self) -> str:
        name = schema.experiment_name(self._plan.study, self._plan.profile)
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            return str(
                self._client.create_experiment(
                    name,
                    artifact_location=_artifact_location(self.tracking_uri),
                    # MLflow's pages then show training runs, not the tools for language models.
                    tags={"mlflow.experimentKind": "custom_model_development"},
                )
            )
        if experiment.lifecycle_stage != "active":
            raise schema.TrackingError(
                f"the MLflow experiment {name!r} was deleted. Restore it (mlflow experiments restore --experiment-id "
                f"{experiment.experiment_id}) or empty the trash with 'mlflow gc'."
            )
        return str(experiment.experiment_id)

    def _open_parent(self) -> Run:
        """The study's own run, made if need be."""
        found = self._client.search_runs([self.experiment_id], f"tags.`{schema.KIND}` = 'study'", max_results=1)
        if found:
            return found[0]
        tags = {
            schema.KIND: "study",
            schema.STUDY: self._plan.study,
            schema.PROFILE: self._plan.profile,
            "mlflow.note.content": f"{self._plan.question}\n\n{self._plan.profile_description}",
        }
        return self._client.create_run(self.experiment_id, tags=tags, run_name=self._plan.study)

    def claim(self, spec: TrialSpec) -> TrialResult | None:
        """The recorded result of a trial, if it has one; its run is then counted to this plan's variant.

        A crashed trial has none: it is to be run again.
        """
        trial = self.trials.get(spec.id)
        if trial is None or trial.result.status == "failed":
            return None
        variant = self._plan[spec.variant]
        with store_errors(self.tracking_uri):
            if (trial.variant, trial.variant_key) != (variant.name, variant.key):
                for key, value in self._label_tags(spec).items():
                    self._client.set_tag(trial.run_id, key, value)
            if spec.phase == "tune" and self._plan.tuning.pruner != "none":
                # A pruner compares epoch by epoch; the run's metrics have the last one.
                return schema.stored_result(self._client.get_run(trial.run_id).info.artifact_uri)
        return trial.result

    def start(self, spec: TrialSpec) -> None:
        """A trial starts."""
        self._running[spec.id] = _Running(_now_ms(), time.monotonic())

    def epoch(self, spec: TrialSpec, record: EpochRecord) -> None:
        """An epoch of a trial ended; it is written with the next batch."""
        running = self._running[spec.id]
        running.pending.append(record)
        if time.monotonic() - running.flushed_at > FLUSH_SECONDS:
            with store_errors(self.tracking_uri):
                self._flush(spec, running)

    def end(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused (`result` is None) and will go on in another run of the study."""
        running = self._running.pop(spec.id)
        if result is None and running.run_id is None:
            return  # nothing of it is in the store; its checkpoint has its records
        with store_errors(self.tracking_uri):
            if result is None:
                self._client.set_terminated(self._flush(spec, running), status="KILLED")
                return
            # All epochs, those from before a pause too: what is there already is stored once.
            running.pending = list(result.epochs)
            last: list[Metric] = []
            if result.test_accuracy_percent is not None:
                step = result.last.step if result.last else 0
                stamp = result.last.timestamp_ms if result.last else _now_ms()
                last.append(Metric("test_accuracy_percent", result.test_accuracy_percent, stamp, step))
            # An empty message wipes that of an attempt that crashed.
            run_id = self._flush(spec, running, last, {schema.MESSAGE: result.message or ""})
            self._client.log_text(
                run_id, json.dumps({"spec": _labels(spec), "result": result.to_json()}), schema.TRIAL_FILE
            )
            # Last: a trial counts once all of it is written.
            self._client.set_tag(run_id, schema.STATUS, result.status)
            self._client.set_terminated(run_id, status="FAILED" if result.status == "failed" else "FINISHED")
        self.trials[spec.id] = RecordedTrial(
            run_id,
            spec.variant,
            self._plan[spec.variant].key,
            spec.phase,
            spec.seed,
            spec.number,
            spec.hyperparameters,
            result,
        )

    def settled(self, trial_ids: Set[str]) -> None:
        """Tuning is done, and these trials are the study's."""
        with store_errors(self.tracking_uri):
            self._client.log_text(self._parent, json.dumps(sorted(trial_ids)), schema.TRIALS_FILE)
            self._client.set_tag(self._parent, schema.SETTLED, self._plan.id)

    def measured(self, measurements: Mapping[str, Measurement]) -> None:
        """Architectures were measured; these replace what was measured before."""
        self.measurements = dict(measurements)
        with store_errors(self.tracking_uri):
            text = MEASUREMENTS.dump_json(self.measurements, indent=1).decode()
            self._client.log_text(self._parent, text, schema.MEASUREMENTS_FILE)

    def close(self, complete: bool, provenance: Mapping[str, Any] | None) -> None:
        """Close the parent run.

        Args:
            complete: whether every trial has an outcome.
            provenance: describes what trained; None when nothing did.
        """
        with store_errors(self.tracking_uri):
            if provenance is not None:
                self._client.log_text(self._parent, json.dumps(provenance, indent=1), schema.PROVENANCE_FILE)
            self._client.set_terminated(self._parent, status="FINISHED" if complete else "KILLED")

    def _flush(
        self,
        spec: TrialSpec,
        running: _Running,
        metrics: list[Metric] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        new = running.run_id is None
        if running.run_id is None:
            known = self._run_ids.get(spec.id)
            if known is not None:
                self._client.update_run(known, status="RUNNING")
            running.run_id = known or self._create(spec, running.started_ms)
            self._run_ids[spec.id] = running.run_id
        batch = [
            Metric(name, value, record.timestamp_ms, record.step)
            for record in running.pending
            for name, value in schema.epoch_metrics(record).items()
        ] + list(metrics or ())
        params = [Param(key, _param(value)) for key, value in _flat(spec.config.to_json())] if new else []
        # The client splits what is too much for one transaction.
        self._client.log_batch(
            running.run_id,
            metrics=batch,
            params=params,
            tags=[RunTag(key, value) for key, value in (tags or {}).items()],
        )
        running.pending = []
        running.flushed_at = time.monotonic()
        return running.run_id

    def _create(self, spec: TrialSpec, started_ms: int) -> str:
        number = "" if spec.number is None else f" {spec.number}"
        tags = {
            schema.PARENT: self._parent,
            schema.KIND: "trial",
            schema.STUDY: self._plan.study,
            schema.TRIAL_ID: spec.id,
            schema.PHASE: spec.phase,
            schema.SEED: str(spec.seed),
            **self._label_tags(spec),
        }
        run = self._client.create_run(
            self.experiment_id,
            start_time=started_ms,
            tags=tags,
            run_name=f"{spec.variant} {spec.phase}{number} seed {spec.seed}",
        )
        run_id: str = run.info.run_id
        return run_id

    def _label_tags(self, spec: TrialSpec) -> dict[str, str]:
        """What does not decide a trial's result, and may differ from plan to plan."""
        variant = self._plan[spec.variant]
        tags = {
            schema.VARIANT: variant.name,
            schema.VARIANT_KEY: variant.key,
            schema.FAMILY: variant.family,
            schema.NUMBER: None if spec.number is None else str(spec.number),
            schema.HYPERPARAMETERS: json.dumps(spec.hyperparameters),
        }
        return {key: value for key, value in tags.items() if value is not None}


def record_looks(tracking_uri: str, parent_run_id: str, looks: Iterable[Look]) -> None:
    """Remember the reports that have given verdicts on a study's results, and what of the error budget each spent."""
    with store_errors(tracking_uri):
        text = json.dumps([asdict(look) for look in looks])
        MlflowClient(tracking_uri).set_tag(parent_run_id, schema.LOOKS, text)


@contextmanager
def store_errors(tracking_uri: str) -> Iterator[None]:
    """Turn the store's failures into a message for people."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        text = shown_uri(" ".join(str(error).split()))[:300]
        raise schema.TrackingError(f"the MLflow store {shown_uri(tracking_uri)} cannot be used: {text}") from error


def shown_uri(text: str) -> str:
    """A tracking URI, or a text with some in it, without its passwords: those before a host, and those among the options."""
    return _OPTION.sub(r"\1***", _LOGIN.sub("***@", text))


_LOGIN = re.compile(r"(?<=://)[^/\s]\S*@")
_OPTION = re.compile(r"(?i)((?:pass|pwd|token|secret)\w*(?:=|%3d))(?:(?!%3b)[^&;\s])+")


def _artifact_location(tracking_uri: str) -> str | None:
    """A folder beside a local database; a server knows its own."""
    if not tracking_uri.startswith("sqlite:///"):
        return None
    database = Path(tracking_uri.removeprefix("sqlite:///"))
    return (database.absolute().parent / "mlruns").as_uri()


def _labels(spec: TrialSpec) -> dict[str, Any]:
    return {
        "trial_id": spec.id,
        "variant": spec.variant,
        "phase": spec.phase,
        "seed": spec.seed,
        "number": spec.number,
        "hyperparameters": spec.hyperparameters,
        "config": spec.config.to_json(),
        "data_checksum": spec.data_checksum,
        "device": spec.device,
    }


def _flat(config: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Any]]:
    return [(f"{section}.{key}", value) for section, values in config.items() for key, value in values.items()]


def _param(value: Any) -> str:
    return str(list(value) if isinstance(value, tuple) else value)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
