"""The dials: what they accept, and what they say when they do not."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from nin.config import ClassicConfig, ConfigError, NinConfig, spread
from nin.presets import PRESETS

BOOK = PRESETS["nin_book"]
LENET = ClassicConfig(channels=(6, 16), kernels=(5, 5), strides=(1, 1), paddings=(2, 0), dense=(120, 84))


def test_spread_repeats_one_value_and_keeps_entries() -> None:
    assert spread(2, 3) == (2, 2, 2)
    assert spread((0, 1, 2), 3) == (0, 1, 2)
    assert spread(True, 2) == (True, True)


def test_a_config_is_frozen_and_hashable() -> None:
    with pytest.raises(FrozenInstanceError):
        BOOK.width = 2.0  # type: ignore[misc]
    assert hash(replace(BOOK)) == hash(BOOK)


def test_an_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ConfigError("mixers", "must be 0 to 3, it is 4")))
    assert (error.field, error.message) == ("mixers", "must be 0 to 3, it is 4")
    assert str(error) == "mixers: must be 0 to 3, it is 4"


@pytest.mark.parametrize(
    ("dial", "value", "says"),
    [
        ("channels", (), "at least one feature stage"),
        ("channels", (96, 0, 384), "at least 1, it is 0"),
        ("kernels", (11, 5, 3), "needs 4 entries, one per stage with the class block last; it has 3"),
        ("kernels", (11, 0, 3, 3), "at least 1, it is 0"),
        ("strides", (4, 1, 1, 0), "at least 1, it is 0"),
        ("strides", (4,), "needs 4 entries"),
        ("paddings", (0, 2, 1, -1), "at least 0, it is -1"),
        ("paddings", (0, 5, 1, 1), "less than the kernel"),
        ("depths", (1, 2), "needs 3 entries, one per feature stage; it has 2"),
        ("depths", 0, "1 to 8, it is 0"),
        ("pools", (True, True, True, True), "needs 3 entries"),
        ("pool_kind", "median", "one of max, average, conv; it is 'median'"),
        ("pool_kernel", 1, "2 to 3, it is 1"),
        ("width", 0.0, "above 0, it is 0.0"),
        ("width", float("nan"), "finite number"),
        ("normalization", "layer", "one of none, batch; it is 'layer'"),
        ("activation", "tanh", "one of relu, gelu, sigmoid; it is 'tanh'"),
        ("dropout", 1.0, "below 1, it is 1.0"),
        ("mixers", 4, "0 to 3, it is 4"),
        ("mixers", (2, 2, 2), "needs 4 entries"),
        ("mixer_kernel", 2, "1 or 3, it is 2"),
        ("mixer_kernel", (1, 3), "needs 4 entries"),
        ("mixer_channels", ((96, 96),), "needs 3 entries"),
        ("mixer_channels", ((96, 96), (256,), (384, 384)), "stage 2 has 2 mixers and 1 entries"),
        ("mixer_channels", ((96, 96), (256, 0), (384, 384)), "at least 1, it is 0"),
        ("class_steps", (192, 96, 48), "at most one entry per mixer of the class block, 2; it has 3"),
        ("class_steps", (0,), "at least 1, it is 0"),
        ("head", "gpa", "one of gap, gmp, dense, dense_dropout; it is 'gpa'"),
        ("dropout_place", "everywhere", "one of class_block, every_block"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_dial_rule_and_value(dial: str, value: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(BOOK, **{dial: value})
    assert caught.value.field == dial
    assert says in caught.value.message


def test_a_classic_network_has_no_class_block_to_give_entries_for() -> None:
    with pytest.raises(ConfigError, match="needs 2 entries, one per stage; it has 3"):
        replace(LENET, kernels=(5, 5, 3))
    with pytest.raises(ConfigError, match="dense: must be at least 1, it is 0"):
        replace(LENET, dense=(120, 0))


def test_at_a_width_the_channels_are_rounded_and_never_nothing() -> None:
    nin = NinConfig(
        channels=(10, 1), kernels=(3, 3, 3), strides=(1, 1, 1), paddings=(1, 1, 1), width=7.0,
        mixer_channels=((100, 2), (6, 4)), class_steps=(50,),
    )  # fmt: skip
    assert nin.at_width(0.26) == replace(
        nin, channels=(3, 1), mixer_channels=((26, 1), (2, 1)), class_steps=(13,), width=1.0
    )
    assert LENET.at_width(0.5) == replace(LENET, channels=(3, 8), dense=(60, 42), width=1.0)


def test_widths_that_give_the_same_channels_are_the_same_network() -> None:
    assert BOOK.at_width(0.5) == BOOK.at_width(0.5001) != BOOK.at_width(0.51)
