"""What only a CUDA device can show: the same trial again, paused and resumed, captured, and against the CPU; its memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import pytest
import tiny
import torch
from places import ROOT
from training import until_ended

from ablations.costs import Workload
from ablations.execution import train
from ablations.execution.data import DataSource
from ablations.execution.environment import detect
from ablations.execution.local import LocalExecutor
from ablations.execution.measure import Run, measure, peak_prediction_bytes, peak_training_bytes, saved_bytes
from ablations.execution.splits import resize, resize_in_two_passes
from ablations.trial import EpochRecord, Machine, Order, TrialResult, TrialSpec
from nin.images import Input
from nin.memory import Precision, memory
from nin.model import build
from nin.presets import INPUTS, PRESETS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(detect().device != "cuda", reason="no CUDA device is here"),
    # Workers leave it out, too.
    pytest.mark.filterwarnings("ignore:This instance was constructed with capturable=True"),
    # Said by the mode that finds waiting, each time that it is switched on.
    pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype feature"),
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
    return until_ended(executor, answer).result


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
def test_a_captured_step_trains_as_the_step_itself(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a worker, or the two would part by themselves.
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    losses = []
    for captured in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not captured:
                patch.setattr(train, "CapturedStep", lambda step, *rest: step)
            result = tiny.finish(train.run_trial(trial(**RECIPES[recipe]), DataSource(tmp_path, "cuda"), None))
        assert result is not None
        losses.append([record.train_loss for record in result.epochs])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4 if recipe != "bf16" else 1e-2)


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_epoch_waits_for_the_device_at_its_end_only(recipe: str, tmp_path: Path) -> None:
    spec = trial(data__train_size=5 * 32, **RECIPES[recipe])
    split = DataSource(tmp_path, "cuda").training(spec).train
    on_device = train._to_device(split, torch.device("cuda"))
    model = build(spec.config.model, Input(in_channels=1, size=16, num_classes=4)).to("cuda")
    optimizer = train.make_optimizer(model, spec.config.train)
    step = train.make_step(model, optimizer, on_device, spec.config.train, 16)
    places = torch.arange(32, device="cuda")
    model.train()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(5):
            train.set_learning_rate(optimizer, 0.1 / (number + 1))
            step(places)
        step(places[:7])
    finally:
        torch.cuda.set_sync_debug_mode("default")


# A step whose recording goes wrong once it has warmed up; in a process of its own, since such a one is not used again.
BROKEN = """
import sys
import torch
from ablations.execution.capture import NUM_WARM_UPS, CapturedStep
from ablations.execution.memory import memory_error

model = torch.nn.Linear(4, 4).to("cuda")
optimizer = torch.optim.SGD(model.parameters(), lr=torch.tensor(0.1, device="cuda"), fused=True)
calls = []

def step(places):
    calls.append(places)
    optimizer.zero_grad()
    loss = model(torch.ones(len(places), 4, device="cuda")).sum()
    loss.backward()
    optimizer.step()
    if len(calls) > NUM_WARM_UPS:
        torch.empty(2**48, device="cuda") if sys.argv[1] == "memory" else loss.item()
    return loss.detach(), places.sum()

try:
    CapturedStep(step, model, optimizer, 8, torch.device("cuda"))
except RuntimeError as error:
    print(type(error).__name__, memory_error(error) is not None, flush=True)
"""


@pytest.mark.parametrize(("broken", "told"), [("memory", "True"), ("waiting", "CaptureError False")])
def test_why_a_step_cannot_be_recorded_is_known(broken: str, told: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", BROKEN, broken],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
    )
    assert ended.stdout.strip().endswith(told), ended.stderr


def test_a_trial_leaves_no_memory_behind(tmp_path: Path) -> None:
    source, reserved = DataSource(tmp_path, "cuda"), []
    for _ in range(3):
        tiny.finish(train.run_trial(trial(), source, None))
        torch.cuda.empty_cache()
        reserved.append(torch.cuda.memory_reserved())
    assert reserved[2] <= reserved[0]


@pytest.mark.parametrize("precision", get_args(Precision))
@pytest.mark.parametrize(("preset", "batch_size"), [("nin_small", 128), ("nin_cifar10", 128), ("nin_book", 64)])
def test_memory_is_the_closed_form_and_workspaces(preset: str, batch_size: int, precision: Precision) -> None:
    made_for = INPUTS[preset]
    closed = memory(
        PRESETS[preset],
        made_for,
        batch_size=batch_size,
        precision=precision,
        optimizer="sgd_momentum",
        device="cuda",
    )
    images = torch.rand(batch_size, *made_for.shape, device="cuda").contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(batch_size, dtype=torch.int64, device="cuda")
    model = build(PRESETS[preset], made_for).to(device="cuda", memory_format=torch.channels_last)
    run = Run(model, precision, "sgd_momentum")
    # cuDNN may keep a little for itself where it normalises a batch.
    assert 0 <= saved_bytes(run, images) - closed.saved_bytes <= 2**20
    training, prediction = peak_training_bytes(run, images, labels), peak_prediction_bytes(run, images)
    # Nobody has seen yet what workspaces cuDNN takes; `benchmarks.device` prints these ratios for every preset.
    workspaces = 2**30
    assert training / closed.peak_training_bytes >= 0.95
    assert training <= 1.2 * closed.peak_training_bytes + workspaces
    assert prediction <= 1.2 * closed.peak_prediction_bytes + workspaces


def test_what_is_measured_does_not_depend_on_what_was_measured_before() -> None:
    # The first to multiply matrices finds cuBLAS without its workspace; this network's last layer does.
    workload = Workload(
        PRESETS["lenet"], **asdict(INPUTS["lenet"]), batch_size=128, precision="bf16", optimizer="adamw", device="cuda"
    )
    first, second = measure(workload, seconds=0.1), measure(workload, seconds=0.1)
    assert first.peak_training_bytes == second.peak_training_bytes
    assert first.peak_prediction_bytes == second.peak_prediction_bytes
    assert first.train_images_per_second > 0


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
