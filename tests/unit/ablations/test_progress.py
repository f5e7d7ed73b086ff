"""How far a study is: marks, counts, accuracies, and a time left that is told once it is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import tiny
from looked import look_of

from ablations.planning.frozen import Finding, Look
from ablations.planning.plan import Plan
from ablations.progress import Progress
from ablations.terminal.grid import look_now
from ablations.trial import TrialSpec


def trials(plan: Plan) -> list[TrialSpec]:
    """All of a plan, as if no two draws coincided."""
    return [
        plan.trial(cell.variant, cell.phase, cell.seed, {"train.lr": 0.01 + number / 1000}, cell.number)
        for number, cell in enumerate(plan.cells)
    ]


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


def progress(plan: Plan, clock: list[float] | None = None, num_workers: int = 2) -> Progress:
    return Progress(plan, num_workers, lambda: clock[0] if clock else 0.0)


def one_cost(seeds: int = 3) -> Plan:
    """Trainings of equal cost: two variants that differ in the recipe, nothing to tune."""
    return tiny.plan(search_space={}, seeds=seeds, variants={"two": {}, "one": {"set": {"train.momentum": 0.0}}})


def test_every_trial_has_a_mark_from_the_first() -> None:
    told = progress(tiny.plan())
    assert told.marks("two", "tune") == ("waiting",) * 3
    assert told.marks("one", "confirm") == ("waiting",) * 2
    assert (told.num_done, told.num_trials) == (0, 10)


def test_marks_follow_a_trial() -> None:
    plan = tiny.plan(search_space={})
    told = progress(plan)
    first, second = (plan.trial("two", "confirm", seed, {}) for seed in (0, 1))
    told.started(second, 3)
    assert told.marks("two", "confirm") == ("waiting", "running")
    told.left(second)
    assert told.marks("two", "confirm") == ("waiting", "paused")
    assert told.running == ()
    told.started(second, 3)
    told.ended(second, tiny.result(second))
    told.ended(first, tiny.result(first, status="failed"))
    assert told.marks("two", "confirm") == ("failed", "finished")
    assert told.marks("one", "confirm") == ("waiting", "waiting")
    assert told.num_done == 2


def test_re_runs_of_one_seed_have_a_place_each() -> None:
    plan = tiny.plan(tuning={"trials": 2, "rerun_best": 2, "rerun_seeds": 1})
    told = progress(plan)
    for lr in (0.02, 0.03):
        spec = plan.trial("two", "tune", 1, {"train.lr": lr}, 0)
        told.ended(spec, tiny.result(spec))
    assert told.marks("two", "tune") == ("waiting", "waiting", "finished", "finished")


def test_the_a_a_arm_stands_behind_the_baselines_seeds_and_out_of_its_mean() -> None:
    plan = tiny.plan(search_space={}, aa_arm=True)
    told = progress(plan)
    for seed, accuracy_percent in ((0, 60.0), (1, 70.0), (plan.aa_seeds[0], 10.0)):
        spec = plan.trial("two", "confirm", seed, {})
        told.ended(spec, tiny.result(spec, accuracy_percent))
    assert told.marks("two", "confirm") == ("finished", "finished", "finished", "waiting")
    assert told.accuracy_percent("two", "confirm") == 65.0


def test_draws_that_coincided_leave_no_trial_to_do_once_tuning_is_settled() -> None:
    plan = tiny.plan()
    told = progress(plan)
    spec = plan.trial("two", "tune", 0, {"train.lr": 0.03}, 0)
    told.ended(spec, tiny.result(spec))
    told.settled()
    assert told.marks("two", "tune") == ("finished",)
    assert told.num_trials == 1 + 4


def test_a_trial_that_the_plan_does_not_hold_is_not_counted() -> None:
    plan = tiny.plan(search_space={})
    told = progress(plan)
    spec = plan.trial("two", "confirm", 7, {})
    told.found(spec, tiny.result(spec))
    assert told.num_done == 0


def test_the_accuracy_is_the_best_of_a_search_and_the_mean_of_a_confirmation() -> None:
    plan = tiny.plan()
    told = progress(plan)
    for phase in ("tune", "confirm"):
        assert told.accuracy_percent("two", phase) is None
        for seed, accuracy_percent in enumerate((60.0, 70.0)):
            spec = plan.trial("two", phase, seed, {"train.lr": 0.03})
            told.ended(spec, tiny.result(spec, accuracy_percent))
        diverged = plan.trial("two", phase, 0, {"train.lr": 0.2})
        told.ended(diverged, tiny.result(diverged, status="diverged"))
    assert told.accuracy_percent("two", "tune") == 70.0
    assert told.accuracy_percent("two", "confirm") == 65.0


def test_speeds_of_all_that_runs_add_up() -> None:
    plan = tiny.plan(search_space={})
    told = progress(plan)
    for seed in (0, 1):
        spec = plan.trial("two", "confirm", seed, {})
        told.started(spec, 3)
        told.epoch(spec, tiny.record(1, train_images_per_second=1000.0))
    assert told.train_images_per_second == 2000.0
    told.stopped()
    assert told.train_images_per_second == 0.0
    assert told.marks("two", "confirm") == ("paused", "paused")


# Time left


def test_it_is_told_once_each_worker_has_ended_two_trials(clock: list[float]) -> None:
    plan = one_cost()
    told = progress(plan, clock)
    lefts = []
    for number, spec in enumerate(trials(plan), start=1):
        told.started(spec, 3)
        clock[0] = 600.0 * number
        told.ended(spec, tiny.result(spec))
        lefts.append(told.seconds_left)
    assert lefts == [None, None, None, pytest.approx(1200), pytest.approx(600), None]


def test_trials_found_say_nothing_of_it(clock: list[float]) -> None:
    plan = one_cost(seeds=9)
    told = progress(plan, clock)
    for spec in trials(plan)[:10]:
        told.found(spec, tiny.result(spec))
    spec = trials(plan)[10]
    told.started(spec, 3)
    clock[0] = 60.0
    told.ended(spec, tiny.result(spec))
    assert told.seconds_left is None


def test_epochs_of_a_trial_under_way_count(clock: list[float]) -> None:
    plan = one_cost()
    told = progress(plan, clock, num_workers=1)
    for spec in trials(plan)[:2]:
        told.started(spec, 3)
        told.ended(spec, tiny.result(spec))
    spec = trials(plan)[2]
    told.started(spec, 4)
    told.epoch(spec, tiny.record(2))
    clock[0] = 250.0
    # Two trials and a half in 250 s; three and a half are left.
    assert told.seconds_left == pytest.approx(350.0)


def test_dearer_variants_take_longer(clock: list[float]) -> None:
    """The baseline's trials are done; what is left costs ten times the MACs."""
    plan = tiny.plan(search_space={}, seeds=4, variants={"two": {}, "wide": {"set": {"model.width": 1.0}}})
    told = progress(plan, clock)
    cheap = [spec for spec in trials(plan) if spec.variant == "two"]
    told.started(cheap[0], 3)
    clock[0] = 600.0
    for spec in cheap:
        told.ended(spec, tiny.result(spec))
    assert told.seconds_left is not None
    assert told.seconds_left > 2400


