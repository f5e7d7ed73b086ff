"""What only the cluster's executor does; what every executor does is in tests/contract/test_executor.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from training import go, until_ended

from ablations.errors import SetupError
from ablations.execution.folders import Folders
from ablations.trial import Ended, EpochRecord, Machine, Order, TrialSpec

cluster = pytest.importorskip("ablations.execution.cluster", reason="Ray is not installed: the extra 'cluster'")
cluster_actor = pytest.importorskip("ablations.execution.cluster_actor")
cluster_executor = pytest.importorskip("ablations.execution.cluster_executor")

pytestmark = pytest.mark.slow


@pytest.fixture
def told() -> list[str]:
    """What was said to people."""
    return []


@pytest.fixture
def executor(two_nodes: Any, tmp_path: Path, told: list[str]) -> Iterator[Any]:
    executor = cluster_executor.ClusterExecutor(
        cluster.connect(two_nodes.address), tmp_path / "data", tmp_path, told.append
    )
    yield executor
    executor.close()


def lose(executor: Any) -> None:
    """Kill the actor of the trial under way, as it is when its node is lost."""
    (place,) = (place for place in executor._places if place.spec is not None)
    cluster_executor.ray.kill(place.actor)


def lose_all(executor: Any) -> None:
    for place in executor._places:
        cluster_executor.ray.kill(place.actor)


def test_a_trial_whose_worker_is_lost_goes_on_from_its_checkpoint(
    executor: Any, tmp_path: Path, told: list[str]
) -> None:
    spec = tiny.trial(train__epochs=100_000)
    records: list[EpochRecord] = []
    lost_after = 0

    def answer(spec: TrialSpec, record: EpochRecord) -> Order:
        nonlocal lost_after
        records.append(record)
        if not lost_after and (tmp_path / f"{spec.id}.pt").exists():
            lost_after = record.epoch
            lose(executor)
        return "prune" if lost_after and record.epoch == lost_after + 2 else "go"

    executor.submit(spec)
    result = until_ended(executor, answer).result
    assert result is not None
    assert [record.epoch for record in records] == list(range(1, lost_after + 3))  # none is told twice
    assert (result.status, len(result.epochs)) == ("pruned", lost_after + 2)
    assert result.epochs[0] == records[0]  # with its time: it was not trained again
    assert len(told) == 1
    assert told[0].startswith("two, seed 0 lost its worker and continues with another one")


def test_a_trial_that_loses_every_worker_has_failed_and_nothing_is_left(
    executor: Any, told: list[str], tmp_path: Path
) -> None:
    executor.submit(tiny.trial())
    ended: list[Ended] = []
    while not ended:
        if any(place.spec is not None for place in executor._places):
            lose(executor)
        ended = executor.wait(go, 1.0)
    assert ended[0].result is not None
    assert ended[0].result.status == "failed"
    assert (ended[0].result.message or "").startswith("its worker was lost 3 times without a new epoch")
    assert len(told) == 2
    executor.submit(tiny.trial())
    assert until_ended(executor).result.status == "finished"  # type: ignore[union-attr]
    assert list(executor._folders.shared.iterdir())
    executor.forget(tiny.trial())
    executor.close()
    assert not executor._folders.shared.exists()
    assert not list(tmp_path.iterdir())


def test_a_run_without_a_node_says_so_and_waits(
    executor: Any, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert executor.num_workers == 2
    executor.submit(tiny.trial())
    with monkeypatch.context() as patch:
        patch.setattr(cluster_executor, "training_nodes", list)
        patch.setattr(cluster_executor, "NODES_SECONDS", -1.0)  # counted each time
        lose_all(executor)
        while not told:
            assert executor.wait(go, 0.1) == []
        executor.wait(go, 0.1)
    assert told[1:] == ["the cluster has no node left; all trials under way wait for one"]
    assert until_ended(executor).result.status == "finished"  # type: ignore[union-attr]


def test_nodes_that_are_lost_between_trials_make_the_next_one_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [{"Resources": {"CPU": 2.0}}]
    monkeypatch.setattr(cluster_executor, "training_nodes", lambda: nodes)
    monkeypatch.setattr(cluster_executor, "NODES_SECONDS", -1.0)  # counted each time
    monkeypatch.setattr(
        cluster_executor.ClusterExecutor, "_new_place", lambda self: cluster_executor._Place(None, object())
    )
    here = cluster.Node("cpu", bf16=False, processor="an abacus", software={})
    machine = Machine("cpu", bf16=False, num_workers=2, description="")
    executor = cluster_executor.ClusterExecutor(cluster.Cluster(machine, here, ()), tmp_path / "data", tmp_path)
    assert executor.num_workers == 2
    executor.submit(tiny.trial(seed=0))
    nodes.clear()
    executor.submit(tiny.trial(seed=1))  # there was room for it when that was asked for
    assert executor.num_workers == 1  # the run is not at its end
    assert executor.recall() == [Ended(tiny.trial(seed=seed), None) for seed in (0, 1)]  # until it is to stop
    assert executor.wait(go, 0.0) == executor.recall() == []
    executor.close()


def test_a_worker_that_ray_kills_for_want_of_memory_has_run_out_of_it(executor: Any, told: list[str]) -> None:
    spec = tiny.trial(model__normalization="none")
    executor.submit(spec)
    while not any(place.spec for place in executor._places):
        executor.wait(go, 1.0)
    (place,) = (place for place in executor._places if place.spec)
    pages = "1 worker(s) were killed due to the node running low on memory. 15 GB used\nOOM kill reason: ...\nsee docs"
    (ended,) = executor._lost(place, cluster_executor.OutOfMemoryError(pages))
    assert (ended.spec, ended.result.reason) == (spec, "out_of_memory")
    assert ended.result.message.endswith("node running low on memory. 15 GB used")
    assert told == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:9", "no Ray cluster answers at 127.0.0.1:9: "),
        ("127.0.0.1:99999", "no Ray cluster answers at "),
        ("somewhere", "'somewhere' is no address of a Ray cluster: local, auto, or HOST:PORT"),
        (":6379", "':6379' is no address"),
    ],
)
def test_there_must_be_a_cluster(address: str, message: str) -> None:
    with pytest.raises(SetupError, match=re.escape(message)):
        cluster.connect(address)


@pytest.fixture
def actor(tmp_path: Path) -> Iterator[Any]:
    """Makes what runs on a node, here in this process."""
    made = []

    def make(expected: Any, mark: Path) -> Any:
        folders = Folders(tmp_path / "data", mark.parent, tmp_path / "shared")
        made.append(cluster_actor.Actor(expected, folders, mark))
        return made[-1]

    yield make
    for each in made:
        each._executor.close()


def test_a_node_that_does_not_see_the_checkpoints_says_so_once(actor: Any, tmp_path: Path) -> None:
    spec = tiny.trial(train__epochs=1)
    blind = actor(cluster.describe_this_node(), tmp_path / "elsewhere" / "a.mark")
    texts, message = blind.greet()
    assert message is None
    assert [text.split(":")[0] for text in texts] == [f"not every node sees {tmp_path / 'elsewhere'}"]
    texts, record = blind.train(spec)
    assert (texts, record.epoch) == ([], 1)
    texts, ended = blind.go_on(spec, "go")
    assert (texts, ended.result.status) == ([], "finished")


def test_a_node_that_joins_must_be_like_the_others(actor: Any, tmp_path: Path) -> None:
    here = cluster.describe_this_node()
    mark = tmp_path / "a.mark"
    mark.touch()
    others = replace(here, bf16=not here.bf16, software={**here.software, "torch": "1.0"}, processor="an abacus")
    texts, error = actor(others, mark).greet()
    assert texts == []
    assert isinstance(error, SetupError)
    assert f"bf16 {here.bf16} instead of {not here.bf16}, torch {here.software['torch']} instead of 1.0" in str(error)
    assert "abacus" not in str(error)
