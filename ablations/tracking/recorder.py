"""The driver's side of the tracking store: one parent run a study and profile, one child run a trial."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from mlflow import MlflowClient
from mlflow.entities import RunTag

from ablations.costs import MEASUREMENTS, Measurement
from ablations.datasets import package_of
from ablations.errors import StoreAwayError
from ablations.planning.plan import Look, Plan
from ablations.text import plural
from ablations.tracking import layout
from ablations.tracking.database import store_errors
from ablations.tracking.entries import (
    DatasetSource,
    DescribedTrial,
    EndEntry,
    Entry,
    LabelsEntry,
    StudyEntry,
    TextEntry,
    TrialEntry,
    Weights,
)
from ablations.tracking.logged_models import CONFIG
from ablations.tracking.spool import Spool
from ablations.tracking.store import Address, Store
from ablations.tracking.writer import Writer, together
from ablations.trial import EpochRecord, RecordedTrial, TrialResult, TrialSpec, content_hash

FLUSH_SECONDS = 10.0
"""A trial's records are written this often while it runs; a shorter trial is written once, at its end."""
RETRY_SECONDS = 5.0
"""Pause before a store that failed is tried again."""

SOON_SECONDS = 3.0
"""A last wait for the store is announced if it is longer."""


_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
"""What Markdown, which MLflow takes descriptions for, could mean anything by; a backslash before it makes it text."""


@dataclass
class _Running:
    """A trial under way, and its records that are not written yet."""

    started_ms: int
    flushed_at: float
    flushed: bool = False
    pending: list[EpochRecord] = field(default_factory=list)


