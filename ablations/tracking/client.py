"""The door to MLflow: its client and records. The other modules of this package import them from here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


class Client(MlflowClient):
    """MLflow's client of one store. A write is done when its call returns, also if the user has asked for other writes.

    If a store refuses an asynchronous write, MLflow loses it without a word.
    """

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
