"""Reads a study back from MLflow, with all data of a report."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import TypeAdapter

from ablations.analysis.code import PACKAGE_CODE, TrainedCode, in_provenance, network_packages, trained_code
from ablations.analysis.summary import Trouble
from ablations.analysis.warnings import troubles_of
from ablations.costs import Measurement
from ablations.datasets import DATASETS
from ablations.errors import RegistrationError, TrackingError
from ablations.planning.frozen import Ledger
from ablations.planning.plan import Plan, search_of_tuning
from ablations.progress import Progress
from ablations.studyfile.spec import NAME
from ablations.text import plural, readable, shown
from ablations.tracking import layout, runs
from ablations.tracking.artifacts import artifact_text, stored_text
from ablations.tracking.client import Client, Run
from ablations.tracking.database import store_errors
from ablations.tracking.displaced import deleted_run, find_study, renamed
from ablations.tracking.ledgers import all_ledgers, stored_ledger
from ablations.tracking.pages import addresses
from ablations.tracking.store import Address, Store
from ablations.trial import Phase, RecordedTrial, content_hash

T = TypeVar("T")
_IDS = TypeAdapter(list[str])
_SESSION = TypeAdapter(dict[str, Any])


@dataclass(frozen=True)
class StoredStudy:
    """A study at one profile in the store."""

    plan: Plan
    trials: tuple[RecordedTrial, ...]
    """Trials of this plan; those of the phases that were asked for with all their epochs, others with the last one."""
    provenance: Mapping[str, Any]
    measurements: Mapping[str, Measurement]
    """Measurements by the workload's id."""
    ledgers: tuple[Ledger, ...]
    """What the studies of the store planned and looked at, this one first."""


def read_study(address: Address, *, whole: Collection[Phase] = frozenset({"confirm"})) -> StoredStudy:
    """Read a study from the store.

    Args:
        address: of the study.
        whole: phases to read with all epochs, a file per trial.

    Raises:
        TrackingError: the store cannot be used, or holds no such study.
    """
    with _found(address) as found:
        plan, parent, client = found.plan, found.parent, found.client
        try:
            _ = DATASETS[plan.data.name]
        except (KeyError, RegistrationError) as error:
            why = f": {error}" if isinstance(error, RegistrationError) else ""
            raise TrackingError(
                f"{address.study} was trained on the data set {shown(plan.data.name)}, which no installed package registers correctly{why}. "
                f"Install {_package(client, parent)}."
            ) from error
        keys = {variant.name: variant.key for variant in plan.variants}
        children = runs.trial_runs(client, parent.info.experiment_id)
        runs_by_id = {run.info.run_id: run for run in children}
        recorded = (runs.recorded(client, run) for run in children)
        trials = [trial for trial in recorded if trial is not None]
        trials = [trial for trial in trials if keys.get(trial.variant) == trial.variant_key]
        for trial in trials:
            if not plan.searches(trial.hyperparameters):
                raise TrackingError(
                    f"the tags of run {trial.run_id} are not as recorded (its hyperparameters are outside the search space). Delete "
                    f"the run in MLflow, and run the study again."
                )
        # Another first seed has other searches of the same variants.
        searches = plan.searches_between(0, len(plan.seeds))
        trials = [t for t in trials if t.phase != "tune" or search_of_tuning(t.seed) in searches]
        counts = _settled(found)
        if counts is not None:
            trials = [replace(t, count=counts[t.id]) for t in trials if t.id in counts]
        # Two drivers that shared no lock may have recorded a trial twice; either record will do.
        trials = list({trial.id: trial for trial in trials}.values())
        with ThreadPoolExecutor(8) as pool:
            read = pool.map(lambda trial: _whole(client, runs_by_id[trial.run_id], trial, whole), trials)
            trials = list(read)
        _require_one_test_split(trials)
        trained = Counter(trial.session for trial in trials if trial.session)
        sessions = {session: _session(found, session) for session in trained}
        measurements = runs.stored_measurements(client, parent)
        ledgers = all_ledgers(client, address)
    # The report does not depend on the store's order.
    trials.sort(key=lambda t: (t.variant, t.phase, t.seed, -1 if t.number is None else t.number, t.run_id))
    return StoredStudy(
        plan,
        tuple(trials),
        {
            **_merged([(sessions[session], count) for session, count in sorted(trained.items())]),
            **in_provenance(trained_code(plan, trials, sessions)),
            "plan_id": parent.data.tags[layout.PLAN_ID],
            "data_checksum": plan.data_checksum,
            "device": plan.device,
            # A report may be moved to another machine; the store's folder says nothing there.
            "tracking_uri": str(address.store)
            if address.store.file is None
            else f"sqlite:///{address.store.file.name}",
            "experiment": address.experiment,
            "experiment_id": parent.info.experiment_id,
            "parent_run_id": parent.info.run_id,
        },
        measurements,
        tuple(ledgers),
    )


