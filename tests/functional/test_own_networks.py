"""What docs/own_networks.md shows is true: it quotes the example package, whose study runs through the real command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import packages
from places import FAULTY, ROOT

PAGE = (ROOT / "docs" / "own_networks.md").read_text(encoding="utf-8")
STEP = re.compile(r"^```(bash|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUOTE = re.compile(r"^```(python|toml|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_quotes_the_example() -> None:
    files = {
        kind: "\n".join(path.read_text(encoding="utf-8") for path in sorted(packages.EXAMPLE.rglob(f"*.{suffix}")))
        for kind, suffix in (("python", "py"), ("toml", "toml"), ("yaml", "yaml"))
    }
    quotes = QUOTE.findall(PAGE)
    assert len(quotes) == 8
    assert [text for kind, text in quotes if text not in files[kind]] == []


def test_a_study_of_somebodys_own_network_runs(tmp_path: Path, migrated_database: Path) -> None:
    site = tmp_path / "site"
    packages.install(packages.EXAMPLE, site)
    shutil.copyfile(packages.EXAMPLE / "residual.yaml", tmp_path / "residual.yaml")
    shutil.copyfile(migrated_database, tmp_path / "mlflow.db")
    said = ""
    for kind, text in STEP.findall(PAGE):
        if kind == "bash":
            said = run(tmp_path, text, site)
        else:
            shown = "[^\n]*".join(map(re.escape, text.split("…")))
            assert re.search(f"^{shown}", said, re.MULTILINE), f"the page shows\n{text}\nand it is\n{said}"
    folder = tmp_path / "reports" / "residual" / "starter"
    summary = json.loads((folder / "summary.json").read_text())
    first, without, shallow = (summary["variants"][name] for name in ("with", "without", "shallow"))
    assert first["params"] > without["params"]  # the shortcut between stages is a convolution
    assert abs(shallow["params"] / without["params"] - 1) < 0.02
    assert (first["memory"], first["measured"]["peak_training_bytes"] > 0) == (None, True)
    assert "a package registers the network" in (folder / "report.md").read_text()
    error = run(tmp_path, "python -m ablations report residual", tmp_path / "nowhere", code=2)
    told = "'rings', which no installed package registers correctly. Install my-networks 1.0, which registered it.\n"
    assert error == f"error: residual was trained on the data set {told}"


def test_a_study_whose_package_is_not_installed(tmp_path: Path) -> None:
    error = run(packages.EXAMPLE, "python -m ablations check residual.yaml", tmp_path / "nowhere", code=2)
    data, network = error.splitlines()
    assert data.startswith("error: residual.yaml:5:16: base.data.name: no data set 'rings'; ")
    assert network.startswith("residual.yaml:6:19: base.model.preset: no preset 'resnet_small'; did you mean ")


def run(folder: Path, command: str, site: Path, code: int = 0) -> str:
    """What a command says in the folder, on a machine that has the packages of `site` and no GPU; of an error, what it says of it."""
    done = subprocess.run(
        ["bash", "-e"],
        cwd=folder,
        input=command,
        capture_output=True,
        text=True,
        env={
            "PYTHONPATH": f"{FAULTY}{os.pathsep}{ROOT}{os.pathsep}{site}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "CUDA_VISIBLE_DEVICES": "",
            "COLUMNS": "200",
        },
    )
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    assert code or not done.stderr
    return done.stderr if code else done.stdout
