"""Training losses of three small trials in fp32, held to a file.

A change that is not meant to alter training leaves them as they are. One that is raises `TRAINING_VERSION`; write the file
anew then and read its diff: `PYTHONPATH=.:tests/support python tests/golden/test_losses.py`.

Processors round differently: without AVX-512, AVX2 or MKL's fast paths these losses move by less than one in ten thousand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from ablations.execution.data import DataSource
from ablations.execution.train import run_trial
from ablations.trial import TRAINING_VERSION

GOLDEN = Path(__file__).with_name("losses.json")

TRIALS: dict[str, dict[str, Any]] = {
    "synthetic, batch normalisation, SGD with momentum, cosine after a warm-up, Kaiming": {
        "train__precision": "fp32",
        "train__schedule": "cosine",
        "train__warmup_epochs": 0.5,
        "train__weight_decay": 0.005,
    },
    "digits, no normalisation, no mixers, dense head, Nesterov, Xavier": {
        "data__name": "digits",
        "data__validation": 137,
        "data__train_size": 320,
        "model__normalization": "none",
        "model__head": "dense",
        "model__mixers": 0,
        "model__width": 0.5,
        "train__precision": "fp32",
        "train__lr": 0.4,
        "train__nesterov": True,
        "train__init": "xavier_uniform",
    },
    "synthetic, AdamW, constant, torch's own initialisation": {
        "train__precision": "fp32",
        "train__optimizer": "adamw",
        "train__lr": 0.003,
        "train__momentum": 0.0,
        "train__weight_decay": 0.01,
        "train__init": "default",
    },
}
"""Chosen to be calm: on digits, whose background is flat, a max pool's ties and batch normalisation make rounding grow to
percents within thirty steps."""


def losses(name: str) -> list[float]:
    """Mean training loss of each epoch."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    result = tiny.finish(run_trial(tiny.trial(**TRIALS[name]), DataSource(Path("unused"), "cpu"), None))
    torch.set_num_threads(threads)
    assert result is not None
    return [record.train_loss for record in result.epochs]


def test_the_file_has_these_trials_at_this_training_version() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert golden["training_version"] == TRAINING_VERSION
    assert list(golden["train_losses"]) == list(TRIALS)


@pytest.mark.parametrize("name", TRIALS)
def test_losses_are_those_in_the_file(name: str) -> None:
    assert losses(name) == pytest.approx(json.loads(GOLDEN.read_text())["train_losses"][name], rel=5e-4)


if __name__ == "__main__":
    found = {name: [round(loss, 6) for loss in losses(name)] for name in TRIALS}
    GOLDEN.write_text(json.dumps({"training_version": TRAINING_VERSION, "train_losses": found}, indent=2) + "\n")
