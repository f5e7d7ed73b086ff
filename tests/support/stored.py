"""The tiny study in a store: writing trials, and finding its runs in MLflow."""

from __future__ import annotations

from typing import Any

import numpy as np
import tiny
from mlflow import MlflowClient
from mlflow.entities import Run

from ablations.tracking.recorder import Recorder
from ablations.tracking.store import Address, Store
from ablations.trial import TrialResult, TrialSpec


def address(uri: str) -> Address:
    return Address("tiny", "starter", Store(uri))


def record_trial(recorder: Recorder, spec: TrialSpec, result: TrialResult | None, epochs: Any = None) -> None:
    recorder.start(spec)
    for each in result.epochs if result else epochs or ():
        recorder.epoch(spec, each)
    recorder.end(spec, result)


def trials(uri: str) -> list[Run]:
    client = MlflowClient(uri)
    (experiment,) = [each for each in client.search_experiments() if each.name == "tiny/starter"]
    return [run for run in client.search_runs([experiment.experiment_id]) if "mlflow.parentRunId" in run.data.tags]


def parents(uri: str) -> list[Run]:
    client = MlflowClient(uri)
    (experiment,) = [each for each in client.search_experiments() if each.name == "tiny/starter"]
    return [run for run in client.search_runs([experiment.experiment_id]) if "mlflow.parentRunId" not in run.data.tags]


def awkward(spec: TrialSpec) -> TrialResult:
    """A result of values that a careless store would round."""
    epochs = (
        tiny.record(1, 100 / 3, train_loss=0.1 + 0.2, validation_loss=5e-324, learning_onset_step=None),
        tiny.record(2, 200 / 3, train_loss=1 / 3, validation_loss=1.7976931348623157e308, num_dead_classes=3),
        tiny.record(3, 2 / 3, train_images_per_second=123456789.123456789, epoch_seconds=1e-9),
    )
    bits = np.packbits(np.arange(1003) % 3 == 0).tobytes()
    return TrialResult(spec.id, "finished", epochs, 100 * 335 / 1003, bits, 1003)
