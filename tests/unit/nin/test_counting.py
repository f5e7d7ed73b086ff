"""Costs of networks that packages bring, as torch counts them."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from nin import complexity, counting
from nin.complexity import Costs
from nin.config import ConfigError
from nin.images import Input
from nin.model import Network, build
from nin.presets import PRESETS


def test_what_torch_counts_is_what_is_counted_in_closed_form() -> None:
    @dataclass(frozen=True)
    class Wrapped(Network):
        def build(self, *, in_channels: int, size: int, num_classes: int) -> nn.Module:
            return build(PRESETS["nin_small"], Input(in_channels=in_channels, size=size, num_classes=num_classes))

    images = Input(in_channels=3, size=32, num_classes=7)
    assert Wrapped().costs(**asdict(images)) == complexity.costs(PRESETS["nin_small"], images)
    counted = Wrapped().layer_table(**asdict(images))
    assert [replace(row, name="", kind="") for row in counted] == [
        replace(row, name="", kind="") for row in complexity.layer_table(PRESETS["nin_small"], images)
    ]


def test_lazy_layers_are_counted_as_others() -> None:
    @dataclass(frozen=True)
    class Maybe(Network):
        lazy: bool

        def build(self, *, in_channels: int, size: int, num_classes: int) -> nn.Module:
            first = nn.LazyConv2d(6, 3) if self.lazy else nn.Conv2d(in_channels, 6, 3)
            last = nn.LazyLinear(num_classes) if self.lazy else nn.Linear(6 * (size - 2) ** 2, num_classes)
            return nn.Sequential(first, nn.Flatten(), last)

    images = {"in_channels": 3, "size": 8, "num_classes": 4}
    assert Maybe(lazy=True).layer_table(**images) == Maybe(lazy=False).layer_table(**images)
    assert Maybe(lazy=True).costs(**images) == Maybe(lazy=False).costs(**images)


def test_counting_leaves_the_generators_of_its_process_as_they_were() -> None:
    @dataclass(frozen=True)
    class Drawn(Network):
        def build(self, *, in_channels: int, size: int, num_classes: int) -> nn.Module:
            random.seed(1)
            np.random.seed(1)
            torch.manual_seed(1)
            return nn.Conv2d(in_channels, num_classes, size)

    def draws() -> tuple[float, ...]:
        return random.gauss(0, 1), np.random.random(), torch.rand(1).item()

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    following = draws()
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    with suppress(ConfigError):  # its logits have a map around them
        Drawn().costs(in_channels=1, size=8, num_classes=3)
    assert draws() == following


def test_what_no_module_of_a_network_computes_is_a_row_of_its_own() -> None:
    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.twice = nn.Conv2d(1, 1, 3, padding=1)
            self.again = self.twice
            self.weights = nn.Parameter(torch.zeros(64, 4))
            self.frozen = nn.Parameter(torch.zeros(5), requires_grad=False)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.again(self.twice(images)).flatten(1) @ self.weights

    @dataclass(frozen=True)
    class Functional(Network):
        def build(self, *, in_channels: int, size: int, num_classes: int) -> nn.Module:
            return Module()

    images = {"in_channels": 1, "size": 8, "num_classes": 4}
    twice, elsewhere = Functional().layer_table(**images)
    assert (twice.name, twice.params, twice.macs, twice.activations, twice.out_bytes) == ("twice", 10, 1152, 128, 512)
    assert (elsewhere.name, elsewhere.params, elsewhere.macs) == ("elsewhere", 256, 256)
    assert Functional().costs(**images) == Costs(params=266, macs=1408, activations=128)


def test_a_convolution_whose_weights_are_normalised_is_one_layer() -> None:
    normalised = nn.utils.parametrizations.weight_norm

    @dataclass(frozen=True)
    class Normalised(Network):
        def build(self, *, in_channels: int, size: int, num_classes: int) -> nn.Module:
            return nn.Sequential(
                normalised(nn.Conv2d(in_channels, 4, 3, padding=1)),
                nn.Flatten(),
                normalised(nn.Linear(4 * size * size, num_classes)),
            )

    images = {"in_channels": 1, "size": 8, "num_classes": 4}
    convolution, flatten, linear = Normalised().layer_table(**images)
    # A direction for each weight, a length for each of 4 channels and 4 classes, and biases.
    assert [(row.name, row.params, row.macs, row.activations) for row in (convolution, flatten, linear)] == [
        ("0", 36 + 4 + 4, 36 * 64, 256),
        ("1", 0, 0, 0),
        ("2", 1024 + 4 + 4, 1024, 4),
    ]
    assert Normalised().costs(**images) == Costs(params=1076, macs=3328, activations=260)


def test_a_weight_that_two_layers_share_counts_for_the_first() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[2].weight = model[1].weight
    rows = counting.layer_table(model, Input(in_channels=1, size=2, num_classes=4))
    assert [(row.name, row.params, row.macs) for row in rows] == [("0", 0, 0), ("1", 16, 16), ("2", 0, 16)]


def test_a_network_that_gives_no_logits_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"build: must give logits of shape \(batch, 3\); for one image it gives \(1, 4\)"
    ):
        counting.layer_table(nn.Flatten(), Input(in_channels=1, size=2, num_classes=3))
