"""How far a study is, as another process reads it from the store while it runs, and after it was killed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import tiny
from mlflow import MlflowClient
from stored import address
from waiting import Recorder

from ablations.tracking import recorder as recorder_module
from ablations.tracking.reader import read_progress
from ablations.tracking.store import Store

PLAN = tiny.plan()


@pytest.fixture
def uri(new_store: Callable[[], str]) -> str:
    return new_store()


def test_what_runs_is_told_with_its_last_epoch_and_since_when(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "FLUSH_SECONDS", 0.0)
    before_ms = time.time_ns() // 1_000_000
    recorder = Recorder(Store(uri), PLAN, "text")
    done, under_way = (PLAN.trial("two", "tune", 0, {"train.lr": lr}, 0) for lr in (0.02, 0.03))
    recorder.start(done)
    recorder.end(done, tiny.result(done, 81.0))
    recorder.start(under_way)
    recorder.epoch(under_way, tiny.record(2, 87.65))
    stored = read_progress(address(uri))
    assert stored.state == "RUNNING"
    assert before_ms <= stored.since_ms <= stored.heard_ms
    progress = stored.progress
    assert progress.marks("two", "tune") == ("finished", "running", "waiting")
    assert progress.accuracy_percent("two", "tune") == 81.0
    (running,) = progress.running
    assert running.record is not None
    assert (running.trial.variant, running.record.epoch, running.num_epochs) == ("two", 2, 3)
    assert running.since_ms is not None
    assert before_ms <= running.since_ms
    assert progress.num_trained == 1


def test_what_was_paused_is_to_go_on(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "FLUSH_SECONDS", 0.0)
    recorder = Recorder(Store(uri), PLAN, "text")
    spec = PLAN.trial("two", "confirm", 1, {"train.lr": 0.02})
    recorder.start(spec)
    recorder.epoch(spec, tiny.record(2))
    recorder.end(spec, None)
    recorder.close(False)
    stored = read_progress(address(uri))
    assert stored.state == "KILLED"
    assert stored.progress.marks("two", "confirm") == ("waiting", "paused")
    assert stored.progress.running == ()


def test_trials_of_other_plans_and_of_an_earlier_tuning_are_left_out(uri: str) -> None:
    other = tiny.plan(variants={"two": {}, "none": {"set": {"model.mixers": 0}}})
    recorder = Recorder(Store(uri), other, "text")
    for variant, lr in (("none", 0.02), ("two", 0.02), ("two", 0.03)):
        spec = other.trial(variant, "tune", 0, {"train.lr": lr}, 0)
        recorder.start(spec)
        recorder.end(spec, tiny.result(spec))
    recorder.close(False)
    recorder = Recorder(Store(uri), PLAN, "text")
    assert read_progress(address(uri)).progress.num_done == 2
    recorder.settled([PLAN.trial("two", "tune", 0, {"train.lr": 0.03}, 0).id])
    progress = read_progress(address(uri)).progress
    assert progress.marks("two", "tune") == ("finished",)
    assert progress.marks("one", "tune") == ()


def test_a_run_that_goes_on_is_running_again_and_keeps_its_description(uri: str) -> None:
    Recorder(Store(uri), PLAN, "text").close(True)
    first = read_progress(address(uri))
    assert first.state == "FINISHED"
    client = MlflowClient(uri)
    (parent,) = client.search_runs([client.get_experiment_by_name("tiny/starter").experiment_id])
    client.set_tag(parent.info.run_id, "mlflow.note.content", "the answer")
    Recorder(Store(uri), PLAN, "text")
    again = read_progress(address(uri))
    assert again.state == "RUNNING"
    assert again.since_ms >= first.since_ms
    assert client.get_run(parent.info.run_id).data.tags["mlflow.note.content"] == "the answer"
