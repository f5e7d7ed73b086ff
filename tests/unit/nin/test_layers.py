"""Each kind of layer against the torch module it stands for."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nin.layers import Activation, BatchNorm2d, Conv2d, Dropout, Flatten, GlobalPool, Layer, Linear, Pool2d, Shape
from nin.model import torch_module


@pytest.mark.parametrize(
    ("layer", "in_shape"),
    [
        (Conv2d(3, 8, kernel=5, stride=2, padding=1), (3, 17, 17)),
        (Conv2d(3, 8, kernel=3, bias=False), (3, 3, 3)),
        (Conv2d(1, 1, kernel=1), (1, 9, 4)),
        (Linear(12, 5), (12,)),
        (BatchNorm2d(6), (6, 4, 4)),
        (Activation("relu"), (6, 4, 4)),
        (Activation("gelu"), (6,)),
        (Activation("sigmoid"), (6,)),
        (Pool2d("max", kernel=3, stride=2), (2, 54, 54)),
        (Pool2d("average", kernel=2, stride=2), (2, 7, 7)),
        (GlobalPool("max"), (4, 5, 5)),
        (GlobalPool("average"), (4, 5, 5)),
        (Dropout(0.5), (4, 5, 5)),
        (Flatten(), (4, 5, 5)),
    ],
    ids=str,
)
def test_closed_form_is_what_torch_counts(layer: Layer, in_shape: Shape) -> None:
    with torch.device("meta"):
        module = torch_module(layer)
        images = torch.empty(1, *in_shape)
    with FlopCounterMode(display=False) as counter:
        out = module(images)

    assert layer.out_shape(in_shape) == tuple(out.shape[1:])
    assert layer.params == sum(parameter.numel() for parameter in module.parameters())
    assert 2 * layer.macs(in_shape) == counter.get_total_flops()


@pytest.mark.parametrize(
    "layer", [Conv2d(1, 1, kernel=5), Conv2d(1, 1, kernel=5, padding=2), Pool2d("max", kernel=3, stride=2)], ids=str
)
def test_the_smallest_input_leaves_one_pixel(layer: Layer) -> None:
    side = layer.smallest_input
    assert layer.out_shape((1, side, side)) == (1, 1, 1)
