"""What the runner relies on of a store: the real one, and the stand-in of the runner's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import tiny
from fakes import MemoryStore

from ablations.costs import Measurement
from ablations.planning.plan import Plan
from ablations.ports import TrialStore
from ablations.tracking.store import Store
from ablations.trial import TrialResult, TrialSpec

Open = Callable[[Plan], TrialStore]


@pytest.fixture(params=["mlflow", "memory"])
def open_store(request: pytest.FixtureRequest) -> Open:
    """Opens the store for a plan; a second call is another run of the study."""
    if request.param == "memory":
        results: dict[str, TrialResult] = {}
        measurements: dict[str, Measurement] = {}
        return lambda plan: MemoryStore(results, measurements)
    from waiting import Recorder

    uri = request.getfixturevalue("new_store")()
    return lambda plan: Recorder(Store(uri), plan, "the study's text")


def write(store: TrialStore, spec: TrialSpec, result: TrialResult | None, num_epochs: int = 3) -> None:
    store.start(spec)
    for epoch in range(1, num_epochs + 1):
        store.epoch(spec, tiny.record(epoch))
    store.end(spec, result)


def essence(result: TrialResult | None) -> Any:
    """What a claim promises: how it ended, and its last epoch but for the clock."""
    if result is None:
        return None
    last = result.last and replace(result.last, timestamp_ms=0)
    return (result.trial_id, result.status, last, result.test_accuracy_percent, result.message)


def test_a_store_knows_what_was_written_and_nothing_else(open_store: Open) -> None:
    plan = tiny.plan()
    done, other = (plan.trial("two", "confirm", seed, {"train.lr": 0.03}) for seed in (0, 1))
    store = open_store(plan)
    assert store.claim(done) is None
    write(store, done, tiny.result(done, 61.25))
    for each in (store, open_store(plan)):
        assert essence(each.claim(done)) == essence(tiny.result(done, 61.25))
        assert each.claim(other) is None


@pytest.mark.parametrize("status", ["diverged", "pruned"])
def test_however_a_trial_ended_its_end_is_known(status: str, open_store: Open) -> None:
    plan = tiny.plan()
    spec = plan.trial("two", "tune", 0, {}, 0)
    write(open_store(plan), spec, tiny.result(spec, status=status), num_epochs=0)
    result = open_store(plan).claim(spec)
    assert result is not None
    assert (result.status, result.epochs, result.message) == (status, (), f"made up to be {status}")


@pytest.mark.parametrize("is_same_run", [True, False])
def test_why_and_how_often_a_trial_failed_is_known_until_it_succeeds(is_same_run: bool, open_store: Open) -> None:
    plan = tiny.plan()
    spec = plan.trial("two", "confirm", 0, {})
    store = open_store(plan)
    for num_attempts, reason in enumerate(("crashed", "hung", "out_of_memory", "error"), start=1):
        failed = replace(tiny.result(spec, status="failed"), reason=reason, num_attempts=num_attempts)
        write(store, spec, failed, num_epochs=1)
        store = store if is_same_run else open_store(plan)
        result = store.claim(spec)
        assert result is not None
        assert (result.status, result.reason, result.num_attempts) == ("failed", reason, num_attempts)
        assert result.message == "made up to be failed"
    # One that is asked for again begins to count anew.
    write(store, spec, replace(tiny.result(spec), accumulated_parts=2))
    result = (store if is_same_run else open_store(plan)).claim(spec)
    assert result is not None
    assert (result.status, result.message, result.reason) == ("finished", None, None)
    assert (result.num_attempts, result.accumulated_parts) == (1, 2)


def test_a_paused_trial_has_no_result_yet(open_store: Open) -> None:
    plan = tiny.plan()
    spec = plan.trial("two", "confirm", 0, {})
    write(open_store(plan), spec, None, num_epochs=2)
    assert open_store(plan).claim(spec) is None


def test_a_trial_that_was_started_only_has_no_result(open_store: Open) -> None:
    plan = tiny.plan()
    spec = plan.trial("two", "confirm", 0, {})
    store = open_store(plan)
    store.start(spec)
    store.epoch(spec, tiny.record(1))
    assert store.claim(spec) is None
    assert open_store(plan).claim(spec) is None


def test_a_renamed_variant_has_the_trials_of_its_old_name(open_store: Open) -> None:
    before = tiny.plan()
    spec = before.trial("one", "confirm", 0, {})
    write(open_store(before), spec, tiny.result(spec, 70.0))
    after = tiny.plan(variants={"two": {}, "single": {"set": {"model.mixers": 1}}})
    same = after.trial("single", "confirm", 0, {})
    assert essence(open_store(after).claim(same)) == essence(tiny.result(spec, 70.0))


def test_a_pruner_gets_every_epoch_of_a_recorded_search_trial(open_store: Open) -> None:
    plan = tiny.plan(tuning={"trials": 2, "rerun_best": 1, "rerun_seeds": 1, "pruner": "median"})
    spec = plan.trial("two", "tune", 0, {"train.lr": 0.05}, 0)
    write(open_store(plan), spec, tiny.result(spec, 70.0))
    assert open_store(plan).claim(spec) == tiny.result(spec, 70.0)


def test_measurements_are_kept_and_replaced_together(open_store: Open) -> None:
    plan = tiny.plan()
    store = open_store(plan)
    assert store.measurements == {}
    store.measured({"a": tiny.measurement(), "b": tiny.measurement(saved_bytes=1)})
    for each in (store, open_store(plan)):
        assert each.measurements == {"a": tiny.measurement(), "b": tiny.measurement(saved_bytes=1)}
    store.measured({"c": tiny.measurement()})
    assert set(open_store(plan).measurements) == {"c"}
