"""What only a CUDA device can show: the same trial again, paused and resumed, and against the CPU."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny

from ablations.execution.environment import detect
from ablations.execution.local import LocalExecutor
from ablations.plan import Machine
from ablations.trial import EpochRecord, Order, TrialResult, TrialSpec

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(detect().device != "cuda", reason="no CUDA device is here"),
]

CUDA = Machine("cuda", bf16=True, num_workers=1, description="1 CUDA device")
RECIPES: dict[str, dict[str, Any]] = {
    "sgd": {"model__dropout": 0.5},
    "adamw": {"train__optimizer": "adamw", "train__lr": 0.003, "train__momentum": 0.0},
    "bf16": {"train__precision": "bf16"},
}


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalExecutor]:
    """A worker as the suite starts it, which sets CUDA up to repeat itself."""
    folder = tmp_path_factory.mktemp("cuda")
    executor = LocalExecutor(CUDA, folder / "data", folder / "checkpoints")
    yield executor
    executor.close()


def trial(**changes: Any) -> TrialSpec:
    """The tiny trial on the device."""
    planned = tiny.plan(CUDA, base=tiny.base(**{"train__precision": "fp32", **changes}), search_space={})
    return planned.trial("two", "confirm", 0, {})


def run(executor: LocalExecutor, spec: TrialSpec, pause_after: int = 0) -> TrialResult | None:
    def answer(spec: TrialSpec, record: EpochRecord) -> Order:
        return "pause" if record.epoch == pause_after else "go"

    executor.submit(spec)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for ended in executor.wait(answer, 1.0):
            return ended.result
    raise TimeoutError("the trial did not end")


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_same_trial_gives_the_same_result_bit_for_bit(recipe: str, executor: LocalExecutor) -> None:
    spec = trial(**RECIPES[recipe])
    assert tiny.timeless(run(executor, spec)) == tiny.timeless(run(executor, spec))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_trial_paused_and_resumed_equals_one_that_was_not(recipe: str, executor: LocalExecutor) -> None:
    spec = trial(**RECIPES[recipe])
    whole = run(executor, spec)
    assert run(executor, spec, pause_after=2) is None
    assert tiny.timeless(run(executor, spec)) == tiny.timeless(whole)


def test_the_device_agrees_with_the_cpu(executor: LocalExecutor, tmp_path: Path) -> None:
    from ablations.execution.data import DataSource
    from ablations.execution.train import run_trial

    on_device = run(executor, trial(train__epochs=1))
    on_cpu = tiny.finish(
        run_trial(tiny.trial(train__epochs=1, train__precision="fp32"), DataSource(tmp_path, "cpu"), None)
    )
    assert on_device is not None
    assert on_cpu is not None
    assert on_device.epochs[0].train_loss == pytest.approx(on_cpu.epochs[0].train_loss, rel=1e-2)
