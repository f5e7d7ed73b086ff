"""The named networks, the images they are made for, and how a study turns their dials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from nin.config import ClassicConfig, Config, ConfigError, NinConfig
from nin.images import Input

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

_NIN_BOOK = NinConfig(
    channels=(96, 256, 384),
    kernels=(11, 5, 3, 3),
    strides=(4, 1, 1, 1),
    paddings=(0, 2, 1, 1),
)

_NIN_SMALL = NinConfig(
    channels=(16, 32, 48),
    kernels=(5, 3, 3, 3),
    strides=(1, 1, 1, 1),
    paddings=(2, 1, 1, 1),
    normalization="batch",
    logits_relu=False,
    # A small network that trains for a few epochs underfits; dropout would only slow it down.
    dropout=0.0,
)

_NIN_CIFAR10 = NinConfig(
    channels=(192, 192),
    kernels=(5, 5, 3),
    strides=(1, 1, 1),
    paddings=(2, 2, 1),
    mixer_channels=((160, 96), (192, 192)),
    class_steps=(192, 192),
    dropout_place="every_block",
)

# With batch normalisation, unlike VGG: without it, 27 to 51 convolutions in a row do not start to learn.
# (The small form with 27 convolutions, on digits, 440 steps of SGD: 97 % with it, 8 % without.)
_NIN_VGG = NinConfig(
    channels=(64, 128, 256, 512, 512),
    kernels=(3, 3, 3, 3, 3, 3),
    strides=(1, 1, 1, 1, 1, 1),
    paddings=(1, 1, 1, 1, 1, 1),
    pool_kernel=2,
    normalization="batch",
    logits_relu=False,
)

_LENET = ClassicConfig(
    channels=(6, 16),
    kernels=(5, 5),
    strides=(1, 1),
    paddings=(2, 0),
    pool_kind="average",
    pool_kernel=2,
    dense=(120, 84),
    activation="sigmoid",
    dropout=0.0,
)

_ALEXNET = ClassicConfig(
    channels=(96, 256, 384, 384, 256),
    kernels=(11, 5, 3, 3, 3),
    strides=(4, 1, 1, 1, 1),
    paddings=(1, 2, 1, 1, 1),
    pools=(True, True, False, False, True),
    dense=(4096, 4096),
)

_VGG = ClassicConfig(
    channels=(64, 128, 256, 512, 512),
    kernels=(3, 3, 3, 3, 3),
    strides=(1, 1, 1, 1, 1),
    paddings=(1, 1, 1, 1, 1),
    pool_kernel=2,
    dense=(4096, 4096),
)

_VGG_DEPTHS: Mapping[int, tuple[int, ...]] = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Blocks in each stage, by the VGG's number of layers with weights."""

# Small forms, for images of 28 or 32 pixels: an eighth of the channels, no pool once 3x3 or 4x4 is left, and settings
# with which they start to learn within an epoch.
_NIN_VGG_SMALL = replace(_NIN_VGG, channels=(8, 16, 32, 64, 64), pools=(True, True, True, False, False), dropout=0.0)

_VGG_SMALL = replace(
    _VGG,
    channels=(8, 16, 32, 64, 64),
    pools=(True, True, True, False, False),
    normalization="batch",
    dense=(512, 512),
    dropout=0.0,
)

_ALEXNET_SMALL = replace(
    _ALEXNET,
    channels=(12, 32, 48, 48, 32),
    kernels=(5, 5, 3, 3, 3),
    strides=(1, 1, 1, 1, 1),
    paddings=(2, 2, 1, 1, 1),
    normalization="batch",
    dense=(512, 512),
    dropout=0.0,
)

PRESETS: Mapping[str, Config] = {
    # Dive into Deep Learning, chapter 8.3, for 224 pixels; and a small form, for 28 or 32.
    "nin_book": _NIN_BOOK,
    "nin_small": _NIN_SMALL,
    # Lin et al. (2013), for CIFAR-10.
    "nin_cifar10": _NIN_CIFAR10,
    # NiN blocks in place of VGG's convolutions, for 224 pixels; and small forms. They differ in `depths` only.
    **{f"nin_vgg{number}": replace(_NIN_VGG, depths=depths) for number, depths in _VGG_DEPTHS.items()},
    **{f"nin_vgg{number}_small": replace(_NIN_VGG_SMALL, depths=depths) for number, depths in _VGG_DEPTHS.items()},
    # The networks that NiN is compared with, in the sizes of chapters 7.6, 8.1 and 8.2 (LeNet for 28 pixels or more, the
    # others for 224); and small forms.
    "lenet": _LENET,
    "alexnet": _ALEXNET,
    "alexnet_small": _ALEXNET_SMALL,
    **{f"vgg{number}": replace(_VGG, depths=depths) for number, depths in _VGG_DEPTHS.items()},
    **{f"vgg{number}_small": replace(_VGG_SMALL, depths=depths) for number, depths in _VGG_DEPTHS.items()},
}
"""The named networks."""


