"""Plan: its trials in their order, its identity, and its JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from builders import CONDITIONAL, SHIPPED, edited, planned, shipped

from ablations.planning.frozen import PlannedContrast
from ablations.planning.plan import Cell, Plan
from ablations.planning.planner import MAX_SEEDS
from nin.config import ClassicConfig, NinConfig
from nin.presets import INPUTS, PRESETS


def test_cells_run_number_by_number_then_seed_by_seed() -> None:
    plan = planned(edited(("{trials: 2, rerun_best: 1, rerun_seeds: 1}", "{trials: 2, rerun_best: 2, rerun_seeds: 2}")))
    names = ["two", "one", "wide"]
    search = [Cell("tune", name, 0, number) for number in (0, 1) for name in names]
    reruns = [Cell("tune", name, seed) for seed in (1, 2) for _ in range(2) for name in names]
    confirm = [Cell("confirm", name, seed) for seed in (0, 1) for name in names]
    assert plan.cells == (*search, *reruns, *confirm)


def test_without_a_search_space_there_is_only_confirmation() -> None:
    plan = planned(edited(("search_space:\n  train.lr: {type: float, low: 0.01, high: 0.2, log: true}\n", "")))
    assert not plan.tuned
    assert {cell.phase for cell in plan.cells} == {"confirm"}
    assert plan.tuning.start_points == []


def test_an_aa_arm_is_the_baseline_on_seeds_of_its_own() -> None:
    text = edited(("seeds: 2", "seeds: 2\naa_arm: true"))
    without, plan = planned(), planned(text)
    extra = [cell for cell in plan.cells if cell not in without.cells]
    assert extra == [Cell("confirm", "two", 1000), Cell("confirm", "two", 1001)]
    confirm = [(cell.variant, cell.seed) for cell in plan.cells if cell.phase == "confirm"]
    # Seed by seed, so that a budget that runs out leaves pairs.
    assert confirm[:5] == [("two", 0), ("one", 0), ("wide", 0), ("two", 1000), ("two", 1)]
    assert not set(plan.aa_seeds) & set(range(MAX_SEEDS))


def test_confirmations_are_of_the_seeds_that_each_variant_needs() -> None:
    plan = planned(edited(("seeds: 2", "seeds: 2\naa_arm: true")))
    cells = [(cell.variant, cell.seed) for cell in plan.confirmations({"two": 2, "one": 1, "wide": 0})]
    assert cells == [("two", 0), ("one", 0), ("two", 1000), ("two", 1), ("two", 1001)]


def test_a_plan_of_an_older_version_is_completed_to_its_last_look() -> None:
    """Older versions recorded the seeds of the first of two looks only."""
    plan = planned(edited(("seeds: 2", "seeds: 2\naa_arm: true")))
    old = {**plan.to_json(), "looks": [2, 4]}
    read = Plan.from_json(json.dumps(old))
    assert (read.looks, read.seeds, read.aa_seeds) == ((2, 4), (0, 1, 2, 3), (1000, 1001, 1002, 1003))
    assert Plan.from_json(json.dumps(plan.to_json())) == plan


def test_comparisons_have_ids_once_their_variants_are_tuned() -> None:
    plan = planned()
    one = {each.variant: each for each in plan.contrasts({"two": {"train.lr": 0.05}, "one": {"train.lr": 0.1}})}["one"]
    assert one.variant_id == plan.trial("one", "confirm", 7, {"train.lr": 0.1}).configuration_id
    assert one.versus_id == plan.trial("two", "confirm", 0, {"train.lr": 0.05}).configuration_id
    assert {(each.variant_id, each.versus_id) for each in plan.contrasts()} == {("", "")}
    turned = PlannedContrast(one.versus_key, one.variant_key, None, "two", "one", one.versus_id, one.variant_id)
    assert one.is_same(turned)
    assert not one.is_same(replace(one, variant_id="another", variant_key="another"))


def test_an_unknown_variant_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="three"):
        planned()["three"]


def test_whole_numbers_make_the_trials_that_decimals_make() -> None:
    """`width: 1` and `width: 1.0` are one network, wherever the number comes from."""
    space = "train.lr: {type: float, low: 0.01, high: 0.2, log: true}"
    plan = planned(edited((space, "train.weight_decay: {type: int, low: 0, high: 1}")))
    assert plan.tuning.start_points == [{"train.weight_decay": 0}]
    for key in ("train.weight_decay", "model.dropout", "model.width"):
        ids = {
            plan.trial("two", "tune", 0, {key: value}).id for value in ((0, 0.0) if key != "model.width" else (1, 1.0))
        }
        assert len(ids) == 1, key


def test_a_plans_id_is_that_of_all_it_says() -> None:
    assert planned().id == planned().id
    assert planned(edited(("Does a bar", "Why does a bar"))).id != planned().id


# JSON


@pytest.mark.parametrize(("path", "profile"), SHIPPED, ids=lambda value: getattr(value, "stem", value))
def test_a_shipped_plan_survives_json(path: Path, profile: str) -> None:
    plan = shipped(path, profile)
    again = Plan.from_json(json.dumps(plan.to_json()))
    assert again == plan
    assert again.id == plan.id


def test_a_plan_with_conditions_survives_json() -> None:
    plan = planned(CONDITIONAL)
    again = Plan.from_json(json.dumps(plan.to_json()))
    assert again == plan
    assert again.id == plan.id
    assert again.search_space["train.momentum"].when == {"train.optimizer": ["sgd"]}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_plan_of_any_preset_survives_json(preset: str) -> None:
    size = INPUTS[preset].size
    text = edited(
        ("name: synthetic, validation: 64, resize: 16", f"name: fashion_mnist, validation: 6000, resize: {size}"),
        ("preset: nin_small, width: 0.25", f"preset: {preset}"),
        ("{model.mixers: 1}", "{model.dropout: 0.125}"),
        ("  wide:\n    set: {model.mixers: 0}\n    match: {params: two, by: model.width, tolerance: 0.2}\n", ""),
    )
    plan = planned(text)
    again = Plan.from_json(json.dumps(plan.to_json()))
    assert again == plan
    assert type(again["two"].config.model) is type(PRESETS[preset]) in {NinConfig, ClassicConfig}
    trial = {"variant": "two", "phase": "confirm", "seed": 0, "hyperparameters": {"train.lr": 0.1}}
    assert again.trial(**trial).id == plan.trial(**trial).id


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"study": "x"}'])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Plan.from_json(text)
