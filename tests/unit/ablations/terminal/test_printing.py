"""Plans, costs and layers as the commands print them."""

from __future__ import annotations

import io
import re

import pytest
import tiny
from builders import CONDITIONAL, CPU, edited, planned
from rich.console import Console

from ablations.costs import Workload
from ablations.planning.plan import Plan
from ablations.terminal.printing import headline, print_costs, print_layers, print_plan
from ablations.text import in_words, mebibytes
from nin.complexity import layer_table
from nin.presets import INPUTS, PRESETS


def console(width: int = 150) -> Console:
    return Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def shown(plan: Plan) -> str:
    to = console()
    print_plan(plan, CPU, "asked for", {}, to)
    return text(to)


def test_the_headline_says_what_why_and_what_it_costs() -> None:
    assert headline(planned(), CPU, "asked for") == (
        "tiny, profile starter (asked for): 3 variants, 9 tuning and 6 confirmation trainings of 3 epochs on 192 images, "
        "2 at a time on 2 CPU cores"
    )
    costly = planned(edited(("all of it}", "all of it, cost: a minute}")))
    assert headline(costly, CPU, "asked for").endswith("2 CPU cores; a minute")


def test_a_plan_has_a_row_a_variant() -> None:
    plan = planned()
    rows = {line.split()[0]: line for line in shown(plan).splitlines() if line.split()}
    for variant in plan.variants:
        assert f"{variant.costs.params:,}" in rows[variant.name]
        assert f"{variant.costs.macs:,}" in rows[variant.name]
    assert rows["two"].endswith("baseline")
    assert rows["one"].rstrip().endswith("worse")


def test_a_plan_says_what_is_tuned() -> None:
    space = "train.lr: {type: float, low: 0.01, high: 0.2, log: true}"
    assert "for each variant: train.lr 0.01 to 0.2 (log); 2 trials (qmc), the best 1 repeated on 1" in shown(planned())
    assert ", the best" not in shown(planned(edited(("rerun_seeds: 1", "rerun_seeds: 0"))))
    choices = edited((space, "train.init: {type: categorical, choices: [default, kaiming_normal]}"))
    assert "for each variant: train.init one of ['default', 'kaiming_normal'];" in shown(planned(choices))
    conditional = " ".join(shown(planned(CONDITIONAL)).split())
    assert (
        "train.optimizer one of ['sgd', 'adamw'], train.momentum 0 to 0.95 where train.optimizer is sgd, "
        in conditional
    )
    assert "train.nesterov one of [True, False] where train.optimizer is sgd; 2 trials" in conditional
    assert "for each variant" not in shown(planned(edited((f"search_space:\n  {space}\n", ""))))


def test_a_plan_says_how_it_decides_and_under_which_caveats() -> None:
    assert "confirmed on 2 seeds; decided at alpha 0.05, margin 5 percentage points, on 64 test images" in shown(
        planned()
    )
    assert "caveat: train.epochs is 1 (the study's base: 3)" in shown(planned(profile="short"))


def test_a_plan_says_which_runs_will_have_learned() -> None:
    told = " ".join(shown(planned()).split())
    assert "a run learned if it is right on at least 33.3 % of the validation images" in told
    assert "That guess gives 25 % if the classes are equally frequent, else more" in told


def test_a_plan_says_what_it_can_decide() -> None:
    told = shown(planned())
    assert "  2 seeds can carry no verdict: every contrast will be exploratory; a verdict takes 5\n" in told
    assert "  the sign-flip check cannot go below p = 0.5: too few seeds" in told
    alone = planned(
        edited(
            ("  one: {set: {model.mixers: 1}, expect: worse}\n", ""),
            (
                """  wide:
    set: {model.mixers: 0}
    match: {params: two, by: model.width, tolerance: 0.2}
""",
                "",
            ),
        )
    )
    assert "what this can decide" not in shown(alone)


