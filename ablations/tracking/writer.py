"""Writes a spool's entries to MLflow, each exactly once, also if it was written before, whole or in part."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ablations.costs import Measurement
from ablations.planning.frozen import Ledger
from ablations.tracking import layout, runs
from ablations.tracking.artifacts import FILES, artifact_folder
from ablations.tracking.client import (
    MAX_DATASET_DIGEST_SIZE,
    Client,
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    Run,
    RunTag,
)
from ablations.tracking.database import make_database, require_writable, store_errors
from ablations.tracking.displaced import find_study
from ablations.tracking.entries import (
    DatasetSource,
    EndEntry,
    Entry,
    LabelsEntry,
    LedgerEntry,
    StudyEntry,
    TextEntry,
    TrialEntry,
)
from ablations.tracking.ledgers import all_ledgers, stored_ledger, write_ledger
from ablations.tracking.logged_models import log_model
from ablations.tracking.moved import settle
from ablations.tracking.store import Address
from ablations.trial import EpochRecord, Phase, RecordedTrial

AT_ONCE = 8
"""Trials written to a server in parallel, since each write mostly waits; a file takes one at a time."""


class Writer:
    """One study at one profile in MLflow: an experiment, in it a parent run, its children the trials."""

    def __init__(
        self,
        address: Address,
        *,
        whole: frozenset[Phase] = frozenset(),
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Open nothing yet.

        Args:
            address: of the study.
            whole: phases of which `trials` has all epochs and the right images, not only the last epoch.
            warn: hears of repairs that a person should know of.
        """
        self._address = address
        self._store = address.store
        self._whole = whole
        self._warn = warn
        self._is_open = False
        self.at_once = AT_ONCE if address.store.file is None else 1
        """Largest number of entries for one `write`."""
        self.plan_id: str | None = None
        """Id of the plan in the store; this and the attributes below are as of the last `open`."""
        self.measurements: dict[str, Measurement] = {}
        """Measurements by the workload's id."""
        self.trials: dict[str, RecordedTrial] = {}
        """Trials with an outcome, by id, of any plan."""
        self.ledgers: list[Ledger] = []
        """What the studies of the store planned and looked at, this one first."""

    def open(self) -> None:
        """Read the store, and repair what a killed driver left: runs under way, and duplicates.

        Raises:
            TrackingError: the store cannot be opened or reached.
        """
        with store_errors(self._store):
            make_database(self._store)
            require_writable(self._store)
            self._client = Client(self._store.uri)
            experiment, studies = find_study(self._client, self._address)
            self._experiment = experiment or self._make_experiment()
            settle(self._store, self._client, self._experiment)
            parent = self._one_study(studies) if studies else None
            self._parent: str = parent.info.run_id if parent else ""
            self.plan_id = parent.data.tags.get(layout.PLAN_ID) if parent else None
            self.measurements = runs.stored_measurements(self._client, parent) if parent else {}
            same: dict[str, list[Run]] = {}
            for run in runs.trial_runs(self._client, self._experiment):
                same.setdefault(runs.label(run).id, []).append(run)
            found = {trial_id: self._only(each) for trial_id, each in same.items()}
            for run in found.values():
                if run.info.status == "RUNNING":
                    self._client.set_terminated(run.info.run_id, status="KILLED")
                if parent and run.data.tags.get(layout.PARENT) != self._parent:
                    self._client.set_tag(run.info.run_id, layout.PARENT, self._parent)
            self._run_ids = {trial_id: run.info.run_id for trial_id, run in found.items()}
            self._finished = {
                trial_id
                for trial_id, run in found.items()
                if run.info.status == "FINISHED" and layout.STATUS in run.data.tags
            }
            recorded = {trial_id: runs.recorded(self._client, run) for trial_id, run in found.items()}
            trials = {trial_id: trial for trial_id, trial in recorded.items() if trial is not None}
            # Now, since the store may be away when a trial is asked for.
            whole = {i: t for i, t in trials.items() if t.phase in self._whole and t.result.status != "failed"}
            with ThreadPoolExecutor(AT_ONCE) as pool:
                results = pool.map(lambda i: runs.stored_result(self._client, found[i]), whole)
                trials |= {i: replace(t, result=result) for (i, t), result in zip(whole.items(), results, strict=True)}
            self.trials = trials
            self.ledgers = all_ledgers(self._client, self._address)
        self._is_open = True

    def write(self, *entries: Entry) -> None:
        """Write an entry, or the trials of `together` at once.

        Raises:
            TrackingError: they were not written, or only in part.
        """
        if not self._is_open:
            self.open()
        entries = tuple(map(self._here, entries))
        # After a failure the store is read again, since it may have a part of the entries.
        self._is_open = False
        with store_errors(self._store):
            if not self._parent and not isinstance(entries[0], StudyEntry):
                # The store, or the run in it, was deleted while these were queued. The next run of the study adds the rest.
                self._make_parent(
                    {layout.KIND: "study", layout.STUDY: self._address.study, layout.PROFILE: self._address.profile}
                )
            if len(entries) == 1:
                self._write(entries[0])
            else:
                with ThreadPoolExecutor(len(entries)) as pool:
                    list(pool.map(self._write, entries))
        self._is_open = True

    def _here(self, entry: Entry) -> Entry:
        """An entry that came with a store that was moved or copied, with its own file of weights."""
        if not isinstance(entry, TrialEntry) or entry.weights is None:
            return entry
        folder, file = self._address.weights_folder, entry.weights.file
        if file.parent.name != folder.name:
            return entry
        return replace(entry, weights=replace(entry.weights, file=folder / file.name))

    def _write(self, entry: Entry) -> None:
        match entry:
            case StudyEntry():
                self._write_study(entry)
            case TrialEntry():
                self._write_trial(entry)
            case LabelsEntry():
                # A run that was deleted meanwhile gets no labels.
                if run_id := self._run_ids.get(entry.trial_id):
                    self._client.log_batch(run_id, tags=_tags(entry.labels.to_tags()))
            case TextEntry():
                self._keep(self._parent, entry.text, entry.file)
                self._client.log_batch(self._parent, tags=_tags(entry.tags))
            case LedgerEntry():
                write_ledger(self._client, self._client.get_run(self._parent), entry.ledger)
            case EndEntry():
                # A clock that was set back gives no study a negative duration.
                started_ms = self._client.get_run(self._parent).info.start_time
                ended_ms = max(started_ms, entry.ended_ms)
                self._client.set_terminated(self._parent, status=entry.status, end_time=ended_ms)

    def _make_experiment(self) -> str:
        file = self._store.file
        return str(
            self._client.create_experiment(
                self._address.experiment,
                # Beside a local database; a server knows its own.
                artifact_location=None if file is None else (file.parent / FILES).as_uri(),
                # MLflow's pages then show training runs, not the tools for language models.
                tags={"mlflow.experimentKind": "custom_model_development"},
            )
        )

    def _one_study(self, studies: Sequence[Run]) -> Run:
        """Keep one run of the study, with the looks of all: whoever deletes a run has seen its results all the same."""
        best, *others = studies
        ledger = stored_ledger(self._client, self._address.study, self._address.profile, studies)
        if best.info.lifecycle_stage != "active":
            self._client.restore_run(best.info.run_id)
            self._warn(
                f"the run of {self._address} was deleted in MLflow, and is restored: its looks at the results count"
            )
        if ledger != stored_ledger(self._client, self._address.study, self._address.profile, [best]):
            write_ledger(self._client, best, ledger)
            self._warn(f"{self._address} had several runs in MLflow; one is kept, with the looks at the results of all")
        for run in others:
            if run.info.lifecycle_stage == "active":
                self._client.delete_run(run.info.run_id)
        return best

    def _only(self, same: list[Run]) -> Run:
        """Delete duplicates of a trial: keep one with an outcome, else any, and among equals the oldest.

        A trial has duplicates if MLflow's answer to its creation was lost, or if two drivers shared no lock.
        """
        best, *others = sorted(same, key=lambda run: (layout.STATUS not in run.data.tags, run.info.start_time))
        for run in others:
            self._client.delete_run(run.info.run_id)
        return best

    def _keep(self, run_id: str, text: str, file: str) -> None:
        """Keep a file with a run. MLflow itself would create the old folder of a moved store again."""
        folder = artifact_folder(self._client, self._client.get_run(run_id).info.artifact_uri)
        if folder is None:
            self._client.log_text(run_id, text, file)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8")

    def _make_parent(self, tags: dict[str, str]) -> None:
        self._parent = self._client.create_run(self._experiment, tags=tags, run_name=self._address.study).info.run_id
        # Trials of a run that was deleted for good.
        for run_id in self._run_ids.values():
            self._client.set_tag(run_id, layout.PARENT, self._parent)

    def _write_study(self, entry: StudyEntry) -> None:
        if not self._parent:
            self._make_parent(entry.tags)
        else:
            # A description that a report has written stays.
            described = layout.DESCRIPTION in self._client.get_run(self._parent).data.tags
            tags = {key: value for key, value in entry.tags.items() if key != layout.DESCRIPTION or not described}
            self._client.log_batch(self._parent, tags=_tags(tags))
            self._client.update_run(self._parent, status="RUNNING")
        self._keep(self._parent, entry.text, layout.STUDY_FILE)
        self._keep(self._parent, json.dumps(entry.plan, indent=1), layout.PLAN_FILE)
        if entry.dataset:
            self._client.log_inputs(self._parent, [_dataset_input(entry.dataset)])
        self._client.set_tag(self._parent, layout.PLAN_ID, entry.plan_id)

    def _write_trial(self, entry: TrialEntry) -> None:
        if entry.trial_id in self._finished:
            # Trained again by a run that could not see the store. The first record stays.
            self._client.log_batch(self._run_ids[entry.trial_id], tags=_tags(entry.labels.to_tags()))
            _remove_weights(entry)
            return
        run_id, epochs = self._run_of(entry)
        metrics = [
            Metric(name, value, epoch.timestamp_ms, epoch.step)
            for epoch in epochs
            for name, value in layout.epoch_metrics(epoch).items()
        ]
        result = entry.result
        if result and result.last and result.test_accuracy_percent is not None:
            time_and_step = result.last.timestamp_ms, result.last.step
            metrics.append(Metric("test_accuracy_percent", result.test_accuracy_percent, *time_and_step))
        # With the source: a trial that was interrupted may have ended in another session.
        outcome = {**entry.tags, **layout.outcome_tags(result)} if result else {}
        # The client splits a batch that is too large for one transaction.
        self._client.log_batch(
            run_id,
            metrics=metrics,
            params=[Param(key, value) for key, value in entry.params.items()],
            # The session that trained last gave the result.
            tags=_tags({**entry.labels.to_tags(), layout.SESSION: entry.session, **outcome}),
        )
        if result:
            trial = {"spec": vars(entry.spec), "result": result.to_json()}
            self._keep(run_id, json.dumps(trial), layout.TRIAL_FILE)
            self._keep_model(run_id, entry)
            # Last: a trial counts once all of it is written.
            self._client.set_tag(run_id, layout.STATUS, result.status)
        if entry.status != "RUNNING":
            self._client.set_terminated(run_id, status=entry.status, end_time=entry.ended_ms)
        if entry.status == "FINISHED":
            self._finished.add(entry.trial_id)
        _remove_weights(entry)

    def _run_of(self, entry: TrialEntry) -> tuple[str, Sequence[EpochRecord]]:
        """The id of the trial's run, which is created if there is none, and the epochs that it lacks."""
        run_id = self._run_ids.get(entry.trial_id)
        if run_id is None:
            tags = {layout.PARENT: self._parent, **entry.tags, **entry.labels.to_tags()}
            run = self._client.create_run(self._experiment, start_time=entry.started_ms, tags=tags, run_name=entry.name)
            self._run_ids[entry.trial_id] = run.info.run_id
            return run.info.run_id, entry.epochs
        self._client.update_run(run_id, status="RUNNING")
        # An epoch that was trained again after a kill has a new timestamp; its first record stays. A record that is written
        # again has its original timestamp, and MLflow stores it once.
        stamps = {point.step: point.timestamp for point in self._client.get_metric_history(run_id, layout.LAST_METRIC)}
        return run_id, [e for e in entry.epochs if stamps.get(e.step, e.timestamp_ms) == e.timestamp_ms]

    def _keep_model(self, run_id: str, entry: TrialEntry) -> None:
        # The file is gone if this entry was written before.
        if entry.weights and entry.weights.file.exists():
            log_model(self._client, run_id, entry.weights)


def together(entries: Sequence[Entry]) -> Sequence[Entry]:
    """The longest start of the entries for writing in any order: different trials without models."""
    ids: set[str] = set()
    for entry in entries:
        if not isinstance(entry, TrialEntry) or entry.weights or entry.trial_id in ids:
            break
        ids.add(entry.trial_id)
    return entries[: max(1, len(ids))]


def _remove_weights(entry: TrialEntry) -> None:
    """Remove the worker's file, once its model is recorded."""
    if entry.weights:
        entry.weights.file.unlink(missing_ok=True)


def _dataset_input(dataset: DatasetSource) -> DatasetInput:
    """MLflow's record of a data set. Its digest is at most 36 characters long; the source has the whole checksum."""
    digest = dataset.checksum.split(":", 1)[-1][:MAX_DATASET_DIGEST_SIZE]
    source = json.dumps({"checksum": dataset.checksum, **json.loads(dataset.source)})
    recorded = Dataset(dataset.name, digest, source_type="ablations", source=source)
    return DatasetInput(recorded, [InputTag("mlflow.data.context", "train, validation, test")])


def _tags(values: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(key, value) for key, value in values.items()]
