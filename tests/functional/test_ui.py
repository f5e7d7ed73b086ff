"""`ui` with MLflow's real server: how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from folder import Folder
from places import ROOT
from server import free_port

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")


@pytest.fixture
def folder(tmp_path: Path, migrated_database: Path) -> Folder:
    return Folder(tmp_path / "study", migrated_database)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def ui(folder: Folder, port: int) -> Iterator[subprocess.Popen[str]]:
    """The command, with its server."""
    with folder.start("ui", "--port", str(port)) as process:
        yield process
        process.kill()


def servers(port: int) -> list[int]:
    """Process ids of MLflow's servers at a port."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        # A process may end meanwhile.
        with suppress(OSError):
            words = file.read_bytes().split(b"\0")
            if b"--port" in words and str(port).encode() in words and b"ablations" not in words:
                found.append(int(file.parent.name))
    return found


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
            return True
    except (URLError, OSError):
        return False


def assert_gone(process: subprocess.Popen[str], port: int) -> None:
    assert process.wait(30) == 130
    until(lambda: not servers(port), 5)
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind(("127.0.0.1", port))


@pytest.mark.slow
def test_no_process_of_the_server_is_left_after_sigterm(ui: subprocess.Popen[str], port: int) -> None:
    until(lambda: answers(port))
    assert len(servers(port)) == 2
    ui.send_signal(signal.SIGTERM)
    assert_gone(ui, port)


@pytest.mark.slow
def test_a_signal_right_after_the_start_of_the_server_ends_it(ui: subprocess.Popen[str], port: int) -> None:
    until(lambda: bool(servers(port)))
    ui.send_signal(signal.SIGTERM)
    assert_gone(ui, port)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_browser_that_is_in_the_middle_of_a_request_keeps_no_server_alive(
    ui: subprocess.Popen[str], port: int, number: signal.Signals
) -> None:
    until(lambda: answers(port))
    with socket.create_connection(("127.0.0.1", port)) as browser:
        browser.sendall(
            b"POST /api/2.0/mlflow/runs/search HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
            b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{" % port
        )
        time.sleep(1)
        ui.send_signal(number)
        if number == signal.SIGTERM:
            assert_gone(ui, port)
        else:
            until(lambda: not servers(port), 30)


@pytest.mark.slow
def test_a_command_in_the_background_of_a_shell_ends_with_its_server(folder: Folder, port: int) -> None:
    program = f'"{sys.executable}" -m ablations ui --port {port} & echo $!; wait $!; echo "ended with $?"'
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    shell = subprocess.Popen(
        ["/bin/sh", "-c", program], cwd=folder.path, env=environ, stdout=subprocess.PIPE, text=True
    )
    with shell:
        assert shell.stdout is not None
        command = int(shell.stdout.readline())
        until(lambda: answers(port))
        os.kill(command, signal.SIGTERM)
        assert shell.stdout.read().endswith("ended with 130\n")
    until(lambda: not servers(port), 5)
