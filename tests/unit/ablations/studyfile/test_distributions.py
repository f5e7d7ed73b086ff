"""Distributions of a search space: their values, and the conditions between their keys."""

from __future__ import annotations

from typing import Any

import pytest
from builders import CONDITIONAL, TEXT, edited, planned, refusal
from hypothesis import given
from hypothesis import strategies as st

from ablations.studyfile.distributions import (
    MAX_PROBES,
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
    SearchSpace,
    active,
    conditions,
    where_clause,
)
from ablations.studyfile.loading import parse

RATE = FloatDistribution(type="float", low=0.01, high=1, log=True)
BATCH = IntDistribution(type="int", low=16, high=32)
FLAG = CategoricalDistribution(type="categorical", choices=[True, False, 2])


# Values


@pytest.mark.parametrize(
    ("distribution", "inside", "outside"),
    [
        (RATE, [0.01, 0.5, 1], [0, 1.1, float("nan"), True, "0.5", None]),
        (BATCH, [16, 20.0, 32], [15, 16.5, 33, float("inf"), True, "16"]),
        (FLAG, [True, False, 2, 2.0], [1, 0, "true", None]),
    ],
)
def test_a_distribution_contains_what_the_search_can_draw(
    distribution: Distribution, inside: list[Any], outside: list[Any]
) -> None:
    assert all(distribution.contains(value) for value in inside)
    assert not any(distribution.contains(value) for value in outside)


def test_probes_are_all_values_where_they_are_few_and_else_the_ends() -> None:
    assert RATE.probes() == [0.01, 1]
    assert BATCH.probes() == list(range(16, 33))
    assert BATCH.model_copy(update={"high": 16 + MAX_PROBES}).probes() == [16, 16 + MAX_PROBES]
    assert FLAG.probes() == [True, False, 2]


def test_values_have_the_type_that_the_sampler_draws() -> None:
    drawn = [RATE.as_drawn(1), BATCH.as_drawn(16.0), FLAG.as_drawn(True)]
    assert [(value, type(value)) for value in drawn] == [(1.0, float), (16, int), (True, bool)]


def test_the_edge_of_a_range_is_on_its_own_scale() -> None:
    linear = RATE.model_copy(update={"log": False})
    assert [RATE.at_edge(value) for value in (0.011, 0.02, 0.5, 0.9)] == [True, False, False, True]
    assert [linear.at_edge(value) for value in (0.011, 0.02, 0.5, 0.9)] == [True, True, False, False]
    assert BATCH.at_edge(16)
    assert not BATCH.at_edge(17)
    assert not FLAG.at_edge(True)


def test_a_distribution_in_words() -> None:
    assert RATE.words == "0.01 to 1 (log)"
    assert BATCH.words == "16 to 32"
    assert FLAG.words == "one of [True, False, 2]"


# Conditions


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (("when: {train.optimizer: sgd}", "wen: {train.optimizer: sgd}"), "s.yaml:10:55: search_space.train.momentum.wen: unknown key 'wen'; did you mean 'when'?"),
        (("when: {train.optimizer: sgd}", "when: train.optimizer"), "s.yaml:10:61: search_space.train.momentum.when: must be a mapping; given 'train.optimizer'."),
        (("when: {train.optimizer: sgd}", "when:"), "s.yaml:10:60: search_space.train.momentum.when: must be a mapping; given nothing."),
        (("when: {train.optimizer: sgd}", "when: {}"), "s.yaml:10:55: search_space.train.momentum.when: must not be empty; given {}."),
        (("when: {train.optimizer: [sgd]}", "when: {train.optimizer: []}"), "s.yaml:11:70: search_space.train.nesterov.when.train.optimizer: must not be empty; given []."),
        (
            ("when: {train.optimizer: sgd}", "when: {train.optimizer: }"),
            "s.yaml:10:78: search_space.train.momentum.when.train.optimizer: must be a number, text, true or false; given nothing.",
        ),
        (
            ("when: {train.optimizer: [sgd]}", "when: {train.optimizer: [sgd, [adamw]]}"),
            "s.yaml:11:93: search_space.train.nesterov.when.train.optimizer.1: must be a number, text, true or false; given ['adamw'].",
        ),
    ],
)  # fmt: skip
def test_what_a_condition_may_not_say(replacement: tuple[str, str], message: str) -> None:
    assert refusal(edited(replacement, text=CONDITIONAL)) == message


