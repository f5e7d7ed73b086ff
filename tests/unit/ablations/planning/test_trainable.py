"""Recipes that no trial could follow are refused where the file says so."""

from __future__ import annotations

import json
from pathlib import Path

import packages
import pytest
from builders import edited, planned, refusal

from ablations import networks
from ablations.planning.plan import Plan

UNNORMALISED = ("width: 0.25", "width: 0.25, normalization: none")
BATCH = "batch normalisation needs at least two values per channel, and the maps of class_block.spatial_norm have one pixel; given a batch of 1."
WARM = "the warm-up must end before the training does, or the learning rate never reaches train.lr; given"


@pytest.mark.parametrize(
    ("replacements", "message"),
    [
        ([("batch_size: 32", "batch_size: 1")], f"s.yaml:6:34: base.train.batch_size: {BATCH}"),
        ([("train.epochs: 1", "train.batch_size: 1")], f"s.yaml:23:29: profiles.short.set.train.batch_size: {BATCH}"),
        ([("{model.mixers: 1}", "{train.batch_size: 1}")], f"s.yaml:14:33: variants.one.set.train.batch_size: {BATCH}"),
        ([UNNORMALISED, ("{model.mixers: 1}", "{model.normalization: batch}"), ("batch_size: 32", "batch_size: 1")], f"s.yaml:6:34: base.train.batch_size: {BATCH}"),
        (
            [("high: 0.2, log: true}", "high: 0.2, log: true}\n  train.batch_size: {type: int, low: 1, high: 64, log: true}")],
            f"s.yaml:9:3: search_space.train.batch_size: {BATCH}",
        ),
        (
            [
                UNNORMALISED,
                ("{model.mixers: 1}", "{model.normalization: batch}"),
                ("high: 0.2, log: true}", "high: 0.2, log: true}\n  train.batch_size: {type: categorical, choices: [32, 1]}"),
            ],
            f"s.yaml:9:3: search_space.train.batch_size: {BATCH}",
        ),
        (
            [
                (
                    "high: 0.2, log: true}",
                    "high: 0.2, log: true}\n  train.batch_size: {type: int, low: 1, high: 64}\n"
                    "  model.normalization: {type: categorical, choices: [none, batch]}",
                )
            ],
            f"s.yaml:9:3: search_space.train.batch_size: {BATCH}",
        ),
        ([("lr: 0.05", "lr: 0.05, warmup_epochs: 3")], f"s.yaml:6:63: base.train.warmup_epochs: {WARM} warmup_epochs 3 and epochs 3."),
        ([("lr: 0.05", "lr: 0.05, warmup_epochs: 2")], f"s.yaml:23:25: profiles.short.set.train.epochs: {WARM} warmup_epochs 2 and epochs 1."),
        ([("{model.mixers: 1}", "{train.warmup_epochs: 3.5}")], f"s.yaml:14:36: variants.one.set.train.warmup_epochs: {WARM} warmup_epochs 3.5 and epochs 3."),
        (
            [("high: 0.2, log: true}", "high: 0.2, log: true}\n  train.warmup_epochs: {type: float, low: 0, high: 9}")],
            f"s.yaml:9:3: search_space.train.warmup_epochs: {WARM} warmup_epochs 9 and epochs 3.",
        ),
        (
            [
                ("{model.mixers: 1}", "{train.epochs: 2}"),
                ("high: 0.2, log: true}", "high: 0.2, log: true}\n  train.warmup_epochs: {type: int, low: 0, high: 2}"),
            ],
            f"s.yaml:9:3: search_space.train.warmup_epochs: {WARM} warmup_epochs 2 and epochs 2.",
        ),
    ],
)  # fmt: skip
def test_a_recipe_that_cannot_be_followed_is_refused_at_its_line(
    replacements: list[tuple[str, str]], message: str
) -> None:
    assert message in refusal(edited(*replacements))


@pytest.mark.parametrize(
    "replacements",
    [
        [UNNORMALISED, ("batch_size: 32", "batch_size: 1")],
        [("batch_size: 32", "batch_size: 1"), ("resize: 16", "resize: 32")],
        [("batch_size: 32", "batch_size: 2")],
        [
            (
                "high: 0.2, log: true}",
                "high: 0.2, log: true}\n  model.normalization: {type: categorical, choices: [batch, none]}\n"
                "  train.batch_size: {type: int, low: 1, high: 64, when: {model.normalization: none}}",
            )
        ],
        [("lr: 0.05", "lr: 0.05, warmup_epochs: 0.9")],
    ],
    ids=["no normalisation", "larger maps", "a batch of two", "one only without normalisation", "a short warm-up"],
)
def test_a_recipe_that_can_be_followed_is_planned(replacements: list[tuple[str, str]]) -> None:
    text = edited(*replacements)
    assert [planned(text, profile).profile for profile in ("starter", "short")] == ["starter", "short"]


OWN = """
from dataclasses import dataclass

from torch import nn

from nin.complexity import Costs
from nin.model import Network


@dataclass(frozen=True)
class Own(Network):
    counts: bool = True

    def build(self, *, in_channels, size, num_classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * size**2, 5), nn.BatchNorm1d(5), nn.Linear(5, num_classes))

    def costs(self, **images):
        return super().costs(**images) if self.counts else Costs(params=1, macs=1, activations=1)

    def layer_table(self, **images):
        return super().layer_table(**images) if self.counts else 1 / 0


OWN, UNKNOWN = Own(), Own(counts=False)
"""


@pytest.fixture
def own(site: Path) -> None:
    (site / "own_package.py").write_text(OWN)
    entries = {"own": "own_package:OWN", "unknown": "own_package:UNKNOWN"}
    packages.register(site, "own-package", "1.0", {networks.GROUP: entries})


def study(preset: str) -> str:
    return edited(
        ("{preset: nin_small, width: 0.25}", f"{{preset: {preset}}}"),
        ("{model.mixers: 1}", "{train.momentum: 0.5}"),
        ("    set: {model.mixers: 0}\n    match: {params: two, by: model.width, tolerance: 0.2}\n", "    set: {train.momentum: 0.9}\n"),
        ("batch_size: 32", "batch_size: 1"),
    )  # fmt: skip


@pytest.mark.usefixtures("own")
def test_a_packages_network_is_known_as_far_as_torch_counts_it() -> None:
    assert "the maps of 2 have one pixel; given a batch of 1" in refusal(study("own"))
    assert planned(study("unknown")).profile == "starter"


def test_a_plan_recorded_before_these_rules_can_still_be_read() -> None:
    stored = planned(edited(("lr: 0.05", "lr: 0.05, warmup_epochs: 0.5"))).to_json()
    for variant in stored["variants"]:
        variant["config"]["train"] |= {"warmup_epochs": 5.0, "batch_size": 1}
    assert Plan.from_json(json.dumps(stored))["two"].config.train.warmup_epochs == 5
