"""StudySpec + profile + machine -> Plan: what is resolved, matched, priced, refused, and in which order it runs."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import CONDITIONAL, CPU, TEXT, complaint, edited, planned, refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from ablations.datasets import DATASETS
from ablations.errors import SpecError
from ablations.planning.axes import MAX_VARIANTS
from ablations.planning.plan import Cell, Plan
from ablations.planning.planner import MAX_PRICED, MAX_SEEDS, make_plan
from ablations.studyfile.distributions import MAX_CHOICES
from ablations.studyfile.loading import parse, read_file, shipped_studies
from ablations.studyfile.spec import StudySpec
from nin.complexity import Costs, costs
from nin.config import ClassicConfig, Config, NinConfig
from nin.images import Input
from nin.model import build
from nin.presets import INPUTS, PRESETS

SHIPPED = [(path, profile) for path in shipped_studies() for profile in read_file(path).spec.profiles]


def shipped(path: Path, profile: str) -> Plan:
    return make_plan(read_file(path).spec, profile, CPU)


# What a study may not say once it is resolved

STARTER = "  starter: {description: all of it}"


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        # unknown dotted keys
        (("preset: nin_small", "preset: nin_smal"), "s.yaml:5:19: base.model.preset: no preset 'nin_smal'; did you mean 'nin_small'?"),
        (("preset: nin_small", "preset: 3"), "s.yaml:5:19: base.model.preset: no preset 3; known here: "),
        (("preset: nin_small, ", ""), "s.yaml:5:3: base.model: the key 'preset' is missing; known here: "),
        (("width: 0.25", "widht: 0.25"), "s.yaml:5:30: base.model.widht: unknown key 'model.widht'; did you mean 'model.width'?"),
        (("name: synthetic", "name: synthetik"), "s.yaml:4:16: base.data.name: no data set 'synthetik'; did you mean 'synthetic'?"),
        (("{model.mixers: 1}", "{model.mixrs: 1}"), "s.yaml:14:15: variants.one.set.model.mixrs: unknown key 'model.mixrs'; did you mean 'model.mixers'?"),
        (("{model.mixers: 1}", "{mixers: 1}"), "s.yaml:14:15: variants.one.set.mixers: unknown key 'mixers'; did you mean 'model.mixers'?"),
        (("{model.mixers: 1}", "{lr: 1}"), "s.yaml:14:15: variants.one.set.lr: unknown key 'lr'; did you mean 'train.lr'?"),
        (
            ("{model.mixers: 1}", "{model: {mixers: 1}}"),
            "s.yaml:14:15: variants.one.set.model: unknown key 'model'; write its keys dotted, such as 'model.preset'.",
        ),
        (("{train.epochs: 1}", "{train.epoch: 1}"), "s.yaml:23:11: profiles.short.set.train.epoch: unknown key 'train.epoch'; did you mean 'train.epochs'?"),
        # wrong values behind dotted keys
        (("{train.epochs: 1}", "{train.epochs: -1}"), "s.yaml:23:25: profiles.short.set.train.epochs: must be above 0; given -1."),
        (("{train.epochs: 1}", "{train.lr: '1e-5'}"), "s.yaml:23:21: profiles.short.set.train.lr: must be a number; given '1e-5'. Write it without quotes."),
        (("{model.mixers: 1}", "{model.mixers: 9}"), "s.yaml:14:29: variants.one.set.model.mixers: must be 0 to 3, it is 9."),
        (("{model.mixers: 1}", "{model.mixers: true}"), "s.yaml:14:29: variants.one.set.model.mixers: must be an integer or a list, each entry an integer; it is True."),
        (("{model.mixers: 1}", "{model.mixers: 1, model.width: .nan}"), "s.yaml:14:45: variants.one.set.model.width: must be a finite number above 0, it is nan."),
        (("{model.mixers: 1}", "{model.mixers: 1, model.width: .inf}"), "s.yaml:14:45: variants.one.set.model.width: must be a finite number above 0, it is inf."),
        (("{model.mixers: 1}", "{model.mixers: 1, model.width: 1e308}"), "s.yaml:14:9: variants.one.set: the network has more than 10,000,000,000 params; no GPU holds it."),
        (("{model.mixers: 1}", "{model.mixers: 1, model.width: 1e5}"), "s.yaml:14:9: variants.one.set: the network has more than 10,000,000,000 params; no GPU holds it."),
        (("{model.mixers: 1}", "{model.mixers: 1, model.class_steps: [8, 8]}"), "s.yaml:14:32: variants.one.set.model.class_steps: may have at most one entry per mixer of the class block, 1; it has 2."),
        (("width: 0.25", "width: 0.25, class_steps: [1, 1, 1]"), "s.yaml:5:43: base.model.class_steps: may have at most one entry"),
        # data
        (("resize: 16", "resize: 2"), "s.yaml:13:3: variants.two: pools: block1.pool needs an input of at least 3x3, it has 2x2; images have 2 pixels per side."),
        (("resize: 16", "resize: 1025"), "s.yaml:4:51: base.data.resize: images may have at most 1,024 pixels per side; given 1,025."),
        (
            ("validation: 64", "validation: 253"),
            "s.yaml:4:39: base.data.validation: validation must be from 4 (one image per class) to 252 of the 256 training images of synthetic bars; given 253.",
        ),
        (("validation: 64", "validation: 3"), "s.yaml:4:39: base.data.validation: validation must be from 4 (one image per class) to"),
        (("validation: 64", "validation: 64, train_size: 193"), "s.yaml:4:55: base.data.train_size: train_size must be from 4 to the 192 images that validation leaves; given 193."),
        (("{model.mixers: 1}", "{data.name: digits}"), "s.yaml:14:15: variants.one.set.data.name: all variants must use the same data; choose the data set in the base or in a profile."),
        # the question and the scale
        (("{train.epochs: 1}", "{model.mixers: 3}"), "s.yaml:23:11: profiles.short.set.model.mixers: a profile may change the scale but not the question, and variants differ in 'model.mixers'; remove it here."),
        (("{train.epochs: 1}", "{model.width: 3}"), "s.yaml:23:11: profiles.short.set.model.width: a profile may change the scale but not the question, and variants differ in 'model.width'; remove it here."),
        (("{model.mixers: 1}", "{model.mixers: 2}"), "s.yaml:14:3: variants.one: has the same configuration as 'two'; every variant must differ from the others."),
        (("{model.mixers: 1}", "{}"), "s.yaml:14:3: variants.one: has the same configuration as 'two'; every variant must differ from the others."),
        # match
        (("params: two", "params: tow"), "s.yaml:17:21: variants.wide.match.params: match must name a variant that is not matched itself; given 'tow'; did you mean 'two'?"),
        (("params: two", "params: wide"), "s.yaml:17:21: variants.wide.match.params: match must name a variant that is not matched itself; given 'wide'; known here: one, two."),
        (
            ("tolerance: 0.2", "tolerance: 0.0001"),
            "s.yaml:17:21: variants.wide.match.params: the nearest width, 0.3, gives 2,401 params against 2,328: +3.1 %, beyond the tolerance of 0.01 %. "
            "Raise match.tolerance or match another variant.",
        ),
        # the search space
        (("train.lr: {type", "train.rl: {type"), "s.yaml:8:3: search_space.train.rl: unknown key 'train.rl'; did you mean 'train.lr'?"),
        (("train.lr: {type: float, low: 0.01, high: 0.2, log: true}", "model.mixers: {type: int, low: 1, high: 2}"), "s.yaml:8:3: search_space.model.mixers: variants differ in this key, so it cannot be tuned: it is the question."),
        (("train.lr: {type: float, low: 0.01, high: 0.2, log: true}", "train.epochs: {type: int, low: 1, high: 5}"), "s.yaml:8:3: search_space.train.epochs: this key sets the study's scale; only hyperparameters of model and train can be tuned."),
        (("train.lr: {type: float, low: 0.01, high: 0.2, log: true}", "data.resize: {type: int, low: 9, high: 16}"), "s.yaml:8:3: search_space.data.resize: this key sets the study's scale; only hyperparameters of model and train can be tuned."),
        (("train.lr: {type: float, low: 0.01", "train.momentum: {type: float, low: -0.1"), "s.yaml:8:3: search_space.train.momentum: log needs low above 0; given low -0.1."),
        (("low: 0.01, high: 0.2, log: true", "low: 0, high: 0.2"), "s.yaml:8:3: search_space.train.lr: must be above 0; given 0.0."),
        (("train.lr: {type: float, low: 0.01, high: 0.2, log: true}", "train.batch_size: {type: float, low: 8, high: 64}"), "s.yaml:8:3: search_space.train.batch_size: must be a whole number; given 8.0."),
        (("{type: float, low: 0.01, high: 0.2, log: true}", "{type: categorical, choices: [0.05, fast]}"), "s.yaml:8:3: search_space.train.lr: must be a number; given 'fast'."),
        (("train.lr: {type: float, low: 0.01, high: 0.2, log: true}", "model.mixer_kernel: {type: int, low: 1, high: 3}"), "s.yaml:8:3: search_space.model.mixer_kernel: must be 1 or 3, it is 2."),
        (("train.lr: {type: float, low: 0.01, high: 0.2, log: true}", "model.dropout: {type: float, low: 0.0, high: 1.0}"), "s.yaml:8:3: search_space.model.dropout: must be at least 0 and below 1, it is 1.0."),
        (("low: 0.01", "low: 0.1"), "s.yaml:8:3: search_space.train.lr: the search starts at the base's train.lr = 0.05, which is outside the search space; widen the space or set tuning.start_points."),
        # start points
        (("{trials: 2", "{start_points: [{train.lr: 5.0}], trials: 2"), "s.yaml:9:36: tuning.start_points.0.train.lr: the start point train.lr = 5.0 is outside the search space; widen the space or move the point."),
        (("{trials: 2", "{start_points: [{train.lr: '0.1'}], trials: 2"), "s.yaml:9:36: tuning.start_points.0.train.lr: the start point train.lr = '0.1' is outside"),
        (("{trials: 2", "{start_points: [{train.lr: .nan}], trials: 2"), "s.yaml:9:36: tuning.start_points.0.train.lr: the start point train.lr = nan is outside"),
        (("{trials: 2", "{start_points: [{train.rl: 0.1}], trials: 2"), "s.yaml:9:26: tuning.start_points.0.train.rl: a start point may set only searched keys; did you mean 'train.lr'?"),
        (("{trials: 2", "{start_points: [{}], trials: 2"), "s.yaml:9:25: tuning.start_points.0: a start point must set every searched key; 'train.lr' is missing."),
        (("{trials: 2", "{start_points: [{train.lr: 0.1}, {train.lr: 0.02}], trials: 1"), "s.yaml:9:10: tuning.start_points: 2 start points need at least 2 trials; given 1."),
        (("all of it}", "all of it, tuning: {trials: 1, start_points: [{train.lr: 9}]}}"), "s.yaml:20:83: profiles.starter.tuning.start_points.0.train.lr: the start point train.lr = 9 is outside"),
        # size
        (("seeds: 2", "seeds: 999999999"), "s.yaml:20:3: profiles.starter: first_seed plus the seeds of a look must be at most 1,000; given 0 and 999,999,999."),
        (("{trials: 2", "{trials: 999999999"), "s.yaml:20:3: profiles.starter: 3 variants x (1,000,000,000 tuning trials + 2 seeds) are"),
        (("rerun_seeds: 1", "rerun_seeds: 999999999"), "s.yaml:20:3: profiles.starter: 3 variants x (1,000,000,001 tuning trials + 2 seeds) are"),
    ],
)  # fmt: skip
def test_what_a_study_may_not_ask_for(replacement: tuple[str, str], message: str) -> None:
    assert refusal(edited(replacement))[: len(message)] == message


def test_a_search_that_breaks_one_variant_only_is_refused() -> None:
    space = "train.lr: {type: float, low: 0.01, high: 0.2, log: true}"
    text = edited(
        (space, "model.pool_kernel: {type: int, low: 2, high: 3}"),
        ("width: 0.25", "width: 0.25, pool_kernel: 2"),
        ("{model.mixers: 1}", "{model.mixers: 1, data.resize: 8}"),
    )
    assert refusal(text) == (
        "s.yaml:8:3: search_space.model.pool_kernel: pools: block3.pool needs an input of at least 3x3, it has 1x1; "
        "images have 8 pixels per side."
    )
    assert complaint(text.replace("data.resize: 8", "data.resize: 15")) is None


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(SpecError) as caught:
        make_plan(StudySpec.model_validate(_tree()), "strater", CPU)
    assert str(caught.value) == "profiles: no profile 'strater'; did you mean 'starter'?"


def test_too_many_variants_are_refused_with_their_count() -> None:
    tree = _of_variants(MAX_VARIANTS + 1)
    with pytest.raises(SpecError, match=r"^variants: 1,001 variants; at most 1,000 are allowed\.$"):
        make_plan(StudySpec.model_validate(tree), "starter", CPU)


def test_too_many_trainings_are_refused_with_their_count() -> None:
    tree = _of_variants(MAX_VARIANTS) | {"seeds": 98}
    with pytest.raises(SpecError, match=r"1,000 variants x .* are 101,000 trainings; at most 100,000 are allowed"):
        make_plan(StudySpec.model_validate(tree), "starter", CPU)


def test_as_many_variants_as_there_may_be_are_planned_in_seconds() -> None:
    started = time.process_time()
    assert len(make_plan(StudySpec.model_validate(_of_variants(MAX_VARIANTS)), "starter", CPU).variants) == MAX_VARIANTS
    assert time.process_time() - started < 20


def test_a_search_of_too_many_networks_is_refused_at_once() -> None:
    values = [round(0.001 * n, 3) for n in range(MAX_CHOICES)]
    tree = _of_variants(MAX_PRICED // MAX_CHOICES + 1)
    tree["search_space"] = {"model.dropout": {"type": "categorical", "choices": values}}
    started = time.process_time()
    with pytest.raises(SpecError) as caught:
        make_plan(StudySpec.model_validate(tree), "starter", CPU)
    assert time.process_time() - started < 5
    assert str(caught.value) == (
        "search_space: 101 variants x 100 values of searched dials are 10,100 networks to price; at most 10,000 are allowed."
    )


def _of_variants(count: int) -> dict[str, Any]:
    return _tree() | {
        "baseline": "v0",
        "variants": {f"v{n}": {"set": {"train.momentum": n / 2000}} for n in range(count)},
    }


def _tree() -> dict[str, Any]:
    import yaml

    tree: dict[str, Any] = yaml.safe_load(TEXT)
    return tree


# Conditions


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (
            ("when: {train.optimizer: sgd}", "when: {train.optimiser: sgd}"),
            "s.yaml:10:62: search_space.train.momentum.when.train.optimiser: a condition must name another searched key; did you mean 'train.optimizer'?",
        ),
        (
            ("when: {train.optimizer: sgd}", "when: {model.head: gap}"),
            "s.yaml:10:62: search_space.train.momentum.when.model.head: a condition must name another searched key; "
            "known here: train.lr, train.momentum, train.nesterov, train.optimizer.",
        ),
        (
            ("when: {train.optimizer: sgd}", "when: {train.lr: 0.1}"),
            "s.yaml:10:62: search_space.train.momentum.when.train.lr: a condition must be on a categorical key, but 'train.lr' is searched as float; "
            "list its choices or remove the condition.",
        ),
        (
            ("when: {train.optimizer: sgd}", "when: {train.optimizer: sdg}"),
            "s.yaml:10:79: search_space.train.momentum.when.train.optimizer: must be one of the choices of train.optimizer ('sgd', 'adamw'); given 'sdg'.",
        ),
        (
            ("when: {train.optimizer: [sgd]}", "when: {train.optimizer: [sgd, adam]}"),
            "s.yaml:11:93: search_space.train.nesterov.when.train.optimizer.1: must be one of the choices of train.optimizer ('sgd', 'adamw'); given 'adam'.",
        ),
        (  # one is not true
            ("when: {train.optimizer: sgd}", "when: {train.nesterov: 1}"),
            "s.yaml:10:78: search_space.train.momentum.when.train.nesterov: must be one of the choices of train.nesterov (true, false); given 1.",
        ),
        (
            ("choices: [sgd, adamw]", "choices: [sgd, adamw], when: {train.optimizer: sgd}"),
            "s.yaml:9:70: search_space.train.optimizer.when.train.optimizer: conditions must not form a circle; "
            "given train.optimizer -> train.optimizer. Remove one of them.",
        ),
        (
            ("choices: [sgd, adamw]", "choices: [sgd, adamw], when: {train.nesterov: true}"),
            "s.yaml:9:70: search_space.train.optimizer.when.train.nesterov: conditions must not form a circle; "
            "given train.optimizer -> train.nesterov -> train.optimizer. Remove one of them.",
        ),
        (
            ("when: {train.optimizer: sgd}", "when: {train.optimizer: adamw, train.nesterov: true}"),
            "s.yaml:10:55: search_space.train.momentum.when: this condition never holds: with the conditions of the keys in it, "
            "no value of 'train.optimizer' is left.",
        ),
        # start points
        (
            ("low: 0.0, high: 0.95", "low: 0.5, high: 0.95"),
            "s.yaml:10:3: search_space.train.momentum: the search starts at the base's train.momentum = 0.0, which is outside the search space; "
            "widen the space or set tuning.start_points.",
        ),
        (
            ("{trials: 2", "{start_points: [{train.lr: 0.1, train.optimizer: sgd, train.nesterov: true}], trials: 2"),
            "s.yaml:12:25: tuning.start_points.0: a start point must set every searched key; "
            "'train.momentum' where train.optimizer is sgd is missing.",
        ),
        (
            ("{trials: 2", "{start_points: [{train.lr: 0.1, train.momentum: 0.5}], trials: 2"),
            "s.yaml:12:25: tuning.start_points.0: a start point must set every searched key; 'train.optimizer' is missing.",
        ),
        (
            ("{trials: 2", "{start_points: [{train.lr: 0.1, train.optimizer: adamw, train.momentum: 0.5}], trials: 2"),
            "s.yaml:12:65: tuning.start_points.0.train.momentum: train.momentum is searched only where train.optimizer is sgd; "
            "remove it from this start point.",
        ),
        (
            ("{trials: 2", "{start_points: [{train.lr: 0.1, train.optimizer: sdg, train.momentum: 0.5}], trials: 2"),
            "s.yaml:12:58: tuning.start_points.0.train.optimizer: the start point train.optimizer = 'sdg' is outside the search space; "
            "widen the space or move the point.",
        ),
        (
            ("{trials: 2", "{start_points: [{train.lr: 0.1, train.optimizer: sgd, train.momentum: 2, train.nesterov: true}], trials: 2"),
            "s.yaml:12:79: tuning.start_points.0.train.momentum: the start point train.momentum = 2 is outside the search space; "
            "widen the space or move the point.",
        ),
    ],
)  # fmt: skip
def test_what_a_condition_may_not_ask_for(replacement: tuple[str, str], message: str) -> None:
    assert refusal(edited(replacement, text=CONDITIONAL)) == message


def test_a_circle_is_told_key_by_key() -> None:
    text = edited(
        ("choices: [sgd, adamw]}", "choices: [sgd, adamw], when: {train.nesterov: true}}"),
        ("{type: float, low: 0.0, high: 0.95,", "{type: categorical, choices: [0.0, 0.9],"),
        ("when: {train.optimizer: [sgd]}", "when: {train.momentum: 0.9}"),
        text=CONDITIONAL,
    )
    assert refusal(text) == (
        "s.yaml:9:70: search_space.train.optimizer.when.train.nesterov: conditions must not form a circle; "
        "given train.optimizer -> train.nesterov -> train.momentum -> train.optimizer. Remove one of them."
    )


def test_a_condition_of_a_profiles_search_space_is_pointed_at_there() -> None:
    space = "{train.momentum: {type: float, low: 0, high: 0.9, when: {train.lr: 1}}}"
    assert refusal(edited(("all of it}", f"all of it, search_space: {space}}}"))) == (
        "s.yaml:20:108: profiles.starter.search_space.train.momentum.when.train.lr: a condition must name another searched key; "
        "known here: train.momentum."
    )


@pytest.mark.parametrize(
    ("optimizer", "start"),
    [
        ("sgd", {"train.lr": 0.05, "train.optimizer": "sgd", "train.momentum": 0.0, "train.nesterov": False}),
        ("adamw", {"train.lr": 0.05, "train.optimizer": "adamw"}),
    ],
)
def test_the_search_starts_at_the_bases_values_of_the_keys_that_are_searched_there(
    optimizer: str, start: dict[str, Any]
) -> None:
    text = edited(("lr: 0.05", f"lr: 0.05, optimizer: {optimizer}"), text=CONDITIONAL)
    assert planned(text).tuning.start_points == [start]


def test_a_base_outside_a_range_is_accepted_where_the_key_is_not_searched() -> None:
    text = edited(("low: 0.0, high: 0.95", "low: 0.5, high: 0.95"), text=CONDITIONAL)
    assert complaint(text.replace("lr: 0.05", "lr: 0.05, optimizer: adamw")) is None


def test_start_points_give_values_to_the_keys_that_are_searched_there() -> None:
    points = "[{train.lr: 0.1, train.optimizer: adamw}, {train.nesterov: true, train.lr: 0.1, train.optimizer: sgd, train.momentum: 0}]"
    plan = planned(edited(("{trials: 2", f"{{start_points: {points}, trials: 2"), text=CONDITIONAL))
    assert plan.tuning.start_points == [
        {"train.lr": 0.1, "train.optimizer": "adamw"},
        {"train.nesterov": True, "train.lr": 0.1, "train.optimizer": "sgd", "train.momentum": 0.0},
    ]


def test_a_key_that_is_not_searched_keeps_the_value_of_its_variant() -> None:
    text = edited(("lr: 0.05", "lr: 0.05, momentum: 0.25"), text=CONDITIONAL)
    config = planned(text).trial("two", "tune", 0, {"train.optimizer": "adamw"}).config
    assert (config.train.optimizer, config.train.momentum) == ("adamw", 0.25)


def test_values_are_tried_where_they_are_searched_and_nowhere_else() -> None:
    """Images of 8 pixels leave the last pool of three no room for a window of 3."""
    space = "train.lr: {type: float, low: 0.01, high: 0.2, log: true}"
    searched = (
        "model.pools: {type: categorical, choices: [true, false]}\n  model.pool_kernel: {type: int, low: 2, high: 3"
    )
    replacements = (("width: 0.25", "width: 0.25, pool_kernel: 2"), ("resize: 16", "resize: 8"))
    problem = "pools: block3.pool needs an input of at least 3x3, it has 1x1; images have 8 pixels per side."
    for when, message in (
        ("", f"s.yaml:9:3: search_space.model.pool_kernel: {problem}"),
        (", when: {model.pools: true}", f"s.yaml:9:3: search_space.model.pool_kernel: {problem}"),
        (", when: {model.pools: false}", None),
    ):
        assert complaint(edited((space, f"{searched}{when}}}"), *replacements)) == message


def test_the_order_of_keys_in_a_file_does_not_matter_to_their_conditions() -> None:
    lines = CONDITIONAL.splitlines()
    lines[8:11] = lines[10:7:-1]
    plan, turned = planned(CONDITIONAL), planned("\n".join(lines))
    assert list(plan.search_space) != list(turned.search_space)
    assert plan["two"].key == turned["two"].key
    assert plan.tuning.start_points == turned.tuning.start_points


@pytest.mark.parametrize(
    ("replacement", "changes"),
    [
        (("when: {train.optimizer: [sgd]}", "when: {train.optimizer: sgd}"), False),
        (("when: {train.optimizer: [sgd]}", "when: {train.optimizer: [sgd, adamw]}"), True),
        ((", when: {train.optimizer: [sgd]}", ""), True),
    ],
)
def test_a_variants_key_changes_with_its_conditions(replacement: tuple[str, str], changes: bool) -> None:
    assert (planned(edited(replacement, text=CONDITIONAL))["two"].key != planned(CONDITIONAL)["two"].key) is changes


def test_a_plan_with_conditions_survives_json() -> None:
    plan = planned(CONDITIONAL)
    again = Plan.from_json(json.dumps(plan.to_json()))
    assert again == plan
    assert again.id == plan.id
    assert again.search_space["train.momentum"].when == {"train.optimizer": ["sgd"]}


# Resolution


def test_a_variant_lies_over_the_profile_and_the_profile_over_the_base() -> None:
    text = edited(
        ("{train.epochs: 1}", "{train.epochs: 1, train.batch_size: 8, model.dropout: 0.25}"),
        ("{model.mixers: 1}", "{model.mixers: 1, train.momentum: 0.9}"),
        ("lr: 0.05", "lr: 0.05, momentum: 0.5"),
    )
    plan = planned(text, "short")
    one, two = plan["one"].config, plan["two"].config
    assert (one.train.momentum, two.train.momentum) == (0.9, 0.5)
    assert (one.train.epochs, one.train.batch_size, one.model.dropout) == (1, 8, 0.25)
    assert (one.train.lr, one.data.validation, one.model.width) == (0.05, 64, 0.25)
    assert (one.model.mixers, two.model.mixers) == (1, 2)  # type: ignore[union-attr]
    assert planned(text, "starter")["two"].config.train.epochs == 3


def test_a_profile_replaces_the_search_space_and_part_of_the_tuning() -> None:
    text = edited(
        (
            "    set: {train.epochs: 1}",
            "    set: {train.epochs: 1}\n    search_space: {train.momentum: {type: float, low: 0, high: 0.9}}\n"
            "    tuning: {trials: 5}\n    seeds: 7",
        )
    )
    plan = planned(text, "short")
    assert list(plan.search_space) == ["train.momentum"]
    assert (plan.tuning.trials, plan.tuning.rerun_best, plan.tuning.start_points) == (5, 1, [{"train.momentum": 0.0}])
    assert plan.seeds == (0, 1, 2, 3, 4, 5, 6)


def test_the_search_starts_at_the_base() -> None:
    assert planned().tuning.start_points == [{"train.lr": 0.05}]
    text = edited(("{trials: 2", "{start_points: [{train.lr: 0.1}], trials: 2"))
    assert planned(text).tuning.start_points == [{"train.lr": 0.1}]


@pytest.mark.parametrize(("bf16", "precision"), [(True, "bf16"), (False, "fp32")])
def test_the_machine_decides_the_precision_only_where_it_is_left_open(bf16: bool, precision: str) -> None:
    machine = replace(CPU, bf16=bf16)
    assert planned(machine=machine)["two"].config.train.precision == precision
    fixed = edited(("lr: 0.05", "lr: 0.05, precision: fp32"))
    assert planned(fixed, machine=machine)["two"].config.train.precision == "fp32"


def test_caveats_are_what_the_profile_fixes_otherwise() -> None:
    text = edited(("{train.epochs: 1}", "{train.epochs: 1, train.lr: 0.05, model.dropout: 0.1, train.momentum: 0.9}"))
    assert planned(text, "short", replace(CPU, bf16=True)).caveats == (
        "train.epochs is 1 (the study's base: 3)",
        "model.dropout is 0.1",
        "train.momentum is 0.9 (the study's base: 0.0)",
        "training computes in bf16 (the weights stay fp32)",
        "Drawn by the suite for its own tests; says nothing about networks.",
    )


def test_a_variant_without_words_is_described_by_its_changes() -> None:
    plan = planned()
    assert [variant.description for variant in plan.variants] == [
        "the base as it is",
        "model.mixers = 1",
        f"model.mixers = 0, model.width = {plan['wide'].changes['model.width']}",
    ]


# Costs and matches


@pytest.mark.parametrize(("path", "profile"), SHIPPED, ids=lambda value: getattr(value, "stem", value))
def test_closed_form_costs_are_what_torch_counts(path: Path, profile: str) -> None:
    plan = shipped(path, profile)
    dataset = DATASETS[plan.data.name]
    for variant in plan.variants:
        size = variant.config.data.resize or dataset.size
        with torch.device("meta"):
            model = build(
                variant.config.model, Input(in_channels=dataset.channels, size=size, num_classes=dataset.num_classes)
            ).eval()
            image = torch.empty(1, dataset.channels, size, size)
        with FlopCounterMode(display=False) as counter:
            model(image)
        params = sum(parameter.numel() for parameter in model.parameters())
        assert (variant.costs.params, variant.costs.macs) == (params, counter.get_total_flops() // 2), variant.name


def test_the_books_network_has_the_books_numbers() -> None:
    book = shipped(next(path for path in shipped_studies() if path.stem == "one_by_one"), "book")["two"]
    assert (book.costs.params, book.costs.macs) == (1_992_166, 762_297_352)


@pytest.mark.parametrize("cost", ["params", "macs"])
def test_a_match_meets_the_cost_it_names(cost: str) -> None:
    text = edited(
        ("{params: two, by: model.width, tolerance: 0.2}", f"{{{cost}: two, by: model.width, tolerance: 0.1}}")
    )
    plan = planned(text.replace("width: 0.25", "width: 2"))
    wide, two = plan["wide"], plan["two"]
    assert getattr(wide.costs, cost) == pytest.approx(getattr(two.costs, cost), rel=0.02)
    assert wide.config.model.width == wide.changes["model.width"] > 2
    assert len(str(wide.changes["model.width"])) < 8, "the shortest number that gives this network"


def test_a_match_finds_the_nearest_width_there_is() -> None:
    plan = planned()
    wide, wanted = plan["wide"].config.model, plan["two"].costs.params

    def off(width: float) -> int:
        return abs(costs(replace(wide, width=width), Input(in_channels=1, size=16, num_classes=4)).params - wanted)

    assert off(wide.width) == min(off(width / 1000) for width in range(1, 2000))


def test_a_match_prices_few_networks_and_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    priced: list[Config] = []

    def counted(model: Config, images: Input) -> Costs:
        priced.append(model)
        return costs(model, images)

    monkeypatch.setattr("ablations.networks.costs", counted)
    planned()
    assert len(set(priced)) == len(priced) < 40, "it tries over 60 widths"


def test_a_match_cannot_reach_everywhere() -> None:
    text = edited(("{params: two,", "{params: one,"), ("{model.mixers: 1}", "{model.channels: [2000, 4000, 6000]}"))
    text = text.replace("{model.mixers: 0}", "{model.mixers: 0, model.channels: [1, 1, 1]}")
    assert "no width from 0.001 to 64 gives" in refusal(text)


# Order


def test_the_baseline_comes_first_and_the_others_as_written() -> None:
    assert [v.name for v in planned(edited(("baseline: two", "baseline: wide"))).variants] == ["wide", "two", "one"]


def test_cells_run_number_by_number_then_seed_by_seed() -> None:
    plan = planned(edited(("{trials: 2, rerun_best: 1, rerun_seeds: 1}", "{trials: 2, rerun_best: 2, rerun_seeds: 2}")))
    names = ["two", "one", "wide"]
    search = [Cell("tune", name, 0, number) for number in (0, 1) for name in names]
    reruns = [Cell("tune", name, seed) for seed in (1, 2) for _ in range(2) for name in names]
    confirm = [Cell("confirm", name, seed) for seed in (0, 1) for name in names]
    assert plan.cells == (*search, *reruns, *confirm)


def test_there_are_no_more_reruns_than_trials() -> None:
    assert planned(edited(("rerun_best: 1", "rerun_best: 9"))).tuning.num_rerun == 2
    assert planned(edited(("rerun_seeds: 1", "rerun_seeds: 0"))).tuning.num_rerun == 0


def test_without_a_search_space_there_is_only_confirmation() -> None:
    plan = planned(edited(("search_space:\n  train.lr: {type: float, low: 0.01, high: 0.2, log: true}\n", "")))
    assert not plan.tuned
    assert {cell.phase for cell in plan.cells} == {"confirm"}
    assert plan.tuning.start_points == []


def test_an_unknown_variant_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="three"):
        planned()["three"]


# Identity


@pytest.mark.parametrize(
    ("replacement", "changes"),
    [
        (("seeds: 2\n", "seeds: 3\n"), False),
        (("{margin: 5.0}", "{margin: 1.0}"), False),
        (("Does a bar", "Why does a bar"), False),
        (("expect: worse", "expect: better"), False),
        (("  one:", "  eins:"), False),
        (("{trials: 2", "{trials: 3"), True),
        (("rerun_best: 1", "rerun_best: 2"), True),
        (("rerun_seeds: 1", "rerun_seeds: 2"), True),
        (("{trials: 2", "{sampler: random, trials: 2"), True),
        (("{trials: 2", "{seed: 1, trials: 2"), True),
        (("{trials: 2", "{pruner: median, trials: 2"), True),
        (("{trials: 2", "{start_points: [{train.lr: 0.1}], trials: 2"), True),
        (("low: 0.01", "low: 0.02"), True),
        (("log: true", "log: false"), True),
        (("lr: 0.05", "lr: 0.05, momentum: 0.9"), True),
        (("resize: 16", "resize: 17"), True),
    ],
)
def test_a_variants_key_changes_with_what_decides_its_tuning(replacement: tuple[str, str], changes: bool) -> None:
    assert (planned(edited(replacement))["two"].key != planned()["two"].key) is changes


def test_a_variants_key_changes_with_the_machine() -> None:
    assert planned(machine=replace(CPU, device="cuda"))["two"].key != planned()["two"].key
    assert planned(machine=replace(CPU, bf16=True))["two"].key != planned()["two"].key
    assert planned(machine=replace(CPU, num_workers=9, description="x"))["two"].key == planned()["two"].key


def test_a_new_variant_leaves_the_others_as_they_are() -> None:
    plan = planned(edited(("  two:\n", "  two:\n  three: {set: {model.mixers: 3}}\n")))
    for name in ("two", "one", "wide"):
        assert plan[name].key == planned()[name].key
        assert (
            plan.trial(name, "confirm", 0, {"train.lr": 0.1}).id
            == planned().trial(name, "confirm", 0, {"train.lr": 0.1}).id
        )


def test_every_variant_of_a_plan_has_its_own_key() -> None:
    assert len({variant.key for variant in planned().variants}) == 3


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


def test_true_is_not_one() -> None:
    space = "train.lr: {type: float, low: 0.01, high: 0.2, log: true}"
    text = edited((space, "train.nesterov: {type: categorical, choices: [false, true]}"))
    text = text.replace("{trials: 2", "{start_points: [{train.nesterov: 1}], trials: 2")
    assert "the start point train.nesterov = 1 is outside" in refusal(text)


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


# Whatever is accepted can be planned

_DIALS = st.fixed_dictionaries(
    {},
    optional={
        "model.mixers": st.integers(0, 3) | st.lists(st.integers(0, 3), min_size=4, max_size=4),
        "model.mixer_kernel": st.sampled_from([1, 3]),
        "model.head": st.sampled_from(["gap", "gmp", "dense", "dense_dropout"]),
        "model.dropout": st.floats(0, 0.99),
        "model.channels": st.lists(st.integers(1, 12), min_size=3, max_size=3),
        "model.pools": st.booleans() | st.lists(st.booleans(), min_size=3, max_size=3),
        "model.normalization": st.sampled_from(["none", "batch"]),
        "train.batch_size": st.integers(1, 500),
        "train.weight_decay": st.floats(0, 1),
        "train.optimizer": st.sampled_from(["sgd", "adamw"]),
    },
)
_SPACES = st.fixed_dictionaries(
    {},
    optional={
        "train.lr": st.floats(1e-6, 0.04).map(lambda low: {"type": "float", "low": low, "high": 0.5, "log": True}),
        "train.momentum": st.floats(0.1, 0.99).map(lambda high: {"type": "float", "low": 0, "high": high}),
        "train.warmup_epochs": st.integers(1, 9).map(lambda high: {"type": "int", "low": 0, "high": high}),
        "train.nesterov": st.just({"type": "categorical", "choices": [False, True]}),
        "train.init": st.permutations(["default", "kaiming_normal"]).map(
            lambda each: {"type": "categorical", "choices": each}
        ),
    },
)


@given(
    variants=st.dictionaries(st.from_regex(r"[a-z0-9][a-z0-9_]{0,9}", fullmatch=True), _DIALS, min_size=1, max_size=4),
    space=_SPACES,
    tuning=st.fixed_dictionaries(
        {"trials": st.integers(1, 9), "rerun_best": st.integers(1, 9), "rerun_seeds": st.integers(0, 3)}
    ),
    seeds=st.integers(1, 9),
    question=st.text(min_size=1, max_size=99).filter(str.isprintable),
)
@settings(max_examples=40, deadline=None)
def test_what_is_accepted_is_planned_and_survives_json(
    variants: dict[str, dict[str, Any]], space: dict[str, Any], tuning: dict[str, int], seeds: int, question: str
) -> None:
    tree = _tree() | {
        "question": question,
        "baseline": next(iter(variants)),
        "variants": {name: {"set": dials} for name, dials in variants.items()},
        "search_space": space,
        "tuning": tuning,
        "seeds": seeds,
    }
    try:
        plan = make_plan(StudySpec.model_validate(tree), "starter", CPU)
    except SpecError as error:
        assert "the same configuration" in error.problem  # noqa: PT017
        return
    assert Plan.from_json(json.dumps(plan.to_json())) == plan
    num_tune = tuning["trials"] + min(tuning["rerun_best"], tuning["trials"]) * tuning["rerun_seeds"] if space else 0
    assert len(plan.cells) == len(variants) * (num_tune + seeds)
    for variant in plan.variants:
        trial = plan.trial(variant.name, "tune", 0, (plan.tuning.start_points or [{}])[0])
        assert trial.config == variant.config, "the first start point is the base"


def test_the_study_of_these_tests_is_accepted() -> None:
    assert complaint(TEXT) is None


# Looks


def test_one_look_is_planned_unless_the_file_says_more() -> None:
    plan = planned()
    assert (plan.looks, plan.look, plan.look_alpha) == ((2,), 1, 0.05)


def test_two_planned_looks_share_alpha() -> None:
    text = edited(("seeds: 2", "seeds: 2\nextend_to: 6"))
    first = planned(text)
    spec = parse(text, "s.yaml").spec
    second = make_plan(spec, "starter", CPU, extend=True)
    assert (first.looks, first.look, first.look_alpha, first.seeds) == ((2, 6), 1, 0.025, (0, 1))
    assert (second.looks, second.look, second.look_alpha, second.seeds) == ((2, 6), 2, 0.025, (0, 1, 2, 3, 4, 5))
    assert [variant.key for variant in first.variants] == [variant.key for variant in second.variants]


def test_a_profile_has_looks_of_its_own() -> None:
    text = edited(("description: less of it", "description: less of it\n    seeds: 3\n    extend_to: 4"))
    assert planned(text, "short").looks == (3, 4)
    assert planned(text).looks == (2,)


def test_a_second_look_that_is_no_larger_is_refused() -> None:
    assert refusal(edited(("seeds: 2", "seeds: 2\nextend_to: 2"))) == (
        "s.yaml:11:12: extend_to: a second look must have more seeds than the first; given 2, and 2 for the first look of profile "
        "starter."
    )


def test_a_look_that_was_not_planned_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        make_plan(parse(TEXT, "s.yaml").spec, "starter", CPU, extend=True)
    assert caught.value.path == ("profiles", "starter")
    assert caught.value.problem == (
        "no second look is planned here. Seeds added after you have seen results prove nothing. To plan a second look, write "
        "extend_to (such as 20) beside seeds before the first look."
    )


# The A/A arm


def test_an_aa_arm_is_the_baseline_on_seeds_of_its_own() -> None:
    text = edited(("seeds: 2", "seeds: 2\naa_arm: true\nextend_to: 4"))
    without, plan = planned(), planned(text)
    extra = [cell for cell in plan.cells if cell not in without.cells]
    assert extra == [Cell("confirm", "two", 1000), Cell("confirm", "two", 1001)]
    confirm = [(cell.variant, cell.seed) for cell in plan.cells if cell.phase == "confirm"]
    # Seed by seed, so that a budget that runs out leaves pairs.
    assert confirm[:5] == [("two", 0), ("one", 0), ("wide", 0), ("two", 1000), ("two", 1)]
    assert make_plan(parse(text, "s.yaml").spec, "starter", CPU, extend=True).aa_seeds == (1000, 1001, 1002, 1003)
    assert not set(plan.aa_seeds) & set(range(MAX_SEEDS))
