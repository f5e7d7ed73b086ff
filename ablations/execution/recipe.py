"""A study's training recipe in terms of torch: optimizer, learning rate, precision."""

from __future__ import annotations

import math

import torch
from torch import nn

from ablations.trial import TrainConfig


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
    """The recipe's optimizer. On CUDA its step can be captured in a graph, and its learning rate is a tensor there."""
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
        # Without momentum Nesterov's step is the plain step, and torch refuses the flag.
        nesterov=train.nesterov and train.momentum > 0,
        weight_decay=train.weight_decay,
        fused=True,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of the optimizer's next step; a rate in a tensor is set in place, for a captured step to read."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def autocast(train: TrainConfig, device: torch.device) -> torch.autocast:
    """The recipe's precision, for a `with` statement."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=train.precision == "bf16")