def test_costs_are_counts_with_separators_and_memory_with_its_unit() -> None:
    to = console()
    workload = planned().workload("two")
    print_costs({"a": workload}, {}, to)
    titles, row, _, note = text(to).splitlines()
    assert re.split(r"  +", titles.strip())[4:] == ["FLOPs", "saved activations", "training peak", "prediction peak"]
    counts = [f"{each:,}" for each in (workload.costs.params, workload.costs.macs, 2 * workload.costs.macs)]
    assert row.split()[:5] == ["a", "1x16x16", *counts]
    assert mebibytes(workload.memory.peak_training_bytes) in row
    assert note.endswith("memory for batch 32, fp32, sgd, cpu")


def test_what_was_measured_stands_below_what_was_counted() -> None:
    to = console()
    plan = planned()
    rows = {"a": plan.workload("two"), "b": plan.workload("one")}
    print_costs(rows, {rows["a"].id: tiny.measurement()}, to)
    below = text(to).split("\n\n")[2]
    assert below.splitlines()[1].split()[-7:] == ["ms", "(70", "µs)", "11.6", "ms", "(800", "µs)"]
    assert "\nb" not in below
    assert "measured on an abacus, 1 thread, torch 2.0, with nothing else running" in text(to)


def test_a_measured_plan_says_how_long_it_takes() -> None:
    to = console()
    plan = planned()
    slow = tiny.measurement(train_images_per_second=10.0, latency_128_seconds=0.0)
    print_plan(plan, CPU, "asked for", {plan.workload(each.name).id: slow for each in plan.variants}, to)
    # 15 trainings of 3 epochs on 192 images at 10 a second, two at a time.
    assert "at these speeds, 2 at a time: about 7 min\n" in text(to)
    assert 15 * 3 * 192 / 10 / 2 == 432
    to = console()
    print_plan(plan, CPU, "asked for", {plan.workload("two").id: slow}, to)
    assert "at these speeds" not in text(to)


def test_predicting_counts_in_the_time() -> None:
    to = console()
    plan = planned()
    slow = tiny.measurement(train_images_per_second=1e9, latency_128_seconds=128.0)
    print_plan(plan, CPU, "asked for", {plan.workload(each.name).id: slow for each in plan.variants}, to)
    # A second an image: 15 x 3 x 64 of validation and 6 x 64 of the test, two at a time.
    assert f"about {in_words((15 * 3 * 64 + 6 * 64) / 2)}\n" in text(to)


@pytest.mark.parametrize("width", [40, 60, 80, 110])
def test_no_figure_is_cut_off_however_narrow_the_terminal(width: int) -> None:
    plan, to = planned(), console(width)
    workloads = {f"a_network_{number}": Workload.of(plan["two"].config, "cpu") for number in range(5)}
    print_costs(workloads, {next(iter(workloads.values())).id: tiny.measurement()}, to)
    print_layers("vgg11", INPUTS["vgg11"], layer_table(PRESETS["vgg11"], INPUTS["vgg11"]), to)
    print_plan(plan, CPU, "asked for", {}, to)
    said = text(to)
    whole = [f"{each:,}" for each in (plan["two"].costs.macs, 2 * plan["two"].costs.macs, 128_806_154, 7_547_232_256)]
    assert [each for each in whole if each not in said] == []
    assert "…" not in said


def test_what_does_not_fit_beside_another_stands_below_it() -> None:
    plan, to = planned(), console(60)
    print_costs({name: plan.workload(name) for name in ("two", "one", "wide")}, {}, to)
    first, second, _ = text(to).split("\n\n")
    assert [line.split()[-2:] for line in (first.splitlines()[0], second.splitlines()[0])] == [
        ["two", "one"],
        ["network", "wide"],
    ]
    assert len(first.splitlines()) == len(second.splitlines()) == 8


def test_a_network_keeps_its_name_in_one_piece() -> None:
    workload, to = planned().workload("two"), console(100)
    print_costs({"width_0_125_mixers_1": workload, "width_0_125_mixers_2": workload}, {}, to)
    assert text(to).splitlines()[0].split() == ["network", "width_0_125_mixers_1", "width_0_125_mixers_2"]
