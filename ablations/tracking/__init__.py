"""The record of all trials. No other package imports mlflow."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        # Nothing is sent home.
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # A dead server is noticed in seconds, not minutes. MLflow retries no call: if the answer to the creation of a run is
        # lost, a retry would create it twice.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
)
"""MLflow's settings for the suite's own calls; a user's values in the environment win."""

_LOGGERS = ("mlflow", "alembic")

_lock = threading.Lock()
_undo = ExitStack()
_num_blocks = 0


@contextmanager
def own_settings() -> Iterator[None]:
    """Call MLflow with the suite's settings in a `with` block. A caller's environment and loggers are then as before.

    MLflow reads its settings from the environment at each call. Blocks may overlap, also in several threads: the first one
    changes the process, the last one restores it.
    """
    global _num_blocks
    with _lock:
        _num_blocks += 1
        if _num_blocks == 1:
            _change_process()
    try:
        yield
    finally:
        with _lock:
            _num_blocks -= 1
            if not _num_blocks:
                _undo.close()


def _change_process() -> None:
    for name in SETTINGS.keys() - os.environ.keys():
        os.environ[name] = SETTINGS[name]
        _undo.callback(os.environ.pop, name, None)
    # MLflow chooses the levels when it is imported. Its messages would interrupt the display of a run.
    if "mlflow" in sys.modules and "MLFLOW_LOGGING_LEVEL" not in os.environ:
        for logger in map(logging.getLogger, _LOGGERS):
            _undo.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
