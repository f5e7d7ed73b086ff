"""A study on a Ray cluster, through the real command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from folder import Folder, accuracies, finish
from places import ROOT

STUDY: dict[str, Any] = {"search_space": {}, "seeds": 5, "base": tiny.base(train__epochs=25)}
"""Long enough for a node to be lost in it."""


def test_a_study_whose_node_is_killed_ends_as_on_one_machine(
    two_nodes: Any, tmp_path: Path, migrated_database: Path
) -> None:
    whole, folder = (Folder(tmp_path / name, migrated_database) for name in ("whole", "killed"))
    for each in (whole, folder):
        each.write_study(**STUDY)
    whole.call("run", "tiny.yaml")

    third = two_nodes.add_node(num_cpus=1)
    process = folder.start("run", "tiny.yaml", "--cluster", two_nodes.address)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("[4/"):
            two_nodes.remove_node(third, allow_graceful=False)
    _, err = finish(process)
    out = "".join(said)
    assert process.returncode == 0, out + err
    assert "Traceback" not in out + err
    assert "a Ray cluster: 3 nodes, 3 workers" in out
    assert " lost its worker and continues with another one" in out
    assert "trained 10 trials, found 0 done before" in out
    assert folder.bits() == whole.bits()
    assert accuracies(folder.summary()) == accuracies(whole.summary())
    assert folder.summary()["contrasts"] == whole.summary()["contrasts"]


LOCAL = """
import os
from ablations import session
cluster = session.connect("local")
import ray
print(*(node["NodeManagerAddress"] for node in ray.nodes()), len(os.environ["RAY_AUTH_TOKEN"]))
print(cluster.machine.num_workers, ray.cluster_resources()["CPU"])
"""


def test_a_cluster_on_this_machine_is_for_this_process_only(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: the extra 'cluster'")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", LOCAL], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    where, room = done.stdout.splitlines()
    assert where == "127.0.0.1 64"  # where all of Ray listens, and its token
    assert float(room.split()[0]) == float(room.split()[1])
    assert not (tmp_path / ".ray").exists()  # where another token would lie, for all to read


def test_a_missing_ray_is_named_and_nothing_else_imports_it(tmp_path: Path, migrated_database: Path) -> None:
    folder = Folder(tmp_path / "study", migrated_database)
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / "ray.py").write_text("raise ModuleNotFoundError('No module named ray', name='ray')")
    path = {"PYTHONPATH": os.pathsep.join((str(absent), str(ROOT)))}
    process = folder.start("run", "tiny.yaml", "--cluster", "auto", **path)
    _, err = finish(process)
    assert process.returncode == 2
    assert "--cluster auto: a cluster needs Ray, which is not installed" in err
    assert "pip install" in err
    folder.call("plan", "tiny.yaml", **path)


@pytest.mark.parametrize("option", ["--dry-run", "--log-models"])
def test_what_a_cluster_cannot_do_is_refused(option: str, tmp_path: Path, migrated_database: Path) -> None:
    folder = Folder(tmp_path / "study", migrated_database)
    process = folder.start("run", "tiny.yaml", option, "--cluster", "auto")
    _, err = finish(process)
    assert process.returncode == 2
    assert f"{option} and --cluster exclude each other" in err
