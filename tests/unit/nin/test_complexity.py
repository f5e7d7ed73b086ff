"""Costs in closed form against what torch counts."""

from __future__ import annotations

import pytest
import torch
from dials import classic_configs, nin_configs
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nin.complexity import Costs, costs, layer_table
from nin.config import Config, ConfigError
from nin.images import Input
from nin.model import build
from nin.presets import INPUTS, PRESETS, configure

BOOK = INPUTS["nin_book"]


def counted_by_torch(config: Config, images: Input) -> Costs:
    """What torch counts when the network looks at one image; on the meta device, so that nothing is computed."""
    with torch.device("meta"):
        model = build(config, images).eval()
        image = torch.empty(1, *images.shape)
    activations = []
    for module in model:
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda module, inputs, output: activations.append(output.numel()))
    with FlopCounterMode(display=False) as counter:
        logits = model(image)
    assert logits.shape == (1, images.num_classes)
    params = sum(parameter.numel() for parameter in model.parameters())
    return Costs(params=params, macs=counter.get_total_flops() // 2, activations=sum(activations))


@settings(max_examples=60, deadline=None)
@given(config=nin_configs() | classic_configs(), in_channels=st.integers(1, 3), num_classes=st.integers(1, 12))
def test_closed_form_is_what_torch_counts_for_any_dials(config: Config, in_channels: int, num_classes: int) -> None:
    images = Input(in_channels=in_channels, size=20, num_classes=num_classes)
    try:
        expected = costs(config, images)
    except ConfigError:
        assume(False)
    assert counted_by_torch(config, images) == expected


@pytest.mark.parametrize("preset", PRESETS)
def test_closed_form_is_what_torch_counts_for_every_preset(preset: str) -> None:
    size = 32 if preset.endswith("_small") or preset in ("nin_cifar10", "lenet") else 224
    images = Input(in_channels=1, size=size, num_classes=10)
    assert counted_by_torch(PRESETS[preset], images) == costs(PRESETS[preset], images)


def test_the_book_s_network() -> None:
    book = costs(PRESETS["nin_book"], BOOK)
    assert book.params == 1_992_166
    assert book.macs == 762_297_352
    assert book.flops == 2 * 762_297_352


@pytest.mark.parametrize(
    ("preset", "dials", "params", "macs"),
    [
        # torchvision's AlexNet is that of Krizhevsky (2014), narrower than the book's.
        ("alexnet", {"channels": [64, 192, 384, 256, 256], "paddings": [2, 2, 1, 1, 1]}, 61_100_840, 714_188_480),
        ("vgg11", {}, 132_863_336, 7_609_090_048),
        ("vgg13", {}, 133_047_848, None),
        ("vgg16", {}, 138_357_544, None),
        ("vgg19", {}, 143_667_240, None),
    ],
)
def test_torchvision_s_networks(preset: str, dials: dict[str, object], params: int, macs: int | None) -> None:
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        model = getattr(torchvision.models, preset)()
        image = torch.empty(1, 3, 224, 224)
    with FlopCounterMode(display=False) as counter:
        model(image)

    ours = costs(configure(preset, dials), Input(in_channels=3, size=224, num_classes=1000))
    assert ours.params == sum(parameter.numel() for parameter in model.parameters()) == params
    assert ours.flops == counter.get_total_flops()
    assert macs is None or ours.macs == macs


@pytest.mark.parametrize("preset", ["nin_book", "nin_vgg11", "alexnet"])
def test_the_rows_of_the_layer_table_add_up(preset: str) -> None:
    rows = layer_table(PRESETS[preset], BOOK)
    whole = costs(PRESETS[preset], BOOK)
    assert sum(row.params for row in rows) == whole.params
    assert sum(row.macs for row in rows) == whole.macs
    assert sum(row.activations for row in rows) == whole.activations


def test_a_row_of_the_layer_table() -> None:
    row = layer_table(PRESETS["nin_book"], BOOK)[0]
    assert (row.name, row.kind, row.out_shape) == ("block1.spatial", "Conv2d", (96, 54, 54))
    assert (row.params, row.macs, row.activations) == (11_712, 33_872_256, 279_936)
