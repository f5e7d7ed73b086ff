"""The images that a network is built for."""

from __future__ import annotations

import nin.presets
from nin.images import Input


def test_images_have_a_shape() -> None:
    assert Input(in_channels=3, size=32, num_classes=10).shape == (3, 32, 32)


def test_every_preset_has_its_images_beside_it() -> None:
    assert list(nin.presets.INPUTS) == list(nin.presets.PRESETS)
    assert all(isinstance(images, nin.presets.Input) for images in nin.presets.INPUTS.values())
