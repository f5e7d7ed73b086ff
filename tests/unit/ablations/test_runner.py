from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import fakes
import pytest
import tiny
from fakes import Bench, InProcessExecutor, NoDisplay

from ablations import runner as runner_module
from ablations.costs import Measurement, Workload
from ablations.errors import MeasureError
from ablations.runner import Outcome
from ablations.trial import Ended, TrialSpec
from ablations.tuning import VariantTuner

THREE = {"two": {}, "one": {"set": {"model.mixers": 1}}, "none": {"set": {"model.mixers": 0}}}


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Order


@pytest.mark.parametrize("num_workers", [1, 2, 16])
def test_tuning_comes_first_then_confirmation_seed_by_seed(num_workers: int, bench: Bench) -> None:
    plan = tiny.plan(variants=THREE, seeds=3)
    outcome = bench.run(plan, num_workers=num_workers)
    assert outcome == Outcome("complete", len(plan.cells), 0, ())
    assert bench.trained == [(cell.phase, cell.variant, cell.seed) for cell in plan.cells]
    assert bench.confirmed() == [(seed, name) for seed in range(3) for name in ("two", "one", "none")]
    assert bench.executor is not None
    assert bench.executor.most_under_way <= num_workers


def test_without_a_search_space_there_is_only_confirmation(bench: Bench) -> None:
    assert bench.run(tiny.plan(search_space={})).num_trained == 4
    assert [phase for phase, _, _ in bench.trained] == ["confirm"] * 4


def test_every_variant_is_confirmed_at_its_own_best_values(bench: Bench) -> None:
    bench.training.accuracy = lambda spec: (
        spec.hyperparameters["train.lr"] * (100 if spec.variant == "two" else -100) + 50
    )
    plan = tiny.plan(tuning={"trials": 5, "rerun_best": 2, "rerun_seeds": 1})
    bench.run(plan)
    tried = {name: set[float]() for name in ("two", "one")}
    chosen = {name: set[float]() for name in ("two", "one")}
    for spec in bench.training.started:
        (tried if spec.phase == "tune" else chosen)[spec.variant].add(spec.hyperparameters["train.lr"])
    assert chosen["two"] == {max(tried["two"])}
    assert chosen["one"] == {min(tried["one"])}


def test_a_variant_is_confirmed_at_the_bases_value_of_a_key_that_its_best_values_switch_off(bench: Bench) -> None:
    wanted = {"two": "sgd", "one": "adamw"}
    bench.training.accuracy = lambda spec: (
        50 + 10 * (spec.config.train.optimizer == wanted[spec.variant]) - spec.config.train.momentum
    )
    plan = tiny.plan(search_space=tiny.CONDITIONAL, tuning={"trials": 9, "rerun_best": 2, "rerun_seeds": 1})
    outcome = bench.run(plan)
    assert outcome.state == "complete"
    momenta = {spec.hyperparameters.get("train.momentum") for spec in bench.training.started if spec.phase == "tune"}
    confirmed = {spec.variant: spec for spec in bench.training.started if spec.phase == "confirm"}
    two, one = confirmed["two"], confirmed["one"]
    assert set(two.hyperparameters) == {"train.momentum", "train.optimizer", "train.lr"}
    assert two.config.train.momentum == two.hyperparameters["train.momentum"] == min(momenta - {None})
    assert set(one.hyperparameters) == {"train.optimizer", "train.lr"}
    assert (one.config.train.optimizer, one.config.train.momentum) == ("adamw", 0.9)
    assert bench.run(plan) == Outcome("complete", 0, outcome.num_trained, ())


def test_records_are_stored_in_order_between_start_and_end(bench: Bench) -> None:
    bench.run(tiny.plan(seeds=1))
    for spec in bench.training.started:
        events = [event for event, trial_id in bench.store.log if trial_id == spec.id]
        assert events == ["start", "epoch 1", "epoch 2", "epoch 3", "end"]


