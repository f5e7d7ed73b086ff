"""`ui`: the address, the port and the password."""

from __future__ import annotations

import socket
import subprocess

import pytest
from commandline import Command

from ablations.tracking.reader import study_page
from ablations.tracking.store import Address, Store


def test_a_password_is_on_no_command_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def start(arguments: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        started.append((arguments, env))
        return subprocess.CompletedProcess(arguments, 0)

    monkeypatch.setattr(subprocess, "run", start)
    code, out, err = command("ui", "--tracking-uri", "postgresql://me:secret@host/db")
    ((arguments, environ),) = started
    assert "secret" not in f"{arguments}{out}{err}"
    assert (code, environ["MLFLOW_BACKEND_STORE_URI"]) == (0, "postgresql://me:secret@host/db")
    assert arguments[4:8] == ["--host", "127.0.0.1", "--port", "5000"]


def test_ui_says_where_the_study_is(command: Command, monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    monkeypatch.setattr(subprocess, "run", lambda arguments, env: subprocess.CompletedProcess(arguments, 0))
    _, out, err = command("ui", "tiny", "--profile", "short", "--port", "5001")
    page = study_page(Address("tiny", "short", Store(store)))
    assert (out, err) == (f"MLflow at http://127.0.0.1:5001/{page} (Ctrl-C ends it)\n", "")
    code, out, err = command("ui", "nothing")
    assert (code, out) == (2, "")
    assert "holds no study 'nothing'" in err


def test_ui_says_that_its_port_is_taken(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **named: pytest.fail("started"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        told = f"error: port {port} cannot be used: Address already in use. Choose another with --port.\n"
        assert command("ui", "--port", str(port)) == (2, "", told)


def test_ui_starts_nothing_where_a_server_runs_already(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **named: pytest.fail("started"))
    assert command("ui", "--tracking-uri", "http://me:secret@host:80/") == (0, "http://***@host:80/\n", "")
