"""What a device's matrix units give torch, and what of it a training takes.

The ceiling is measured, not read off a datasheet: the product of two random square matrices, by torch alone. Operations are those of
the closed form (`nin.complexity`): two a multiply-accumulate of convolutions and linear layers, three forward passes a training
step, since the backward pass makes the gradients of weights and of inputs. The first layer's inputs want none, so that a share is a
little too high (1.5 % of it for the book's network, 4 % for the small one); all other layers, the loss and the optimizer count
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ablations.trial import Device, Precision
from nin.complexity import Costs

SIDE = {"cpu": 2048, "cuda": 8192}
"""Of the matrices; large enough to keep all of the device busy."""
PRODUCTS = {"cpu": 1, "cuda": 40}
"""Between two looks at the clock, before which the device is waited for."""
NUM_LOOKS = 7
FORWARD_PASSES = 3
"""That a training step is worth."""


def training_flops(costs: Costs) -> int:
    """Floating-point operations of training on one image."""
    return FORWARD_PASSES * costs.flops


def matrix_flops_per_second(precision: Precision, device: Device) -> float:
    """Floating-point operations a second of a large matrix product, the best of some; takes a second or so.

    Args:
        precision: fp32 is TF32 on a CUDA device, in which torch computes its convolutions there.
        device: where; on the CPU all its cores together.
    """
    side, count = SIDE[device], PRODUCTS[device]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    rates = []
    with _tf32():
        for _ in range(NUM_LOOKS):
            _wait(device)
            started = time.perf_counter()
            for _ in range(count):
                one @ other
            _wait(device)
            rates.append(2 * side**3 * count / (time.perf_counter() - started))
    return max(rates)


@contextmanager
def _tf32() -> Iterator[None]:
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.fp32_precision = before


def _wait(device: Device) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
