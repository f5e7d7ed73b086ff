"""The torch module of any network that a study may name."""

from __future__ import annotations

from torch import nn

import nin.model
from ablations.networks import Model, RegisteredModel


def build(model: Model, *, in_channels: int, size: int, num_classes: int) -> nn.Module:
    """The module, from images (batch, in_channels, size, size) to logits (batch, num_classes).

    Its weights are drawn from torch's global generator.

    Args:
        model: the dials.
        in_channels: of the images.
        size: height and width of the images in pixels.
        num_classes: number of logits.

    Raises:
        ConfigError: the network cannot exist at this size, or its package is not installed in the version that was planned.
    """
    if isinstance(model, RegisteredModel):
        built: nn.Module = model.network.build(in_channels=in_channels, size=size, num_classes=num_classes)
        return built
    return nin.model.build(model, in_channels=in_channels, size=size, num_classes=num_classes)
