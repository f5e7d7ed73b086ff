"""The lowering from dials to layers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from nin.architecture import NamedLayer, layers
from nin.config import Config, ConfigError
from nin.images import Input
from nin.layers import Activation, BatchNorm2d, Conv2d, Dropout
from nin.presets import PRESETS, configure

BOOK = PRESETS["nin_book"]
SMALL = PRESETS["nin_small"]


def lower(config: Config, size: int = 28) -> dict[str, NamedLayer]:
    return {named.name: named for named in layers(config, Input(in_channels=1, size=size, num_classes=10))}


def convolutions(config: Config, size: int = 28) -> list[str]:
    """`<name> <in>-<out>` of every convolution."""
    return [
        f"{name} {named.layer.in_channels}-{named.layer.out_channels}"
        for name, named in lower(config, size).items()
        if isinstance(named.layer, Conv2d)
    ]


def test_the_book_s_shapes() -> None:
    book = lower(BOOK, size=224)
    assert book["block1.mixer2"].out_shape == (96, 54, 54)
    assert book["block2.mixer2"].out_shape == (256, 26, 26)
    assert book["block3.mixer2"].out_shape == (384, 12, 12)
    assert book["class_block.mixer2"].out_shape == (10, 5, 5)
    assert book["head.flatten"].out_shape == (10,)


def test_the_book_s_order_of_layers() -> None:
    assert [name for name in lower(BOOK, size=224) if name.startswith(("block3", "class", "head"))] == [
        "block3.spatial",
        "block3.spatial_activation",
        "block3.mixer1",
        "block3.mixer1_activation",
        "block3.mixer2",
        "block3.mixer2_activation",
        "block3.pool",
        "class_block.dropout",
        "class_block.spatial",
        "class_block.spatial_activation",
        "class_block.mixer1",
        "class_block.mixer1_activation",
        "class_block.mixer2",
        "class_block.mixer2_activation",
        "head.pool",
        "head.flatten",
    ]


@pytest.mark.parametrize("preset", PRESETS)
def test_each_layer_stands_on_the_one_below_and_has_a_name_of_its_own(preset: str) -> None:
    network = layers(PRESETS[preset], Input(in_channels=3, size=224, num_classes=10))
    assert network[0].in_shape == (3, 224, 224)
    assert all(above.in_shape == below.out_shape for below, above in pairwise(network))
    assert network[-1].out_shape == (10,)
    assert len({named.name for named in network}) == len(network)


def test_mixers_are_counted_block_by_block() -> None:
    assert convolutions(configure("nin_small", {"mixers": [0, 1, 2, 3]})) == [
        "block1.spatial 1-16",
        "block2.spatial 16-32",
        "block2.mixer1 32-32",
        "block3.spatial 32-48",
        "block3.mixer1 48-48",
        "block3.mixer2 48-48",
        "class_block.spatial 48-10",
        "class_block.mixer1 10-10",
        "class_block.mixer2 10-10",
        "class_block.mixer3 10-10",
    ]


def test_mixers_of_3x3_keep_the_size() -> None:
    mixer = lower(configure("nin_small", {"mixer_kernel": [3, 1, 1, 1]}))["block1.mixer1"]
    assert mixer.layer == Conv2d(16, 16, kernel=3, padding=1, bias=False)
    assert mixer.out_shape == mixer.in_shape


def test_width_scales_the_features_and_never_the_classes() -> None:
    assert convolutions(configure("nin_small", {"width": 0.5, "mixers": 0, "class_steps": []})) == [
        "block1.spatial 1-8",
        "block2.spatial 8-16",
        "block3.spatial 16-24",
        "class_block.spatial 24-10",
    ]


@pytest.mark.parametrize(
    ("steps", "way"),
    [
        ([], ["spatial 48-10", "mixer1 10-10", "mixer2 10-10"]),
        ([96], ["spatial 48-96", "mixer1 96-10", "mixer2 10-10"]),
        ([192, 24], ["spatial 48-192", "mixer1 192-24", "mixer2 24-10"]),
    ],
)
def test_the_classes_are_reached_in_steps(steps: list[int], way: list[str]) -> None:
    names = convolutions(configure("nin_small", {"class_steps": steps}))
    assert names[-3:] == [f"class_block.{name}" for name in way]


def test_mixers_may_be_narrower_than_their_block() -> None:
    assert convolutions(PRESETS["nin_cifar10"], size=32) == [
        "block1.spatial 1-192",
        "block1.mixer1 192-160",
        "block1.mixer2 160-96",
        "block2.spatial 96-192",
        "block2.mixer1 192-192",
        "block2.mixer2 192-192",
        "class_block.spatial 192-192",
        "class_block.mixer1 192-192",
        "class_block.mixer2 192-10",
    ]


@pytest.mark.parametrize("mixers", [0, 2])
def test_the_last_convolution_has_a_bias_and_no_normalisation(mixers: int) -> None:
    network = lower(configure("nin_small", {"mixers": mixers}))
    *others, last = (named.layer for named in network.values() if isinstance(named.layer, Conv2d))
    assert last.bias
    assert not any(conv.bias for conv in others)
    assert sum(isinstance(named.layer, BatchNorm2d) for named in network.values()) == len(others)


@pytest.mark.parametrize("logits_relu", [True, False])
def test_the_activation_of_the_logits_is_a_dial(logits_relu: bool) -> None:
    network = lower(configure("nin_small", {"logits_relu": logits_relu, "activation": "gelu"}))
    assert ("class_block.mixer2_activation" in network) is logits_relu
    assert network["class_block.mixer1_activation"].layer == Activation("gelu")


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("class_block", ["class_block.dropout"]),
        ("every_block", ["block2.dropout", "block3.dropout", "class_block.dropout"]),
    ],
)
def test_where_dropout_stands(place: str, names: list[str]) -> None:
    network = lower(configure("nin_small", {"dropout": 0.3, "dropout_place": place, "depths": 2}))
    assert [name for name, named in network.items() if named.layer == Dropout(0.3)] == names


def test_no_dropout_at_rate_zero() -> None:
    network = lower(configure("nin_small", {"dropout": 0, "dropout_place": "every_block"}))
    assert not [name for name in network if "dropout" in name]


def test_pools_stand_where_they_are_asked_for() -> None:
    network = lower(configure("nin_small", {"pools": [False, True, False]}))
    assert [name for name in network if name.endswith(".pool")] == ["block2.pool", "head.pool"]


def test_depth_repeats_blocks_with_stride_one_and_pools_once_a_stage() -> None:
    network = lower(configure("nin_small", {"depths": [2, 1, 3], "mixers": 0, "strides": [2, 1, 1, 1]}), size=56)
    assert [name for name in network if name.endswith((".spatial", ".pool"))] == [
        "block1.spatial",
        "block1b.spatial",
        "block1.pool",
        "block2.spatial",
        "block2.pool",
        "block3.spatial",
        "block3b.spatial",
        "block3c.spatial",
        "block3.pool",
        "class_block.spatial",
        "head.pool",
    ]
    assert network["block1b.spatial"].layer == Conv2d(16, 16, kernel=5, padding=2, bias=False)


def test_a_layer_keeps_its_name_and_shape_when_the_network_gets_deeper() -> None:
    shallow, deep = (
        {(name, named.in_shape, named.out_shape) for name, named in lower(PRESETS[preset], size=224).items()}
        for preset in ("nin_vgg11", "nin_vgg19")
    )
    assert shallow < deep


@pytest.mark.parametrize("head", ["dense", "dense_dropout"])
def test_a_dense_head_takes_the_place_of_the_pooling(head: str) -> None:
    network = lower(configure("nin_small", {"head": head}))
    assert "head.pool" not in network
    assert network["head.linear"].in_shape == (10 * 2 * 2,)


@pytest.mark.parametrize(
    ("config", "size", "dial", "says"),
    [
        (BOOK, 28, "pools", "block2.pool needs an input of at least 3x3, it has 2x2"),
        (BOOK, 10, "kernels", "block1.spatial needs an input of at least 11x11, it has 10x10"),
        (replace(SMALL, pool_kind="conv"), 8, "pools", "block3.pool needs an input of at least 3x3, it has 1x1"),
        (PRESETS["vgg11"], 28, "pools", "block5.pool needs an input of at least 2x2, it has 1x1"),
        (SMALL, 0, "size", "must be at least 1, it is 0"),
    ],
)
def test_a_network_that_cannot_exist_is_refused(config: Config, size: int, dial: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        layers(config, Input(in_channels=1, size=size, num_classes=10))
    assert (caught.value.field, caught.value.message) == (dial, says)
