"""The heads: from the last features to the logits."""

from __future__ import annotations

import pytest

from nin.heads import HEADS, hidden_layers
from nin.layers import Dropout, Linear, Shape


@pytest.mark.parametrize("head", HEADS)
def test_every_head_turns_class_maps_into_logits(head: str) -> None:
    shape: Shape = (10, 5, 5)
    for _, layer in HEADS[head](shape, 10):
        shape = layer.out_shape(shape)
    assert shape == (10,)


def test_what_the_heads_cost() -> None:
    params = {name: sum(layer.params for _, layer in head((10, 5, 5), 10)) for name, head in HEADS.items()}
    assert params == {"gap": 0, "gmp": 0, "dense": 2510, "dense_dropout": 2510}


def test_only_dense_dropout_drops_before_its_linear_layer() -> None:
    assert [name for name, _ in HEADS["dense"]((10, 5, 5), 10)] == ["flatten", "linear"]
    assert list(HEADS["dense_dropout"]((10, 5, 5), 10))[1] == ("dropout", Dropout(0.5))


def test_hidden_layers_lead_to_the_logits() -> None:
    parts = dict(hidden_layers((16, 5, 5), 10, widths=(120, 84), activation="sigmoid", dropout=0.0))
    assert list(parts) == ["flatten", "dense1", "dense1_activation", "dense2", "dense2_activation", "linear"]
    assert (parts["dense1"], parts["dense2"], parts["linear"]) == (Linear(400, 120), Linear(120, 84), Linear(84, 10))


def test_dropout_follows_each_hidden_layer() -> None:
    parts = dict(hidden_layers((4,), 2, widths=(8, 8), activation="relu", dropout=0.5))
    assert [name for name, layer in parts.items() if layer == Dropout(0.5)] == ["dense1_dropout", "dense2_dropout"]
