"""The images that a network is built for."""

from __future__ import annotations

from dataclasses import dataclass

from nin.layers import Shape


@dataclass(frozen=True, kw_only=True)
class Input:
    """Square images and their number of classes.

    Attributes:
        in_channels: channels of an image, at least 1.
        size: height and width in pixels, at least 1.
        num_classes: number of classes, and so of logits, at least 1.
    """

    in_channels: int
    size: int
    num_classes: int

    @property
    def shape(self) -> Shape:
        """Shape of one image: (in_channels, size, size)."""
        return self.in_channels, self.size, self.size
