"""Quantities and foreign text in words."""

from __future__ import annotations

import inspect

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ablations.text import closest, in_words, latency, mebibytes, nearest, raised, readable, shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 s"),
        (-5, "1 s"),
        (1.4, "1 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3600, "60 min"),
        (5400, "1.5 h"),
        (36_000, "10.0 h"),
        (42.4 * 86_400, "42 days"),
    ],
)
def test_times_are_told_as_people_say_them(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2.0413, "2.04 s"), (0.99999, "1 s"), (0.0015231, "1.52 ms"), (0.00099996, "1 ms"), (0.000812, "812 µs")],
)
def test_latencies_have_three_digits_and_a_unit(seconds: float, words: str) -> None:
    assert latency(seconds) == words


@pytest.mark.parametrize(
    ("num_bytes", "words"),
    [(0, "0 MiB"), (1, "9.54e-07 MiB"), (2**20, "1 MiB"), (1_572_864, "1.5 MiB"), (2**30, "1,024 MiB")],
)
def test_memory_is_told_in_mebibytes(num_bytes: int, words: str) -> None:
    assert mebibytes(num_bytes) == words


def test_an_error_names_the_line_that_led_to_it_outside_of_torch() -> None:
    layer = nn.Linear(3, 2)
    with pytest.raises(RuntimeError) as caught:
        layer(torch.zeros(1, 4))
    line = inspect.getsourcelines(test_an_error_names_the_line_that_led_to_it_outside_of_torch)[1] + 3
    assert raised(caught.value) == f"RuntimeError: {caught.value} (test_text.py:{line})"
    assert raised(ValueError("never raised")) == "ValueError: never raised"


# Names and values in messages


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("qestion", ["question", "source"], "question"),
        ("lr", ["train.lr", "train.epochs"], "train.lr"),
        ("model.mixrs", ["model.mixers", "model.mixer_kernel"], "model.mixers"),
        ("zzz", ["question"], None),
        ("x" * 100_000, ["question"], None),
        ("", [], None),
    ],
)
def test_the_closest_name_is_the_one_that_was_meant(name: str, known: list[str], meant: str | None) -> None:
    assert closest(name, known) == meant


def test_without_a_close_name_all_are_told() -> None:
    assert nearest("zzz", ["b", "a"]) == "known here: a, b."
    assert nearest("zzz", []) == "known here: nothing."


@given(st.text() | st.integers() | st.none() | st.booleans() | st.floats() | st.lists(st.text()))
def test_what_is_shown_is_short_and_on_one_line(value: object) -> None:
    for text in (readable(value), shown(value)):
        assert len(text) <= 80
        assert text.isprintable()


def test_values_are_shown_as_yaml_writes_them() -> None:
    assert [shown(value) for value in (None, True, False, 1, 0.5, "x", [1])] == [
        "nothing", "true", "false", "1", "0.5", "'x'", "[1]",
    ]  # fmt: skip
