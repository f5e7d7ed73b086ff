"""A residual network: its dials, and the module that they make."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from nin.config import ConfigError
from nin.model import Network


@dataclass(frozen=True)
class ResNet(Network):
    """Stages of residual blocks, each stage but the first at half the size; He et al. (2015)."""

    channels: tuple[int, ...] = (8, 16)
    blocks: int = 3
    shortcut: bool = True
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise ConfigError("blocks", f"must be at least 1, it is {self.blocks}")

    def build(self, *, in_channels: int, size: int, num_classes: int) -> nn.Module:
        """The module, from images (batch, in_channels, size, size) to logits (batch, num_classes)."""
        widths = [max(1, round(channels * self.width)) for channels in self.channels]
        parts: list[nn.Module] = [
            nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
        ]
        before = widths[0]
        for stage, channels in enumerate(widths):
            for block in range(self.blocks):
                stride = 2 if stage and not block else 1
                parts.append(Block(before, channels, stride, shortcut=self.shortcut))
                before = channels
        return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, num_classes))


class Block(nn.Module):
    """Two convolutions, and what goes past them."""

    def __init__(self, in_channels: int, channels: int, stride: int, *, shortcut: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = shortcut
        same = stride == 1 and in_channels == channels
        self.past = nn.Identity() if same or not shortcut else nn.Conv2d(in_channels, channels, 1, stride, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features (batch, in_channels, side, side) to features (batch, channels, side / stride, side / stride)."""
        features = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(images)))))
        return torch.relu(features + self.past(images) if self.shortcut else features)


RESNET_SMALL = ResNet()
