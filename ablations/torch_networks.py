"""The torch module of any network that a study may name."""

from __future__ import annotations

from dataclasses import asdict

from torch import nn

import nin.model
from ablations.networks import Model, RegisteredModel
from nin.images import Input


def build(model: Model, images: Input) -> nn.Module:
    """The module, from images (batch, in_channels, size, size) to logits (batch, num_classes).

    Its weights are drawn from torch's global generator. Lazy layers have their shapes.

    Args:
        model: the dials.
        images: their shape, and the number of logits.

    Raises:
        ConfigError: the network cannot exist at this size, or its package is not installed in the version that was planned.
    """
    if isinstance(model, RegisteredModel):
        built: nn.Module = model.network.build(**asdict(images))
        nin.model.materialize(built, images)
        return built
    return nin.model.build(model, images)
