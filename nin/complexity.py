"""Costs of a network, counted from its layers in closed form, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from nin.architecture import NamedLayer, layers
from nin.config import Config
from nin.images import Input
from nin.layers import Conv2d, Linear, Shape


@dataclass(frozen=True)
class Costs:
    """Costs of a network, or of one of its layers, for one image (batch 1).

    Attributes:
        params: trainable parameters.
        macs: multiply-accumulates of the forward pass; convolutions and linear layers, without biases.
        activations: output elements of convolutions and linear layers.
    """

    params: int
    macs: int
    activations: int

    @property
    def flops(self) -> int:
        """Floating-point operations of the forward pass: two per multiply-accumulate."""
        return 2 * self.macs


@dataclass(frozen=True)
class LayerRow(Costs):
    """One row of the layer table; the rows' costs add up to the network's.

    Attributes:
        name: name of the layer, such as `block1.spatial`.
        kind: its class, such as `Conv2d`.
        out_shape: output shape for one image, (channels, height, width) or (features,).
        out_bytes: fp32 memory of its output for one image while training; 0 if the output shares the input's memory (an
            activation in place, a view).
    """

    name: str
    kind: str
    out_shape: Shape
    out_bytes: int


def costs(config: Config, images: Input) -> Costs:
    """Costs of the whole network.

    Args:
        config: the dials.
        images: their shape, and the number of logits.

    Raises:
        ConfigError: the network cannot exist at this size.
    """
    network = layers(config, images)
    return Costs(
        params=sum(named.layer.params for named in network),
        macs=sum(named.layer.macs(named.in_shape) for named in network),
        activations=sum(map(_activations, network)),
    )


def layer_table(config: Config, images: Input) -> tuple[LayerRow, ...]:
    """Output shape and costs of each layer, from the image to the logits.

    Args:
        config: the dials.
        images: their shape, and the number of logits.

    Raises:
        ConfigError: the network cannot exist at this size.
    """
    named_layers = layers(config, images)
    return tuple(_row(named) for named in named_layers)


def _row(named: NamedLayer) -> LayerRow:
    return LayerRow(
        name=named.name,
        kind=type(named.layer).__name__,
        out_shape=named.out_shape,
        out_bytes=4 * prod(named.out_shape) if named.layer.storage(named.in_shape).new_output else 0,
        params=named.layer.params,
        macs=named.layer.macs(named.in_shape),
        activations=_activations(named),
    )


def _activations(named: NamedLayer) -> int:
    return prod(named.out_shape) if isinstance(named.layer, Conv2d | Linear) else 0
