"""What happens to long runs, happening: a real MLflow server that dies, and processes that are killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from folder import Folder, finish
from mlflow import MlflowClient
from places import FAULTY, ROOT
from server import Server

from ablations.errors import TrackingError
from ablations.tracking.recorder import Recorder
from ablations.tracking.store import Store

LONG = {"seeds": 5, "base": tiny.base(train__epochs=25)}
"""Long enough for a server to die in, several times."""
QUICK = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "3"}


@pytest.fixture
def folder(tmp_path: Path, migrated_database: Path) -> Folder:
    folder = Folder(tmp_path / "study", migrated_database)
    folder.write_study(search_space={})
    return folder


@pytest.fixture
def server(folder: Folder) -> Iterator[Server]:
    server = Server(folder.path)
    yield server
    server.kill()


def faults(**which: object) -> dict[str, str]:
    """The environment in which tests/support/faulty causes these."""
    return {"PYTHONPATH": f"{FAULTY}{os.pathsep}{ROOT}", "FAULTS": json.dumps(which)}


def assert_all_is_there_once(folder: Folder, num_trials: int, num_epochs: int, diverged: str = "") -> None:
    client = MlflowClient(folder.uri)
    (experiment,) = [each for each in client.search_experiments() if each.name == "tiny/starter"]
    # Beside the rows that a report has written, one a variant.
    runs = client.search_runs([experiment.experiment_id], "tags.`ablations.kind` != 'variant'")
    assert Counter(run.info.status for run in runs) == {"FINISHED": num_trials + 1}  # the trials and the study
    trials = [run for run in runs if run.data.tags["ablations.kind"] == "trial"]
    cells = {(run.data.tags["ablations.variant"], run.data.tags["ablations.seed"]) for run in trials}
    assert len(cells) == len(trials) == num_trials
    for run in trials:
        if run.data.tags["ablations.variant"] == diverged:
            continue
        for metric in ("train_loss", "epoch_seconds", "test_accuracy_percent"):
            rows = client.get_metric_history(run.info.run_id, metric)
            assert len(rows) == (1 if metric.startswith("test") else num_epochs)


def test_a_server_that_dies_hangs_and_comes_back_gets_all_of_a_run_once(folder: Folder, server: Server) -> None:
    folder.write_study(search_space={}, **LONG)
    server.start()
    process = folder.start("run", "tiny.yaml", "--tracking-uri", server.uri, **QUICK)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith(("[1/", "[4/")):
            server.kill()
            server.start()
        elif line.startswith("[6/"):
            server.signal(signal.SIGSTOP)
        elif line.startswith("[7/"):
            time.sleep(float(QUICK["MLFLOW_HTTP_REQUEST_TIMEOUT"]))
            server.signal(signal.SIGCONT)
            server.kill()
            server.start()
    _, err = finish(process)
    text = "".join(said)
    assert "Traceback" not in err + text
    assert "does not answer" in text
    if process.returncode:  # trained to the end before the server was back
        assert "Nothing is lost" in err
        assert "records written" in folder.call("sync", "--tracking-uri", server.uri)
        folder.call("report", "tiny", "--tracking-uri", server.uri)
    server.kill()
    assert_all_is_there_once(folder, 10, 25)
    assert all(len(each["accuracy_percent"]) == 5 for each in folder.summary()["variants"].values())


def test_a_study_runs_with_no_server_and_its_records_wait_for_one(folder: Folder, server: Server) -> None:
    for trained in (4, 0):
        process = folder.start("run", "tiny.yaml", "--tracking-uri", server.uri, **QUICK)
        out, err = finish(process)
        assert process.returncode == 1, out + err
        assert "Traceback" not in out + err
        assert f"trained {trained} trials, found {4 - trained} done before" in out
        assert f"Send them with: python -m ablations sync --tracking-uri {server.uri}\n" in err
    err = finish(folder.start("report", "tiny", "--tracking-uri", server.uri))[1]
    assert "does not answer" in err
    assert not (folder.path / "reports").exists()
    err = finish(folder.start("sync", "--tracking-uri", server.uri))[1]
    assert "records still queued for it" in err

    server.start()
    folder.call("sync", "--tracking-uri", server.uri)
    assert "no record is queued" in folder.call("sync", "--tracking-uri", server.uri)
    folder.call("report", "tiny", "--tracking-uri", server.uri)
    server.kill()
    assert_all_is_there_once(folder, 4, 6)


def test_a_pruned_study_goes_on_without_the_server_that_knows_its_trials(
    folder: Folder, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path)
    plan = tiny.plan(tuning={"trials": 2, "rerun_best": 1, "rerun_seeds": 1, "pruner": "median"})
    spec = plan.trial("two", "tune", 0, {"train.lr": 0.05}, 0)
    server.start()
    first = Recorder(Store(server.uri), plan, "the study's text")
    first.start(spec)
    first.end(spec, tiny.result(spec))
    first.close(complete=False)
    assert first.waiting is None
    second = Recorder(Store(server.uri), plan, "the study's text")
    server.kill()
    assert second.claim(spec) == tiny.result(spec)
    second.close(complete=False)

    (file,) = folder.path.glob("artifacts/**/trial.json")
    file.unlink()
    server.start()
    with pytest.raises(TrackingError, match=r"trial\.json of run .* is missing\. Delete the run in MLflow, and run "):
        Recorder(Store(server.uri), plan, "the study's text")


def test_a_study_that_is_killed_ends_as_one_that_was_not(tmp_path: Path, migrated_database: Path) -> None:
    folder = Folder(tmp_path / "study", migrated_database)
    folder.write_study(search_space={}, seeds=3, base=tiny.base(train__epochs=25))
    command = [sys.executable, "-m", "benchmarks.soak", "--kills", "3", "--seconds", "8", "--study", "tiny.yaml"]
    done = subprocess.run(
        [*command, "--database", str(migrated_database)],
        cwd=folder.path,
        env={**os.environ, "PYTHONPATH": f"{FAULTY}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    row = done.stdout.splitlines()[-1].strip("| ").split(" | ")
    assert (row[0], row[-1]) == ("3", "0")


def test_a_disk_that_fills_up_ends_in_words_and_loses_nothing(folder: Folder) -> None:
    folder.call("run", "tiny.yaml", "--max-minutes", "0", code=3)
    size = (folder.path / "mlflow.db").stat().st_size
    script = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); "
    script += "from ablations.cli import main; del sys.argv[1]; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, str(size // 4), "run", "tiny.yaml"],
        cwd=folder.path,
        env={**os.environ, "PYTHONPATH": f"{FAULTY}{os.pathsep}{ROOT}", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "Nothing is lost" in done.stderr
    assert "trained 0 trials, found 4 done before" in folder.call("run", "tiny.yaml")
    assert_all_is_there_once(folder, 4, 6)


def test_trials_that_fail_each_in_its_own_way_stop_no_other(folder: Folder) -> None:
    variants = {"two": {}, "one": {"set": {"model.mixers": 1}}, "hot": {"set": {"train.lr": 1e30}}}
    base = tiny.base(model__normalization="none", train__epochs=6, train__batch_size=2)
    folder.write_study(search_space={}, seeds=2, variants=variants, base=base)
    causes = faults(segfault=["one 0"], no_memory=["two 1"])

    process = folder.start("run", "tiny.yaml", **causes)
    out, err = finish(process)
    assert process.returncode == 1, out + err
    assert "Traceback" not in out + err
    assert (
        "one, confirm, seed 0: crashed: the worker process died: signal SIGSEGV; it will be retried when nothing" in out
    )
    assert "two, confirm, seed 1: out of memory: " in out
    assert "when nothing else runs, with gradients accumulated over 2 parts of each batch\n" in out
    assert "warning: one, confirm, seed 0: crashed after 3 attempts: the worker process died: signal SIGSEGV\n" in err
    assert (
        "2 trials failed and were given up. Retry with: python -m ablations run tiny.yaml --profile starter --retry"
        in err
    )

    process = folder.start("run", "tiny.yaml", **causes)
    out, err = finish(process)
    assert (process.returncode, "trained 0 trials, found 6 done before" in out) == (1, True), out + err
    assert "2 trials failed and were given up" in err
    troubles = folder.summary()["troubles"]
    assert {name: each["num_given_up"] for name, each in troubles.items()} == {
        "diverged": 0,
        "crashed": 1,
        "out of memory": 1,
    }
    page = (folder.path / "reports" / "tiny" / "starter" / "report.md").read_text()
    for line in ("2 of 6 trials diverged", "1 of 6 trials crashed their process", "1 of 6 trials ran out of memory"):
        assert f"\n- {line} (" in page
    assert "1 of 6 trials crashed their process (" in folder.call("status", "tiny.yaml")

    assert "trained 2 trials, found 4 done before" in folder.call("run", "tiny.yaml", "--retry")
    assert folder.summary()["troubles"].keys() == {"diverged"}
    assert_all_is_there_once(folder, 6, 6, diverged="hot")


def test_a_clock_that_goes_back_while_a_study_runs_loses_nothing(folder: Folder) -> None:
    folder.write_study(search_space={}, seeds=3, base=tiny.base(train__epochs=6))
    process = folder.start("run", "tiny.yaml", **faults(clock="set_back"))
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("[1/"):
            (folder.path / "set_back").touch()
    _, err = finish(process)
    assert (process.returncode, "Traceback" in err) == (0, False), "".join(said) + err
    assert_all_is_there_once(folder, 6, 6)
    client = MlflowClient(folder.uri)
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    started = [run.info.start_time for run in runs]
    assert max(started) - min(started) > 3_000_000, "the clock went back before or after the study"
    assert all(run.info.end_time >= run.info.start_time for run in runs)


@pytest.mark.parametrize(
    ("where", "code", "told"),
    [
        (".", 2, r"error: checkpoints cannot be kept in \.ablations/checkpoints: Read-only file system\. Run in "),
        # More than nine where the machine is slow: what runs for ten seconds is recorded meanwhile.
        ("mlruns", 1, "Nothing is lost: [0-9]+ records in "),
    ],
)
def test_a_folder_that_is_mounted_read_only_is_named(where: str, code: int, told: str, folder: Folder) -> None:
    place = folder.path / where
    place.mkdir(exist_ok=True)
    mount = ["mount --bind $1 $1", "mount -o remount,bind,ro $1", 'cd "$2"', "shift 2", 'exec "$@"']
    command = [
        "unshare",
        "--mount",
        "--map-root-user",
        "sh",
        "-ec",
        "; ".join(mount),
        "sh",
        str(place),
        str(folder.path),
    ]
    done = subprocess.run(
        [*command, sys.executable, "-m", "ablations", "run", "tiny.yaml"],
        env={**os.environ, "PYTHONPATH": f"{FAULTY}{os.pathsep}{ROOT}", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=600,
    )
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip(f"this system lets nobody mount: {done.stderr.strip()}")
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "Read-only file system" in done.stderr
    assert re.search(told, done.stderr), done.stderr
