"""The matrix rate of a device with torch, as a ceiling for the training rate.

The ceiling is measured, not read from a datasheet: the product of two random square matrices, by torch alone. The operations
of a training come from the closed form (`nin.complexity`): two per multiply-accumulate of convolutions and linear layers. A
training step counts as three forward passes, since the backward pass computes the gradients of weights and of inputs. The first
layer needs no gradients of its inputs, so that a share is slightly too high: by 1.5 % of it for the book's network, by 4 % for
the small one. All other layers, the loss and the optimizer count as zero.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ablations.trial import Device, Precision
from nin.complexity import Costs

SIDE = {"cpu": 2048, "cuda": 8192}
"""Side of the matrices: large enough to keep the whole device busy."""
PRODUCTS = {"cpu": 1, "cuda": 40}
"""Products between two looks at the clock; each look waits for the device."""
NUM_LOOKS = 7
"""Timings; the best one counts."""
FORWARD_PASSES = 3
"""Cost of a training step."""


def training_flops(costs: Costs) -> int:
    """Floating-point operations of training on one image."""
    return FORWARD_PASSES * costs.flops


def matrix_flops_per_second(precision: Precision, device: Device) -> float:
    """Floating-point operations per second of a large matrix product, the best of several; takes about a second.

    Args:
        precision: fp32 is TF32 on a CUDA device, as in torch's convolutions.
        device: where to multiply; on a CPU with all cores together.
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
