"""Records wait on disk, in order, whole, until they are written; a store that is away stops nothing."""

from __future__ import annotations

import resource
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import waiting
from mlflow import MlflowClient
from stored import address

from ablations.errors import TrackingError
from ablations.tracking import recorder as recorder_module
from ablations.tracking.entries import Entry, LabelsEntry, TextEntry, TrialEntry, Weights
from ablations.tracking.layout import MEASUREMENTS_FILE, Labels
from ablations.tracking.reader import read_study
from ablations.tracking.recorder import Recorder, sync
from ablations.tracking.spool import Spool, num_waiting, spools
from ablations.tracking.store import Store
from ablations.tracking.writer import Writer, together
from ablations.trial import TrialResult, TrialSpec

PLAN = tiny.plan()


def note(number: int, text: str = "") -> TextEntry:
    return TextEntry(file=f"{number}.txt", text=text, tags={})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "tiny-starter.jsonl"


def test_entries_come_out_as_they_went_in_also_in_another_process(path: Path) -> None:
    spool = Spool(path)
    entries = [note(number, f"line\n{number} ü") for number in range(3)]
    for entry in entries:
        spool.append(entry)
    again = Spool(path)
    assert list(again) == entries
    for left, entry in zip((3, 2, 1), entries, strict=True):
        assert (again.waiting, again.first()) == (left, entry)
        again.done()
    assert not path.exists()
    again.append(entries[0])
    assert (again.first(), again.waiting) == (entries[0], 1)


def test_a_few_entries_are_taken_at_a_time(path: Path) -> None:
    spool = Spool(path)
    entries = [note(number) for number in range(5)]
    for entry in entries:
        spool.append(entry)
    assert spool.first_few(2) == entries[:2]
    spool.done(2)
    assert spool.first_few(9) == entries[2:]
    spool.append(note(5))
    spool.done(3)
    assert list(Spool(path))[5:] == spool.first_few(9) == [note(5)]
    spool.done()
    spool.close()
    assert spool.first_few(9) == []
    assert not path.exists()


def test_only_trials_are_written_together_and_none_with_itself(waiting_spool: tuple[str, Path]) -> None:
    one, two = (entry for entry in Spool(waiting_spool[1]) if isinstance(entry, TrialEntry))
    with_model = replace(two, weights=Weights(Path("w.pt"), {}))
    assert together([one, two, note(1), one]) == [one, two]
    assert together([one, one]) == [one]
    assert together([one, two, with_model]) == [one, two]
    assert together([one, with_model]) == [one]
    assert together([note(1), one]) == [note(1)]
    assert together([one]) == [one]


def test_a_file_is_given_one_trial_at_a_time_and_a_server_several() -> None:
    at_once = {uri: Writer(address(uri)).at_once for uri in ("sqlite:///mlflow.db", "http://127.0.0.1:9")}
    assert at_once["sqlite:///mlflow.db"] == 1
    assert at_once["http://127.0.0.1:9"] > 1


def test_a_line_that_a_kill_cut_short_is_dropped(path: Path) -> None:
    Spool(path).append(note(1))
    with path.open("ab") as file:
        file.write(b'{"kind": "text", "file"')
    spool = Spool(path)
    spool.append(note(3))
    assert list(Spool(path)) == [note(1), note(3)]


def test_a_damaged_line_is_named(path: Path) -> None:
    for number in range(3):
        Spool(path).append(note(number))
    path.write_bytes(path.read_bytes().replace(b'"1.txt"', b'"1.txt'))
    with pytest.raises(TrackingError, match=r"line 2 of .*tiny-starter\.jsonl is damaged"):
        list(Spool(path))


