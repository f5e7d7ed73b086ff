"""`ui`: MLflow's pages of a store."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import FrameType

from ablations.commands.messages import INTERRUPTED
from ablations.commands.recorded import recorded_study
from ablations.errors import UserError
from ablations.tracking import SETTINGS
from ablations.tracking.moved import settle_all
from ablations.tracking.reader import study_pages
from ablations.tracking.store import Address, Store

_PR_SET_PDEATHSIG = 1
PATIENCE_SECONDS = 5
"""For a server to end after it was asked to."""


def ui(store: Store, study: str | None, profile: str | None, port: int) -> int:
    """Serve MLflow's pages of a store until Ctrl-C, or print their addresses if a server has them.

    Args:
        store: to show.
        study: whose pages are printed: a name or a file; None: only the first page.
        profile: of the study; None if it is recorded at one only.
        port: on this machine.

    Returns:
        Exit code.

    Raises:
        AblationsError: the study is not recorded, or the port cannot be used.
    """
    address = None if study is None else recorded_study(store, study, profile)
    pages = {} if address is None else study_pages(address)
    if store.is_server:
        _print_addresses(str(store).rstrip("/"), address, pages)
        return 0
    _require_free(port)
    settle_all(store)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environ = {
        **SETTINGS,
        "MLFLOW_LOGGING_LEVEL": "CRITICAL",
        # Otherwise a line for each request scrolls the addresses away.
        "UVICORN_LOG_LEVEL": "warning",
        **os.environ,
        # Not on the command line, where every user of the machine could read its password.
        "MLFLOW_BACKEND_STORE_URI": store.uri,
        # Otherwise MLflow starts sixteen more processes that the suite does not use.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # MLflow's server looks for modules in the current folder first, where a study may lie beside a yaml.py.
        "UVICORN_APP_DIR": os.devnull,
        # Otherwise a server that is asked to end waits for a browser that never takes its answer, also if this process is gone.
        "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN": "3",
    }
    _print_addresses(f"http://127.0.0.1:{port}", address, pages)
    print("Ctrl-C ends it.", flush=True)
    return _serve(command, environ)


def _print_addresses(server: str, address: Address | None, pages: Mapping[str, str]) -> None:
    """A line per page, with its name; and the command for the pages that a study lacks."""
    for name, page in ({"MLflow": ""} | dict(pages)).items():
        print(f"{name + ':':<9} {server}/{page}", flush=True)
    if address is not None and "report" not in pages:
        names = f"{address.study} --profile {address.profile}{address.store.option}"
        print(f"The first report adds more: python -m ablations report {names}", flush=True)


def _serve(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a server until it ends or this process is asked to end; no process of it outlives this one.

    Returns:
        Exit code.
    """
    asked: list[int] = []
    started: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        # Asked twice, or too slow, the server is killed.
        for group in started:
            _signal(group, signal.SIGKILL if asked else signal.SIGTERM)
            signal.alarm(PATIENCE_SECONDS)
        asked.append(number)

    # Before the server starts: a signal right after that must not leave it behind. An ignored signal, as of a command that
    # `nohup` started, stays ignored.
    ending = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM]
    before = {number: signal.getsignal(number) for number in ending}
    for number in (each for each in ending if before[each] is not signal.SIG_IGN):
        signal.signal(number, end)
    try:
        # MLflow is two processes, in a group of their own.
        with_parent = partial(_end_with_parent, os.getpid())
        server = subprocess.Popen(command, env=environ, start_new_session=True, preexec_fn=with_parent)
        started.append(server.pid)
        if asked:
            _signal(server.pid, signal.SIGKILL)
        code = server.wait()
    finally:
        for group in started:
            _signal(group, signal.SIGKILL)
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)
    return INTERRUPTED if asked else code


def _signal(group: int, number: signal.Signals) -> None:
    """Send a signal to a group of processes, if one is left of it."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _end_with_parent(parent: int) -> None:
    """Let Linux end this process if its parent is killed; elsewhere nothing can."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # It was killed before that.
    if os.getppid() != parent:
        os._exit(1)


def _require_free(port: int) -> None:
    with socket.socket() as tried:
        # As the server does: a port that was just left is free.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"port {port} cannot be used: {error.strerror}. Choose another with --port.") from error