def test_the_display_hears_of_every_trial(bench: Bench) -> None:
    heard: list[tuple[str, str]] = []

    class Display(NoDisplay):
        def __getattribute__(self, name: str) -> Callable[..., None]:
            if name in {"measuring", "needs"}:
                return lambda *values: None
            return lambda spec, *rest: heard.append((name, spec.id))

    plan = tiny.plan()
    bench.run(plan, display=Display())
    assert [name for name, _ in heard].count("ended") == len(plan.cells)
    heard.clear()
    bench.run(plan, display=Display())
    assert {name for name, _ in heard} == {"found"}
    assert len(heard) == len(plan.cells)


# Running again


def test_a_second_run_trains_nothing(bench: Bench) -> None:
    plan = tiny.plan(variants=THREE)
    first = bench.run(plan)
    assert bench.run(plan) == Outcome("complete", 0, first.num_trained, ())
    assert bench.trained == []


def test_a_new_variant_trains_alone(bench: Bench) -> None:
    bench.run(tiny.plan())
    outcome = bench.run(tiny.plan(variants=THREE))
    assert {variant for _, variant, _ in bench.trained} == {"none"}
    assert outcome.num_trained == len(tiny.plan().cells) // 2


def test_new_seeds_train_alone(bench: Bench) -> None:
    bench.run(tiny.plan(seeds=2))
    bench.run(tiny.plan(seeds=4))
    assert bench.trained == [("confirm", name, seed) for seed in (2, 3) for name in ("two", "one")]


def test_a_changed_variant_trains_alone(bench: Bench) -> None:
    bench.run(tiny.plan())
    bench.run(tiny.plan(variants={"two": {}, "one": {"set": {"model.mixers": 1, "model.dropout": 0.5}}}))
    assert {variant for _, variant, _ in bench.trained} == {"one"}


def test_a_renamed_variant_trains_nothing(bench: Bench) -> None:
    bench.run(tiny.plan())
    assert bench.run(tiny.plan(variants={"two": {}, "single": {"set": {"model.mixers": 1}}})).num_trained == 0


# Stopping and going on


def test_a_budget_of_nothing_trains_nothing_and_says_so(bench: Bench) -> None:
    assert bench.run(tiny.plan(), deadline=0.0) == Outcome("budget", 0, 0)
    assert bench.trained == []


