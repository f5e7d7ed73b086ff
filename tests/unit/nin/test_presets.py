"""The named networks, and what turning their dials accepts."""

from __future__ import annotations

from typing import Any

import pytest

from nin.architecture import layers
from nin.config import ConfigError, NinConfig
from nin.images import Input
from nin.presets import PRESETS, configure, dial_names


def test_the_issue_s_networks_are_there() -> None:
    depths = (11, 13, 16, 19)
    expected = {"nin_book", "nin_small", "nin_cifar10", "lenet", "alexnet"}
    expected |= {f"{family}{depth}" for family in ("nin_vgg", "vgg") for depth in depths}
    assert expected <= set(PRESETS)


@pytest.mark.parametrize("size", [28, 32])
@pytest.mark.parametrize("preset", [name for name in PRESETS if name.endswith("_small")])
def test_small_networks_fit_small_images(preset: str, size: int) -> None:
    assert layers(PRESETS[preset], Input(in_channels=1, size=size, num_classes=10))


def test_the_families_differ_in_depth_alone() -> None:
    assert configure("nin_vgg11", {"depths": [2, 2, 4, 4, 4]}) == PRESETS["nin_vgg19"]
    assert configure("vgg13", {"depths": [1, 1, 2, 2, 2]}) == PRESETS["vgg11"]


def test_no_dials_leave_the_preset_as_it_is() -> None:
    assert configure("nin_book", {}) == PRESETS["nin_book"]


def test_dials_come_as_yaml_gives_them() -> None:
    config = configure(
        "nin_book",
        {"mixers": [2, 2, 1, 0], "width": 2, "logits_relu": False, "mixer_channels": [[96, 96], [256, 256], [384]]},
    )
    assert isinstance(config, NinConfig)
    assert config.mixers == (2, 2, 1, 0)
    assert config.mixer_channels == ((96, 96), (256, 256), (384,))
    assert config.logits_relu is False
    assert type(config.width) is float
    assert hash(config)


@pytest.mark.parametrize(
    ("dial", "value", "says"),
    [
        ("mixers", True, "an integer or a list, each entry an integer; it is True"),
        ("mixers", 2.0, "it is 2.0"),
        ("mixers", [2, 2, True, 2], "it is [2, 2, True, 2]"),
        ("mixers", None, "it is None"),
        ("width", "wide", "a number; it is 'wide'"),
        ("width", True, "a number; it is True"),
        ("logits_relu", 1, "true or false; it is 1"),
        ("pools", 1, "true or false or a list, each entry true or false; it is 1"),
        ("head", 3, "a word; it is 3"),
        ("normalization", False, "one of none, batch; it is False"),
        ("channels", 96, "a list, each entry an integer; it is 96"),
        ("mixer_channels", [96, 96], "a list, each entry a list, each entry an integer; it is [96, 96]"),
    ],
)
def test_a_value_of_another_type_is_refused(dial: str, value: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure("nin_book", {dial: value})
    assert caught.value.field == dial
    assert says in caught.value.message


def test_a_value_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="mixers: must be 0 to 3, it is 4"):
        configure("nin_book", {"mixers": 4})


@pytest.mark.parametrize(
    ("preset", "dials", "field", "says"),
    [
        ("nin_bok", {}, "preset", "it is 'nin_bok'; did you mean 'nin_book'?"),
        ("???", {}, "preset", "known: nin_book, nin_small"),
        ("nin_book", {"mixer": 2}, "mixer", "is no dial of nin_book; did you mean 'mixers'?"),
        ("lenet", {"head": "gap"}, "head", "is no dial of lenet"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(
    preset: str, dials: dict[str, object], field: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(preset, dials)
    assert caught.value.field == field
    assert says in caught.value.message


@pytest.mark.parametrize("preset", PRESETS)
def test_every_dial_by_name_can_be_turned(preset: str) -> None:
    config = PRESETS[preset]
    assert configure(preset, {dial: getattr(config, dial) for dial in dial_names(preset)}) == config


def test_dial_names_of_an_unknown_preset() -> None:
    with pytest.raises(ConfigError, match="nin_book"):
        dial_names("nin_bok")
