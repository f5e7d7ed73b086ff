from __future__ import annotations

import os
from pathlib import Path

import pytest
import tiny

from ablations.tracking.store import Store

PLAN = tiny.plan()


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:p%40ss@host:5000/path", "https://***@host:5000/path"),
        ("postgresql+psycopg2://me:secret@db/mlflow", "postgresql+psycopg2://***@db/mlflow"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("http://host:5000", "http://host:5000"),
    ],
)
def test_a_uri_is_shown_without_its_password(uri: str, shown: str) -> None:
    assert str(Store(uri)) == shown


def test_the_default_store_is_the_one_that_mlflow_ui_shows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Store.at(None).uri == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert Store.at(None).uri == "http://host:5000"


def test_a_store_that_commands_find_needs_no_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    here, server = f"sqlite:///{tmp_path / 'mlflow.db'}", "http://me:secret@host:5000"
    given = " --tracking-uri 'http://***@host:5000'"
    assert (Store.at(None).option, Store.at(here).option, Store.at(server).option) == ("", "", given)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    found, other = Store.at(None), Store.at(here)
    # Also if somebody sets the variable for another store meanwhile.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", here)
    assert (found.option, other.option) == ("", f" --tracking-uri {here}")


def test_a_command_of_mlflow_names_the_store_and_hides_its_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    file = f"sqlite:///{tmp_path / 'a store' / 'team.db'}"
    assert Store("sqlite:///a store/team.db").mlflow == f"MLFLOW_TRACKING_URI='{file}' python -m mlflow"
    server = Store("http://me:secret@host:5000").mlflow
    assert server == "MLFLOW_TRACKING_URI='http://***@host:5000' python -m mlflow"


@pytest.mark.parametrize("of", ["file", "folder", "relative", "chain"])
def test_a_store_behind_a_link_has_the_locks_and_the_queue_of_the_store(of: str, tmp_path: Path) -> None:
    database = tmp_path / "store" / "mlflow.db"
    database.parent.mkdir()
    database.touch()
    folder = tmp_path / "linked"
    if of == "folder":
        folder.symlink_to(database.parent)
        link = folder / "mlflow.db"
    else:
        folder.mkdir()
        link = folder / "other_name.db"
        link.symlink_to(os.path.relpath(database, folder) if of == "relative" else database)
        if of == "chain":
            folder = tmp_path / "chain"
            folder.symlink_to("linked")
            link = folder / link.name
    direct, linked = Store(f"sqlite:///{database}"), Store(f"sqlite:///{link}")
    assert linked.file == direct.file == database
    assert (linked.state_folder, linked.spool_folder) == (direct.state_folder, direct.spool_folder)