# Looks


def with_looks() -> Plan:
    variants = {"two": {}, "one": {"set": {"model.mixers": 1}}, "none": {"set": {"model.mixers": 0}}}
    return tiny.plan(variants=variants, looks=[5, 8, 12], search_space={})


def test_only_the_trials_of_the_first_look_are_needed_at_first() -> None:
    progress = Progress(with_looks(), 2)
    assert progress.num_trials == 15
    progress.needs({"two": 8, "one": 8, "none": 5})
    assert progress.num_trials == 21
    assert progress.num_seeds("none") == 5


def test_a_trial_keeps_its_mark_when_more_are_needed() -> None:
    plan = with_looks()
    progress = Progress(plan, 2)
    spec = plan.trial("one", "confirm", 4, {})
    progress.found(spec, tiny.result(spec))
    progress.needs({"two": 8, "one": 8, "none": 5})
    assert progress.marks("one", "confirm") == (*["waiting"] * 4, "finished", *["waiting"] * 3)


def test_recorded_looks_say_what_is_needed_and_closed() -> None:
    plan = with_looks()
    found = (Finding("one", "worse", 5, -3.0, 0.5, "word"), Finding("none", "undecided", 5, 0.1, 0.5, None))
    look = Look(plan.seeds[:5], 0.02, 5.0, plan.contrasts(), found)
    other = replace(look, seeds=(50, 51, 52, 53, 54))
    progress = Progress(plan, 2)
    progress.recall([other, look], {})
    assert {name: progress.num_seeds(name) for name in ("two", "one", "none")} == {"two": 8, "one": 5, "none": 8}
    assert progress.words == {"one": "worse"}
    assert look_now(progress) == "look 2 of 3"
    # A run without futility went on.
    progress.recall([look], {"one": 7})
    assert progress.num_seeds("one") == 7


@pytest.mark.parametrize("change", [{"decision": {"margin": 4.0}}, {"tuning": {"trials": 2, "seed": 7}}])
def test_looks_under_other_rules_are_not_recalled(change: dict[str, Any]) -> None:
    plan = tiny.plan(looks=[5, 8])
    found = (Finding("one", "exploratory", 5, 0.1, 0.2, "not planned"),)
    progress = Progress(tiny.plan(looks=[5, 8], **change), 2)
    progress.recall([replace(look_of(plan), contrasts=plan.contrasts(), findings=found)], {})
    assert progress.words == {}
    assert {name: progress.num_seeds(name) for name in ("two", "one")} == {"two": 5, "one": 5}
