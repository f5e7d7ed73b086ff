"""Metrics that MLflow lost: none of ours is written asynchronously, and stores of those that were are read or refused."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from looked import ledger_of, look_of
from mlflow import MlflowClient
from mlflow.utils.async_logging.async_logging_queue import AsyncLoggingQueue
from stored import address, parents, record_trial, trials
from waiting import Recorder

from ablations.errors import TrackingError
from ablations.planning.plan import Plan
from ablations.session import look
from ablations.tracking.ledgers import record_looks
from ablations.tracking.publish import publish
from ablations.tracking.reader import read_progress, read_study
from ablations.tracking.store import Store
from ablations.trial import TrialSpec

PLAN = tiny.plan()
TUNE = PLAN.trial("two", "tune", 0, {"train.lr": 0.05}, 0)
CONFIRM = PLAN.trial("two", "confirm", 0, {"train.lr": 0.05})


@pytest.fixture
def uri(new_store: Callable[[], str]) -> str:
    """A store with a tuning trial, whose accuracy rises, and a confirmation."""
    uri = new_store()
    recorder = Recorder(Store(uri), PLAN, "text")
    rising = tuple(tiny.record(epoch, 20.0 * epoch) for epoch in (1, 2, 3))
    record_trial(recorder, TUNE, replace(tiny.result(TUNE), epochs=rising))
    record_trial(recorder, CONFIRM, tiny.result(CONFIRM, 62.0))
    recorder.close(True)
    return uri


def test_a_study_is_read_with_the_epochs_that_are_asked_for(uri: str) -> None:
    for whole, expected in ((("confirm",), {"tune": 1, "confirm": 3}), (("tune",), {"tune": 3, "confirm": 1})):
        read = read_study(address(uri), whole=whole).trials
        assert {trial.phase: len(trial.result.epochs) for trial in read} == expected
        assert all(trial.started_ms and trial.ended_ms and trial.started_ms <= trial.ended_ms for trial in read)


def lose(uri: str, spec: TrialSpec, condition: str) -> None:
    """Remove metrics of a trial; those of the epochs before are then MLflow's latest."""
    (run_id,) = [run.info.run_id for run in trials(uri) if run.data.tags["ablations.trial_id"] == spec.id]
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database:
        database.execute(f"delete from metrics where run_uuid = ? and {condition}", (run_id,))  # noqa: S608
        database.execute("delete from latest_metrics where run_uuid = ?", (run_id,))
        database.execute(
            "insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
            "select key, value, max(timestamp), step, is_nan, run_uuid from metrics where run_uuid = ? group by key",
            (run_id,),
        )
        database.commit()


def seen(uri: str) -> object:
    """All that commands learn of the two trials, but for its time: a report and an export, a status, a run."""
    stored = read_study(address(uri))
    progress = read_progress(address(uri)).progress
    recorder = Recorder(Store(uri), PLAN, "text")
    claims = [recorder.claim(spec) for spec in (TUNE, CONFIRM)]
    recorder.close(True)
    accuracies = [
        (claim.status, claim.last.epoch, claim.last.validation_accuracy_percent, claim.test_accuracy_percent)
        for claim in claims
        if claim is not None and claim.last is not None
    ]
    # The metrics of a trial say when it ended, its file says when its last epoch did.
    return re.sub(r"timestamp_ms=\d+", "", str(stored.trials)), progress.num_done, accuracies


@pytest.mark.parametrize(
    "condition",
    ["1", "step = 18", "step > 6", "step = 18 and key = 'epoch'", "key = 'validation_accuracy_percent'"],
    ids=["all", "last epoch", "last two epochs", "a metric of the last epoch", "a metric of all epochs"],
)
def test_a_trial_with_lost_metrics_is_read_from_its_file(condition: str, uri: str) -> None:
    whole = seen(uri)
    assert "60.0" in str(whole)
    for spec in (TUNE, CONFIRM):
        lose(uri, spec, condition)
    assert seen(uri) == whole


def test_a_lost_test_accuracy_is_read_from_the_file(uri: str) -> None:
    whole = seen(uri)
    lose(uri, CONFIRM, "key = 'test_accuracy_percent'")
    assert seen(uri) == whole


def test_a_finished_trial_without_metrics_and_file_is_told_and_can_be_replaced(uri: str) -> None:
    client, (parent,) = MlflowClient(uri), parents(uri)
    spec = PLAN.trial("one", "tune", 0, {"train.lr": 0.05}, 0)
    tags = {
        "ablations.kind": "trial",
        "ablations.trial_id": spec.id,
        "ablations.variant": "one",
        "ablations.variant_key": PLAN["one"].key,
        "ablations.phase": "tune",
        "ablations.seed": "0",
        "ablations.number": "0",
        "ablations.hyperparameters": '{"train.lr": 0.05}',
        "ablations.status": "finished",
        "mlflow.parentRunId": parent.info.run_id,
    }
    run = client.create_run(parent.info.experiment_id, tags=tags, run_name="one, tune 0")
    client.set_terminated(run.info.run_id)

    def read(plan: Plan) -> None:
        Recorder(Store(uri), plan, "text").close(True)

    told = rf"trial\.json of run {run.info.run_id} \(one, tune 0\) is missing\. Delete the run in MLflow, and run the study again\."
    for use in (lambda: read_study(address(uri)), lambda: read_progress(address(uri)), lambda: read(PLAN)):
        with pytest.raises(TrackingError, match=told):
            use()
    client.delete_run(run.info.run_id)
    recorder = Recorder(Store(uri), PLAN, "text")
    assert recorder.claim(spec) is None
    record_trial(recorder, spec, tiny.result(spec))
    recorder.close(True)
    assert {trial.id for trial in read_study(address(uri)).trials} == {TUNE.id, CONFIRM.id, spec.id}


def test_a_run_that_lost_its_outcome_gets_one(uri: str) -> None:
    (run_id,) = [run.info.run_id for run in trials(uri) if run.data.tags["ablations.trial_id"] == TUNE.id]
    MlflowClient(uri).delete_tag(run_id, "ablations.status")
    recorder = Recorder(Store(uri), PLAN, "text")
    assert recorder.claim(TUNE) is None
    record_trial(recorder, TUNE, tiny.result(TUNE))
    recorder.close(True)
    assert MlflowClient(uri).get_run(run_id).data.tags["ablations.status"] == "finished"


def test_nothing_is_written_asynchronously(
    new_store: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise RuntimeError("written asynchronously")

    monkeypatch.setattr(AsyncLoggingQueue, "log_batch_async", refuse)
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    plan, uri = tiny.plan(seeds=3, search_space={}), new_store()
    recorder = Recorder(Store(uri), plan, "text")
    for variant in ("two", "one"):
        for seed in range(3):
            spec = plan.trial(variant, "confirm", seed, {})
            record_trial(recorder, spec, tiny.result(spec, 50.0 + seed + 9 * (variant == "two")))
    recorder.measured({})
    recorder.close(True)
    assert recorder.waiting is None
    (parent,) = parents(uri)
    record_looks(Store(uri), parent.info.run_id, ledger_of(plan, look_of(plan)))
    publish(Store(uri), look(address(uri)), "the answer", tmp_path)
    assert read_study(address(uri)).ledgers[0].looks == (look_of(plan),)
