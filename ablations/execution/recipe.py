"""The recipe of a training in terms of torch: optimizer, learning rate, precision."""

from __future__ import annotations

import math

import torch
from torch import nn

from ablations.trial import Precision, TrainConfig
from nin.memory import Optimizer


def learning_rate(train: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Learning rate of a step.

    Args:
        train: the recipe.
        step: from 0.
        steps_per_epoch: optimizer steps in an epoch.

    Returns:
        Linear from near zero to `train.lr` over the warm-up, then constant, or half a cosine down towards zero.

    Source:
        Loshchilov and Hutter (2017) for the cosine, without restarts.
    """
    warmup = train.warmup_epochs * steps_per_epoch
    if step < warmup:
        return train.lr * (step + 1) / (warmup + 1)
    if train.schedule == "constant":
        return train.lr
    total = train.epochs * steps_per_epoch
    return train.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, total - warmup)))


def make_optimizer(model: nn.Module, train: TrainConfig) -> torch.optim.Optimizer:
    """The recipe's optimizer; on a CUDA device one whose steps a graph can hold, its learning rate there, too."""
    device = next(model.parameters()).device
    on_cuda = device.type == "cuda"
    rate = torch.tensor(train.lr, device=device) if on_cuda else train.lr
    if train.optimizer == "adamw":
        return torch.optim.AdamW(
            model.parameters(), lr=rate, weight_decay=train.weight_decay, fused=True, capturable=on_cuda
        )
    return torch.optim.SGD(
        model.parameters(),
        lr=rate,
        momentum=train.momentum,
        # Without momentum Nesterov's step is the plain one; torch refuses to be asked for it.
        nesterov=train.nesterov and train.momentum > 0,
        weight_decay=train.weight_decay,
        fused=True,
    )


def autocast(train: TrainConfig, device: torch.device) -> torch.autocast:
    """The recipe's precision, for a `with` statement."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=train.precision == "bf16")


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give the optimizer the rate of its next step; where it is a tensor, a captured step reads it from there."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def recipe(precision: Precision, optimizer: Optimizer, batch_size: int = 1) -> TrainConfig:
    """Trains as trials do, at a rate at which weights stay what they are: their values must not become infinite."""
    return TrainConfig(
        epochs=1,
        batch_size=batch_size,
        optimizer="adamw" if optimizer == "adamw" else "sgd",
        lr=1e-9,
        momentum=0.9 if optimizer == "sgd_momentum" else 0.0,
        precision=precision,
    )
