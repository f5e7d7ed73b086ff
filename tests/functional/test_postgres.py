"""A team's set-up: PostgreSQL behind one `mlflow server`, studies by several drivers at once."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from folder import NUM_TRIALS, Folder, finish
from mlflow import MlflowClient
from server import Server, free_port


def programs() -> Path | None:
    """Where PostgreSQL's server programs are; Debian keeps them off the path."""
    found = shutil.which("initdb") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
    return Path(found).resolve().parent if found else None


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URI of an empty database, in a server of its own."""
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        # It refuses to run as root, and Debian makes a user for it.
        user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        shutil.chown(name, user)
        port = free_port()
        subprocess.run(
            [where / "initdb", "-D", f"{name}/data", "-U", "tester", "--auth=trust", "--no-sync"],
            user=user,
            cwd=name,
            check=True,
            capture_output=True,
        )
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", name, "-p", str(port)]
        with subprocess.Popen(
            [where / "postgres", "-D", f"{name}/data", *options],
            user=user,
            cwd=name,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            deadline = time.monotonic() + 60
            ready = [where / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            while subprocess.run(ready).returncode and time.monotonic() < deadline:
                time.sleep(0.1)
            yield f"postgresql+psycopg2://tester@127.0.0.1:{port}/postgres"
            process.terminate()


@pytest.fixture
def server(postgres: str, tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, postgres)
    server.start()
    yield server
    server.kill()


def test_two_drivers_record_their_studies_on_one_server_at_once(
    server: Server, tmp_path: Path, migrated_database: Path
) -> None:
    names = ("first", "second")
    folders = [Folder(tmp_path / name, migrated_database) for name in names]
    for name, folder in zip(names, folders, strict=True):
        folder.write_study(study=name)
    drivers = [folder.start("run", "tiny.yaml", "--tracking-uri", server.uri) for folder in folders]
    for driver, name in zip(drivers, names, strict=True):
        out, err = finish(driver)
        assert driver.returncode == 0, out + err
        assert f"trained {NUM_TRIALS} trials, found 0 done before" in out
        assert f"reports/{name}/starter/index.html" in out

    client = MlflowClient(server.uri)
    for name, folder in zip(names, folders, strict=True):
        experiment = client.get_experiment_by_name(f"{name}/starter")
        runs = client.search_runs([experiment.experiment_id])
        kinds = Counter(run.data.tags["ablations.kind"] for run in runs)
        assert (kinds["study"], kinds["trial"]) == (1, NUM_TRIALS)
        assert {run.info.status for run in runs} == {"FINISHED"}
        ids = Counter(run.data.tags["ablations.trial_id"] for run in runs if run.data.tags["ablations.kind"] == "trial")
        assert set(ids.values()) == {1}
        said = folder.call("run", "tiny.yaml", "--tracking-uri", server.uri)
        assert f"trained 0 trials, found {NUM_TRIALS} done before" in said
