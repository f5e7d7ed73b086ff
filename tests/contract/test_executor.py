"""What the runner relies on of an executor: the real one, and the stand-in of the runner's tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from fakes import InProcessExecutor
from training import OnEpoch, go

from ablations.costs import Workload
from ablations.execution.data import DataSource
from ablations.execution.local import LocalExecutor
from ablations.execution.train import run_trial
from ablations.ports import Executor
from ablations.trial import Ended, EpochRecord, TrialSpec


@pytest.fixture(scope="module", params=["local", "cluster", "in_process"])
def executor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """Two workers, started once: their start is most of what these tests take."""
    folder = tmp_path_factory.mktemp("executor")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    source = DataSource(folder, "cpu")
    executor: Executor
    match request.param:
        case "local":
            executor = LocalExecutor(tiny.CPU, folder / "data", folder / "checkpoints")
        case "cluster":
            nodes = request.getfixturevalue("two_nodes")
            from ablations.execution.cluster import connect
            from ablations.execution.cluster_executor import ClusterExecutor

            (folder / "checkpoints").mkdir()
            executor = ClusterExecutor(connect(nodes.address), folder / "data", folder / "checkpoints")
        case _:
            executor = InProcessExecutor(lambda spec: run_trial(spec, source, folder / f"{spec.id}.pt"), num_workers=2)
    yield executor
    executor.close()
    torch.set_num_threads(threads)


def drain(executor: Executor, count: int, answer: OnEpoch = go) -> dict[str, Ended]:
    ended: dict[str, Ended] = {}
    deadline = time.monotonic() + 300
    while len(ended) < count and time.monotonic() < deadline:
        ended.update({each.spec.id: each for each in executor.wait(answer, 0.5)})
    return ended


def outcome(executor: Executor, spec: TrialSpec, answer: OnEpoch = go) -> Any:
    executor.submit(spec)
    return drain(executor, 1, answer)[spec.id].result


def test_every_epoch_is_told_before_the_result_that_holds_them_all(executor: Executor) -> None:
    told: list[EpochRecord] = []
    spec = tiny.trial()
    result = outcome(executor, spec, lambda spec, record: told.append(record) or "go")  # type: ignore[func-returns-value]
    assert [record.epoch for record in told] == [1, 2, 3]
    assert (result.trial_id, result.status, result.epochs) == (spec.id, "finished", tuple(told))


def test_a_trial_is_the_same_in_whichever_process(executor: Executor, tmp_path: Path) -> None:
    spec = tiny.trial(model__dropout=0.5)
    here = tiny.finish(run_trial(spec, DataSource(tmp_path, "cpu"), None))
    assert tiny.timeless(outcome(executor, spec)) == tiny.timeless(here)


def test_trials_run_side_by_side_and_no_more_than_there_are_workers(executor: Executor) -> None:
    first, second, third = (tiny.trial(seed=seed) for seed in range(3))
    executor.submit(first)
    executor.submit(second)
    with pytest.raises(RuntimeError, match="busy"):
        executor.submit(third)
    order: list[str] = []
    ended = drain(executor, 2, lambda spec, record: order.append(spec.id) or "go")  # type: ignore[func-returns-value]
    assert set(ended) == {first.id, second.id}
    assert set(order) == {first.id, second.id}
    assert outcome(executor, third).status == "finished"


def test_a_paused_trial_goes_on_as_if_it_had_not_been(executor: Executor) -> None:
    spec = tiny.trial(model__dropout=0.5)
    whole = outcome(executor, spec)
    assert outcome(executor, spec, lambda spec, record: "pause") is None
    assert tiny.timeless(outcome(executor, spec)) == tiny.timeless(whole)


def test_a_pruned_trial_ends_at_once(executor: Executor) -> None:
    spec = tiny.trial(phase="tune")
    result = outcome(executor, spec, lambda spec, record: "prune" if record.epoch == 2 else "go")
    assert (result.status, len(result.epochs)) == ("pruned", 2)


def test_a_diverged_trial_is_a_result(executor: Executor) -> None:
    result = outcome(executor, tiny.trial(train__lr=1e30, model__normalization="none"))
    assert (result.status, result.test_accuracy_percent) == ("diverged", None)


def test_an_exception_fails_its_trial_and_the_next_one_runs(executor: Executor) -> None:
    plan = tiny.plan()
    # A tuned value that its network cannot have; planning would have refused it.
    broken = plan.trial("two", "confirm", 0, {"model.channels": (1 << 40, 8, 8)})
    result = outcome(executor, broken)
    assert result.status == "failed"
    # How far it gets depends on what the network library asks the system for first.
    assert result.reason in {"error", "out_of_memory"}
    assert "Error: " in result.message
    assert outcome(executor, tiny.trial()).status == "finished"


def test_a_trial_that_a_worker_trains_is_not_taken_back(executor: Executor) -> None:
    spec = tiny.trial()
    executor.submit(spec)
    told: list[EpochRecord] = []
    while not told:
        assert executor.wait(lambda spec, record: told.append(record) or "go", 0.5) == []  # type: ignore[func-returns-value]
    assert executor.recall() == []
    assert drain(executor, 1).keys() == {spec.id}


def test_waiting_ends_after_its_timeout(executor: Executor) -> None:
    assert executor.wait(go, 0.05) == []


def test_an_architecture_is_measured_between_trials_only(executor: Executor) -> None:
    workload = Workload.of(tiny.trial().config, "cpu")
    assert executor.measure(workload).peak_training_bytes > 0
    executor.submit(tiny.trial())
    with pytest.raises(RuntimeError, match="under way"):
        executor.measure(workload)
    drain(executor, 1)
    assert executor.measure(workload).train_images_per_second > 0