@dataclass(frozen=True)
class StoredProgress:
    """Progress of a study at one profile in the store."""

    progress: Progress
    state: str
    """MLflow's status: RUNNING also if the process that ran the study was killed."""
    since_ms: int
    """Wall clock at the start of the study's last run, milliseconds since 1970."""
    heard_ms: int
    """Wall clock at the last recorded event, milliseconds since 1970."""
    troubles: tuple[Trouble, ...] = ()
    """Outcomes of trials that did not finish."""
    command: str | None = None
    """Command of the run that trained last; None if no trial has ended."""
    code: TrainedCode = field(default_factory=dict)
    """Code of the registered networks and data sets that trained the ended trials."""


def read_progress(address: Address) -> StoredProgress:
    """Read the progress of a study, also while another process runs it. Opens no file of a trial, so it is fast.

    Raises:
        TrackingError: the store cannot be used, or holds no such study.
    """
    with _found(address) as found:
        plan, parent = found.plan, found.parent
        keys = {variant.name: variant.key for variant in plan.variants}
        children = [
            run
            for run in runs.trial_runs(found.client, parent.info.experiment_id)
            if keys.get(run.data.tags.get(layout.VARIANT, "")) == run.data.tags.get(layout.VARIANT_KEY)
        ]
        counts = _settled(found)
        since_ms = runs.since_ms(parent)
        under_way = [run for run in children if run.info.status == "RUNNING"]
        progress = Progress(plan, num_workers=max(1, len(under_way)), clock=time.time)
        progress.began_at = since_ms / 1000
        ledger = stored_ledger(found.client, plan.study, plan.profile, found.studies)
        progress.recall(ledger.looks, runs.num_recorded(plan, children))
        heard_ms = [since_ms]
        ended = []
        labels = {run.info.run_id: runs.label(run) for run in children}
        earlier = set() if counts is None else runs.of_earlier_tuning(labels.values(), counts)
        searches = plan.searches_between(0, len(plan.seeds))
        for run in sorted(children, key=lambda run: run.info.start_time):
            label = labels[run.info.run_id]
            if label.id in earlier or (label.phase == "tune" and search_of_tuning(label.seed) not in searches):
                continue
            trial = None if run.info.status == "RUNNING" else runs.recorded(found.client, run)
            if trial is not None:
                ended_ms = run.info.end_time or 0
                ended.append((ended_ms, trial))
                heard_ms.append(ended_ms)
                (progress.ended if ended_ms > since_ms else progress.found)(trial, trial.result)
                continue
            num_epochs = plan[label.variant].config.train.epochs
            progress.started(label, num_epochs, run.info.start_time)
            points = found.client.get_metric_history(run.info.run_id, layout.LAST_METRIC)
            last = layout.epoch_record(run.data.metrics, max(point.timestamp for point in points)) if points else None
            if last is not None:
                heard_ms.append(last.timestamp_ms)
                progress.epoch(label, last)
            if run.info.status != "RUNNING":
                progress.left(label)
        tuned = {t.variant: t.hyperparameters for _, t in ended if t.phase == "confirm" and t.seed in plan.seeds}
        if plan.examined_seeds and len(tuned) == len(plan.variants):
            progress.examines(Counter(spec.variant for spec in plan.examinations(tuned)))
        if counts is not None:
            progress.settled()
        newest = max(ended, key=lambda each: each[0])[1].session if ended else None
        # Each session has a file, and only packages of networks have code to compare.
        wanted = {trial.session for _, trial in ended} if network_packages(plan) else {newest}
        sessions: dict[str, dict[str, Any]] = {}
        for session in (each for each in wanted if each):
            # It may be half written.
            with suppress(TrackingError):
                sessions[session] = _session(found, session)
        command = sessions.get(newest or "", {}).get("command")
    return StoredProgress(
        progress,
        parent.info.status,
        since_ms,
        max(heard_ms),
        tuple(troubles_of([trial for _, trial in ended])),
        command if isinstance(command, str) else None,
        trained_code(plan, [trial for _, trial in ended], sessions),
    )


