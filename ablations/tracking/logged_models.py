"""Trained networks as MLflow models, which torch and MLflow load without this package. Loads torch only to make one."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from ablations.costs import images_of
from ablations.tracking import layout
from ablations.tracking.artifacts import artifact_folder
from ablations.tracking.client import Client
from ablations.tracking.entries import Weights
from ablations.trial import TrialConfig

CONFIG = TypeAdapter(TrialConfig)
"""To JSON and back."""

MODEL_FOLDER = "model"
"""Folder in a trial's run: `mlflow.pytorch.load_model(f"runs:/{run_id}/model")`."""


def log_model(client: Client, run_id: str, weights: Weights) -> None:
    """Keep a network with its run, in place of an earlier one.

    Args:
        client: of the store.
        run_id: of the trial.
        weights: the worker's file, and the trial's config.
    """
    with tempfile.TemporaryDirectory(prefix="ablations-") as name:
        saved = Path(name) / MODEL_FOLDER
        try:
            _save(weights.file, CONFIG.validate_json(json.dumps(weights.config)), saved)
        # Torch may fail to trace a user's network. The trial is recorded without a model.
        except Exception as error:  # noqa: BLE001
            client.set_tag(
                run_id, layout.MODEL_MESSAGE, f"no model: {type(error).__name__}: {' '.join(str(error).split())[:500]}"
            )
            return
        folder = artifact_folder(client, client.get_run(run_id).info.artifact_uri)
        if folder is None:
            client.log_artifacts(run_id, str(saved), MODEL_FOLDER)
        else:
            shutil.copytree(saved, folder / MODEL_FOLDER, dirs_exist_ok=True)


def _save(weights: Path, config: TrialConfig, path: Path) -> None:
    import mlflow.pytorch
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from ablations.torch_networks import build
    from nin.model import load_weights

    images = images_of(config.data)
    model = build(config.model, images).eval()
    load_weights(model, weights)
    with warnings.catch_warnings():
        # MLflow's advice is for callers by hand, and would interrupt the display of a run.
        warnings.simplefilter("ignore")
        mlflow.pytorch.save_model(
            model,
            path,
            # A graph runs without this package, and loading it runs no code from the file. It is traced with two images:
            # with one it would take no other number.
            serialization_format="pt2",
            input_example=np.zeros((2, *images.shape), np.float32),
            signature=ModelSignature(
                Schema([TensorSpec(np.dtype(np.float32), (-1, *images.shape))]),
                Schema([TensorSpec(np.dtype(np.float32), (-1, images.num_classes))]),
            ),
            # Given, since MLflow would load the model in another process to find them.
            pip_requirements=[f"{each}=={importlib.metadata.version(each)}" for each in ("mlflow", "torch")],
            metadata={"images": f"float32 in [0, 1], shape (batch, {', '.join(map(str, images.shape))})"},
        )
