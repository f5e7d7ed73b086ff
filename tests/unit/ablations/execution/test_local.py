"""Behaviour of the real executor only; tests/contract/test_executor.py has the tests for every executor."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from faults import cause
from training import until_ended

from ablations.costs import Workload
from ablations.errors import MeasureError
from ablations.execution import local
from ablations.execution.data import DataSource
from ablations.execution.local import LocalExecutor
from ablations.execution.train import run_trial
from ablations.execution.worker_process import WorkerProcess
from ablations.networks import RegisteredModel
from ablations.trial import EpochRecord, Order, TrialSpec

pytestmark = pytest.mark.slow


def test_a_worker_that_hangs_is_ended_and_the_next_trial_runs(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "HANG_SECONDS", 1.0)
    stopped = []

    def stop_once(spec: TrialSpec, record: EpochRecord) -> Order:
        if not stopped:
            (worker,) = multiprocessing.active_children()
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGSTOP)
            stopped.append(spec)
        return "go"

    monkeypatch.setattr(local, "SLOWEST_FLOPS", 1e5)  # a worker takes seconds to start
    executor.submit(tiny.trial(seed=0))
    result = until_ended(executor, stop_once).result
    assert result is not None
    assert (result.status, result.reason) == ("failed", "hung")
    assert re.match(r"the worker process sent nothing for \d+ s", result.message or "")
    executor.submit(tiny.trial(seed=1))
    monkeypatch.undo()
    result = until_ended(executor).result
    assert result is not None
    assert result.status == "finished"


def test_a_slow_epoch_is_no_hang(executor: LocalExecutor) -> None:
    spec = tiny.trial(data__name="fashion_mnist", data__resize=224, model__preset="nin_book", model__width=1.0)
    before = executor._patience_seconds(spec)
    assert before > 10 * local.HANG_SECONDS
    executor._longest_epoch_seconds["two"] = 600.0
    assert executor._patience_seconds(spec) == local.HANG_SECONDS + 20 * 600


def test_a_network_that_cannot_be_counted_fails_its_trial_and_not_the_run(executor: LocalExecutor) -> None:
    spec = tiny.trial()
    refusing = replace(spec, config=replace(spec.config, model=RegisteredModel("gone", "gone 1.0", ())))
    assert executor._patience_seconds(refusing) == local.HANG_SECONDS
    executor.submit(refusing)
    result = until_ended(executor).result
    assert result is not None
    assert (result.status, result.reason) == ("failed", "error")
    assert "preset: the plan has gone of gone 1.0, but no installed package registers it" in (result.message or "")


def test_a_worker_that_met_an_error_on_a_cuda_device_is_not_used_again(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny.trial()
    refusing = replace(spec, config=replace(spec.config, model=RegisteredModel("gone", "gone 1.0", ())))
    processes = set()
    for device in ("cpu", "cuda"):
        executor.submit(refusing)
        processes.update(multiprocessing.active_children())
        # Only what the driver takes it for: there is no such device here.
        monkeypatch.setattr(executor, "_device", device)
        result = until_ended(executor).result
        assert result is not None
        assert result.reason == "error"
    assert len(processes) == 1
    (worker,) = multiprocessing.active_children()
    assert worker not in processes


def test_what_a_recorded_trial_leaves_is_removed(executor: LocalExecutor, tmp_path: Path) -> None:
    spec = tiny.trial()
    (tmp_path / "checkpoints").mkdir()
    for suffix in ("pt", "part"):
        (tmp_path / "checkpoints" / f"{spec.id}.{suffix}").write_bytes(b"")
    executor.forget(spec)
    assert not list((tmp_path / "checkpoints").iterdir())


HUNGRY = {"model__normalization": "none", "model__width": 4.0, "train__batch_size": 128, "data__resize": 32}
"""A network whose batch takes most of its memory, and may be split."""


def test_a_batch_that_does_not_fit_is_trained_in_parts_to_the_same_end(
    executor: LocalExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny.trial(**HUNGRY)
    whole = tiny.finish(run_trial(spec, DataSource(tmp_path, "cpu"), None))
    assert whole is not None
    cause(monkeypatch, memory=Workload.of(spec.config, "cpu").memory.peak_training_bytes * 4 // 5)
    executor.submit(spec)
    result = until_ended(executor).result
    assert result is not None
    assert (result.status, result.reason, executor.num_workers) == ("failed", "out_of_memory", 1)
    executor.submit(replace(spec, accumulated_parts=4))
    split = until_ended(executor).result
    assert split is not None
    assert (split.status, split.accumulated_parts) == ("finished", 4)
    for one, other in zip(whole.epochs, split.epochs, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, rel=1e-4)


def test_memory_that_is_short_side_by_side_leaves_one_worker_fewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cause(monkeypatch, no_memory=["two 0"])
    told: list[str] = []
    executor = LocalExecutor(tiny.CPU, tmp_path / "data", tmp_path / "checkpoints", told.append)
    try:
        for seed in (0, 1):
            executor.submit(tiny.trial(seed=seed, train__epochs=50))
        ended = until_ended(executor)
        assert ended.result is not None
        assert (ended.spec.seed, ended.result.reason, executor.num_workers) == (0, "out_of_memory", 1)
        assert told == ["out of memory with 2 trials in parallel; the rest of this run trains one fewer at a time"]
        with pytest.raises(RuntimeError, match="all 1 workers are busy"):
            executor.submit(tiny.trial(seed=2))
        assert until_ended(executor).spec.seed == 1
        executor.submit(tiny.trial(seed=2))
        result = until_ended(executor).result
    finally:
        executor.close()
    assert result is not None
    assert result.status == "finished"


def test_a_measurement_is_given_up_when_asked(executor: LocalExecutor) -> None:
    asked = []
    with pytest.raises(MeasureError, match="the run was stopped"):
        executor.measure(Workload.of(tiny.trial().config, "cpu"), lambda: bool(asked.append(1)) or True)  # type: ignore[func-returns-value]
    assert len(asked) == 1


def test_a_probe_leaves_as_many_workers_as_paid_and_they_train(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    executor._say = said.append
    monkeypatch.setattr(local, "num_cores", lambda: 3)
    monkeypatch.setattr(local, "best_number", lambda rate_of, most: (2, most if rate_of(2) > 0 else 0))
    executor.probe(Workload.of(tiny.trial().config, "cpu"))
    assert executor.num_workers == 2
    assert said == ["2 trials in parallel on each device: 3.00 times the images per second of one"]
    for seed in (0, 1):
        executor.submit(tiny.trial(seed=seed))
    with pytest.raises(RuntimeError, match="all 2 workers are busy"):
        executor.submit(tiny.trial(seed=2))
    until_ended(executor)


def test_a_probe_that_does_not_fit_is_silent(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "num_cores", lambda: 2)
    rates: list[float | None] = []

    def one_then_two(rate_of: Callable[[int], float | None], most: int) -> tuple[int, float]:
        rates.append(rate_of(1))
        # The second worker, and only that one, has too little memory for any step.
        cause(monkeypatch, memory=0)
        rates.append(rate_of(2))
        return 1, 1.0

    monkeypatch.setattr(local, "best_number", one_then_two)
    executor.probe(Workload.of(tiny.trial(train__batch_size=128, data__resize=32).config, "cpu"))
    assert rates[0] is not None
    assert rates[1] is None
    assert "Traceback" not in capfd.readouterr().err


def test_what_does_not_fit_is_not_tried_with_more(executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def rate(workload: Workload, number: int) -> float | None:
        tried.append(number)
        return LocalExecutor._rate(executor, workload, number) if number == 2 else 1.0

    monkeypatch.setattr(local, "num_cores", lambda: 8)
    monkeypatch.setattr(executor, "_rate", rate)
    # A worker that dies says nothing of a rate: as the system ends one when memory is short.
    monkeypatch.setattr(WorkerProcess, "answer", lambda worker, timeout_seconds: None)
    executor.probe(Workload.of(tiny.trial().config, "cpu"))
    assert tried == [1, 2]
    assert executor.num_workers == 1
    monkeypatch.undo()
    executor.submit(tiny.trial())
    assert until_ended(executor).result.status == "finished"  # type: ignore[union-attr]
