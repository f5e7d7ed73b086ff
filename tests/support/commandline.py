"""Commands, run in this process or in one of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from places import ROOT

from ablations import cli
from ablations.trial import Machine

CUDA = Machine("cuda", bf16=True, num_workers=1, description="1 CUDA device")


HEAVY = ["torch", "torchvision", "mlflow", "optuna", "pandas", "matplotlib", "seaborn", "sklearn", "scipy"]


class Command:
    """Runs commands in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self._monkeypatch.setattr(sys, "argv", ["ablations", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0), *self._capsys.readouterr()


def process(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, in this folder, that finds the suite."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(command, capture_output=True, text=True, env=environ)


def outdate(uri: str, experiment: str) -> None:
    """Makes a recorded plan one that only another version of the suite can read."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    client.log_text(run.info.run_id, '{"shape": "of the future"}', "plan.json")
