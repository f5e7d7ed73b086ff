"""Network-in-Network and the networks it is compared with: dials, layers, costs (no torch), and the torch modules.

`create` gives a network by name. For all else import from the modules, in this order to read: `config` (the dials), `presets`
(named networks), `blocks` and `heads` (their parts), `architecture` (dials -> layers), then `complexity` (layers -> counts) and
`model` (layers -> torch). This file imports none of them, so that those without torch load without it.
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

    Its first weights are torch's own draw; `nin.model.initialize` draws others.

    Args:
        preset: a key of `nin.presets.PRESETS`.
        num_classes: number of logits. None: what the preset is made for, as for the next two.
        in_channels: of the images.
        size: height and width of the images in pixels.
        dials: what is turned of the preset, such as `mixers=1`; `nin.config` has them.

    Raises:
        nin.config.ConfigError: the preset or a dial is unknown, or the network cannot exist.
    """
    from nin.model import build
    from nin.presets import INPUTS, configure

    config = configure(preset, dials)
    asked = {"num_classes": num_classes, "in_channels": in_channels, "size": size}
    images = replace(INPUTS[preset], **{name: value for name, value in asked.items() if value is not None})
    return build(config, images)
