"""The notebook runs: its cells, one after the other, as a script at whose top a study is run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from places import FAULTY, ROOT


def test_the_cells_of_the_notebook_run(tmp_path: Path, migrated_database: Path) -> None:
    shutil.copyfile(migrated_database, tmp_path / "mlflow.db")
    notebook = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    script = tmp_path / "cells.py"
    script.write_text("\n\n".join(cells), encoding="utf-8")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "ABLATIONS_"))}
    done = subprocess.run(
        [sys.executable, script.name],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": f"{FAULTY}{os.pathsep}{ROOT}", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    # Once: a worker that ran the script again would write and train again.
    assert done.stdout.count("14 trainings on 192 images each") == 1
    assert "complete trained 14 found 0" in done.stdout
    assert done.stdout.count("expected: worse") == 1