class Clock:
    """Stands in for `time`: a second a look."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("deadline", [4.0, 9.0, 17.0, 25.0])
def test_a_budget_pauses_between_epochs_and_the_next_run_goes_on(
    deadline: float, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tiny.plan()
    monkeypatch.setattr(runner_module, "time", Clock())
    first = bench.run(plan, deadline=deadline)
    assert first.state == "budget"
    epochs = bench.training.num_epochs
    assert 0 < epochs < 3 * len(plan.cells)
    second = bench.run(plan)
    assert second == Outcome("complete", len(plan.cells) - first.num_trained, first.num_trained, ())
    assert epochs + bench.training.num_epochs == 3 * len(plan.cells)  # no epoch is trained twice


def test_going_on_after_each_epoch_comes_to_the_same_results(bench: Bench) -> None:
    plan = tiny.plan(tuning={"trials": 6, "rerun_best": 1, "rerun_seeds": 1, "pruner": "median"})
    uneven: Callable[[TrialSpec], float] = lambda spec: 40 + 100 * spec.hyperparameters["train.lr"]  # noqa: E731
    whole = Bench()
    whole.training.accuracy = bench.training.accuracy = uneven
    assert whole.run(plan).state == "complete"
    assert any(result.status == "pruned" for result in whole.store.results.values())
    for _ in range(200):
        looks = iter([False] * 9)
        if bench.run(plan, interrupted=lambda: next(looks, True)).state == "complete":  # noqa: B023
            break
    assert bench.store.results == whole.store.results


def test_a_trial_under_way_pauses_after_its_epoch_and_no_other_starts(bench: Bench) -> None:
    looks = iter([False])  # the first trial may start
    outcome = bench.run(tiny.plan(), num_workers=1, interrupted=lambda: next(looks, True))
    assert outcome == Outcome("interrupted", 0, 0)
    assert (len(bench.trained), bench.training.num_epochs) == (1, 1)
    assert [event for event, _ in bench.store.log] == ["start", "epoch 1", "end"]


def test_a_trial_that_no_worker_trains_stops_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nowhere(InProcessExecutor):
        """A cluster whose last node is lost."""

        num_waits = 0

        def wait(self, *given: Any) -> list[Ended]:
            self.num_waits += 1
            assert self.num_waits < 10_000, "the run waits for ever"
            time.sleep(0.001)
            return []

        def recall(self) -> list[Ended]:
            recalled = [Ended(spec, None) for spec, *_ in self._under_way.values()]
            self._under_way.clear()
            return recalled

    monkeypatch.setattr(fakes, "InProcessExecutor", Nowhere)
    looks = iter([False] * 8)
    assert bench.run(tiny.plan(), interrupted=lambda: next(looks, True)) == Outcome("interrupted", 0, 0)
    assert [event for event, _ in bench.store.log] == ["start", "start", "end", "end"]
    assert bench.run(tiny.plan(), deadline=time.monotonic() + 0.05) == Outcome("budget", 0, 0)


def test_an_interrupt_is_told_from_a_budget(bench: Bench) -> None:
    assert bench.run(tiny.plan(), interrupted=lambda: True).state == "interrupted"
    assert bench.run(tiny.plan()).state == "complete"


def test_a_deadline_that_passes_in_the_last_epoch_leaves_nothing_to_go_on_with(bench: Bench) -> None:
    plan = tiny.plan(search_space={}, seeds=1, variants={"two": {}})
    bench.run(plan)  # measures, which would be left otherwise
    bench.store.results.clear()
    outcome = bench.run(plan, interrupted=lambda: bench.training.num_epochs == 3)
    assert outcome == Outcome("complete", 1, 0)


def test_a_finished_study_is_complete_whatever_the_budget(bench: Bench) -> None:
    plan = tiny.plan()
    bench.run(plan)
    assert bench.run(plan, deadline=0.0) == Outcome("complete", 0, len(plan.cells))


def test_no_pair_is_broken_by_more_than_the_trials_under_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = tiny.plan(variants=THREE, seeds=5, search_space={})
    monkeypatch.setattr(runner_module, "time", Clock())
    assert bench.run(plan, deadline=30.0).state == "budget"
    seeds: dict[str, set[int]] = {name: set() for name in THREE}
    for spec in bench.training.started:
        if spec.id in bench.store.results:
            seeds[spec.variant].add(spec.seed)
    counts = [len(each) for each in seeds.values()]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) > 3


# Costs


def test_each_architecture_is_measured_once_and_after_the_last_trial(bench: Bench) -> None:
    plan = tiny.plan(variants={**THREE, "warm": {"set": {"train.warmup_epochs": 1.0}}})
    shown: list[tuple[int, int]] = []
    display = NoDisplay()
    display.measuring = lambda number, total: shown.append((number, total))  # type: ignore[method-assign]
    bench.run(plan, display=display)
    assert bench.executor is not None
    assert bench.executor.measured == [plan.workload(name) for name in THREE]
    assert set(bench.store.measurements) == {plan.workload(name).id for name in THREE}
    assert shown == [(1, 3), (2, 3), (3, 3)]
    assert bench.run(plan).num_trained == 0
    assert bench.executor.measured == []


def test_a_new_architecture_has_all_measured_again_side_by_side(bench: Bench) -> None:
    bench.run(tiny.plan())
    before = dict(bench.store.measurements)
    plan = tiny.plan(variants=THREE)
    bench.run(plan)
    assert bench.executor is not None
    assert len(bench.executor.measured) == 3
    assert set(bench.store.measurements) == {plan.workload(name).id for name in THREE} > set(before)


def test_a_run_out_of_time_measures_nothing(bench: Bench) -> None:
    assert bench.run(tiny.plan(), deadline=0.0).state == "budget"
    assert bench.executor is not None
    assert bench.executor.measured == []


def test_an_interrupt_while_measuring_is_heeded(bench: Bench) -> None:
    plan = tiny.plan()
    bench.run(plan)
    bench.store.measurements.clear()

    def interrupted() -> bool:
        return bench.executor is not None and len(bench.executor.measured) == 1

    outcome = bench.run(plan, interrupted=interrupted)
    assert (outcome.state, outcome.num_trained) == ("interrupted", 0)
    assert bench.store.measurements == {}
    assert bench.run(plan).state == "complete"
    assert len(bench.store.measurements) == 2


def test_an_interrupt_ends_a_measurement_under_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def measure(self: InProcessExecutor, workload: Workload, stopping: Callable[[], bool]) -> Measurement:
        seen.append(True)
        assert stopping()
        raise MeasureError("given up")

    monkeypatch.setattr(InProcessExecutor, "measure", measure)
    outcome = bench.run(tiny.plan(), interrupted=lambda: bool(seen))
    assert (outcome.state, outcome.unmeasured, len(seen)) == ("interrupted", (), 1)
    assert bench.store.measurements == {}


def test_what_cannot_be_measured_is_said_and_harms_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: InProcessExecutor, workload: Workload, stopping: Callable[[], bool]) -> Measurement:
        raise MeasureError("out of memory")

    monkeypatch.setattr(InProcessExecutor, "measure", refuse)
    outcome = bench.run(tiny.plan())
    assert (outcome.state, outcome.given_up) == ("complete", ())
    assert outcome.unmeasured == ("two: out of memory", "one: out of memory")


def test_the_tuned_network_is_measured(bench: Bench) -> None:
    space = {"train.batch_size": {"type": "int", "low": 8, "high": 64}}
    bench.training.accuracy = lambda spec: float(spec.config.train.batch_size)
    plan = tiny.plan(search_space=space, tuning={"trials": 4, "rerun_best": 1, "rerun_seeds": 0})
    bench.run(plan)
    assert bench.executor is not None
    best = max(spec.config.train.batch_size for spec in bench.training.started if spec.phase == "tune")
    assert best > 32
    assert {workload.batch_size for workload in bench.executor.measured} == {best}


def test_the_store_learns_which_trials_are_the_studys(bench: Bench) -> None:
    plan = tiny.plan(variants=THREE)
    bench.run(plan)
    assert bench.store.settled_ids == set(bench.store.results)


def test_trials_of_a_tuning_that_crashed_are_not_the_studys(bench: Bench) -> None:
    plan = tiny.plan(tuning={"trials": 3, "rerun_best": 1, "rerun_seeds": 1})
    rates = sorted({spec.hyperparameters["train.lr"] for spec in VariantTuner(plan, "two").ask()})
    # The rate that wins crashes in the first run, so that another one is confirmed.
    bench.training.accuracy = lambda spec: 50.0 + rates.index(spec.hyperparameters["train.lr"])
    bench.training.crashing = lambda spec: spec.hyperparameters["train.lr"] == rates[-1]
    bench.run(plan)
    bench.training.crashing = lambda spec: False
    bench.run(plan, retry=True)
    confirmed = [spec for spec in bench.training.started if spec.phase == "confirm"]
    assert {spec.hyperparameters["train.lr"] for spec in confirmed} == {rates[-1]}
    assert bench.store.settled_ids < set(bench.store.results)
    assert {spec.id for spec in confirmed} <= bench.store.settled_ids
    assert len(bench.store.settled_ids) == len(plan.cells)
