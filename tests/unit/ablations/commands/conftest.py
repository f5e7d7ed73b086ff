from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from builders import CPU, TEXT, edited, planned
from commandline import Command

from ablations.execution import environment
from ablations.tracking.store import Store


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder with one study, on a machine without a GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(environment, "detect", lambda: CPU)
    Path("s.yaml").write_text(TEXT)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


@pytest.fixture
def store(migrated_database: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store of this folder, with two studies, one of them at two profiles; none of their trials has run."""
    from waiting import Recorder

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copyfile(migrated_database, "mlflow.db")
    uri = f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    other = edited(("study: tiny", "study: other"))
    for text, profile in ((TEXT, "starter"), (TEXT, "short"), (other, "starter")):
        Recorder(Store(uri), planned(text, profile), text)
    return uri
