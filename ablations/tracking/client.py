"""The door to MLflow: its client and records. The other modules of this package import them from here."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from ablations.tracking import own_settings

# MLflow reads some settings only once, when it is imported.
with own_settings():
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts
    from mlflow.entities import Dataset, DatasetInput, Experiment, InputTag, Metric, Param, Run, RunTag, ViewType
    from mlflow.exceptions import MlflowException
    from mlflow.utils.validation import MAX_DATASET_DIGEST_SIZE

__all__ = [
    "MAX_DATASET_DIGEST_SIZE",
    "Client",
    "Dataset",
    "DatasetInput",
    "Experiment",
    "InputTag",
    "Metric",
    "MlflowException",
    "Param",
    "Run",
    "RunTag",
    "ViewType",
    "download_artifacts",
]


_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""Default ports of the database servers that MLflow knows."""
CONNECT_SECONDS = 5.0


def _require_listener(uri: str) -> None:
    scheme = uri.partition(":")[0].partition("+")[0]
    if scheme not in _PORTS:
        return
    try:
        address = make_url(uri)
        dialect = address.get_dialect()
    # MLflow says why it cannot be read.
    except (ArgumentError, ValueError):
        return
    # A driver that is not installed is told first.
    dialect.import_dbapi()
    # Without a host it is a socket in the file system. A DSN, a socket or several hosts are the driver's to find.
    is_plain = address.host and not address.query and re.fullmatch(r"[\w.-]+|[0-9a-fA-F:]+", address.host)
    if is_plain and (scheme != "mssql" or address.port):
        socket.create_connection((address.host, address.port or _PORTS[scheme]), CONNECT_SECONDS).close()


class Client(MlflowClient):
    """MLflow's client of one store. A write is done when its call returns, also if the user has asked for other writes.

    If a store refuses an asynchronous write, MLflow loses it without a word.
    """

    def __init__(self, tracking_uri: str) -> None:
        """Connect to a store.

        Raises:
            OSError: nobody listens at the address of a database server. MLflow would try again for more than a minute.
            ImportError: its driver is not installed.
        """
        _require_listener(tracking_uri)
        super().__init__(tracking_uri)

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
        synchronous: bool | None = True,
    ) -> None:
        super().log_batch(run_id, metrics, params, tags, synchronous=True)

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = True) -> None:
        super().set_tag(run_id, key, value, synchronous=True)
