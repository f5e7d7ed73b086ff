"""The driver's side of the tracking store: a parent run per study and profile, a child run per trial."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from ablations.costs import MEASUREMENTS, Measurement
from ablations.datasets import package_of
from ablations.errors import StoreAwayError
from ablations.planning.frozen import Ledger
from ablations.planning.plan import Plan
from ablations.text import plural
from ablations.tracking import layout, runs
from ablations.tracking.entries import (
    DatasetSource,
    DescribedTrial,
    EndEntry,
    Entry,
    LabelsEntry,
    LedgerEntry,
    StudyEntry,
    TextEntry,
    TrialEntry,
    Weights,
)
from ablations.tracking.logged_models import CONFIG
from ablations.tracking.spool import Spool
from ablations.tracking.store import Address, Store
from ablations.tracking.writer import Writer, together
from ablations.trial import EpochRecord, Phase, RecordedTrial, TrialResult, TrialSpec, content_hash

FLUSH_SECONDS = 10.0
"""Seconds between a running trial's writes; a shorter trial is written once, at its end."""
RETRY_SECONDS = 5.0
"""Pause before the retry after a failure of the store."""
SOON_SECONDS = 3.0
"""The last wait for the store is announced if it takes longer."""


@dataclass
class _Running:
    """A trial under way, and its epochs to write."""

    started_ms: int
    flushed_at: float
    flushed: bool = False
    pending: list[EpochRecord] = field(default_factory=list)