_SMALL_INPUTS: Mapping[str, Input] = {
    "lenet": Input(in_channels=1, size=28, num_classes=10),
    "nin_cifar10": Input(in_channels=3, size=32, num_classes=10),
}

INPUTS: Mapping[str, Input] = {
    name: _SMALL_INPUTS.get(name, Input(in_channels=1, size=28 if name.endswith("_small") else 224, num_classes=10))
    for name in PRESETS
}
"""The images that each preset is made for; its costs are quoted for them."""


def configure(preset: str, dials: Mapping[str, object]) -> Config:
    """The preset's network with some of its dials turned.

    Args:
        preset: a key of `PRESETS`.
        dials: values by name, as YAML gives them. A list may replace a tuple, and an integer a float; nothing else is
            converted (`true` is no integer).

    Raises:
        ConfigError: the preset or a dial is unknown (the message suggests the nearest name), or a value has the wrong type
            or is out of its range.
    """
    if preset not in PRESETS:
        raise ConfigError("preset", f"must be a known preset, it is {preset!a}; {_nearest(preset, PRESETS)}")
    return turned(PRESETS[preset], dials, preset)


def turned(network: T, dials: Mapping[str, object], name: str) -> T:
    """A network with some of its dials turned: `configure` for any dataclass with dials as fields.

    Args:
        network: the dataclass.
        dials: values by name, as YAML gives them.
        name: name of the network, for messages.

    Raises:
        ConfigError: a dial is unknown, or a value has the wrong type or is out of its range.
    """
    types = _dial_types(type(network))
    values: dict[str, Any] = {}
    for dial, value in dials.items():
        if dial not in types:
            raise ConfigError(dial, f"is no dial of {name}; {_nearest(dial, types)}")
        try:
            values[dial] = _as_type(value, types[dial])
        except TypeError:
            raise ConfigError(dial, f"must be {_describe(types[dial])}; it is {value!a}") from None
    return replace(network, **values)


# Cached, like the types below: a study of a thousand variants asks thousands of times.
@cache
def dial_names(preset: str) -> tuple[str, ...]:
    """Names of this preset's dials.

    Raises:
        ConfigError: the preset is unknown.
    """
    return tuple(dial.name for dial in fields(configure(preset, {})))


@cache
def _dial_types(kind: type[DataclassInstance]) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {dial.name: hints[dial.name] for dial in fields(kind)}


def _nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the nearest known one, or all of them."""
    known = tuple(known)
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def _as_type(value: object, wanted: Any) -> object:
    """`value` as the annotated type `wanted`.

    Raises:
        TypeError: it has another type.
    """
    origin = get_origin(wanted)
    if origin in (Union, UnionType):
        for option in get_args(wanted):
            try:
                return _as_type(value, option)
            except TypeError:
                continue
    elif origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_as_type(entry, get_args(wanted)[0]) for entry in value)
    elif origin is Literal:
        # As everywhere here, `true` is not 1.
        if any(value == word and type(value) is type(word) for word in get_args(wanted)):
            return value
    elif wanted is float and type(value) is int:
        return float(value)
    elif type(value) is wanted:
        return value
    raise TypeError


def _describe(wanted: Any) -> str:
    """The annotated type in plain words."""
    origin = get_origin(wanted)
    if origin in (Union, UnionType):
        return " or ".join(_describe(option) for option in get_args(wanted))
    if origin is tuple:
        return f"a list, each entry {_describe(get_args(wanted)[0])}"
    if origin is Literal:
        return f"one of {', '.join(map(str, get_args(wanted)))}"
    words = {int: "an integer", float: "a number", bool: "true or false", str: "a word", NoneType: "nothing"}
    return words.get(wanted, str(wanted))
