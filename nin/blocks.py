"""Blocks: a spatial convolution and its mixers, and the pools between blocks. A new block option goes here.

A part is a layer with its name inside the block. `architecture` puts the block's name in front of it and checks that
the layers fit together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from nin.layers import Activation, BatchNorm2d, Conv2d, Layer, Pool2d

Part = tuple[str, Layer]
ActivationName = Literal["relu", "gelu", "sigmoid"]
NormalizationName = Literal["none", "batch"]


@dataclass(frozen=True)
class Style:
    """The normalisation and the activation that follow every convolution of a network, in this order."""

    normalization: NormalizationName
    activation: ActivationName

    def convolution(self, name: str, conv: Conv2d) -> Iterator[Part]:
        """A convolution, then its normalisation, then its activation.

        Args:
            name: name of the convolution; the next two layers are `<name>_norm` and `<name>_activation`.
            conv: the convolution, with bias. A normalisation would cancel the bias, so with one the bias is left out.
        """
        if self.normalization == "none":
            yield name, conv
        else:
            yield name, Conv2d(conv.in_channels, conv.out_channels, conv.kernel, conv.stride, conv.padding, bias=False)
            yield f"{name}_norm", BatchNorm2d(conv.out_channels)
        yield f"{name}_activation", Activation(self.activation)


def convolutions(
    in_channels: int, widths: tuple[int, ...], *, kernel: int, stride: int, padding: int, mixer_kernel: int
) -> Iterator[tuple[str, Conv2d]]:
    """The bare convolutions of one block: `spatial`, then `mixer1`, `mixer2` and so on.

    Args:
        in_channels: channels of the block's input.
        widths: output channels of the spatial convolution and of each mixer.
        kernel: side of the spatial convolution's window.
        stride: stride of the spatial convolution; mixers have 1.
        padding: padding of the spatial convolution; the mixers' padding keeps the size.
        mixer_kernel: side of the mixers' window, odd.
    """
    spatial, *mixers = widths
    yield "spatial", Conv2d(in_channels, spatial, kernel, stride, padding)
    in_channels = spatial
    for number, width in enumerate(mixers, start=1):
        yield f"mixer{number}", Conv2d(in_channels, width, mixer_kernel, padding=mixer_kernel // 2)
        in_channels = width


class Pool(Protocol):
    """Yields the parts of a pool, which halves height and width after a block."""

    def __call__(self, channels: int, kernel: int, style: Style) -> Iterator[Part]: ...


def max_pool(channels: int, kernel: int, style: Style) -> Iterator[Part]:
    """The largest value of each window, stride 2."""
    yield "pool", Pool2d("max", kernel, stride=2)


def average_pool(channels: int, kernel: int, style: Style) -> Iterator[Part]:
    """The average of each window, stride 2."""
    yield "pool", Pool2d("average", kernel, stride=2)


def strided_convolution(channels: int, kernel: int, style: Style) -> Iterator[Part]:
    """A convolution of stride 2 that keeps the channels, in place of a pool.

    Source:
        Springenberg et al. (2015), Striving for Simplicity: The All Convolutional Net.
    """
    yield from style.convolution("pool", Conv2d(channels, channels, kernel, stride=2))


POOLS: Mapping[str, Pool] = {"max": max_pool, "average": average_pool, "conv": strided_convolution}
"""Values of the dial `pool_kind`."""
