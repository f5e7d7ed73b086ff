"""The tutorial is true: its commands are run and its diffs applied, in their order, and it shows what they say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from places import ROOT

STEP = re.compile(r"^```(bash|diff|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_someone_who_follows_the_tutorial_gets_what_it_shows(tmp_path: Path, migrated_database: Path) -> None:
    for folder in ("nin", "ablations", "studies"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(migrated_database, tmp_path / "mlflow.db")
    said = ""
    for kind, text in STEP.findall((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")):
        match kind:
            case "bash":
                said = run(tmp_path, "bash", "-e", text=text)
            case "diff":
                run(tmp_path, "git", "apply", "-", text=text)
            case "text":
                shown = "[^\n]*".join(map(re.escape, text.split("…")))
                assert re.search(f"^{shown}", said, re.MULTILINE), f"the tutorial shows\n{text}\nand it is\n{said}"


def run(folder: Path, *command: str, text: str) -> str:
    """What a command says in the folder, whose packages it finds, on a machine without a GPU."""
    done = subprocess.run(
        command,
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        env={
            "PYTHONPATH": str(folder),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "CUDA_VISIBLE_DEVICES": "",
            "COLUMNS": "200",
        },
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout
