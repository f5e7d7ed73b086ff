"""`costs` and `summary`: counts, measurements and messages."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from builders import edited, planned
from commandline import Command

from nin.complexity import costs
from nin.images import Input
from nin.presets import PRESETS


def test_costs_json_maps_presets_to_counts(command: Command) -> None:
    code, out, err = command("costs", "--json")
    values = json.loads(out)
    assert (code, err, list(values)) == (0, "", list(PRESETS))
    book = values["nin_book"]
    assert (book["params"], book["macs"], book["flops"]) == (1_992_166, 762_297_352, 2 * 762_297_352)
    assert (book["batch_size"], book["measured"]) == (128, None)
    assert book["memory"]["gradient_bytes"] == 4 * book["params"]


def test_costs_json_maps_variants_to_counts(command: Command) -> None:
    values = json.loads(command("costs", "s.yaml", "--json")[1])
    plan = planned()
    assert {name: (each["params"], each["macs"], each["memory"]) for name, each in values.items()} == {
        v.name: (v.costs.params, v.costs.macs, asdict(plan.workload(v.name).memory)) for v in plan.variants
    }
    assert {each["batch_size"] for each in values.values()} == {32}


@pytest.mark.slow
def test_costs_are_measured_when_asked(command: Command) -> None:
    code, out, err = command("costs", "s.yaml", "--measure", "--json")
    assert (code, err.splitlines()) == (0, [f"measuring architecture {number} of 3" for number in (1, 2, 3)])
    for values in json.loads(out).values():
        assert values["measured"]["saved_bytes"] == _saved_bytes(values["memory"])
        assert values["measured"]["train_images_per_second"] > 0


def _saved_bytes(memory: dict[str, int]) -> int:
    return memory["saved_activation_bytes"] + memory["saved_cast_bytes"]


def test_presets_memory_is_of_the_batch_asked_for(command: Command) -> None:
    one, two = (json.loads(command("costs", "lenet", "--batch-size", size, "--json")[1])["lenet"] for size in "12")
    assert 2 * one["memory"]["saved_activation_bytes"] == two["memory"]["saved_activation_bytes"]
    assert one["params"] == two["params"]


def test_costs_of_several_studies_are_all_there(command: Command) -> None:
    Path("other.yaml").write_text(edited(("study: tiny", "study: other")))
    values = json.loads(command("costs", "s.yaml", "other.yaml", "lenet", "--json")[1])
    assert list(values) == ["tiny.two", "tiny.one", "tiny.wide", "other.two", "other.one", "other.wide", "lenet"]


def test_costs_are_a_table_for_people(command: Command) -> None:
    lines = command("costs", "nin_book", "lenet")[1].splitlines()
    assert lines[0].split()[:5] == ["network", "images", "params", "MACs", "FLOPs"]
    assert lines[1].split()[:5] == ["nin_book", "1x224x224", "1,992,166", "762,297,352", "1,524,594,704"]


def test_costs_are_for_the_images_that_are_asked_for(command: Command) -> None:
    values = json.loads(command("costs", "nin_small", "lenet", "--data", "cifar10", "--size", "24", "--json")[1])
    assert {(each["in_channels"], each["size"], each["num_classes"]) for each in values.values()} == {(3, 24, 10)}
    assert values["lenet"]["params"] == costs(PRESETS["lenet"], Input(in_channels=3, size=24, num_classes=10)).params
    code, out, err = command("costs", "lenet", "--data", "cifr10")
    assert (code, out, err) == (2, "", "error: --data: no data set 'cifr10'; did you mean 'cifar10'?\n")
    told = "error: --data and --size are for networks; the study tiny says what its images are\n"
    assert command("costs", "s.yaml", "--size", "20") == (2, "", told)


def test_summary_is_a_row_a_layer_and_their_sum(command: Command) -> None:
    code, out, err = command("summary", "nin_book")
    lines = [line.split() for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert lines[0] == ["nin_book,", "for", "1x224x224", "images", "and", "10", "classes"]
    assert lines[2] == ["block1.spatial", "Conv2d", "96x54x54", "11,712", "33,872,256", "1,119,744"]
    total = next(line for line in lines if line and line[0] == "all")
    assert total[1:3] == ["1,992,166", "762,297,352"]


def test_summary_json_has_the_layer_table(command: Command) -> None:
    rows = json.loads(command("summary", "lenet", "--size", "32", "--json")[1])
    assert (
        sum(row["params"] for row in rows)
        == costs(PRESETS["lenet"], Input(in_channels=1, size=32, num_classes=10)).params
    )
    assert rows[0]["out_shape"] == [6, 32, 32]


def test_a_network_that_cannot_be_at_a_size_names_the_layer(command: Command) -> None:
    assert command("summary", "nin_book", "--size", "28") == (
        2,
        "",
        "error: nin_book cannot be priced for 1x28x28 images and 10 classes: block2.pool needs an input of at least 3x3, it has "
        "2x2. Choose others with --data and --size.\n",
    )
    assert command("costs", "nin_book", "--size", "28") == command("summary", "nin_book", "--size", "28")
    code, _, err = command("summary", "nin_bok")
    assert (code, err) == (2, "error: no network 'nin_bok'; did you mean 'nin_book'?\n")


def test_a_misspelt_preset_names_the_nearest(command: Command) -> None:
    code, _, err = command("costs", "nin_bok")
    assert (code, err) == (2, "error: nin_bok: no such study file. Give a path or a name; did you mean 'nin_book'?\n")
