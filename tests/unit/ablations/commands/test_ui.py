"""`ui`: the addresses, the port, the password, and the end of the server."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest
from commandline import Command

from ablations.commands import ui
from ablations.tracking.reader import study_pages
from ablations.tracking.store import Address, Store


def test_a_password_is_on_no_command_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def serve(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
        started.append((arguments, environ))
        return 0

    monkeypatch.setattr(ui, "_serve", serve)
    code, out, err = command("ui", "--tracking-uri", "postgresql://me:secret@host/db")
    ((arguments, environ),) = started
    assert "secret" not in f"{arguments}{out}{err}"
    assert (code, environ["MLFLOW_BACKEND_STORE_URI"]) == (0, "postgresql://me:secret@host/db")
    assert arguments[4:8] == ["--host", "127.0.0.1", "--port", "5000"]


def test_ui_prints_the_pages_of_the_study(command: Command, monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    monkeypatch.setattr(ui, "_serve", lambda arguments, environ: 0)
    _, out, err = command("ui", "tiny", "--profile", "short", "--port", "5001")
    pages = study_pages(Address("tiny", "short", Store(store)))
    lines = [f"{name + ':':<9} http://127.0.0.1:5001/{page}" for name, page in {"MLflow": "", **pages}.items()]
    hint = "The first report adds more: python -m ablations report tiny --profile short"
    assert list(pages) == ["study"]
    assert (out.splitlines(), err) == ([*lines, hint, "Ctrl-C ends it."], "")
    code, out, err = command("ui", "nothing")
    assert (code, out) == (2, "")
    assert "holds no study 'nothing'" in err


def test_ui_says_that_its_port_is_taken(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "_serve", lambda *arguments: pytest.fail("started"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        told = f"error: port {port} cannot be used: Address already in use. Choose another with --port.\n"
        assert command("ui", "--port", str(port)) == (2, "", told)


def test_ui_starts_nothing_where_a_server_runs_already(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "_serve", lambda *arguments: pytest.fail("started"))
    assert command("ui", "--tracking-uri", "http://me:secret@host:80/") == (0, "MLflow:   http://***@host:80/\n", "")


_SERVER = "import os, signal, time; {fork}; print('up', flush=True); time.sleep(60); print('outlived', flush=True)"


def served(server: str, before: str = "pass") -> list[str]:
    """A command that serves like this, after some code of the test."""
    serve = f"sys.exit(ui._serve([sys.executable, '-c', {server!r}], {{}}))"
    # The tests themselves may run under nohup, or in the background of a script: both ignore a signal, and so would the command.
    heard = "[signal.signal(each, signal.SIG_DFL) for each in (signal.SIGHUP, signal.SIGINT)]"
    return [
        sys.executable,
        "-c",
        f"import os, signal, sys; from ablations.commands import ui; {heard}; {before}; {serve}",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 130),
        (signal.SIGINT, 130),
        (signal.SIGHUP, 130),
        pytest.param(
            signal.SIGKILL, -9, marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children")
        ),
    ],
)
def test_the_server_ends_with_the_command(number: signal.Signals, code: int) -> None:
    # MLflow is two processes, too. If the command is killed, Linux ends the first, and MLflow the second.
    server = _SERVER.format(fork="pass" if number == signal.SIGKILL else "os.fork()")
    with subprocess.Popen(served(server), stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "up\n"
        command.send_signal(number)
        assert "outlived" not in command.stdout.read()
        assert command.wait() == code


@pytest.mark.slow
def test_a_server_that_does_not_listen_is_killed() -> None:
    deaf = _SERVER.format(fork="signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork()")
    with subprocess.Popen(served(deaf, "ui.PATIENCE_SECONDS = 1"), stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "up\n"
        command.terminate()
        # It ends once no process holds it.
        assert "outlived" not in command.stdout.read()
        assert command.wait() == 130


@pytest.mark.slow
def test_a_signal_while_the_server_starts_ends_it() -> None:
    early = (
        "popen = ui.subprocess.Popen; "
        "ui.subprocess.Popen = lambda *a, **k: (os.kill(os.getpid(), signal.SIGTERM), popen(*a, **k))[1]"
    )
    with subprocess.Popen(served(_SERVER.format(fork="pass"), early), stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        assert command.stdout.read() == ""
        assert command.wait() == 130


@pytest.mark.slow
def test_an_ignored_signal_stays_ignored() -> None:
    nohup = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    with subprocess.Popen(served(_SERVER.format(fork="pass"), nohup), stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "up\n"
        command.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            command.wait(0.5)
        command.terminate()
        assert command.wait() == 130
