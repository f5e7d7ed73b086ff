from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from ablations.errors import StoreAwayError, TrackingError
from ablations.tracking import client, database
from ablations.tracking.database import make_database, store_errors
from ablations.tracking.reader import recorded_studies
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
    monkeypatch.setattr(database, "Client", Client)
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
    monkeypatch.setattr(database, "Client", None)
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


# Other servers, and databases of other versions


def answered(status: int, kind: str, body: bytes) -> str:
    """What a study is told by a server that answers every request in this way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *given: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        store = Store(f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(TrackingError) as caught, store_errors(store):
            client.Client(store.uri).get_experiment_by_name("tiny/starter")
        server.shutdown()
    assert isinstance(caught.value, StoreAwayError) == (status >= 500)
    return str(caught.value).replace(str(store), "URI")


PAGE = b"<!doctype html><html><title>Something else</title></html>"


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", PAGE),
        (404, "text/html", PAGE),
        (405, "text/html", PAGE),
        (200, "application/json", b"[]"),
        (404, "application/json", b'{"detail": "Not Found"}'),
    ],
)
def test_another_server_than_mlflows_is_told_and_not_waited_for(status: int, kind: str, body: bytes) -> None:
    assert answered(status, kind, body) == (
        "URI answers, but is no MLflow server. Check the address, and name the server with --tracking-uri."
    )


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_whose_server_is_away_is_waited_for(status: int) -> None:
    assert answered(status, "text/html", PAGE).startswith("the MLflow server at URI does not answer")


def test_a_server_that_asks_who_one_is_has_its_own_words() -> None:
    assert "cannot be used: " in answered(401, "text/html", PAGE)


@pytest.mark.parametrize("missing", ["", "input_tags"])
def test_the_database_of_a_newer_mlflow_is_told_with_the_remedy(missing: str, new_store: Callable[[], str]) -> None:
    uri = other_version(new_store(), "ffffffffffff", missing)
    with pytest.raises(TrackingError) as caught:
        recorded_studies(Store(uri))
    assert str(caught.value) == (
        f"the MLflow store {uri} was made or upgraded by a newer MLflow than the one installed here. Install the newer one: "
        "python -m pip install --upgrade mlflow"
    )


def test_the_database_of_an_older_mlflow_is_told_with_the_command(new_store: Callable[[], str]) -> None:
    uri = other_version(new_store(), "75868b020152")
    with pytest.raises(TrackingError) as caught:
        recorded_studies(Store(uri))
    assert str(caught.value) == (
        f"the MLflow store {uri} was made by an older MLflow. Copy its database, then upgrade it with: "
        f"python -m mlflow db upgrade '{uri}'"
    )


def test_the_command_for_an_older_database_hides_its_password() -> None:
    with pytest.raises(TrackingError) as caught, store_errors(Store("postgresql://me:secret@db/mlflow")):
        raise MlflowException(
            "Detected out-of-date database schema (found version 75868b020152, but expected another)."
        )
    assert str(caught.value).endswith(
        "upgrade it (with the password for ***) with: python -m mlflow db upgrade 'postgresql://***@db/mlflow'"
    )


def other_version(uri: str, revision: str, missing: str = "") -> str:
    """Give a database the revision of another version, and take a table from it."""
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as changed:
        changed.execute("update alembic_version set version_num = ?", (revision,))
        if missing:
            changed.execute(f"drop table {missing}")
        changed.commit()
    return uri
