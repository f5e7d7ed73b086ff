"""Hypothesis strategies for all networks of the dials."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from nin.blocks import POOLS
from nin.config import ClassicConfig, NinConfig
from nin.heads import HEADS


def per_stage(values: st.SearchStrategy[int], count: int) -> st.SearchStrategy[int | tuple[int, ...]]:
    return values | st.tuples(*[values] * count)


@st.composite
def feature_dials(draw: st.DrawFn, *, extra_stages: int) -> dict[str, object]:
    """Values of the dials common to all networks, with `extra_stages` besides the one to three feature stages."""
    num_features = draw(st.integers(1, 3))
    kernels = draw(st.tuples(*[st.integers(1, 5)] * (num_features + extra_stages)))
    return {
        "channels": draw(st.tuples(*[st.integers(1, 9)] * num_features)),
        "kernels": kernels,
        "strides": draw(st.tuples(*[st.integers(1, 2)] * len(kernels))),
        "paddings": tuple(draw(st.integers(0, kernel - 1)) for kernel in kernels),
        "depths": draw(per_stage(st.integers(1, 2), num_features)),
        "pools": draw(st.booleans() | st.tuples(*[st.booleans()] * num_features)),
        "pool_kind": draw(st.sampled_from(list(POOLS))),
        "pool_kernel": draw(st.integers(2, 3)),
        "width": draw(st.floats(0.1, 2.0)),
        "normalization": draw(st.sampled_from(["none", "batch"])),
        "activation": draw(st.sampled_from(["relu", "gelu", "sigmoid"])),
        "dropout": draw(st.sampled_from([0.0, 0.5])),
    }


@st.composite
def nin_configs(draw: st.DrawFn) -> NinConfig:
    dials = draw(feature_dials(extra_stages=1))
    config = NinConfig(**dials)  # type: ignore[arg-type]
    mixers = draw(st.tuples(*[st.integers(0, 3)] * config.num_stages))
    mixer_channels = tuple(draw(st.tuples(*[st.integers(1, 9)] * count)) for count in mixers[:-1])
    return replace(
        config,
        mixers=mixers,
        mixer_kernel=draw(per_stage(st.sampled_from([1, 3]), config.num_stages)),
        mixer_channels=draw(st.sampled_from([(), mixer_channels])),
        class_steps=tuple(draw(st.lists(st.integers(1, 9), max_size=mixers[-1]))),
        logits_relu=draw(st.booleans()),
        head=draw(st.sampled_from(list(HEADS))),
        dropout_place=draw(st.sampled_from(["class_block", "every_block"])),
    )


@st.composite
def classic_configs(draw: st.DrawFn) -> ClassicConfig:
    dials = draw(feature_dials(extra_stages=0))
    dense = tuple(draw(st.lists(st.integers(1, 9), max_size=2)))
    return ClassicConfig(**dials, dense=dense)  # type: ignore[arg-type]