class Recorder:
    """Remembers trials, also while MLflow does not answer.

    Every record is queued on this machine's disk first, and a thread sends it from there to MLflow. Training never waits
    for the store, and the next run, or `sync`, sends the records that are left. Queued records are written exactly once,
    with their original timestamps. A trial takes few transactions: each costs as much as a hundred metrics.
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
            store: the tracking store.
            plan: the study's plan.
            study_text: the study file.
            warn: hears, from any thread, that the store does not answer, or answers again.
            session: describes this training session: versions, processor, commit, command.
            weights_dir: folder with the weights of ended trials, to record as models; None records no models.

        Raises:
            OSError: the spool cannot be written.
            TrackingError: the store cannot be opened, for another reason than that it does not answer.
        """
        self._plan = plan
        self._warn = warn
        self._address = Address(plan.study, plan.profile, store)
        self.trouble: str | None = None
        """Why the store takes no records now; None if it does."""
        self.trials: dict[str, RecordedTrial] = {}
        """Trials of the spool and of this run, by id; the store has more."""
        self._measurements: Mapping[str, Measurement] | None = None
        """Measurements of the spool and of this run."""
        self._weights_dir = weights_dir
        self._session = dict(session)
        self._session_id = content_hash(self._session)
        self._is_session_described = False
        self._running: dict[str, _Running] = {}
        # A pruner compares epoch by epoch, and each look but the last one is taken during the run, on the right images.
        needs: dict[Phase, bool] = {
            "tune": plan.tuning.pruner != "none",
            "confirm": len(plan.looks) > 1,
            "examine": False,
        }
        self._whole = frozenset(phase for phase, is_needed in needs.items() if is_needed)
        self._ledger = Ledger(plan.study, plan.profile)
        self._spool = Spool(self._address.spool)
        self._take_over(list(self._spool))
        self._writer = Writer(self._address, whole=self._whole, warn=warn)
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
        """Learn from the entries of earlier runs, and remove weights without an entry."""
        weights = set()
        for entry in entries:
            if isinstance(entry, TrialEntry):
                if entry.result:
                    self.trials[entry.trial_id] = _recorded(entry, entry.result, self._whole)
                if entry.weights:
                    # By name: the folder may have been moved, or be reached by a link.
                    weights.add(entry.weights.file.name)
            elif isinstance(entry, LedgerEntry):
                self._ledger = self._ledger.with_records_of(entry.ledger)
            elif isinstance(entry, TextEntry) and entry.file == layout.MEASUREMENTS_FILE:
                # Measurements of another version are ignored, and taken again.
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
                f"{error}. The run starts anyway. It knows {plural(len(self.trials), 'trial')} in {self._spool.path}, and trains the "
                f"others again, also those that the store has"
            )

    @property
    def measurements(self) -> Mapping[str, Measurement]:
        """Measurements of architectures by the workload's id."""
        return self._writer.measurements if self._measurements is None else self._measurements

    @property
    def ledgers(self) -> list[Ledger]:
        """What the studies of the store planned and looked at, this one first, with the records of the spool and of this run."""
        own, *others = self._writer.ledgers or [Ledger(self._plan.study, self._plan.profile)]
        return [own.with_records_of(self._ledger), *others]

    @property
    def waiting(self) -> str | None:
        """The number of queued records and their file, for people; None if there are none."""
        count = self._spool.waiting
        return f"{plural(count, 'record')} in {self._spool.path}" if count else None

    def _study_tags(self) -> dict[str, str]:
        return {
            layout.KIND: "study",
            layout.STUDY: self._plan.study,
            layout.PROFILE: self._plan.profile,
            layout.SINCE: str(_now_ms()),
            layout.DESCRIPTION: self._description(),
            **layout.source_tags(self._plan.study, self._session),
        }

    def _description(self) -> str:
        """The question and the profile's description; if MLflow has no room for both, the question."""
        question, profile = map(layout.in_markdown, (self._plan.question, self._plan.profile_description))
        both = f"{question}\n\n{profile}"
        return both if len(both) <= layout.MAX_TAG_CHARACTERS else question

    def _dataset(self) -> DatasetSource:
        data = self._plan.data
        source = {**data.model_dump(), "package": package_of(data.name)}
        return DatasetSource(data.name, self._plan.data_checksum, json.dumps(source))

    def _put(self, entry: Entry) -> None:
        self._spool.append(entry)

    def _write(self) -> None:
        """Send entries until the spool is closed and empty, or closed and the store fails; in a thread."""
        # If somebody has removed the spool, the next `append` says so.
        with suppress(FileNotFoundError):
            self._empty()

    def _empty(self) -> None:
        while few := self._spool.first_few(self._writer.at_once):
            entries = together(few)
            closed = self._spool.pause(0)
            try:
                self._writer.write(*entries)
            # Entries stay queued after any failure.
            except Exception as error:  # noqa: BLE001
                if self.trouble is None:
                    self._warn(f"{str(error).rstrip('.')}; {self.waiting} are queued for it, and training goes on")
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
        """The recorded result of a trial, if it has one; its run then gets the labels of this plan's variant."""
        trial = self._recorded(spec)
        if trial is None:
            return None
        variant = self._plan[spec.variant]
        if (trial.variant, trial.variant_key) != (variant.name, variant.key):
            self._put(LabelsEntry(trial_id=spec.id, labels=self._labels(spec)))
        return trial.result

    def start(self, spec: TrialSpec) -> None:
        """A trial starts, or is retried."""
        self._running[spec.id] = _Running(_now_ms(), time.monotonic())

    def epoch(self, spec: TrialSpec, record: EpochRecord) -> None:
        """An epoch of a trial ended; it is written with the trial's next write."""
        running = self._running[spec.id]
        running.pending.append(record)
        if time.monotonic() - running.flushed_at > FLUSH_SECONDS:
            self._put_trial(spec, running, "RUNNING")

    def end(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused (`result` is None) and will go on in another run of the study."""
        running = self._running.pop(spec.id)
        if result is None:
            # Otherwise the store has no part of it; its checkpoint has its epochs.
            if running.flushed:
                self._put_trial(spec, running, "KILLED")
            return
        # All epochs, also those before a pause: MLflow stores a repeated record once.
        running.pending = list(result.epochs)
        entry = self._put_trial(spec, running, "FAILED" if result.status == "failed" else "FINISHED", result)
        self.trials[spec.id] = _recorded(entry, result, self._whole)

    def settled(self, trial_ids: Sequence[str]) -> None:
        """Tuning is done, and these trials are the study's, each as often as the search asked for it."""
        self._put_text(layout.TRIALS_FILE, json.dumps(sorted(trial_ids)), {layout.SETTLED: self._plan.id})

    def measured(self, measurements: Mapping[str, Measurement]) -> None:
        """Replace all measurements by these."""
        self._measurements = measurements
        self._put_text(layout.MEASUREMENTS_FILE, MEASUREMENTS.dump_json(dict(measurements), indent=1).decode())

    def known(self, spec: TrialSpec) -> TrialResult | None:
        """The recorded result of a trial, if its run has the labels of this plan's variant, as in a report."""
        trial, key = self._recorded(spec), self._plan[spec.variant].key
        return trial.result if trial and (trial.variant, trial.variant_key) == (spec.variant, key) else None

    def _recorded(self, spec: TrialSpec) -> RecordedTrial | None:
        return self.trials.get(spec.id) or self._writer.trials.get(spec.id)

    def keep(self, ledger: Ledger) -> None:
        """Record rules of the verdicts, or looks."""
        self._ledger = self._ledger.with_records_of(ledger)
        self._put(LedgerEntry(ledger=ledger))

    def close(self, complete: bool) -> None:
        """Close the parent run, and wait until all records are written or the store fails.

        Args:
            complete: whether every trial has an outcome.
        """
        try:
            self._put(EndEntry(status="FINISHED" if complete else "KILLED", ended_ms=_now_ms()))
        finally:
            # Also on a full disk: the next run of the study will open the spool.
            self._spool.close()
            self._thread.join(SOON_SECONDS)
            if self._thread.is_alive() and self.trouble is None:
                self._warn(f"sending {self.waiting} to MLflow")
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
            # Before the session's first trial, so that a killed run is described, too.
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
                **layout.source_tags(self._plan.study, self._session),
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
        """The file of the trial's weights, and the config to build its network."""
        file = self._weights_dir and self._weights_dir.absolute() / f"{spec.id}.pt"
        if file is None or not file.exists():
            return None
        return Weights(file, CONFIG.dump_python(spec.config, mode="json"))

    def _labels(self, spec: TrialSpec) -> layout.Labels:
        variant = self._plan[spec.variant]
        return layout.Labels(variant.name, variant.key, variant.family, spec.number, spec.hyperparameters)


def sync(address: Address, warn: Callable[[str], None] = lambda text: None) -> int:
    """Send a study's queued records to its store; their number.

    Args:
        address: of the study.
        warn: hears of repairs in the store.

    Raises:
        TrackingError: the store fails, or a line is damaged; the other records stay queued.
    """
    spool, writer = Spool(address.spool), Writer(address, warn=warn)
    spool.close()
    # A damaged line is reported before any record is sent.
    for _ in spool:
        pass
    count = 0
    while few := spool.first_few(writer.at_once):
        entries = together(few)
        writer.write(*entries)
        spool.done(len(entries))
        count += len(entries)
    return count


def _recorded(entry: TrialEntry, result: TrialResult, whole: frozenset[Phase]) -> RecordedTrial:
    """A trial from its entry; one of another phase than `whole` has only its last epoch, as from the store."""
    if entry.spec.phase not in whole:
        result = runs.in_brief(result)
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
