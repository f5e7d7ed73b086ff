"""Costs and shapes of the named networks, held to a file.

When a network changes on purpose, write the file anew and read its diff: `python tests/golden/test_nin_costs.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nin.complexity import layer_table
from nin.presets import INPUTS, PRESETS

GOLDEN = Path(__file__).with_name("nin_costs.json")


def summary(preset: str) -> dict[str, object]:
    """Costs of the preset at the size it is made for, 10 classes, and the output shape of each block and head."""
    images = INPUTS[preset]
    rows = layer_table(PRESETS[preset], images)
    shapes = {row.name.split(".")[0]: "x".join(map(str, row.out_shape)) for row in rows}
    return {
        "input": "x".join(map(str, images.shape)),
        "params": sum(row.params for row in rows),
        "macs": sum(row.macs for row in rows),
        "activations": sum(row.activations for row in rows),
        "shapes": shapes,
    }


def test_every_preset_is_in_the_file() -> None:
    assert list(json.loads(GOLDEN.read_text())) == list(PRESETS)


@pytest.mark.parametrize("preset", PRESETS)
def test_costs_and_shapes_are_those_in_the_file(preset: str) -> None:
    assert summary(preset) == json.loads(GOLDEN.read_text())[preset]


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({preset: summary(preset) for preset in PRESETS}, indent=2) + "\n")
