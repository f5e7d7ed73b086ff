from __future__ import annotations

from pathlib import Path

import pytest

import ablations
from ablations.errors import UserError
from ablations.paths import expanded
from ablations.tracking.store import Store


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def test_a_tilde_is_the_home_folder_at_the_beginning_only(home: Path) -> None:
    assert expanded("~/data") == home / "data"
    assert expanded(Path("~")) == home
    assert expanded("a/~") == Path("a/~")


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(UserError, match=r"^~nobody-here/data: ~nobody-here is no user of this machine"):
        expanded("~nobody-here/data")


def test_the_database_of_a_store_may_be_at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Store.at("sqlite:///~/team.db").file == home / "team.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///~/mine.db")
    assert Store.at(None).file == home / "mine.db"
    assert Store.at(f"sqlite:///{home}/mine.db").is_default


def test_a_study_may_be_at_home(home: Path) -> None:
    (home / "mine.yaml").write_text(Path(ablations.load("depth").file.path).read_text())
    assert ablations.load("~/mine").file.path == str(home / "mine.yaml")