@pytest.mark.parametrize(
    ("whole", "damaged"),
    [
        (b'"kind": "end"', b'"kind": "and"'),
        (b'"kind": "end", "status"', b'"kind": "end", "stratus"'),
        (b'"kind": "text"', b'"kind": ["text"]'),
        (b'"ablations.variant_key"', b'"ablations.variant_kiss"'),
        (b'"hyperparameters": {}', b'"superparameters": {}'),
        (b'"spec": {', b'"spec": 1, "sp": {'),
        (b'"num_attempts": 1', b'"num_attempts": "x"'),
        (b'"epochs": [{"epoch": 1', b'"epochs": [{"epuck": 1'),
        (b'"weights": null', b'"weights": 1'),
        (b'"weights": null', b'"weights": {"file": "a.pt"}'),
        (b'"weights": null', b'"weights": {"file": 1, "config": {}}'),
    ],
)
def test_a_line_that_is_json_and_no_entry_is_named_before_any_is_written(
    whole: bytes, damaged: bytes, waiting_spool: tuple[str, Path]
) -> None:
    uri, path = waiting_spool
    lines = path.read_bytes().splitlines(keepends=True)
    number = max(number for number, line in enumerate(lines) if whole in line)
    lines[number] = lines[number].replace(whole, damaged)
    path.write_bytes(b"".join(lines))
    named = rf"line {number + 1} of .*tiny-starter\.jsonl is damaged"
    with pytest.raises(TrackingError, match=named):
        sync(address(uri))
    with pytest.raises(TrackingError, match=named):
        Recorder(Store(uri), PLAN, "text")
    assert path.read_bytes() == b"".join(lines)


