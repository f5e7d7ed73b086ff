"""The kinds of layers, without torch: output shape, parameters, multiply-accumulates (MACs) and memory of each.

Shapes are for one image, without the batch: (channels, height, width), or (features,) once flattened. 1 MAC is 2 FLOPs.
As in torch's FlopCounterMode, only convolutions and linear layers have MACs, and their biases add none.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Storage:
    """Memory of a layer in training: allocated by it, or kept by autograd until the backward pass; no parameters.

    Attributes:
        keeps_input: autograd keeps the input, in the precision the layer computes in.
        keeps_output: autograd keeps the output.
        new_output: the output has new memory; otherwise it shares the input's (in place, or a view).
        indices: 64-bit positions kept, for one image.
        mask: elements of a mask kept, for one image.
        statistics: fp32 numbers kept, for the whole batch.
    """

    keeps_input: bool = False
    keeps_output: bool = False
    new_output: bool = True
    indices: int = 0
    mask: int = 0
    statistics: int = 0


@dataclass(frozen=True)
class Layer:
    """A layer without parameters or MACs that keeps its input's shape; each kind of layer overrides some of this."""

    @property
    def params(self) -> int:
        """Number of trainable parameters."""
        return 0

    @property
    def weights(self) -> int:
        """Number of parameters that multiply the input; autocast casts them, the bias and the input."""
        return 0

    @property
    def buffer_bytes(self) -> int:
        """Bytes of untrained state, stored with the parameters."""
        return 0

    @property
    def smallest_input(self) -> int:
        """Smallest height and width of an input, for an output of at least 1x1."""
        return 1

    def out_shape(self, in_shape: Shape) -> Shape:
        """Shape of the output for one image of shape `in_shape`."""
        return in_shape

    def macs(self, in_shape: Shape) -> int:
        """Multiply-accumulates for one image of shape `in_shape`."""
        return 0

    def storage(self, in_shape: Shape) -> Storage:
        """Memory of training on images of shape `in_shape`."""
        return Storage()


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
    def weights(self) -> int:
        return self.out_channels * self.in_channels * self.kernel**2

    @property
    def params(self) -> int:
        return self.weights + self.bias * self.out_channels

    @property
    def smallest_input(self) -> int:
        return max(1, self.kernel - 2 * self.padding)

    def out_shape(self, in_shape: Shape) -> Shape:
        return (self.out_channels, *_slide(in_shape, self.kernel, self.stride, self.padding))

    def macs(self, in_shape: Shape) -> int:
        _, height, width = self.out_shape(in_shape)
        return self.weights * height * width

    def storage(self, in_shape: Shape) -> Storage:
        return Storage(keeps_input=True)


@dataclass(frozen=True)
class Linear(Layer):
    """A fully connected layer with bias."""

    in_features: int
    out_features: int

    @property
    def weights(self) -> int:
        return self.in_features * self.out_features

    @property
    def params(self) -> int:
        return self.weights + self.out_features

    def out_shape(self, in_shape: Shape) -> Shape:
        return (self.out_features,)

    def macs(self, in_shape: Shape) -> int:
        return self.weights

    def storage(self, in_shape: Shape) -> Storage:
        return Storage(keeps_input=True)


@dataclass(frozen=True)
class BatchNorm2d(Layer):
    """Batch normalisation with a scale and a shift for each channel."""

    channels: int

    @property
    def params(self) -> int:
        return 2 * self.channels

    @property
    def buffer_bytes(self) -> int:
        # Running mean and variance in fp32, and a 64-bit count of batches.
        return 2 * 4 * self.channels + 8

    def storage(self, in_shape: Shape) -> Storage:
        # The batch's mean and inverse standard deviation.
        return Storage(keeps_input=True, statistics=2 * self.channels)


@dataclass(frozen=True)
class Activation(Layer):
    """An element-wise nonlinearity."""

    function: Literal["relu", "gelu", "sigmoid"]

    def storage(self, in_shape: Shape) -> Storage:
        match self.function:
            case "relu":
                return Storage(keeps_output=True, new_output=False)
            case "sigmoid":
                return Storage(keeps_output=True)
            case "gelu":
                return Storage(keeps_input=True)


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

    def storage(self, in_shape: Shape) -> Storage:
        return Storage(keeps_input=True, indices=prod(self.out_shape(in_shape)) if self.statistic == "max" else 0)


@dataclass(frozen=True)
class GlobalPool(Layer):
    """The largest or the average value of each channel; gives 1x1."""

    statistic: Literal["max", "average"]

    def out_shape(self, in_shape: Shape) -> Shape:
        return (in_shape[0], 1, 1)

    def storage(self, in_shape: Shape) -> Storage:
        # An average's gradient needs no more than its divisor.
        return Storage(keeps_input=True, indices=in_shape[0]) if self.statistic == "max" else Storage()


@dataclass(frozen=True)
class Dropout(Layer):
    """Sets each element to zero with probability `rate` while training."""

    rate: float

    def storage(self, in_shape: Shape) -> Storage:
        return Storage(mask=prod(in_shape))


@dataclass(frozen=True)
class Flatten(Layer):
    """Lays all elements of an image in one row."""

    def out_shape(self, in_shape: Shape) -> Shape:
        return (prod(in_shape),)

    def storage(self, in_shape: Shape) -> Storage:
        # Images have their channels last in memory, a row of features has them first: a copy, unless both orders agree.
        channels, *sides = in_shape
        return Storage(new_output=channels > 1 and prod(sides) > 1)


def _slide(in_shape: Shape, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """Height and width of the output of a square window sliding over the padded input."""
    _, height, width = in_shape
    return (height + 2 * padding - kernel) // stride + 1, (width + 2 * padding - kernel) // stride + 1