def recorded_studies(store: Store) -> list[Address]:
    """Recorded studies in the order of their names.

    Raises:
        TrackingError: the store cannot be used.
    """
    if not _exists(store):
        return []
    with store_errors(store):
        client = Client(store.uri)
        names = {each.experiment_id: each.name for each in runs.all_pages(client.search_experiments)}
        parents = runs.all_pages(client.search_runs, list(names), f"tags.`{layout.KIND}` = 'study'")
    # A store may have experiments of other programs, and names of studies become names of folders.
    # A study that two drivers began at once has two runs.
    planned = {names[run.info.experiment_id] for run in parents if layout.PLAN_ID in run.data.tags}
    found = [name.split("/") for name in planned]
    return sorted(
        Address(parts[0], parts[1], store) for parts in found if len(parts) == 2 and all(map(NAME.fullmatch, parts))
    )


def study_pages(address: Address) -> dict[str, str]:
    """MLflow's pages of a study by name, as paths below the address of MLflow's pages.

    Raises:
        TrackingError: the store cannot be used, or holds no such study.
    """
    with _found(address) as found:
        return dict(addresses(found.client, found.parent))


@dataclass(frozen=True)
class _Found:
    """A study's run, and the plan in it."""

    address: Address
    client: Client
    parent: Run
    studies: Sequence[Run]
    """All runs of the study, deleted ones too; the first is `parent`."""
    plan: Plan


@contextmanager
def _found(address: Address) -> Iterator[_Found]:
    """Find a study in the store, for a `with` block in which the store's failures become messages for people.

    Raises:
        TrackingError: the store cannot be used, or holds no such study.
    """
    store, name = address.store, address.experiment
    again = _again(address)
    missing = (
        f"{store} holds no study {shown(address.study)} at profile {shown(address.profile)}. Run it first: {again}"
    )
    if not _exists(store):
        raise TrackingError(missing)
    with store_errors(store):
        client = Client(store.uri)
        _, studies = find_study(client, address)
        if not studies or layout.PLAN_ID not in studies[0].data.tags:
            raise TrackingError(missing)
        parent = studies[0]
        if parent.info.lifecycle_stage != "active":
            raise TrackingError(deleted_run(address, parent))
        other_version = (
            f"the plan of {name} was recorded by another version of the suite, or edited. Record it again with: {again}"
        )
        try:
            text = artifact_text(client, parent.info.artifact_uri, layout.PLAN_FILE)
            plan = Plan.from_json(text)
            plan_id = content_hash(json.loads(text))
        except (ValueError, RecursionError, FileNotFoundError) as error:
            raise TrackingError(other_version) from error
        # Of the text: a plan of an older version is completed when it is read.
        if plan_id != parent.data.tags[layout.PLAN_ID]:
            raise TrackingError(other_version)
        recorded = Address(plan.study, plan.profile, store)
        if recorded != address:
            raise TrackingError(renamed(recorded, client.get_experiment(parent.info.experiment_id)))
        yield _Found(address, client, parent, studies, plan)


