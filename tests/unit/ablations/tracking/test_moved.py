"""A store that was moved or copied reads and writes beside itself; on a real database."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from looked import ledger_of, look_of
from mlflow import MlflowClient
from stored import address, parents, record_trial, trials
from waiting import Recorder

from ablations.errors import TrackingError
from ablations.session import look
from ablations.tracking import database, recorder, writer
from ablations.tracking.entries import Weights
from ablations.tracking.ledgers import record_looks
from ablations.tracking.moved import settle_all
from ablations.tracking.publish import publish
from ablations.tracking.reader import read_study
from ablations.tracking.spool import Spool
from ablations.tracking.store import Store

PLAN = tiny.plan(seeds=3, search_space={})


@pytest.fixture
def old(new_store: Callable[[], str]) -> Path:
    """The folder of a store with a study and one of its trials."""
    uri = new_store()
    record(uri, 0)
    return Path(uri.removeprefix("sqlite:///")).parent


def record(uri: str, seed: int) -> None:
    each = Recorder(Store(uri), PLAN, "text")
    spec = PLAN.trial("two", "confirm", seed, {})
    record_trial(each, spec, tiny.result(spec))
    each.close(True)


def store_in(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def contents(folder: Path) -> dict[Path, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_copy_reads_and_writes_beside_itself(old: Path, tmp_path: Path) -> None:
    new = Path(shutil.copytree(old, tmp_path / "a copy"))
    before, uri = contents(old), store_in(new)
    summary = look(address(uri))
    record(uri, 1)
    report = tmp_path / "report"
    report.mkdir()
    (report / "index.html").write_text("page")
    publish(Store(uri), summary, "the answer", report)
    assert contents(old) == before
    assert len(read_study(address(uri)).trials) == 2
    # MLflow's pages go by the recorded paths.
    client = MlflowClient(uri)
    (parent,) = parents(uri)
    names = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"plan.json", "study.yaml", "report"} <= names
    for run in (parent, *trials(uri)):
        assert run.info.artifact_uri == (new / "mlruns" / run.info.run_id / "artifacts").as_uri()
    assert len(list((new / "mlruns").rglob("trial.json"))) == 2


def test_a_copy_is_read_beside_its_database_before_anything_is_written(old: Path, tmp_path: Path) -> None:
    new = Path(shutil.copytree(old, tmp_path / "a copy"))
    for path in (old / "mlruns").rglob("*.json"):
        path.write_text("of a later run of the original")
    assert len(read_study(address(store_in(new))).trials) == 1


def test_a_report_of_a_copy_is_the_copys_alone(old: Path, tmp_path: Path) -> None:
    new = Path(shutil.copytree(old, tmp_path / "a copy"))
    before, uri = contents(old), store_in(new)
    report = tmp_path / "report"
    report.mkdir()
    (report / "index.html").write_text("page")
    publish(Store(uri), look(address(uri)), "the answer", report)
    assert contents(old) == before
    (parent,) = parents(uri)
    assert [item.path for item in MlflowClient(uri).list_artifacts(parent.info.run_id, "report")] == [
        "report/index.html"
    ]


def test_a_database_without_its_files_is_not_written_to(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    uri = store_in(new)
    shutil.copyfile(old / "mlflow.db", new / "mlflow.db")
    before = contents(old)
    assert len(read_study(address(uri)).trials) == 1
    with pytest.raises(TrackingError) as caught:
        record(uri, 1)
    told = f"{new / 'mlflow.db'} was moved or copied without its files: those of 2 runs are in {old / 'mlruns'}. Copy them with"
    assert told in str(caught.value)
    assert contents(old) == before
    subprocess.run(shlex.split(str(caught.value).partition("Copy them with: ")[2]), check=True)
    record(uri, 1)
    assert len(read_study(address(uri)).trials) == 2
    assert contents(old) == before


def test_a_copy_of_a_running_study_needs_no_files_that_the_original_got_later(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "FLUSH_SECONDS", -1.0)  # each epoch is written as it comes
    uri = store_in(old)
    each, spec = Recorder(Store(uri), PLAN, "text"), PLAN.trial("two", "confirm", 1, {})
    each.start(spec)
    each.epoch(spec, tiny.result(spec).epochs[0])
    each.end(spec, None)
    each.close(False)
    (paused,) = (run for run in trials(uri) if run.info.status == "KILLED")
    new = Path(shutil.copytree(old, tmp_path / "a copy"))
    record(uri, 1)
    before = contents(old)
    assert (old / "mlruns" / paused.info.run_id).exists()
    record(store_in(new), 1)
    assert len(read_study(address(store_in(new))).trials) == 2
    assert contents(old) == before


def test_a_moved_store_behind_a_link_is_one_store(old: Path, tmp_path: Path) -> None:
    new = old.rename(tmp_path / "elsewhere")
    link = tmp_path / "link" / "mlflow.db"
    link.parent.mkdir()
    link.symlink_to("../elsewhere/mlflow.db")
    assert len(read_study(address(f"sqlite:///{link}")).trials) == 1
    record(f"sqlite:///{link}", 1)
    assert len(read_study(address(store_in(new))).trials) == 2
    assert [path.name for path in link.parent.iterdir()] == ["mlflow.db"]
    assert not old.exists()


def test_files_that_somebody_keeps_elsewhere_stay_there(new_store: Callable[[], str], tmp_path: Path) -> None:
    uri = new_store()
    elsewhere = tmp_path / "big disk"
    MlflowClient(uri).create_experiment("tiny/starter", artifact_location=elsewhere.as_uri())
    record(uri, 0)
    assert len(list(elsewhere.rglob("trial.json"))) == 1
    assert len(read_study(address(uri)).trials) == 1
    assert not (Path(uri.removeprefix("sqlite:///")).parent / "mlruns").exists()


def test_a_copied_queue_takes_the_copys_weights(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each, spec = address(store_in(old)), PLAN.trial("two", "confirm", 1, {})
    queued: list[object] = []
    monkeypatch.setattr(recorder.Recorder, "_put", lambda self, entry: queued.append(entry))
    waiting = recorder.Recorder(each.store, PLAN, "text")
    record_trial(waiting, spec, tiny.result(spec))
    weights = each.weights_folder / f"{spec.id}.pt"
    weights.parent.mkdir(parents=True)
    weights.touch()
    spool = Spool(each.spool)
    spool.append(replace(queued[-1], weights=Weights(weights, {})))  # type: ignore[type-var]
    new = Path(shutil.copytree(old, tmp_path / "a copy"))
    before, copied = contents(old), address(store_in(new))
    used: list[Path] = []
    monkeypatch.setattr(writer, "log_model", lambda client, run_id, weights: used.append(weights.file))
    assert recorder.sync(copied) == 1
    assert used == [copied.weights_folder / weights.name]
    assert not used[0].exists()
    assert contents(old) == before


def test_a_database_with_a_second_name_is_not_written_to(old: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    os.link(old / "mlflow.db", other / "mlflow.db")
    assert len(read_study(address(store_in(other))).trials) == 1
    for folder in (old, other):
        with pytest.raises(TrackingError, match=r"has a second name \(a hard link\)"):
            record(store_in(folder), 1)


@pytest.mark.parametrize("stands_in", ["the store, a folder that takes files", "the store", "another folder"])
def test_a_look_at_a_store_that_takes_no_writes_is_refused_with_the_way_to_a_copy(
    stands_in: str, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (parent,) = parents(store_in(old))
    monkeypatch.chdir(tmp_path if stands_in == "another folder" else old)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = contents(old)
    with monkeypatch.context() as patched:
        # Root may write to every file.
        patched.setattr(
            database.os, "access", lambda path, mode: path == (Path.cwd() if "," in stands_in else tmp_path)
        )
        with pytest.raises(TrackingError) as caught:
            record_looks(Store(store_in(old)), parent.info.run_id, ledger_of(PLAN, look_of(PLAN)))
        with pytest.raises(TrackingError, match="cannot be written to"):
            record(store_in(old), 1)
    told, _, commands = str(caught.value).partition(", or report a copy: ")
    assert told == (
        f"a report with verdicts is recorded as a look at the results, but the MLflow store {old / 'mlflow.db'} cannot be written "
        "to: it or its folder is read-only. Make them writable"
    )
    copying, _, reporting = commands.rpartition(" && ")
    copy = (old if "," in stands_in else tmp_path) / f"{old.name}-copy"
    assert reporting == f"python -m ablations report --tracking-uri 'sqlite:///{copy.name}/mlflow.db'"
    subprocess.run(["sh", "-c", copying], check=True)
    assert {path.relative_to(copy) for path in contents(copy)} == {path.relative_to(old) for path in before}
    record(store_in(copy), 1)
    assert {path: digest for path, digest in contents(old).items() if path in before} == before


def test_a_copy_whose_files_are_a_link_to_the_originals_is_not_written_to(old: Path, tmp_path: Path) -> None:
    disk = (old / "mlruns").rename(tmp_path / "big disk")
    (old / "mlruns").symlink_to(disk)
    new = Path(shutil.copytree(old, tmp_path / "new", symlinks=True))
    record(store_in(old), 1)
    with pytest.raises(TrackingError, match="is a copy, but its folder mlruns is a link to the original's") as caught:
        record(store_in(new), 1)
    for command in str(caught.value).partition("instead: ")[2].split(" && "):
        subprocess.run(shlex.split(command), check=True)
    before = contents(disk)
    record(store_in(new), 1)
    assert contents(disk) == before


def test_mlflows_pages_of_a_copy_show_the_copys_files(old: Path, tmp_path: Path) -> None:
    new = Path(shutil.copytree(old, tmp_path / "new"))
    settle_all(Store(store_in(new)))
    (parent,) = parents(store_in(new))
    assert parent.info.artifact_uri == (new / "mlruns" / parent.info.run_id / "artifacts").as_uri()
    database_alone = tmp_path / "alone"
    database_alone.mkdir()
    shutil.copyfile(old / "mlflow.db", database_alone / "mlflow.db")
    settle_all(Store(store_in(database_alone)))
    (parent,) = parents(store_in(database_alone))
    assert parent.info.artifact_uri == (old / "mlruns" / parent.info.run_id / "artifacts").as_uri()
