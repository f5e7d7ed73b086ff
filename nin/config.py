"""The dials of the networks, and the ranges in which a study may turn them.

A network is a sequence of stages; a stage is one or several blocks with the same channels. Many dials have one entry per
stage. If the type of such a dial allows a single value, the value holds for all stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal, Self, TypeVar, get_args

from nin.blocks import POOLS, ActivationName, NormalizationName
from nin.heads import HEADS

Scheme = Literal["xavier_uniform", "kaiming_normal", "default"]
"""Ways to draw the initial weights; see `nin.model.initialize`."""

DropoutPlace = Literal["class_block", "every_block"]

T = TypeVar("T", int, bool)


class ConfigError(ValueError):
    """A dial has an invalid value, or the dials together describe a network that cannot exist.

    Attributes:
        field: name of the dial.
        message: the rule, then the value.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field
        self.message = message

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def spread(value: T | tuple[T, ...], count: int) -> tuple[T, ...]:
    """The entries of a dial: a single value repeated `count` times, or the entries as they are."""
    return value if isinstance(value, tuple) else (value,) * count


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """The dials of the feature stages, which every network has.

    Attributes:
        channels: number of channels of each feature stage.
        kernels: side of the spatial convolutions' windows, one entry per stage.
        strides: stride of each stage's first spatial convolution; further blocks of a stage have stride 1.
        paddings: zeros on each side of the spatial convolutions' inputs, one entry per stage, less than the kernel.
        depths: number of blocks in each feature stage, 1 to 8.
        pools: whether a pool follows each feature stage and halves the size.
        pool_kind: `max`, `average`, or `conv` (a convolution of stride 2, normalised and activated like the others).
        pool_kernel: side of the pools' windows, 2 or 3.
        width: factor for every number of channels and features except the number of classes. Results are rounded, and at
            least 1.
        normalization: `batch` normalises between each convolution and its activation, and leaves out the convolution's
            bias.
        activation: activation function after each convolution and each hidden fully connected layer.
        dropout: dropout rate in [0, 1); 0 leaves dropout out.
    """

    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    paddings: tuple[int, ...]
    depths: int | tuple[int, ...] = 1
    pools: bool | tuple[bool, ...] = True
    pool_kind: str = "max"
    pool_kernel: int = 3
    width: float = 1.0
    normalization: NormalizationName = "none"
    activation: ActivationName = "relu"
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if not self.channels:
            raise ConfigError("channels", "needs at least one feature stage, it has none")
        _check_range("channels", self.channels, at_least=1)
        for dial, entries, at_least in (
            ("kernels", self.kernels, 1),
            ("strides", self.strides, 1),
            ("paddings", self.paddings, 0),
        ):
            self._check_stages(dial, entries)
            _check_range(dial, entries, at_least=at_least)
        for stage, (padding, kernel) in enumerate(zip(self.paddings, self.kernels, strict=True), start=1):
            if padding >= kernel:
                rule = "must be less than the kernel, or whole windows would see zeros only"
                raise ConfigError("paddings", f"{rule}; stage {stage} has padding {padding} and kernel {kernel}")
        for dial, value in (("depths", self.depths), ("pools", self.pools)):
            _check_count(dial, spread(value, self.num_features), self.num_features, "feature stage")
        _check_range("depths", spread(self.depths, self.num_features), at_least=1, at_most=8)
        _check_choice("pool_kind", self.pool_kind, tuple(POOLS))
        _check_range("pool_kernel", (self.pool_kernel,), at_least=2, at_most=3)
        if not (isfinite(self.width) and self.width > 0):
            raise ConfigError("width", f"must be a finite number above 0, it is {self.width}")
        _check_choice("normalization", self.normalization, get_args(NormalizationName))
        _check_choice("activation", self.activation, get_args(ActivationName))
        if not 0 <= self.dropout < 1:
            raise ConfigError("dropout", f"must be at least 0 and below 1, it is {self.dropout}")

    @property
    def num_features(self) -> int:
        """Number of feature stages."""
        return len(self.channels)

    @property
    def num_stages(self) -> int:
        """Number of stages with a spatial convolution: the number of entries of `kernels`, `strides` and `paddings`."""
        return self.num_features

    def at_width(self, width: float) -> Self:
        """The network with this width instead of its present one, multiplied out: channels as they are built, and width 1.

        Widths that round to the same channels give equal configurations.
        """
        return replace(self, width=1.0, **self._widened(width))

    def _widened(self, width: float) -> dict[str, Any]:
        """The dials that depend on the width, with their values at `width`."""
        return {"channels": _times(width, self.channels)}

    def _check_stages(self, dial: str, entries: Sequence[object]) -> None:
        _check_count(dial, entries, self.num_stages, "stage")


