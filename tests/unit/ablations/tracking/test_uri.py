"""Tracking URIs as people write them: each that cannot work is refused in a sentence with what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablations.errors import TrackingError
from ablations.tracking.store import Store


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://127.0.0.1:5000/#/experiments/1", "Leave out what begins with #: http://127.0.0.1:5000"),
        ("https://host/mlflow/?workflowType=ml#/x", "Leave out what begins with ?: https://host/mlflow"),
        ("http://host#", "Leave out what begins with #: http://host"),
        ("localhost:5000", "Did you mean http://localhost:5000?"),
        ("10.0.0.7:5000/mlflow", "Did you mean http://10.0.0.7:5000/mlflow?"),
        ("[::1]:5000", "Did you mean http://[::1]:5000?"),
        ("http:/host:5000", "Did you mean http://host:5000?"),
        ("http:///host", "Did you mean http://host?"),
        ("http://", "Name a file, such as sqlite:///mlflow.db, or a server, such as http://localhost:5000"),
        ("http://host:port", "has no host, or a port that is no number"),
        ("http://my host", "has a space in it"),
        ("http://host:5000\n", "Did you mean http://host:5000?"),
        ("sqlite://", "is a database in memory"),
        ("sqlite:///", "is a database in memory"),
        ("sqlite:///:memory:", "is a database in memory"),
        ("sqlite:///file:a?mode=memory&uri=true", "is a database in memory"),
        ("sqlite:/x/mlflow.db", "Did you mean sqlite:////x/mlflow.db?"),
        ("sqlite:mlflow.db", "Did you mean sqlite:///mlflow.db?"),
        ("sqlite://mlflow.db", "Did you mean sqlite:///mlflow.db?"),
        ("sqlite+pysqlite:///mlflow.db", "Did you mean sqlite:///mlflow.db?"),
        ("sqlite:///mlflow.db?timeout=9", "Leave out all from the '?' on: sqlite:///mlflow.db"),
        ("sqlite:///a?b/mlflow.db", "Leave out all from the '?' on: sqlite:///a"),
        ("sqlite:///my%20folder/mlflow.db", "has %20 in it, which SQLAlchemy reads as ' '. Write ' ' instead"),
        ("sqlite:///folder", "Did you mean sqlite:///folder/mlflow.db?"),
        ("mlflow.db", "Did you mean sqlite:///mlflow.db?"),
        ("/data/mlflow.db", "Did you mean sqlite:////data/mlflow.db?"),
        ("./mlruns", "MLflow keeps no runs in folders"),
        ("file:///data/mlruns", "MLflow keeps no runs in folders"),
        ("localhost", "or a server, such as http://localhost:5000"),
        ("databricks", "is an address of Databricks"),
        ("databricks://profile", "is an address of Databricks"),
        ("postgres://me:secret@db/mlflow", "Did you mean postgresql://***@db/mlflow?"),
        ("http://me:sec#ret@host/", "has no host, or a port that is no number"),
        ("http://se#cret@host/", "write them as %23 and %3F"),
        ("", "is empty"),
        (" ", "is empty"),
    ],
)
def test_a_uri_that_cannot_work_is_refused_with_a_remedy(
    uri: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(TrackingError) as caught:
        Store.at(uri)
    assert str(caught.value).startswith("the tracking URI, '")
    assert told in str(caught.value)
    assert "sec" not in str(caught.value)
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(TrackingError, match="the tracking URI in MLFLOW_TRACKING_URI, ") as caught:
            Store.at(None)
        assert told in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///mlflow.db",
        "sqlite:////C#/100 %/mlflow.db",
        "http://host",
        "https://me:p%40ss@host:5000/path",
        "http://[::1]:5000/",
        "HTTP://HOST",
        "postgresql+psycopg2://me:secret@db/mlflow?sslmode=require",
        "mysql://db/mlflow",
        "somebodys-plugin://x",
    ],
)
def test_a_uri_that_may_work_is_taken(uri: str) -> None:
    assert Store.at(uri).uri == uri


@pytest.mark.parametrize(("name", "told"), [("why?", "with a '?' in its name"), ("my%20folder", "has %20 in it")])
def test_a_store_here_is_refused_if_the_folders_name_is_read_as_something_else(
    name: str, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    with pytest.raises(TrackingError) as caught:
        Store.at(None)
    assert told in str(caught.value)
    assert "rename" in str(caught.value).lower()


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert Store.at(None).file == tmp_path / "mlflow.db"
