from __future__ import annotations

from pathlib import Path

import packages
import torch

from ablations import networks
from ablations.torch_networks import build
from nin.images import Input

LAZY = """
from dataclasses import dataclass

from torch import nn

from nin.model import Network


@dataclass(frozen=True)
class Lazy(Network):
    def build(self, *, in_channels, size, num_classes):
        return nn.Sequential(nn.LazyConv2d(8, 3), nn.Flatten(), nn.LazyLinear(num_classes))


LAZY = Lazy()
"""


def test_lazy_layers_of_a_package_have_their_shapes(site: Path) -> None:
    (site / "lazy_package.py").write_text(LAZY)
    packages.register(site, "lazy-package", "1.0", {networks.GROUP: {"lazy": "lazy_package:LAZY"}})
    model = build(networks.configure("lazy", {}), Input(in_channels=3, size=8, num_classes=5))
    assert [tuple(weight.shape) for weight in model.parameters()] == [(8, 3, 3, 3), (8,), (5, 8 * 6 * 6), (5,)]
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 5)
