"""What only a CUDA device can show: the same trial again, paused and resumed, captured, and against the CPU."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from ablations.costs import Workload
from ablations.execution import train
from ablations.execution.data import DataSource, resize, resize_in_two_passes
from ablations.execution.environment import detect
from ablations.execution.local import LocalExecutor
from ablations.plan import Machine
from ablations.trial import EpochRecord, Order, TrialResult, TrialSpec
from nin.model import build

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(detect().device != "cuda", reason="no CUDA device is here"),
    # Workers leave it out, too.
    pytest.mark.filterwarnings("ignore:This instance was constructed with capturable=True"),
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
    on_device = run(executor, trial(train__epochs=1))
    on_cpu = tiny.finish(
        train.run_trial(tiny.trial(train__epochs=1, train__precision="fp32"), DataSource(tmp_path, "cpu"), None)
    )
    assert on_device is not None
    assert on_cpu is not None
    assert on_device.epochs[0].train_loss == pytest.approx(on_cpu.epochs[0].train_loss, rel=1e-2)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_captured_step_trains_as_the_step_itself(recipe: str, tmp_path: Path) -> None:
    losses = []
    for captured in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not captured:
                patch.setattr(train, "CapturedStep", lambda step, *rest: step)
            result = tiny.finish(train.run_trial(trial(**RECIPES[recipe]), DataSource(tmp_path, "cuda"), None))
        assert result is not None
        losses.append([record.train_loss for record in result.epochs])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4 if recipe != "bf16" else 1e-2)


def test_an_epoch_waits_for_the_device_at_its_end_only(tmp_path: Path) -> None:
    spec = trial(data__train_size=7 * 32)
    split = DataSource(tmp_path, "cuda").training(spec).train
    on_device = train._to_device(split, torch.device("cuda"))
    model = build(spec.config.model, in_channels=1, size=16, num_classes=4).to("cuda")
    optimizer = train.make_optimizer(model, spec.config.train)
    step = train.make_step(model, optimizer, on_device, spec.config.train, 16)
    places = torch.arange(32, device="cuda")
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(5):
            train.set_learning_rate(optimizer, 0.1 / (number + 1))
            step(places)
        step(places[:7])
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(("size", "to"), [(28, 56), (28, 112), (28, 224), (32, 64)])
def test_the_device_resizes_bit_for_bit(size: int, to: int) -> None:
    images = torch.randint(0, 256, (100, 1, size, size), dtype=torch.uint8)
    assert torch.equal(resize_in_two_passes(images.cuda(), to).cpu(), resize(images, to).float())


def test_a_probe_finds_a_number_and_leaves_the_device_to_the_trials(executor: LocalExecutor) -> None:
    before = torch.cuda.mem_get_info()[0]
    executor.probe(Workload.of(trial().config, "cuda"))
    assert executor.num_workers >= 1
    result = run(executor, trial())
    assert result is not None
    assert result.status == "finished"
    assert torch.cuda.mem_get_info()[0] > before - 2**30 * executor.num_workers
