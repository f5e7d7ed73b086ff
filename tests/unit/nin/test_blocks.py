"""The parts that blocks are made of."""

from __future__ import annotations

import pytest

from nin.blocks import POOLS, Style, convolutions
from nin.layers import Activation, BatchNorm2d, Conv2d, Pool2d

PLAIN = Style("none", "relu")
NORMALIZED = Style("batch", "gelu")


def test_a_block_is_a_spatial_convolution_and_its_mixers() -> None:
    parts = convolutions(3, (16, 8, 4), kernel=5, stride=2, padding=1, mixer_kernel=3)
    assert list(parts) == [
        ("spatial", Conv2d(3, 16, kernel=5, stride=2, padding=1)),
        ("mixer1", Conv2d(16, 8, kernel=3, padding=1)),
        ("mixer2", Conv2d(8, 4, kernel=3, padding=1)),
    ]


def test_mixers_of_one_pixel_need_no_padding() -> None:
    _, (_, mixer) = convolutions(3, (16, 8), kernel=5, stride=2, padding=1, mixer_kernel=1)
    assert mixer == Conv2d(16, 8, kernel=1)


def test_a_plain_convolution_is_followed_by_its_activation() -> None:
    conv = Conv2d(3, 4, kernel=3)
    assert list(PLAIN.convolution("spatial", conv)) == [("spatial", conv), ("spatial_activation", Activation("relu"))]


def test_a_normalised_convolution_has_no_bias_and_is_normalised_before_its_activation() -> None:
    assert list(NORMALIZED.convolution("spatial", Conv2d(3, 4, kernel=3, stride=2, padding=1))) == [
        ("spatial", Conv2d(3, 4, kernel=3, stride=2, padding=1, bias=False)),
        ("spatial_norm", BatchNorm2d(4)),
        ("spatial_activation", Activation("gelu")),
    ]


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("kernel", [2, 3])
def test_every_pool_keeps_the_channels_and_halves_the_size(kind: str, kernel: int) -> None:
    name, layer = next(iter(POOLS[kind](4, kernel, PLAIN)))
    assert name == "pool"
    assert layer.out_shape((4, 12, 12)) == (4, 6 if kernel == 2 else 5, 6 if kernel == 2 else 5)


def test_a_strided_convolution_is_normalised_and_activated_as_the_others_are() -> None:
    assert [name for name, _ in POOLS["conv"](4, 3, NORMALIZED)] == ["pool", "pool_norm", "pool_activation"]
    assert list(POOLS["max"](4, 3, NORMALIZED)) == [("pool", Pool2d("max", 3, 2))]
