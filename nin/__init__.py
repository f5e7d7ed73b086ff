"""Network in Network and the networks it is compared with: dials, layers, costs (no torch), and torch modules.

`create` builds a network by name. Everything else is imported from its module:

* `config`: the dials; `images`: the images that a network is built for; `presets`: networks by name, with their images
* `layers`: the kinds of layers; `blocks` and `heads`: the parts of a network; `architecture`: from dials to layers
* `complexity`: params, MACs and layer tables; `memory`: memory of training and prediction
* `model`: torch modules, initial weights, and `Network`, the base class for a package's network; `counting`: its costs

Only the last two import torch; `import nin` does not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def create(
    preset: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    size: int | None = None,
    **dials: object,
) -> nn.Sequential:
    """A network by name, as a torch module from images (batch, in_channels, size, size) to logits (batch, num_classes).

    Its weights are torch's default draw; `nin.model.initialize` draws others.

    Args:
        preset: a key of `nin.presets.PRESETS`.
        num_classes: number of logits. None, here and below: as in `nin.presets.INPUTS`.
        in_channels: channels of the images.
        size: height and width of the images in pixels.
        dials: dials to turn, such as `mixers=1`; `nin.config` describes them.

    Raises:
        nin.config.ConfigError: the preset or a dial is unknown, or the network cannot exist.
    """
    from nin.model import build
    from nin.presets import INPUTS, configure

    config = configure(preset, dials)
    asked = {"num_classes": num_classes, "in_channels": in_channels, "size": size}
    images = replace(INPUTS[preset], **{name: value for name, value in asked.items() if value is not None})
    return build(config, images)
