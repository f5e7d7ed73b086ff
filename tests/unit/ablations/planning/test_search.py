"""The search space and its tuning: start points, conditions, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from builders import CONDITIONAL, complaint, edited, planned, refusal


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
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
    ],
)  # fmt: skip
def test_searches_that_are_refused(replacement: tuple[str, str], message: str) -> None:
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


def test_the_search_starts_at_the_base() -> None:
    assert planned().tuning.start_points == [{"train.lr": 0.05}]
    text = edited(("{trials: 2", "{start_points: [{train.lr: 0.1}], trials: 2"))
    assert planned(text).tuning.start_points == [{"train.lr": 0.1}]


def test_true_is_not_one() -> None:
    space = "train.lr: {type: float, low: 0.01, high: 0.2, log: true}"
    text = edited((space, "train.nesterov: {type: categorical, choices: [false, true]}"))
    text = text.replace("{trials: 2", "{start_points: [{train.nesterov: 1}], trials: 2")
    assert "the start point train.nesterov = 1 is outside" in refusal(text)


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
