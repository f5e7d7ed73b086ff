from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from ablations.errors import StoreAwayError
from ablations.tracking import database
from ablations.tracking.database import make_database, store_errors
from ablations.tracking.store import Store


class Client:
    """Makes a database as MLflow does, in steps."""

    is_killed = False

    def __init__(self, uri: str) -> None:
        self.path = Path(uri.removeprefix("sqlite:///"))

    def search_experiments(self) -> None:
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("create table experiments (id)")
        if self.is_killed:
            self.path.with_name(f"{self.path.name}-journal").write_bytes(b"half")
            raise KeyboardInterrupt
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("create table runs (id)")


def test_a_database_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MlflowClient", Client)
    file = tmp_path / "mlflow.db"
    monkeypatch.setattr(Client, "is_killed", True)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            make_database(Store(f"sqlite:///{file}"))
        assert not file.exists()
    monkeypatch.setattr(Client, "is_killed", False)
    make_database(Store(f"sqlite:///{file}"))
    with closing(sqlite3.connect(file)) as made:
        assert made.execute("select name from sqlite_master").fetchall() == [("experiments",), ("runs",)]
    assert not list(tmp_path.glob(".ablations/*.part*"))


def test_a_database_that_is_there_and_a_server_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MlflowClient", None)
    (tmp_path / "mlflow.db").write_bytes(b"mine")
    make_database(Store(f"sqlite:///{tmp_path / 'mlflow.db'}"))
    make_database(Store("http://127.0.0.1:1"))
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize(
    "reason", ["[Errno 111] Connection refused", "Failed to resolve 'api' ([Errno -2] No such name)"]
)
def test_a_server_that_is_away_is_told_with_the_last_of_its_reasons(reason: str) -> None:
    chain = f"request failed with exception Pool(host='api'): Max retries (Caused by Error(\"Connection(port=80): {reason}\"))"
    with pytest.raises(StoreAwayError) as caught, store_errors(Store("http://api:80")):
        raise MlflowException(chain)
    assert str(caught.value) == f"the MLflow server at http://api:80 does not answer ({reason})"