def test_a_single_value_is_a_list_of_one() -> None:
    space = parse(CONDITIONAL, "s.yaml").spec.search_space
    assert space["train.momentum"].when == space["train.nesterov"].when == {"train.optimizer": ["sgd"]}
    assert space["train.lr"].when == {}


def test_a_space_without_conditions_is_stored_and_hashed_as_before_there_were_any() -> None:
    assert parse(TEXT, "s.yaml").spec.search_space["train.lr"].model_dump() == {
        "type": "float", "low": 0.01, "high": 0.2, "log": True,
    }  # fmt: skip
    assert "when" not in str(planned().to_json())
    assert parse(CONDITIONAL, "s.yaml").spec.search_space["train.momentum"].model_dump() == {
        "type": "float", "low": 0.0, "high": 0.95, "log": False, "when": {"train.optimizer": ["sgd"]},
    }  # fmt: skip


def _space(**when: dict[str, list[str]]) -> SearchSpace:
    """Keys with the choices x, y and z under these conditions."""
    return {
        key: CategoricalDistribution(type="categorical", choices=["x", "y", "z"], **({"when": on} if on else {}))
        for key, on in when.items()
    }


def test_a_condition_brings_those_of_the_keys_it_names() -> None:
    space = _space(a={}, b={"a": ["x", "y"]}, c={"a": ["y", "z"], "b": ["z"]}, d={"b": ["x"], "c": ["x"]})
    assert conditions(space, "a") == {}
    assert conditions(space, "c") == {"a": ["y"], "b": ["z"]}
    assert conditions(space, "d") == {"a": ["y"], "b": [], "c": ["x"]}


@pytest.mark.parametrize(
    ("values", "searched"),
    [
        ({"a": "x", "b": "x", "c": "x"}, ["a"]),  # c's own condition holds, b's does not
        ({"a": "y", "b": "x", "c": "x"}, ["a", "b", "c"]),
        ({"a": "z", "b": "x"}, ["a", "b", "c"]),
        ({"a": "z", "b": "y", "c": "x"}, ["a", "b"]),
        ({"a": "z"}, ["a", "b"]),
        ({}, ["a"]),
    ],
)
def test_a_key_is_searched_where_all_its_conditions_hold(values: dict[str, str], searched: list[str]) -> None:
    space = _space(c={"b": ["x"]}, a={}, b={"a": ["y", "z"]})
    assert sorted(active(space, values)) == searched


@given(st.data())
def test_what_is_searched_depends_on_searched_keys_only(data: st.DataObject) -> None:
    names = [f"k{n}" for n in range(5)]
    values = st.lists(st.sampled_from("xyz"), min_size=1, unique=True)
    space = _space(
        **{
            name: data.draw(st.dictionaries(st.sampled_from(names[:n]), values, max_size=2)) if n else {}
            for n, name in enumerate(names)
        }
    )
    point = {name: data.draw(st.sampled_from("xyz")) for name in names}
    searched = active(space, point)
    assert active(space, {key: point[key] for key in searched}) == searched
    for name, distribution in space.items():
        holds = all(other in searched and point[other] in allowed for other, allowed in distribution.when.items())
        assert (name in searched) is holds


def test_conditions_in_words() -> None:
    assert where_clause({}) == ""
    assert where_clause({"train.optimizer": ["sgd"]}) == " where train.optimizer is sgd"
    told = where_clause({"train.optimizer": ["sgd", "adamw"], "train.nesterov": [True], "train.lr": [0.1, 1]})
    assert told == " where train.optimizer is sgd or adamw and train.nesterov is true and train.lr is 0.1 or 1"
