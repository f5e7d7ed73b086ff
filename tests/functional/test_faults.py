"""What happens to long runs, happening: a real MLflow server that dies, and processes that are killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import tiny
from folder import Folder, finish
from mlflow import MlflowClient

ROOT = Path(__file__).parents[2]
EPOCHS = 25
QUICK = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "3"}


class Server:
    """A real `mlflow server` on a free port of this machine, on a database that outlives it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        where = ["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "./artifacts"]
        environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self._folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--workers", "1", *where],
                cwd=self._folder,
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urlopen(f"{self.uri}/health", timeout=1):  # noqa: S310
                    return
            except (URLError, OSError):
                time.sleep(0.1)
        raise TimeoutError((self._folder / "server.log").read_text())

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def folder(tmp_path: Path, migrated_database: Path) -> Folder:
    folder = Folder(tmp_path / "study", migrated_database)
    folder.write_study(search_space={}, seeds=5, base=tiny.base(train__epochs=EPOCHS))
    return folder


@pytest.fixture
def server(folder: Folder) -> Iterator[Server]:
    server = Server(folder.path)
    yield server
    server.kill()


def assert_all_is_there_once(folder: Folder) -> None:
    client = MlflowClient(folder.uri)
    (experiment,) = [each for each in client.search_experiments() if each.name == "tiny/starter"]
    runs = client.search_runs([experiment.experiment_id])
    assert Counter(run.info.status for run in runs) == {"FINISHED": 11}  # ten trials and the study
    trials = [run for run in runs if run.data.tags["ablations.kind"] == "trial"]
    cells = {(run.data.tags["ablations.variant"], run.data.tags["ablations.seed"]) for run in trials}
    assert len(cells) == len(trials) == 10
    for run in trials:
        for metric in ("train_loss", "epoch_seconds", "test_accuracy_percent"):
            rows = client.get_metric_history(run.info.run_id, metric)
            assert len(rows) == (1 if metric.startswith("test") else EPOCHS)


def test_a_server_that_dies_hangs_and_comes_back_gets_all_of_a_run_once(folder: Folder, server: Server) -> None:
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
    assert_all_is_there_once(folder)
    assert all(len(each["accuracy_percent"]) == 5 for each in folder.summary()["variants"].values())


def test_a_study_runs_with_no_server_and_its_records_wait_for_one(folder: Folder, server: Server) -> None:
    for trained in (10, 0):
        process = folder.start("run", "tiny.yaml", "--tracking-uri", server.uri, **QUICK)
        out, err = finish(process)
        assert process.returncode == 1, out + err
        assert "Traceback" not in out + err
        assert f"trained {trained} trials, found {10 - trained} done before" in out
        assert f"Write them with: python -m ablations sync --tracking-uri {server.uri}\n" in err
    err = finish(folder.start("report", "tiny", "--tracking-uri", server.uri))[1]
    assert "does not answer" in err
    assert not (folder.path / "reports").exists()
    err = finish(folder.start("sync", "--tracking-uri", server.uri))[1]
    assert "records still waiting for it" in err

    server.start()
    folder.call("sync", "--tracking-uri", server.uri)
    assert "nothing waits" in folder.call("sync", "--tracking-uri", server.uri)
    folder.call("report", "tiny", "--tracking-uri", server.uri)
    server.kill()
    assert_all_is_there_once(folder)


def test_a_study_that_is_killed_ends_as_one_that_was_not(tmp_path: Path, migrated_database: Path) -> None:
    folder = Folder(tmp_path / "study", migrated_database)
    folder.write_study(base=tiny.base(train__epochs=EPOCHS))
    command = [sys.executable, "-m", "benchmarks.soak", "--kills", "3", "--seconds", "10", "--study", "tiny.yaml"]
    done = subprocess.run(
        [*command, "--database", str(migrated_database)],
        cwd=folder.path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
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
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "Nothing is lost" in done.stderr
    assert "trained 0 trials, found 10 done before" in folder.call("run", "tiny.yaml")
    assert_all_is_there_once(folder)
