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
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import RunTag

from ablations.costs import MEASUREMENTS, Measurement
from ablations.datasets import package_of
from ablations.errors import StoreAwayError
from ablations.planning.plan import SEARCH_SEED, Look, Plan
from ablations.text import plural
from ablations.tracking import layout
from ablations.tracking.database import store_errors
from ablations.tracking.logged_models import CONFIG
from ablations.tracking.spool import Entry, Spool
from ablations.tracking.store import Address, Store
from ablations.tracking.writer import Writer, together
from ablations.trial import EpochRecord, RecordedTrial, TrialResult, TrialSpec, content_hash, in_short

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
        self._weights_dir = weights_dir
        self._session = dict(session)
        self._session_id = content_hash(self._session)
        self._is_session_told = False
        self._running: dict[str, _Running] = {}
        self._spool = Spool(self._address.spool)
        # A pruner compares epoch by epoch.
        pruned = plan.tuning.pruner != "none"
        self._writer = Writer(self._address, whole_searches=pruned)
        spooled = list(self._spool)
        self.trials: dict[str, RecordedTrial] = {
            entry["trial_id"]: _recorded(entry, TrialResult.from_json(entry["result"]))
            for entry in spooled
            if entry["kind"] == "trial" and entry["result"]
        }
        """Of the spool and of this run, by id; the store has others."""
        # By their names: the folder may have been moved, or be reached by a link.
        self._remove_weights({Path(entry["weights"]["file"]).name for entry in spooled if entry.get("weights")})
        self._measurements: Mapping[str, Measurement] | None = None
        """Of the spool and of this run."""
        for entry in spooled:
            if entry["kind"] == "text" and entry["file"] == layout.MEASUREMENTS_FILE:
                # Another version's are as good as none, and are measured anew.
                with suppress(ValueError):
                    self._measurements = MEASUREMENTS.validate_json(entry["text"])
        try:
            self._writer.open()
        except StoreAwayError as error:
            self.trouble = str(error)
            warn(
                f"{error}. The run starts all the same, knows only {plural(len(self.trials), 'trial')} in {self._spool.path}, "
                f"and would train again what only the store knows"
            )
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()
        self._put(
            "study",
            plan_id=plan.id,
            text=study_text,
            plan=plan.to_json(),
            tags=self._study_tags(),
            dataset=self._dataset(),
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

    def _dataset(self) -> dict[str, str]:
        data = self._plan.data
        source = {**data.model_dump(), "package": package_of(data.name)}
        return {"name": data.name, "checksum": self._plan.data_checksum, "source": json.dumps(source)}

    def _put(self, kind: str, **values: Any) -> Entry:
        entry = {"kind": kind, **values}
        self._spool.append(entry)
        return entry

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
            self._put("labels", trial_id=spec.id, tags=self._labels(spec))
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
            self._put("end", status="FINISHED" if complete else "KILLED", ended_ms=_now_ms())
        finally:
            # On a full disk, too: whoever runs the study next has the spool.
            self._spool.close()
            self._thread.join(SOON_SECONDS)
            if self._thread.is_alive() and self.trouble is None:
                self._warn(f"writing {self.waiting} to MLflow")
            self._thread.join()

    def _put_text(self, file: str, text: str, tags: Mapping[str, str] | None = None) -> None:
        self._put("text", file=file, text=text, tags=dict(tags or {}))

    def _put_trial(self, spec: TrialSpec, running: _Running, status: str, result: TrialResult | None = None) -> Entry:
        if not self._is_session_told:
            # Before its first trial, so that a run that is killed has told, too.
            self._put_text(layout.session_file(self._session_id), json.dumps(self._session, indent=1))
            self._is_session_told = True
        entry = self._put(
            "trial",
            trial_id=spec.id,
            name=_name(spec),
            tags={
                layout.KIND: "trial",
                layout.STUDY: self._plan.study,
                layout.TRIAL_ID: spec.id,
                layout.PHASE: spec.phase,
                layout.SEED: str(spec.seed),
            },
            labels=self._labels(spec),
            session=self._session_id,
            # With phase and seed among them, MLflow's plots can tell trials apart that differ in nothing else.
            params={
                "phase": spec.phase,
                "seed": str(spec.seed),
                **{key: _param(value) for key, value in _flat(spec.config.to_json())},
            },
            spec=_described(spec),
            status=status,
            started_ms=running.started_ms,
            # A clock that was set back gives no trial a negative duration.
            ended_ms=max(running.started_ms, _now_ms()),
            epochs=[dict(vars(record)) for record in running.pending],
            result=result.to_json() if result else None,
            # A trial that failed has none of its own, but a run that was killed may have left some.
            weights=self._weights(spec) if result and result.status == "finished" else None,
        )
        running.pending, running.flushed, running.flushed_at = [], True, time.monotonic()
        return entry

    def _weights(self, spec: TrialSpec) -> dict[str, Any] | None:
        """Where the trial's weights are, and all that it takes to make a network of them."""
        file = self._weights_dir and self._weights_dir.absolute() / f"{spec.id}.pt"
        if file is None or not file.exists():
            return None
        return {"file": str(file), "config": CONFIG.dump_python(spec.config, mode="json")}

    def _remove_weights(self, waiting: set[str]) -> None:
        """Remove what runs that were killed have left, but the files of these names, with which entries wait."""
        for file in self._address.weights_folder.glob("*"):
            if file.name not in waiting:
                file.unlink()

    def _labels(self, spec: TrialSpec) -> dict[str, str]:
        """What does not decide a trial's result, and may differ from plan to plan."""
        variant = self._plan[spec.variant]
        tags = {
            layout.VARIANT: variant.name,
            layout.VARIANT_KEY: variant.key,
            layout.FAMILY: variant.family,
            layout.NUMBER: None if spec.number is None else str(spec.number),
            layout.HYPERPARAMETERS: json.dumps(spec.hyperparameters),
        }
        return {key: value for key, value in tags.items() if value is not None}


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
        tags = [RunTag(name, text) for name, text in layout.looks_tags(looks).items()]
        MlflowClient(store.uri).log_batch(parent_run_id, tags=tags)


def _name(spec: TrialSpec) -> str:
    """What a person calls the trial: `two, tune 3, lr 0.0898`, `two, confirm, seed 1, lr 0.0898`."""
    number = "" if spec.number is None else f" {spec.number}"
    # Every search is on one seed.
    seed = [] if spec.phase == "tune" and spec.seed == SEARCH_SEED else [f"seed {spec.seed}"]
    return ", ".join([spec.variant, f"{spec.phase}{number}", *seed, *in_short(spec.hyperparameters)])


def _recorded(entry: Entry, result: TrialResult) -> RecordedTrial:
    """A trial from its entry; of a confirmation with its last epoch only, as the store tells it, since there are many."""
    if entry["spec"]["phase"] == "confirm":
        result = replace(result, epochs=result.epochs[-1:], test_correct=None, num_test_images=None, test_labels=None)
    labels, spec = entry["labels"], entry["spec"]
    return RecordedTrial(
        run_id="",
        variant=labels[layout.VARIANT],
        variant_key=labels[layout.VARIANT_KEY],
        phase=spec["phase"],
        seed=spec["seed"],
        number=spec["number"],
        hyperparameters=spec["hyperparameters"],
        result=result,
    )


def _described(spec: TrialSpec) -> dict[str, Any]:
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