def _again(address: Address) -> str:
    names = f"{readable(address.study)} --profile {readable(address.profile)}"
    return f"python -m ablations run {names}{address.store.option}"


def _package(client: Client, parent: Run) -> str:
    """The package to install for a study's data set, as far as the store says."""
    inputs = client.get_run(parent.info.run_id).inputs
    try:
        package = json.loads(inputs.dataset_inputs[0].dataset.source)["package"] if inputs else None
    except (IndexError, KeyError, TypeError, ValueError, RecursionError):
        package = None
    return f"{readable(str(package))}, which registered it" if package else "the package that registered it"


def _settled(found: _Found) -> Counter[str] | None:
    """Ids of the plan's trials, each as often as the search asked for it; None until tuning is done.

    The same variant keys may have trials of an earlier tuning, in which a trial crashed.
    """
    text = stored_text(found.client, found.parent, layout.TRIALS_FILE)
    if text is None or found.parent.data.tags.get(layout.SETTLED) != found.parent.data.tags[layout.PLAN_ID]:
        return None
    asked: list[str] = _read(_IDS, text, layout.TRIALS_FILE, _again(found.address))
    return Counter(asked)


def _session(found: _Found, session: str) -> dict[str, Any]:
    """The description of a training session; empty if there is none."""
    file = layout.session_file(session)
    # Most are in the first run; a study that had another one left some there.
    texts = (stored_text(found.client, run, file) for run in found.studies)
    text = next((text for text in texts if text is not None), None)
    return {} if text is None else _read(_SESSION, text, file, _again(found.address))


def _read(kind: TypeAdapter[T], text: str, file: str, again: str) -> T:
    try:
        return kind.validate_json(text)
    except ValueError as error:
        raise TrackingError(f"{file} in the study's run is damaged. Record it again with: {again}") from error


def _exists(store: Store) -> bool:
    """Whether the store exists: reading must not create it."""
    return store.file is None or store.file.exists()


def _merged(sessions: Sequence[tuple[Mapping[str, Any], int]]) -> dict[str, Any]:
    """Merge descriptions of sessions: a common value once, differing values each with their number of trials.

    Code is left out: a session's trials need not be of each of its packages.

    Args:
        sessions: each session's description, and the number of trials that it trained.
    """
    merged: dict[str, Any] = {}
    for key in dict.fromkeys(key for values, _ in sessions for key in values if key != PACKAGE_CODE):
        values: list[tuple[Any, int]] = [(each.get(key), count) for each, count in sessions]
        if all(isinstance(value, Mapping) for value, _ in values):
            merged[key] = _merged(values)
        elif all(value == values[0][0] for value, _ in values):
            merged[key] = values[0][0]
        elif key == "uncommitted_changes":
            merged[key] = any(value for value, _ in values)
        else:
            trials: Counter[str] = Counter()
            for value, count in values:
                trials[str(value)] += count
            merged[key] = [f"{value} ({plural(count, 'trial')})" for value, count in trials.most_common()]
    return merged


def _require_one_test_split(trials: Sequence[RecordedTrial]) -> None:
    """Refuse trials that were tested on different numbers of images: they cannot be compared image by image."""
    tested = {t.run_id: t.result.num_test_images for t in trials if t.result.test_correct is not None}
    if len(set(tested.values())) > 1:
        common = Counter(tested.values()).most_common(1)[0][0]
        run_id, number = next(item for item in tested.items() if item[1] != common)
        raise TrackingError(
            f"run {run_id} was tested on {number} images, the others on {common}. Delete the run in MLflow, and run the study "
            "again."
        )


def _whole(client: Client, run: Run, trial: RecordedTrial, phases: Collection[Phase]) -> RecordedTrial:
    """A trial of these phases with every epoch and its correctness bits; of others the last epoch is enough."""
    if trial.phase not in phases or trial.result.status == "failed":
        return trial
    return replace(trial, result=runs.stored_result(client, run))
