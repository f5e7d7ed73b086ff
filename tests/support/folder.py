"""A folder for runs of a study with the real command, in subprocesses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import tiny
from places import FAULTY, ROOT

from ablations.tracking.reader import read_study
from ablations.tracking.store import Address, Store

SEVERAL = {"train__epochs": 6}
NUM_TRIALS = 2 * 2 + 2 * 1 + 2 * 2  # searched, run again, confirmed


class Folder:
    """The working folder of a person: a study file, and the files of the command."""

    def __init__(self, path: Path, database: Path) -> None:
        self.path = path
        path.mkdir()
        shutil.copyfile(database, path / "mlflow.db")
        self.write_study()

    def write_study(self, **changes: Any) -> None:
        tiny.write_yaml(self.path / "tiny.yaml", **{"base": tiny.base(**SEVERAL), **changes})

    def start(self, *arguments: str, stdout: int = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "ABLATIONS_"))}
        return subprocess.Popen(
            [sys.executable, "-m", "ablations", *arguments],
            cwd=self.path,
            env={**kept, "PYTHONPATH": f"{FAULTY}{os.pathsep}{ROOT}", "CUDA_VISIBLE_DEVICES": "", **environment},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(self, *arguments: str, code: int = 0, **environment: str) -> str:
        process = self.start(*arguments, **environment)
        out, err = finish(process)
        assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        return out

    def summary(self) -> dict[str, Any]:
        text = (self.path / "reports" / "tiny" / "starter" / "summary.json").read_text()
        values: dict[str, Any] = json.loads(text)
        return values

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.path / 'mlflow.db'}"

    def bits(self) -> dict[tuple[str, int], bytes | None]:
        """Correctness of every confirmation trial, by image."""
        trials = read_study(Address("tiny", "starter", Store(self.uri))).trials
        return {(t.variant, t.seed): t.result.test_correct for t in trials if t.phase == "confirm"}


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Output and errors of a command; waits for its end."""
    try:
        return process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def accuracies(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: variant["accuracy_percent"] for name, variant in summary["variants"].items()}