class Recorder:
    """Remembers trials, whether or not MLflow answers.

    All that is to be written goes to a spool on this machine's disk first, and a thread takes it from there to MLflow.
    So training never waits for the store, and what the store did not take is still there for the next run, or `sync`.
    A trial is written in few transactions: each costs as much as a hundred metrics.
    """

    def __init__(
        self,
        store: Store,
        plan: Plan,
        study_text: str,
        warn: Callable[[str], None] = lambda text: None,
        *,
        session: Mapping[str, Any] = MappingProxyType({}),
        weights_dir: Path | None = None,
    ) -> None:
        """Open the store and the spool.

        Args:
            store: that remembers.
            plan: of the study.
            study_text: its file.
            warn: hears, from any thread, that the store does not answer, or answers again.
            session: describes what trains in this run: versions, processor, commit, command.
            weights_dir: where a trial's weights are when it ends, to be recorded as a model; None records none.

        Raises:
            OSError: the spool cannot be kept.
            TrackingError: the store cannot be opened. One that does not answer is waited for.
        """
        self._plan = plan
        self._warn = warn
        self._address = Address(plan.study, plan.profile, store)
        self.trouble: str | None = None
        """Why the store takes nothing now."""
        self.trials: dict[str, RecordedTrial] = {}
        """Trials of the spool and of this run, by id; the store has others."""
        self._measurements: Mapping[str, Measurement] | None = None
        """Measurements of the spool and of this run."""
        self._weights_dir = weights_dir
        self._session = dict(session)
        self._session_id = content_hash(self._session)
        self._is_session_described = False
        self._running: dict[str, _Running] = {}
        self._spool = Spool(self._address.spool)
        self._take_over(list(self._spool))
        # A pruner compares epoch by epoch.
        pruned = plan.tuning.pruner != "none"
        self._writer = Writer(self._address, whole_searches=pruned)
        self._open()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()
        self._put(
            StudyEntry(
                plan_id=plan.id,
                text=study_text,
                plan=plan.to_json(),
                tags=self._study_tags(),
                dataset=self._dataset(),
            )
        )

    def _take_over(self, entries: Sequence[Entry]) -> None:
        """Learn from the entries of earlier runs, and remove weights that none of them needs."""
        weights = set()
        for entry in entries:
            if isinstance(entry, TrialEntry):
                if entry.result:
                    self.trials[entry.trial_id] = _recorded(entry, entry.result)
                if entry.weights:
                    # By name: the folder may have been moved, or be reached by a link.
                    weights.add(entry.weights.file.name)
            elif isinstance(entry, TextEntry) and entry.file == layout.MEASUREMENTS_FILE:
                # Those of another version are ignored, and measured again.
                with suppress(ValueError):
                    self._measurements = MEASUREMENTS.validate_json(entry.text)
        for file in self._address.weights_folder.glob("*"):
            if file.name not in weights:
                file.unlink()

    def _open(self) -> None:
        try:
            self._writer.open()
        except StoreAwayError as error:
            self.trouble = str(error)
            self._warn(
                f"{error}. The run starts all the same, knows only {plural(len(self.trials), 'trial')} in {self._spool.path}, "
                f"and would train again what only the store knows"
            )

    @property
    def measurements(self) -> Mapping[str, Measurement]:
        """Of architectures, by the workload's id."""
        return self._writer.measurements if self._measurements is None else self._measurements

    @property
    def waiting(self) -> str | None:
        """What waits for the store, and where; None where nothing does."""
        count = self._spool.waiting
        return f"{plural(count, 'record')} in {self._spool.path}" if count else None

    def _study_tags(self) -> dict[str, str]:
        return {
            layout.KIND: "study",
            layout.STUDY: self._plan.study,
            layout.PROFILE: self._plan.profile,
            layout.SINCE: str(_now_ms()),
            layout.DESCRIPTION: _PUNCTUATION.sub(
                r"\\\g<0>", f"{self._plan.question}\n\n{self._plan.profile_description}"
            ),
        }

    def _dataset(self) -> DatasetSource:
        data = self._plan.data
        source = {**data.model_dump(), "package": package_of(data.name)}
        return DatasetSource(data.name, self._plan.data_checksum, json.dumps(source))

    def _put(self, entry: Entry) -> None:
        self._spool.append(entry)

    def _write(self) -> None:
        """The thread's life: the first entries, again and again, until the spool is closed and empty, or the store fails after that."""
        # Where somebody has removed the spool, whoever puts the next entry into it says so.
        with suppress(FileNotFoundError):
            self._empty()

    def _empty(self) -> None:
        while few := self._spool.first_few(self._writer.at_once):
            entries = together(few)
            closed = self._spool.pause(0)
            try:
                self._writer.write(*entries)
            # Whatever fails, the entries stay where they are.
            except Exception as error:  # noqa: BLE001
                if self.trouble is None:
                    self._warn(f"{error}; {self.waiting} wait for it, and training goes on")
                self.trouble = str(error)
                if closed:
                    return
                self._spool.pause(RETRY_SECONDS)
                continue
            self._spool.done(len(entries))
            if self.trouble is not None:
                self.trouble = None
                self._warn(f"the MLflow store {self._address.store} answers again")

    def claim(self, spec: TrialSpec) -> TrialResult | None:
        """The recorded result of a trial, if it has one; its run is then counted to this plan's variant."""
        trial = self.trials.get(spec.id) or self._writer.trials.get(spec.id)
        if trial is None:
            return None
        variant = self._plan[spec.variant]
        if (trial.variant, trial.variant_key) != (variant.name, variant.key):
            self._put(LabelsEntry(trial_id=spec.id, labels=self._labels(spec)))
        return trial.result

    def start(self, spec: TrialSpec) -> None:
        """A trial starts, or starts again after it failed."""
        self._running[spec.id] = _Running(_now_ms(), time.monotonic())

    def epoch(self, spec: TrialSpec, record: EpochRecord) -> None:
        """An epoch of a trial ended; it is written with the next batch."""
        running = self._running[spec.id]
        running.pending.append(record)
        if time.monotonic() - running.flushed_at > FLUSH_SECONDS:
            self._put_trial(spec, running, "RUNNING")

    def end(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused (`result` is None) and will go on in another run of the study."""
        running = self._running.pop(spec.id)
        if result is None:
            # Otherwise nothing of it is in the store; its checkpoint has its records.
            if running.flushed:
                self._put_trial(spec, running, "KILLED")
            return
        # All epochs, those from before a pause too: what is there already is stored once.
        running.pending = list(result.epochs)
        entry = self._put_trial(spec, running, "FAILED" if result.status == "failed" else "FINISHED", result)
        self.trials[spec.id] = _recorded(entry, result)

    def settled(self, trial_ids: Sequence[str]) -> None:
        """Tuning is done, and these trials are the study's, each as often as it was asked for."""
        self._put_text(layout.TRIALS_FILE, json.dumps(sorted(trial_ids)), {layout.SETTLED: self._plan.id})

    def measured(self, measurements: Mapping[str, Measurement]) -> None:
        """Architectures were measured; these replace what was measured before."""
        self._measurements = measurements
        self._put_text(layout.MEASUREMENTS_FILE, MEASUREMENTS.dump_json(dict(measurements), indent=1).decode())

    def close(self, complete: bool) -> None:
        """Close the parent run, and wait until all is written or the store fails.

        Args:
            complete: whether every trial has an outcome.
        """
        try:
            self._put(EndEntry(status="FINISHED" if complete else "KILLED", ended_ms=_now_ms()))
        finally:
            # On a full disk, too: whoever runs the study next has the spool.
            self._spool.close()
            self._thread.join(SOON_SECONDS)
            if self._thread.is_alive() and self.trouble is None:
                self._warn(f"writing {self.waiting} to MLflow")
            self._thread.join()

    def _put_text(self, file: str, text: str, tags: Mapping[str, str] | None = None) -> None:
        self._put(TextEntry(file=file, text=text, tags=dict(tags or {})))

    def _put_trial(
        self,
        spec: TrialSpec,
        running: _Running,
        status: Literal["RUNNING", "KILLED", "FAILED", "FINISHED"],
        result: TrialResult | None = None,
    ) -> TrialEntry:
        if not self._is_session_described:
            # Before the session's first trial, so that a run that is killed has described itself, too.
            self._put_text(layout.session_file(self._session_id), json.dumps(self._session, indent=1))
            self._is_session_described = True
        entry = TrialEntry(
            trial_id=spec.id,
            name=layout.run_name(spec),
            tags={
                layout.KIND: "trial",
                layout.STUDY: self._plan.study,
                layout.TRIAL_ID: spec.id,
                layout.PHASE: spec.phase,
                layout.SEED: str(spec.seed),
            },
            labels=self._labels(spec),
            session=self._session_id,
            params=layout.trial_params(spec),
            spec=DescribedTrial.of(spec),
            status=status,
            started_ms=running.started_ms,
            # A clock that was set back gives no trial a negative duration.
            ended_ms=max(running.started_ms, _now_ms()),
            epochs=tuple(running.pending),
            result=result,
            # A trial that failed has no weights, but a run that was killed may have left some.
            weights=self._weights(spec) if result and result.status == "finished" else None,
        )
        self._put(entry)
        running.pending, running.flushed, running.flushed_at = [], True, time.monotonic()
        return entry

    def _weights(self, spec: TrialSpec) -> Weights | None:
        """The file of the trial's weights, and the config that its network is built from."""
        file = self._weights_dir and self._weights_dir.absolute() / f"{spec.id}.pt"
        if file is None or not file.exists():
            return None
        return Weights(file, CONFIG.dump_python(spec.config, mode="json"))

    def _labels(self, spec: TrialSpec) -> layout.Labels:
        variant = self._plan[spec.variant]
        return layout.Labels(variant.name, variant.key, variant.family, spec.number, spec.hyperparameters)


def sync(address: Address) -> int:
    """Write what waits of a study to the store; the number of entries.

    Raises:
        TrackingError: the store takes no more, or a line is damaged; the rest still waits.
    """
    spool, writer = Spool(address.spool), Writer(address)
    spool.close()
    # A damaged line is told of before any is written.
    for _ in spool:
        pass
    count = 0
    while few := spool.first_few(writer.at_once):
        entries = together(few)
        writer.write(*entries)
        spool.done(len(entries))
        count += len(entries)
    return count


def record_looks(store: Store, parent_run_id: str, looks: Iterable[Look]) -> None:
    """Remember the reports that have given verdicts on a study's results, and what of the error budget each spent."""
    with store_errors(store):
        # All at once: what was read of half of them would be damaged.
        tags = [RunTag(name, text) for name, text in layout.looks_to_tags(looks).items()]
        MlflowClient(store.uri).log_batch(parent_run_id, tags=tags)


def _recorded(entry: TrialEntry, result: TrialResult) -> RecordedTrial:
    """A trial from its entry; of a confirmation only the last epoch, as the store gives it, since there are many."""
    if entry.spec.phase == "confirm":
        result = replace(result, epochs=result.epochs[-1:], test_correct=None, num_test_images=None, test_labels=None)
    return RecordedTrial(
        run_id="",
        variant=entry.labels.variant,
        variant_key=entry.labels.variant_key,
        phase=entry.spec.phase,
        seed=entry.spec.seed,
        number=entry.spec.number,
        hyperparameters=entry.spec.hyperparameters,
        result=result,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
