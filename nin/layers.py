"""The kinds of layers: output shape, parameters and multiply-accumulates (MACs) of each, in closed form, without torch.

Shapes are those of one image, without the batch: (channels, height, width), or (features,) once flattened. 1 MAC is
2 FLOPs. MACs are those of convolutions and linear layers, their bias left out, as torch's FlopCounterMode counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """A layer without parameters or MACs that keeps the shape of its input; each kind overrides what differs."""

    @property
    def params(self) -> int:
        """Number of trainable parameters."""
        return 0

    @property
    def smallest_input(self) -> int:
        """Smallest height and width of an input that leaves an output of at least 1x1."""
        return 1

    def out_shape(self, in_shape: Shape) -> Shape:
        """Shape of the output for one image of shape `in_shape`."""
        return in_shape

    def macs(self, in_shape: Shape) -> int:
        """Multiply-accumulates for one image of shape `in_shape`."""
        return 0


@dataclass(frozen=True)
class Conv2d(Layer):
    """A square convolution."""

    in_channels: int
    out_channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    bias: bool = True

    @property
    def _weights(self) -> int:
        return self.out_channels * self.in_channels * self.kernel**2

    @property
    def params(self) -> int:
        return self._weights + self.bias * self.out_channels

    @property
    def smallest_input(self) -> int:
        return max(1, self.kernel - 2 * self.padding)

    def out_shape(self, in_shape: Shape) -> Shape:
        return (self.out_channels, *_slide(in_shape, self.kernel, self.stride, self.padding))

    def macs(self, in_shape: Shape) -> int:
        _, height, width = self.out_shape(in_shape)
        return self._weights * height * width


@dataclass(frozen=True)
class Linear(Layer):
    """A fully connected layer with bias."""

    in_features: int
    out_features: int

    @property
    def params(self) -> int:
        return (self.in_features + 1) * self.out_features

    def out_shape(self, in_shape: Shape) -> Shape:
        return (self.out_features,)

    def macs(self, in_shape: Shape) -> int:
        return self.in_features * self.out_features


@dataclass(frozen=True)
class BatchNorm2d(Layer):
    """Batch normalisation with a scale and a shift for each channel."""

    channels: int

    @property
    def params(self) -> int:
        return 2 * self.channels


@dataclass(frozen=True)
class Activation(Layer):
    """An element-wise nonlinearity."""

    function: Literal["relu", "gelu", "sigmoid"]


@dataclass(frozen=True)
class Pool2d(Layer):
    """The largest or the average value of each square window."""

    statistic: Literal["max", "average"]
    kernel: int
    stride: int

    @property
    def smallest_input(self) -> int:
        return self.kernel

    def out_shape(self, in_shape: Shape) -> Shape:
        return (in_shape[0], *_slide(in_shape, self.kernel, self.stride, padding=0))


@dataclass(frozen=True)
class GlobalPool(Layer):
    """The largest or the average value of each channel; leaves 1x1."""

    statistic: Literal["max", "average"]

    def out_shape(self, in_shape: Shape) -> Shape:
        return (in_shape[0], 1, 1)


@dataclass(frozen=True)
class Dropout(Layer):
    """Sets each element to zero with probability `rate` while training."""

    rate: float


@dataclass(frozen=True)
class Flatten(Layer):
    """Lays all elements of an image in one row."""

    def out_shape(self, in_shape: Shape) -> Shape:
        return (prod(in_shape),)


def _slide(in_shape: Shape, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """Height and width that a square window leaves when it slides over the padded input."""
    _, height, width = in_shape
    return (height + 2 * padding - kernel) // stride + 1, (width + 2 * padding - kernel) // stride + 1
