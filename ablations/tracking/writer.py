"""Writes a spool's entries to MLflow. Each may come again, whole or half written before, and is there once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.utils.validation import MAX_DATASET_DIGEST_SIZE

from ablations.costs import Measurement
from ablations.errors import TrackingError
from ablations.tracking import layout
from ablations.tracking.database import make_database, store_errors
from ablations.tracking.logged_models import log_model
from ablations.tracking.spool import Entry
from ablations.tracking.store import Address
from ablations.trial import EpochRecord, RecordedTrial

AT_ONCE = 8
"""Trials that are written to a server at a time, which spends most of it waiting; a file takes one."""


class Writer:
    """One study at one profile in MLflow: an experiment, in it a parent run, its children the trials."""

    def __init__(self, address: Address, *, whole_searches: bool = False) -> None:
        """Opens nothing yet.

        Args:
            address: of the study.
            whole_searches: whether tuning trials are to be known with all their epochs, not only the last one.
        """
        self._address = address
        self._store = address.store
        self._whole_searches = whole_searches
        self._is_open = False
        self.at_once = AT_ONCE if address.store.file is None else 1
        """Entries that it may be given together."""
        self.plan_id: str | None = None
        """Of the plan in the store; this and the rest as of the last `open`."""
        self.measurements: dict[str, Measurement] = {}
        """By the workload's id."""
        self.trials: dict[str, RecordedTrial] = {}
        """Trials with an outcome, by id, whichever plan they were run for."""

    def open(self) -> None:
        """Learn what the store has, and put right what a death left there: runs under way, and runs made twice.

        Raises:
            TrackingError: the store cannot be opened or reached.
        """
        with store_errors(self._store):
            make_database(self._store)
            mlflow.set_tracking_uri(self._store.uri)
            self._client = MlflowClient(self._store.uri)
            self._experiment = self._find_experiment()
            studies = layout.all_pages(self._client.search_runs, [self._experiment], f"tags.`{layout.KIND}` = 'study'")
            parent = self._only(studies, layout.PLAN_ID) if studies else None
            self._parent: str = parent.info.run_id if parent else ""
            self.plan_id = parent.data.tags.get(layout.PLAN_ID) if parent else None
            self.measurements = layout.stored_measurements(self._client, parent) if parent else {}
            same: dict[str, list[Run]] = {}
            for run in layout.children(self._client, self._experiment):
                same.setdefault(layout.label(run).trial_id, []).append(run)
            runs = {trial_id: self._only(each, layout.STATUS) for trial_id, each in same.items()}
            for run in runs.values():
                if run.info.status == "RUNNING":
                    self._client.set_terminated(run.info.run_id, status="KILLED")
            self._run_ids = {trial_id: run.info.run_id for trial_id, run in runs.items()}
            self._finished = {trial_id for trial_id, run in runs.items() if run.info.status == "FINISHED"}
            recorded = {trial_id: layout.recorded(run) for trial_id, run in runs.items()}
            trials = {trial_id: trial for trial_id, trial in recorded.items() if trial is not None}
            if self._whole_searches:
                # Now, since the store may be away when a trial is asked for.
                trials |= {
                    trial_id: replace(trial, result=layout.stored_result(runs[trial_id].info.artifact_uri))
                    for trial_id, trial in trials.items()
                    if trial.phase == "tune" and trial.result.status != "failed"
                }
            self.trials = trials
        self._is_open = True

    def write(self, *entries: Entry) -> None:
        """Write an entry, or `together` those of several trials.

        Raises:
            TrackingError: they could not be written, or perhaps not all of it.
        """
        if not self._is_open:
            self.open()
        # After a failure the store is looked through again, since what was half done may be there or not.
        self._is_open = False
        with store_errors(self._store):
            if not self._parent and entries[0]["kind"] != "study":
                # The store was deleted, or the run in it, while these waited. What else it has comes with the next run of the study.
                self._make_parent(
                    {layout.KIND: "study", layout.STUDY: self._address.study, layout.PROFILE: self._address.profile}
                )
            if len(entries) == 1:
                self._write(entries[0])
            else:
                with ThreadPoolExecutor(len(entries)) as pool:
                    list(pool.map(self._write, entries))
        self._is_open = True

    def _write(self, entry: Entry) -> None:
        match entry["kind"]:
            case "study":
                self._write_study(entry)
            case "trial":
                self._write_trial(entry)
            case "labels":
                # Of a run that was deleted meanwhile there is nothing to label.
                if run_id := self._run_ids.get(entry["trial_id"]):
                    self._client.log_batch(run_id, tags=_tags(entry["tags"]))
            case "text":
                self._keep(self._parent, entry["text"], entry["file"])
                self._client.log_batch(self._parent, tags=_tags(entry["tags"]))
            case "end":
                # A clock that was set back gives no study a negative duration.
                started_ms = self._client.get_run(self._parent).info.start_time
                ended_ms = max(started_ms, entry["ended_ms"])
                self._client.set_terminated(self._parent, status=entry["status"], end_time=ended_ms)

    def _find_experiment(self) -> str:
        name = self._address.experiment
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            self._refuse_renamed(name)
            file = self._store.file
            return str(
                self._client.create_experiment(
                    name,
                    # Beside a local database; a server knows its own.
                    artifact_location=None if file is None else (file.parent / "mlruns").as_uri(),
                    # MLflow's pages then show training runs, not the tools for language models.
                    tags={"mlflow.experimentKind": "custom_model_development"},
                )
            )
        if experiment.lifecycle_stage != "active":
            raise TrackingError(
                f"the MLflow experiment {name!r} was deleted. Restore it (mlflow experiments restore --experiment-id "
                f"{experiment.experiment_id}) or empty the trash with 'mlflow gc'."
            )
        return str(experiment.experiment_id)

    def _refuse_renamed(self, name: str) -> None:
        """Train no study again whose experiment has another name now."""
        tags = {layout.KIND: "study", layout.STUDY: self._address.study, layout.PROFILE: self._address.profile}
        recorded = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())
        others = {each.experiment_id: each.name for each in layout.all_pages(self._client.search_experiments)}
        for run in layout.all_pages(self._client.search_runs, list(others), recorded):
            raise TrackingError(
                f"the MLflow experiment {others[run.info.experiment_id]} holds the study {self._address}: "
                f"it was renamed in MLflow. Give it its name {name} back, or delete it to train anew."
            )

    def _only(self, same: list[Run], tag: str) -> Run:
        """The run that counts, of those that should be one: one that got as far as `tag`, then the oldest.

        Another one is left where MLflow's answer to its making was lost, or where two drivers had no lock in common.
        """
        best, *others = sorted(same, key=lambda run: (tag not in run.data.tags, run.info.start_time))
        for run in others:
            self._client.delete_run(run.info.run_id)
        return best

    def _keep(self, run_id: str, text: str, file: str) -> None:
        """Keep a file with a run, also in a store that was moved, where MLflow would make the old folder again."""
        folder = layout.artifact_folder(self._client.get_run(run_id).info.artifact_uri)
        if folder is None:
            self._client.log_text(run_id, text, file)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8")

    def _make_parent(self, tags: dict[str, str]) -> None:
        self._parent = self._client.create_run(self._experiment, tags=tags, run_name=self._address.study).info.run_id

    def _write_study(self, entry: Entry) -> None:
        if not self._parent:
            self._make_parent(entry["tags"])
        else:
            # What the reports have made of its description stays.
            described = layout.DESCRIPTION in self._client.get_run(self._parent).data.tags
            tags = {key: value for key, value in entry["tags"].items() if key != layout.DESCRIPTION or not described}
            self._client.log_batch(self._parent, tags=_tags(tags))
            self._client.update_run(self._parent, status="RUNNING")
        self._keep(self._parent, entry["text"], layout.STUDY_FILE)
        self._keep(self._parent, json.dumps(entry["plan"], indent=1), layout.PLAN_FILE)
        if "dataset" in entry:
            self._client.log_inputs(self._parent, [_dataset_input(entry["dataset"])])
        self._client.set_tag(self._parent, layout.PLAN_ID, entry["plan_id"])

    def _write_trial(self, entry: Entry) -> None:
        trial_id, result = entry["trial_id"], entry["result"]
        if trial_id in self._finished:
            # Trained again by a run that could not see the store. The first record stays.
            self._client.log_batch(self._run_ids[trial_id], tags=_tags(entry["labels"]))
            _remove_weights(entry)
            return
        epochs = [EpochRecord(**values) for values in entry["epochs"]]
        if trial_id in self._run_ids:
            run_id = self._run_ids[trial_id]
            self._client.update_run(run_id, status="RUNNING")
            # An epoch that was trained again after a death has new times; its first record stays. A record that
            # comes again has its own, and MLflow stores it once.
            stamps = {
                point.step: point.timestamp for point in self._client.get_metric_history(run_id, layout.LAST_METRIC)
            }
            epochs = [epoch for epoch in epochs if stamps.get(epoch.step, epoch.timestamp_ms) == epoch.timestamp_ms]
        else:
            tags = {layout.PARENT: self._parent, **entry["tags"], **entry["labels"]}
            run = self._client.create_run(
                self._experiment, start_time=entry["started_ms"], tags=tags, run_name=entry["name"]
            )
            run_id = self._run_ids[trial_id] = run.info.run_id
        metrics = [
            Metric(name, value, epoch.timestamp_ms, epoch.step)
            for epoch in epochs
            for name, value in layout.epoch_metrics(epoch).items()
        ]
        if result and result["test_accuracy_percent"] is not None:
            last = result["epochs"][-1]
            metrics.append(
                Metric("test_accuracy_percent", result["test_accuracy_percent"], last["timestamp_ms"], last["step"])
            )
        outcome = layout.outcome_tags(result) if result else {}
        # The client splits what is too much for one transaction.
        self._client.log_batch(
            run_id,
            metrics=metrics,
            params=[Param(key, value) for key, value in entry["params"].items()],
            # Of what trained last: that is what the result is of.
            tags=_tags({**entry["labels"], layout.SESSION: entry["session"], **outcome}),
        )
        if result:
            self._keep(run_id, json.dumps({"spec": entry["spec"], "result": result}), layout.TRIAL_FILE)
            self._keep_model(run_id, entry)
            # Last: a trial counts once all of it is written.
            self._client.set_tag(run_id, layout.STATUS, result["status"])
        if entry["status"] != "RUNNING":
            self._client.set_terminated(run_id, status=entry["status"], end_time=entry["ended_ms"])
        if entry["status"] == "FINISHED":
            self._finished.add(trial_id)
        _remove_weights(entry)

    def _keep_model(self, run_id: str, entry: Entry) -> None:
        weights = entry.get("weights")
        # They are gone where this entry was written before.
        if weights and Path(weights["file"]).exists():
            log_model(self._client, run_id, Path(weights["file"]), weights["config"])


def together(entries: Sequence[Entry]) -> Sequence[Entry]:
    """As many of the first entries as may be written in any order: trials without models, none of which is there twice."""
    ids: set[str] = set()
    for entry in entries:
        if entry["kind"] != "trial" or entry.get("weights") or entry["trial_id"] in ids:
            break
        ids.add(entry["trial_id"])
    return entries[: max(1, len(ids))]


def _remove_weights(entry: Entry) -> None:
    """The worker's file is of no use once its model is recorded."""
    if entry.get("weights"):
        Path(entry["weights"]["file"]).unlink(missing_ok=True)


def _dataset_input(values: dict[str, str]) -> DatasetInput:
    """MLflow's record of a data set, whose digest is at most 36 characters long; the source has the whole checksum."""
    digest = values["checksum"].split(":", 1)[-1][:MAX_DATASET_DIGEST_SIZE]
    source = json.dumps({"checksum": values["checksum"], **json.loads(values["source"])})
    dataset = Dataset(values["name"], digest, source_type="ablations", source=source)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "train, validation, test")])


def _tags(values: dict[str, Any]) -> list[RunTag]:
    return [RunTag(key, value) for key, value in values.items()]