def test_a_disk_that_is_full_is_said_and_leaves_whole_lines(path: Path) -> None:
    spool = Spool(path)
    spool.append(note(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            spool.append(note(2, "x" * 10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(path)
    spool.append(note(3))
    assert list(Spool(path)) == [note(1), note(3)]


def test_measurements_of_another_version_that_wait_are_none(waiting_spool: tuple[str, Path]) -> None:
    uri, path = waiting_spool
    Spool(path).append(TextEntry(file=MEASUREMENTS_FILE, text='{"a": {"processor": "abacus"}}', tags={}))
    recorder = Recorder(Store(uri), PLAN, "text")
    assert recorder.measurements == {}
    recorder.close(False)


# A store that is away


def record(recorder: Recorder, spec: TrialSpec) -> TrialResult:
    result = tiny.result(spec)
    recorder.start(spec)
    for epoch in result.epochs:
        recorder.epoch(spec, epoch)
    recorder.end(spec, result)
    return result


@pytest.fixture
def silent_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that takes connections and never answers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_training_does_not_wait_for_a_server_that_hangs(silent_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    recorder = Recorder(Store(silent_server), PLAN, "text", told.append)
    assert "does not answer" in told[0]
    answered = threading.Event()

    def hang(*entries: Entry) -> None:
        answered.wait()
        raise TrackingError("no answer")

    monkeypatch.setattr(Writer, "write", hang)
    for seed in range(20):
        record(recorder, PLAN.trial("two", "confirm", seed, {}))
    # It comes as far as this only if nothing above waits for the answer.
    answered.set()
    recorder.close(True)
    assert recorder.waiting is not None
    assert "23 records in" in recorder.waiting  # the study, what trains, its trials, its end
    assert num_waiting(address(silent_server)) == 23


def test_what_is_in_the_spool_is_known_to_the_next_run(silent_server: str) -> None:
    first, second = (PLAN.trial("two", "confirm", seed, {}) for seed in (0, 1))
    recorder = Recorder(Store(silent_server), PLAN, "text")
    result = record(recorder, first)
    recorder.measured({"a": tiny.measurement()})
    recorder.close(False)
    again = Recorder(Store(silent_server), PLAN, "text")
    assert again.measurements == {"a": tiny.measurement()}
    known = again.claim(first)
    assert known is not None
    assert (known.status, known.epochs) == ("finished", result.epochs[-1:])
    assert known.test_accuracy_percent == result.test_accuracy_percent
    assert again.claim(second) is None
    again.close(False)


def test_a_locked_database_takes_all_once_it_is_free(
    new_store: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = new_store()
    monkeypatch.setattr(recorder_module, "RETRY_SECONDS", 0.1)
    waiting.Recorder(Store(uri), PLAN, "text").close(False)
    lock = sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    told: list[str] = []
    recorder = Recorder(Store(uri), PLAN, "text", told.append)  # MLflow itself waits for 20 s
    spec = PLAN.trial("two", "confirm", 0, {})
    result = record(recorder, spec)
    assert ["is locked by another program" in text for text in told] == [True]
    lock.execute("ROLLBACK")
    lock.close()
    recorder.close(True)
    assert recorder.waiting is None
    assert [trial.result for trial in read_study(address(uri)).trials] == [result]


# Once, whatever happens between


@pytest.fixture
def waiting_spool(new_store: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """A store that has nothing yet, and the spool of a whole run."""
    uri = new_store()
    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "_write", lambda self: None)
        recorder = Recorder(Store(uri), PLAN, "text")
        for seed in (0, 1):
            record(recorder, PLAN.trial("two", "confirm", seed, {}))
        recorder.settled([PLAN.trial("two", "confirm", seed, {}).id for seed in (0, 1)])
        recorder.close(True)
    return uri, address(uri).spool


def state(uri: str) -> list[tuple[object, ...]]:
    """All that the store has of the study but what MLflow draws by itself."""
    client = MlflowClient(uri)
    names = [each.experiment_id for each in client.search_experiments() if each.name == "tiny/starter"]
    found = []
    for run in client.search_runs(names):
        rows = [
            (point.key, point.step, point.timestamp, point.value)
            for key in run.data.metrics
            for point in client.get_metric_history(run.info.run_id, key)
        ]
        tags = {key: value for key, value in run.data.tags.items() if key != "mlflow.parentRunId"}
        info = (run.info.run_name, run.info.status, run.info.end_time)
        found.append((*info, sorted(rows), sorted(run.data.params.items()), sorted(tags.items())))
    return sorted(found)


def test_a_full_disk_at_the_end_leaves_no_thread_that_writes(
    new_store: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Writer.write
    monkeypatch.setattr(Writer, "write", lambda *given: (time.sleep(0.2), write(*given)))
    recorder = Recorder(Store(new_store()), PLAN, "text")

    def full(entry: Entry) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder._spool, "append", full)
    with pytest.raises(OSError, match="No space left"):
        recorder.close(True)
    assert not recorder._thread.is_alive()
    assert recorder.waiting is None


def test_what_waits_is_written_with_its_first_times(waiting_spool: tuple[str, Path]) -> None:
    uri, path = waiting_spool
    trials = [entry for entry in Spool(path) if isinstance(entry, TrialEntry)]
    assert spools(Store(uri)) == [address(uri)]
    assert sync(address(uri)) == 6
    assert (spools(Store(uri)), sync(address(uri))) == ([], 0)
    stored = read_study(address(uri))
    assert [trial.result for trial in stored.trials] == [entry.result for entry in trials]
    client = MlflowClient(uri)
    for entry, trial in zip(trials, stored.trials, strict=True):
        run = client.get_run(trial.run_id)
        assert (run.info.start_time, run.info.end_time) == (entry.started_ms, entry.ended_ms)
        stamps = sorted(point.timestamp for point in client.get_metric_history(trial.run_id, "train_loss"))
        assert stamps == [epoch.timestamp_ms for epoch in entry.epochs]


def test_a_damaged_line_is_told_of_before_any_is_written(waiting_spool: tuple[str, Path]) -> None:
    uri, path = waiting_spool
    path.write_bytes(path.read_bytes().replace(b'{"kind": "end"', b'{"kind: "end"'))
    with pytest.raises(TrackingError, match=r"line 6 of .* is damaged"):
        sync(address(uri))
    assert num_waiting(address(uri)) == 6


def test_a_study_whose_store_was_deleted_while_its_trials_waited_is_recorded_anew(
    waiting_spool: tuple[str, Path],
) -> None:
    uri, path = waiting_spool
    lines = path.read_bytes().splitlines(keepends=True)
    assert b'"kind": "study"' in lines[0]
    path.write_bytes(b"".join(lines[1:]))  # it was in the store that is gone
    assert sync(address(uri)) == 5
    with pytest.raises(TrackingError, match="Run it first: python -m ablations run"):
        read_study(address(uri))
    Recorder(Store(uri), PLAN, "text").close(False)
    assert [trial.seed for trial in read_study(address(uri)).trials] == [0, 1]
    client = MlflowClient(uri)
    (parent,) = [run for run in client.search_runs(["1"]) if run.data.tags["ablations.kind"] == "study"]
    children = [run for run in client.search_runs(["1"]) if run.info.run_id != parent.info.run_id]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert PLAN.question.rstrip("?") in parent.data.tags["mlflow.note.content"]


def test_a_spool_that_is_removed_while_a_study_runs_is_named_once(
    silent_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = Recorder(Store(silent_server), PLAN, "text")
    path = address(silent_server).spool
    path.unlink()
    with pytest.raises(FileNotFoundError) as caught:
        record(recorder, PLAN.trial("two", "confirm", 0, {}))
    assert caught.value.filename == str(path)
    recorder._thread.join(30)
    assert not recorder._thread.is_alive()
    assert capsys.readouterr().err == ""


def test_labels_of_a_run_that_was_deleted_hold_nothing_up(new_store: Callable[[], str]) -> None:
    uri = new_store()
    Recorder(Store(uri), PLAN, "text").close(True)
    Spool(address(uri).spool).append(LabelsEntry(trial_id="0" * 16, labels=Labels("two", "key", None, None, {})))
    assert sync(address(uri)) == 1
    assert spools(Store(uri)) == []


def test_what_is_written_again_after_a_kill_is_there_once(waiting_spool: tuple[str, Path]) -> None:
    uri, path = waiting_spool
    whole = path.read_bytes()
    sync(address(uri))
    once = state(uri)
    path.write_bytes(whole)
    sync(address(uri))
    assert state(uri) == once


def test_an_answer_that_is_lost_at_any_call_leaves_all_there_once(
    waiting_spool: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, path = waiting_spool
    calls, lost = 0, 0

    def losing(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*rest: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            answer = original(*rest, **named)
            if calls == lost:
                raise OSError("connection reset")
            return answer

        return call

    for name in ("create_run", "log_batch", "log_inputs", "set_tag", "set_terminated", "update_run"):
        monkeypatch.setattr(MlflowClient, name, losing(getattr(MlflowClient, name)))
    spool, writer = Spool(path), Writer(address(uri))
    spool.close()
    most = 0
    while (entry := spool.first()) is not None:
        calls, lost = 0, lost + 1
        most = max(most, lost)
        with suppress(TrackingError):
            writer.write(entry)
            spool.done()
            lost = 0
    assert most > 5
    monkeypatch.undo()
    found = state(uri)
    assert [(name, status) for name, status, *_ in found] == [
        ("tiny", "FINISHED"),
        ("two, confirm, seed 0", "FINISHED"),
        ("two, confirm, seed 1", "FINISHED"),
    ]
    assert [len(rows) for _, _, _, rows, *_ in found] == [0, 31, 31]  # ten metrics an epoch, and the test's


def test_epochs_that_are_trained_again_keep_their_first_record(
    new_store: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "FLUSH_SECONDS", -1.0)
    uri = new_store()
    spec = PLAN.trial("two", "confirm", 0, {})
    dead = waiting.Recorder(Store(uri), PLAN, "text")
    dead.start(spec)
    for epoch in (1, 2):
        dead.epoch(spec, tiny.record(epoch))
    later = replace(
        tiny.result(spec), epochs=tuple(tiny.record(k, epoch_seconds=9.0, timestamp_ms=k) for k in (1, 2, 3))
    )
    recorder = waiting.Recorder(Store(uri), PLAN, "text")
    recorder.start(spec)
    recorder.end(spec, later)
    client = MlflowClient(uri)
    (trial,) = read_study(address(uri)).trials
    for metric in ("train_loss", "epoch_seconds"):
        rows = client.get_metric_history(trial.run_id, metric)
        assert sorted((row.step, row.timestamp) for row in rows) == [
            (6, tiny.record(1).timestamp_ms),
            (12, tiny.record(2).timestamp_ms),
            (18, 3),
        ]


def test_a_trial_trained_again_without_sight_of_the_store_keeps_its_first_record(new_store: Callable[[], str]) -> None:
    uri = new_store()
    spec = PLAN.trial("two", "confirm", 0, {})
    recorder = waiting.Recorder(Store(uri), PLAN, "text")
    record(recorder, spec)
    before = state(uri)
    result = tiny.result(spec)
    again = replace(result, epochs=tuple(replace(epoch, timestamp_ms=1) for epoch in result.epochs))
    recorder.start(spec)
    recorder.end(spec, again)
    assert state(uri) == before