@dataclass(frozen=True, kw_only=True)
class NinConfig(FeatureConfig):
    """A Network in Network: feature stages, a class block, a head.

    The class block ends in `num_classes` channels. Its entry is the last one of `kernels`, `strides`, `paddings`, `mixers`
    and `mixer_kernel`: they have one entry more than `channels`.

    Attributes:
        mixers: number of convolutions after each spatial convolution of a block, 0 to 3.
        mixer_kernel: side of the mixers' windows: 1, or 3 with padding 1.
        mixer_channels: output channels of each mixer, one list per feature stage. If empty, mixers have their stage's
            number of channels.
        class_steps: output channels of the class block's first convolutions, on the way to the classes. From 384 features
            to 10 classes, [] takes one step, 384-10, and [96] takes two, 384-96-10. At most one entry per mixer of the
            class block.
        logits_relu: whether the activation follows the very last convolution, too, as in the book.
        head: `gap` (global average pooling), `gmp` (global max pooling), `dense` (a fully connected layer on the
            flattened class maps) or `dense_dropout` (dropout 0.5 before it).
        dropout_place: place of the dropout: before the class block only (`class_block`), or also before every feature
            stage except the first (`every_block`).

    Source:
        Lin et al. (2013), Network In Network; Zhang et al., Dive into Deep Learning, chapter 8.3.
    """

    mixers: int | tuple[int, ...] = 2
    mixer_kernel: int | tuple[int, ...] = 1
    mixer_channels: tuple[tuple[int, ...], ...] = ()
    class_steps: tuple[int, ...] = ()
    logits_relu: bool = True
    head: str = "gap"
    dropout_place: DropoutPlace = "class_block"

    def __post_init__(self) -> None:
        super().__post_init__()
        mixers = spread(self.mixers, self.num_stages)
        mixer_kernels = spread(self.mixer_kernel, self.num_stages)
        self._check_stages("mixers", mixers)
        _check_range("mixers", mixers, at_least=0, at_most=3)
        self._check_stages("mixer_kernel", mixer_kernels)
        for kernel in mixer_kernels:
            if kernel not in (1, 3):
                raise ConfigError("mixer_kernel", f"must be 1 or 3, it is {kernel}")
        if self.mixer_channels:
            _check_count("mixer_channels", self.mixer_channels, self.num_features, "feature stage")
            for stage, (widths, count) in enumerate(zip(self.mixer_channels, mixers[:-1], strict=True), start=1):
                _check_range("mixer_channels", widths, at_least=1)
                if len(widths) != count:
                    rule = f"needs one number of channels per mixer; stage {stage} has {count} mixers"
                    raise ConfigError("mixer_channels", f"{rule} and {len(widths)} entries")
        _check_range("class_steps", self.class_steps, at_least=1)
        if len(self.class_steps) > mixers[-1]:
            rule = f"may have at most one entry per mixer of the class block, {mixers[-1]}"
            raise ConfigError("class_steps", f"{rule}; it has {len(self.class_steps)}")
        _check_choice("head", self.head, tuple(HEADS))
        _check_choice("dropout_place", self.dropout_place, get_args(DropoutPlace))

    @property
    def num_stages(self) -> int:
        return self.num_features + 1

    def _widened(self, width: float) -> dict[str, Any]:
        return super()._widened(width) | {
            "mixer_channels": tuple(_times(width, channels) for channels in self.mixer_channels),
            "class_steps": _times(width, self.class_steps),
        }

    def _check_stages(self, dial: str, entries: Sequence[object]) -> None:
        _check_count(dial, entries, self.num_stages, "stage with the class block last")


@dataclass(frozen=True, kw_only=True)
class ClassicConfig(FeatureConfig):
    """A network from before NiN: stages of plain convolutions, then hidden fully connected layers.

    `dropout` applies after each hidden layer.

    Attributes:
        dense: widths of the hidden fully connected layers, first to last.

    Source:
        LeCun et al. (1998); Krizhevsky et al. (2012); Simonyan and Zisserman (2014).
    """

    dense: tuple[int, ...] = (4096, 4096)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_range("dense", self.dense, at_least=1)

    def _widened(self, width: float) -> dict[str, Any]:
        return super()._widened(width) | {"dense": _times(width, self.dense)}


Config = NinConfig | ClassicConfig


def _times(width: float, channels: Sequence[int]) -> tuple[int, ...]:
    return tuple(max(1, round(count * width)) for count in channels)


def _check_count(dial: str, entries: Sequence[object], count: int, each: str) -> None:
    if len(entries) != count:
        raise ConfigError(dial, f"needs {count} entries, one per {each}; it has {len(entries)}: {list(entries)}")


def _check_range(dial: str, entries: Sequence[int], *, at_least: int, at_most: int | None = None) -> None:
    for entry in entries:
        if entry < at_least or (at_most is not None and entry > at_most):
            bound = f"at least {at_least}" if at_most is None else f"{at_least} to {at_most}"
            raise ConfigError(dial, f"must be {bound}, it is {entry}")


def _check_choice(dial: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ConfigError(dial, f"must be one of {', '.join(choices)}; it is {value!a}")
