"""Trials that fail: retries, lack of memory, giving up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import tiny
from fakes import Bench, NoDisplay

from ablations.runner import Outcome
from ablations.trial import EpochRecord, TrialResult, TrialSpec


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Retries


def test_a_search_waits_for_a_trial_that_failed_twice_and_so_chooses_once(bench: Bench) -> None:
    plan = tiny.plan(seeds=1, variants={"two": {}})
    bench.training.accuracy = lambda spec: 100 * spec.hyperparameters["train.lr"]
    undisturbed = bench.run(plan)
    wanted, winner = set(bench.store.results), bench.training.started[-1].hyperparameters
    (best,) = [s for s in bench.training.started if s.phase == "tune" and s.hyperparameters == winner and s.seed == 0]
    bench.store.results.clear()
    failed: list[TrialSpec] = []

    def crashing(spec: TrialSpec) -> bool:
        failed.extend([spec] * (spec.id == best.id))
        return spec.id == best.id and len(failed) < 3

    bench.training.crashing = crashing
    assert bench.run(plan) == undisturbed
    assert len(failed) == 3
    assert set(bench.store.results) == wanted


def test_a_trial_that_fails_is_tried_again_alone_and_after_the_others(bench: Bench) -> None:
    plan = tiny.plan(search_space={}, seeds=3)
    failed: list[TrialSpec] = []
    alone: list[int] = []

    def crashing(spec: TrialSpec) -> bool:
        if (spec.variant, spec.seed) != ("two", 0):
            return False
        failed.append(spec)
        if len(failed) > 1:
            assert bench.executor is not None
            alone.append(len(bench.executor._under_way))
        return len(failed) == 1

    bench.training.crashing = crashing
    outcome = bench.run(plan)
    assert outcome == Outcome("complete", 6, 0)
    assert bench.confirmed()[-1] == (0, "two")
    assert alone == [1]


def test_a_trial_that_fails_three_times_is_given_up_until_it_is_asked_for(bench: Bench) -> None:
    plan = tiny.plan(search_space={}, seeds=3)
    failing: Callable[[TrialSpec], bool] = lambda spec: (spec.variant, spec.seed) == ("two", 0)  # noqa: E731
    bench.training.crashing = failing
    said = "two, confirm, seed 0: error after 3 attempts: RuntimeError: out of luck"
    assert bench.run(plan) == Outcome("complete", 6, 0, given_up=(said,))
    assert bench.confirmed().count((0, "two")) == 3
    forgotten: list[TrialSpec] = []
    bench.forget = forgotten.append
    assert bench.run(plan) == Outcome("complete", 0, 6, given_up=(said,))
    assert bench.trained == []
    # What it could go on from is kept for the day that it is tried again.
    assert len(forgotten) == 5
    assert not any(map(failing, forgotten))
    # As often again, and counted anew.
    assert bench.run(plan, retry=True) == Outcome("complete", 1, 5, given_up=(said,))
    assert bench.confirmed() == [(0, "two")] * 3
    bench.training.crashing = lambda spec: False
    assert bench.run(plan, retry=True) == Outcome("complete", 1, 5)


def test_every_failed_attempt_is_counted_even_where_the_run_is_killed_before_the_next(bench: Bench) -> None:
    plan = tiny.plan(search_space={}, seeds=1)
    bench.training.crashing = lambda spec: spec.variant == "two"
    for num_attempts in (1, 2):
        display = NoDisplay()
        display.retrying = lambda spec, result: 1 / 0  # type: ignore[method-assign, return-value]
        with pytest.raises(ZeroDivisionError):
            bench.run(plan, num_workers=1, display=display)
        assert [r.num_attempts for r in bench.store.results.values() if r.status == "failed"] == [num_attempts]
    assert len(bench.run(plan).given_up) == 1
    assert bench.confirmed() == [(0, "two")]


def test_a_trial_that_failed_in_a_run_before_is_tried_again_alone_and_after_the_others(bench: Bench) -> None:
    plan = tiny.plan(search_space={}, seeds=3)
    spec = plan.trial("two", "confirm", 0, {})
    bench.store.results[spec.id] = tiny.result(spec, status="failed")
    bench.run(plan)
    assert (bench.confirmed()[-1], bench.store.results[spec.id].num_attempts) == ((0, "two"), 2)


def test_interruptions_are_no_attempts(bench: Bench) -> None:
    plan = tiny.plan(search_space={}, seeds=1)
    for _ in range(4):
        bench.run(plan, interrupted=lambda: len(bench.trained) > 0)
    bench.training.crashing = lambda spec: True
    assert len(bench.run(plan).given_up) == 2
    assert {result.num_attempts for result in bench.store.results.values()} == {3}


# Memory

UNNORMALIZED = {"search_space": {}, "seeds": 2, "base": tiny.base(model__normalization="none")}


def test_a_batch_that_does_not_fit_alone_is_split_until_it_does(bench: Bench) -> None:
    plan = tiny.plan(**UNNORMALIZED)
    bench.training.hungry = lambda spec: (spec.variant, spec.seed) == ("two", 0) and spec.accumulated_parts < 4
    retried: list[tuple[int, str]] = []
    display = NoDisplay()
    display.retrying = lambda spec, result: retried.append((spec.accumulated_parts, result.outcome))  # type: ignore[method-assign]
    assert bench.run(plan, display=display) == Outcome("complete", 4, 0)
    assert retried == [(1, "out of memory"), (2, "out of memory"), (4, "out of memory")]
    assert [spec.accumulated_parts for spec in bench.training.started if (spec.variant, spec.seed) == ("two", 0)] == [
        1,
        1,
        2,
        4,
    ]
    assert bench.run(plan) == Outcome("complete", 0, 4)


def test_a_batch_that_fits_in_no_eight_parts_is_given_up(bench: Bench) -> None:
    plan = tiny.plan(**UNNORMALIZED)
    bench.training.hungry = lambda spec: spec.variant == "two"
    outcome = bench.run(plan)
    assert [spec.accumulated_parts for spec in bench.training.started if (spec.variant, spec.seed) == ("two", 0)] == [
        1,
        1,
        2,
        4,
        8,
    ]
    assert len(outcome.given_up) == 2
    assert {r.accumulated_parts for r in bench.store.results.values() if r.status == "failed"} == {8}
    assert bench.run(plan).num_trained == 0


def test_a_run_that_is_killed_while_a_batch_is_in_parts_is_gone_on_with_in_more(bench: Bench) -> None:
    plan = tiny.plan(**UNNORMALIZED, variants={"two": {}})
    bench.training.hungry = lambda spec: spec.seed == 0 and spec.accumulated_parts < 8
    display = NoDisplay()
    display.retrying = lambda spec, result: 1 / (4 - spec.accumulated_parts)  # type: ignore[assignment, method-assign, return-value]
    with pytest.raises(ZeroDivisionError):
        bench.run(plan, display=display)
    assert bench.run(plan).given_up == ()
    assert [spec.accumulated_parts for spec in bench.training.started] == [4, 8]


def test_a_batch_is_split_where_whole_ones_have_failed_too_often_in_runs_before(bench: Bench) -> None:
    plan = tiny.plan(**UNNORMALIZED, variants={"two": {}})
    specs = [plan.trial("two", "confirm", seed, {}) for seed in (0, 1)]
    for spec in specs:
        failed = tiny.result(spec, status="failed")
        bench.store.results[spec.id] = replace(failed, reason="out_of_memory", num_attempts=2)
    bench.training.hungry = lambda spec: spec.accumulated_parts < 2
    assert bench.run(plan) == Outcome("complete", 2, 0)
    assert [spec.accumulated_parts for spec in bench.training.started] == [2, 2]


def test_a_batch_of_few_images_has_no_more_parts_than_images(bench: Bench) -> None:
    plan = tiny.plan(search_space={}, seeds=1, base=tiny.base(model__normalization="none", train__batch_size=3))
    bench.training.hungry = lambda spec: True
    bench.run(plan)
    assert max(spec.accumulated_parts for spec in bench.training.started) == 2


def test_with_batch_statistics_a_batch_stays_whole(bench: Bench) -> None:
    plan = tiny.plan(search_space={}, seeds=1)
    bench.training.hungry = lambda spec: spec.variant == "two"
    assert len(bench.run(plan).given_up) == 1
    assert len(bench.confirmed()) == 1 + 3
    assert {spec.accumulated_parts for spec in bench.training.started} == {1}


def test_other_failures_split_no_batch(bench: Bench) -> None:
    plan = tiny.plan(**UNNORMALIZED)
    bench.training.crashing = lambda spec: spec.variant == "two"
    bench.run(plan)
    assert {spec.accumulated_parts for spec in bench.training.started} == {1}


def test_what_a_trial_could_go_on_from_is_kept_until_it_is_recorded(bench: Bench) -> None:
    plan = tiny.plan(search_space={}, seeds=1)
    order: list[str] = []
    bench.store.end = lambda spec, result: order.append(f"recorded {spec.id}")  # type: ignore[method-assign]
    bench.forget = lambda spec: order.append(f"forgotten {spec.id}")
    bench.run(plan)
    ids = [spec.id for spec in bench.training.started]
    assert order == [f"{what} {trial_id}" for trial_id in ids for what in ("recorded", "forgotten")]


def test_a_variant_that_cannot_be_tuned_is_confirmed_at_the_bases_values(bench: Bench) -> None:
    bench.training.crashing = lambda spec: spec.phase == "tune" and spec.variant == "one"
    outcome = bench.run(tiny.plan())
    assert len(outcome.given_up) == 2
    confirmed = [spec for spec in bench.training.started if (spec.phase, spec.variant) == ("confirm", "one")]
    assert [spec.config.train.lr for spec in confirmed] == [tiny.STUDY["base"]["train"]["lr"]] * 2


def test_a_diverged_trial_is_an_outcome_and_not_run_again(bench: Bench) -> None:
    diverged: Callable[[TrialSpec], TrialResult] = lambda spec: tiny.result(spec, status="diverged")  # noqa: E731
    plan = tiny.plan(search_space={})
    for cell in plan.cells[:2]:
        spec = plan.trial(cell.variant, cell.phase, cell.seed, {})
        bench.store.results[spec.id] = diverged(spec)
    assert bench.run(plan) == Outcome("complete", 2, 2, ())


def test_an_error_of_the_store_stops_the_run(bench: Bench) -> None:
    def full(spec: TrialSpec, record: EpochRecord) -> None:
        raise OSError("no space left on device")

    bench.store.epoch = full  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no space left"):
        bench.run(tiny.plan())
