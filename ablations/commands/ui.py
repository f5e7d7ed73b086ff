"""`ui`: MLflow's pages of a store."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from ablations.commands.recorded import recorded_study
from ablations.errors import UserError
from ablations.tracking import SETTINGS
from ablations.tracking.moved import settle_all
from ablations.tracking.reader import study_page
from ablations.tracking.store import Store


def ui(store: Store, study: str | None, profile: str | None, port: int) -> int:
    """Serve MLflow's pages of a store until Ctrl-C, or print their address if a server has them.

    Args:
        store: to show.
        study: whose page is printed: a name or a file; None: the first page.
        profile: of the study; None if it is recorded at one only.
        port: on this machine.

    Returns:
        Exit code.

    Raises:
        AblationsError: the study is not recorded, or the port cannot be used.
    """
    page = "" if study is None else study_page(recorded_study(store, study, profile))
    if store.is_server:
        print(f"{str(store).rstrip('/')}/{page}")
        return 0
    _require_free(port)
    settle_all(store)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environ = {
        **SETTINGS,
        "MLFLOW_LOGGING_LEVEL": "CRITICAL",
        **os.environ,
        # Not on the command line, where every user of the machine could read its password.
        "MLFLOW_BACKEND_STORE_URI": store.uri,
        # Otherwise MLflow starts sixteen more processes that the suite does not use.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    print(f"MLflow at http://127.0.0.1:{port}/{page} (Ctrl-C ends it)", flush=True)
    return subprocess.run(command, env=environ).returncode


def _require_free(port: int) -> None:
    with socket.socket() as tried:
        # As the server does: a port that was just left is free.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"port {port} cannot be used: {error.strerror}. Choose another with --port.") from error
