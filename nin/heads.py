"""Heads turn a network's last features into logits. A new head is a function here and a line in `HEADS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod

from nin.blocks import ActivationName, Part
from nin.layers import Activation, Dropout, Flatten, GlobalPool, Linear, Shape

DENSE_DROPOUT_RATE = 0.5
"""Dropout rate of the head `dense_dropout`, as in Lin et al. (2013)."""


def gap(in_shape: Shape, num_classes: int) -> Iterator[Part]:
    """Global average pooling: a class's logit is the average of its map.

    Source:
        Lin et al. (2013), Network In Network, section 3.2.
    """
    yield "pool", GlobalPool("average")
    yield "flatten", Flatten()


def gmp(in_shape: Shape, num_classes: int) -> Iterator[Part]:
    """Global max pooling: a class's logit is the largest value of its map."""
    yield "pool", GlobalPool("max")
    yield "flatten", Flatten()


def dense(in_shape: Shape, num_classes: int) -> Iterator[Part]:
    """A fully connected layer on the flattened class maps, in place of the global pooling.

    Source:
        Lin et al. (2013), Network In Network, section 4.6.
    """
    yield "flatten", Flatten()
    yield "linear", Linear(prod(in_shape), num_classes)


def dense_dropout(in_shape: Shape, num_classes: int) -> Iterator[Part]:
    """The head `dense`, with dropout before its fully connected layer.

    Source:
        Lin et al. (2013), Network In Network, section 4.6.
    """
    yield "flatten", Flatten()
    yield "dropout", Dropout(DENSE_DROPOUT_RATE)
    yield "linear", Linear(prod(in_shape), num_classes)


Head = Callable[[Shape, int], Iterator[Part]]

HEADS: Mapping[str, Head] = {"gap": gap, "gmp": gmp, "dense": dense, "dense_dropout": dense_dropout}
"""The values of the dial `head`: functions of the class maps' shape (num_classes, height, width) and num_classes."""


def hidden_layers(
    in_shape: Shape, num_classes: int, *, widths: tuple[int, ...], activation: ActivationName, dropout: float
) -> Iterator[Part]:
    """The head of the networks before NiN: hidden fully connected layers on the flattened features, then the logits.

    Args:
        in_shape: shape of the features for one image.
        num_classes: number of logits.
        widths: numbers of features of the hidden layers, first to last.
        activation: activation after each hidden layer.
        dropout: dropout rate after each hidden layer's activation, in [0, 1); 0 leaves dropout out.
    """
    yield "flatten", Flatten()
    in_features = prod(in_shape)
    for number, width in enumerate(widths, start=1):
        yield f"dense{number}", Linear(in_features, width)
        yield f"dense{number}_activation", Activation(activation)
        if dropout > 0:
            yield f"dense{number}_dropout", Dropout(dropout)
        in_features = width
    yield "linear", Linear(in_features, num_classes)
