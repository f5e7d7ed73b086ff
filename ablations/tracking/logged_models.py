"""A trained network as MLflow keeps models: torch and MLflow alone load it. Here torch is loaded where models are asked for."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
from mlflow import MlflowClient
from pydantic import TypeAdapter

from ablations.costs import images_of
from ablations.tracking import layout
from ablations.tracking.artifacts import artifact_folder
from ablations.tracking.entries import Weights
from ablations.trial import TrialConfig

CONFIG = TypeAdapter(TrialConfig)
"""To JSON and back."""

MODEL_FOLDER = "model"
"""Of a trial's run: `mlflow.pytorch.load_model(f"runs:/{run_id}/model")`."""


def log_model(client: MlflowClient, run_id: str, weights: Weights) -> None:
    """Keep a network with its run, instead of one that is there already.

    Args:
        client: of the store.
        run_id: of the trial.
        weights: the worker's file, and the trial's config.
    """
    with tempfile.TemporaryDirectory(prefix="ablations-") as name:
        saved = Path(name) / MODEL_FOLDER
        try:
            _save(weights.file, CONFIG.validate_json(json.dumps(weights.config)), saved)
        # A network of a user's own may not be one that torch makes a graph of. Its trial is recorded all the same.
        except Exception as error:  # noqa: BLE001
            client.set_tag(
                run_id, layout.MODEL_MESSAGE, f"no model: {type(error).__name__}: {' '.join(str(error).split())[:500]}"
            )
            return
        folder = artifact_folder(client.get_run(run_id).info.artifact_uri)
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
        # MLflow's advice is for who calls it by hand, and would stand in the midst of what a run shows.
        warnings.simplefilter("ignore")
        mlflow.pytorch.save_model(
            model,
            path,
            # A graph, which runs without this package, and is loaded without running any code of the file's. Traced with
            # two images: one would make it a graph for one.
            serialization_format="pt2",
            input_example=np.zeros((2, *images.shape), np.float32),
            signature=ModelSignature(
                Schema([TensorSpec(np.dtype(np.float32), (-1, *images.shape))]),
                Schema([TensorSpec(np.dtype(np.float32), (-1, images.num_classes))]),
            ),
            # Not looked for: MLflow would load the model in another process for that.
            pip_requirements=[f"{each}=={importlib.metadata.version(each)}" for each in ("mlflow", "torch")],
            metadata={"images": f"float32 in [0, 1], shape (batch, {', '.join(map(str, images.shape))})"},
        )
