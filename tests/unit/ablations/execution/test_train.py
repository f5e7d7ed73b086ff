from __future__ import annotations

import gc
import math
import random
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from training import ADAMW, SGD, run

from ablations.execution import train
from ablations.execution.checkpoints import TrialState
from ablations.execution.data import DataSource
from ablations.execution.splits import Split
from ablations.execution.train import evaluate
from ablations.trial import TrainConfig
from nin.images import Input
from nin.memory import memory
from nin.model import build, initialize
from nin.presets import INPUTS, PRESETS


@pytest.mark.parametrize("num_images", [6, 7, 3, 2])
@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_makes_the_step_of_the_whole_one(parts: int, num_images: int) -> None:
    images = torch.randint(0, 256, (8, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    split = Split(images, torch.arange(8) % 4)
    config = tiny.trial(model__normalization="none").config
    stepped = []
    for number in (1, parts):
        model = build(config.model, Input(in_channels=1, size=16, num_classes=4))
        initialize(model, "kaiming_normal", seed=1)
        model.train()
        step = train.make_step(model, train.make_optimizer(model, config.train), split, config.train, 16, number)
        loss, num_right = step(torch.arange(num_images))
        stepped.append((loss, num_right, *model.parameters()))
    for whole, split_up in zip(*stepped, strict=True):
        torch.testing.assert_close(split_up, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("recipe", [SGD, ADAMW], ids=["sgd", "adamw"])
def test_the_same_trial_gives_the_same_result_bit_for_bit(recipe: dict[str, Any], source: DataSource) -> None:
    spec = tiny.trial(**recipe)
    first = run(spec, source)
    torch.rand(7)  # a trial owes nothing to the state of torch's global generator
    assert tiny.timeless(run(spec, source)) == tiny.timeless(first)


def test_another_seed_gives_another_result(source: DataSource) -> None:
    first, second = (tiny.timeless(run(tiny.trial(seed=seed), source)) for seed in (0, 1))
    assert first["epochs"] != second["epochs"]


def test_a_clock_that_goes_backwards_changes_nothing(source: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tiny.trial()
    whole = run(spec, source)
    stamps = iter(range(10**18, 0, -(10**15)))
    monkeypatch.setattr(train.time, "time_ns", lambda: next(stamps))
    monkeypatch.setattr(train.time, "time", lambda: float(next(stamps)))
    result = run(spec, source)
    assert tiny.timeless(result) == tiny.timeless(whole)
    assert result is not None
    assert all(0 < epoch.epoch_seconds < 60 for epoch in result.epochs)


def test_variants_see_the_same_images_in_the_same_order(source: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    assert batches_seen("two", source, monkeypatch) == batches_seen("one", source, monkeypatch)


def batches_seen(variant: str, source: DataSource, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    seen: list[bytes] = []
    original = train._prepare

    def spying(images: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.append(images.contiguous().numpy().tobytes())
        return original(images, *rest)

    monkeypatch.setattr(train, "_prepare", spying)
    run(tiny.trial(variant), source)
    monkeypatch.undo()
    return seen


def test_each_epoch_has_its_own_order(source: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = batches_seen("two", source, monkeypatch)
    num_batches = 192 // 32
    first = seen[:num_batches]
    second = seen[num_batches + 1 : 2 * num_batches + 1]  # one validation batch lies between
    assert first != second
    assert sorted(b"".join(first)) == sorted(b"".join(second))


def test_variants_start_with_the_same_weights_where_they_agree(
    source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[dict[str, torch.Tensor]] = []

    def stop_at_first_epoch(state: Any, *rest: Any) -> str:
        starts.append({name: value.clone() for name, value in state.model.state_dict().items()})
        return "stopped by the test"

    monkeypatch.setattr(train, "_next_epoch", stop_at_first_epoch)
    for variant in ("two", "one"):
        run(tiny.trial(variant), source)
    two, one = starts
    shared = [name for name in one if name in two and one[name].shape == two[name].shape and "weight" in name]
    assert "block1_spatial.weight" in shared
    assert len(shared) > 8
    assert all(torch.equal(one[name], two[name]) for name in shared)


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [(10, 4, [4, 4, 2]), (9, 4, [4, 4]), (8, 4, [4, 4]), (3, 8, [3]), (1, 8, [1]), (3, 1, [1, 1, 1])],
)
def test_a_single_image_left_over_is_left_out(count: int, batch_size: int, sizes: list[int]) -> None:
    assert [stop - start for start, stop in train._batches(count, batch_size)] == sizes


def test_batch_normalisation_survives_one_image_left_over(source: DataSource) -> None:
    result = run(tiny.trial(data__train_size=33, train__epochs=1), source)
    assert result is not None
    assert result.epochs[0].step == 1


def test_the_tiny_network_learns_its_images(source: DataSource) -> None:
    result = run(tiny.trial(train__epochs=15, train__schedule="cosine", model__width=0.5), source)
    assert result is not None
    assert result.test_accuracy_percent is not None
    assert result.test_accuracy_percent > 80
    first, last = result.epochs[0], result.epochs[-1]
    assert last.train_loss < first.train_loss / 2
    assert last.num_dead_classes == 0
    assert last.learning_onset_step is not None


def test_a_finished_confirmation_has_one_test_bit_an_image(source: DataSource) -> None:
    result = run(tiny.trial(), source)
    assert result is not None
    assert result.test_correct is not None
    bits = np.unpackbits(np.frombuffer(result.test_correct, np.uint8), count=result.num_test_images)
    assert (result.status, result.num_test_images) == ("finished", 64)
    assert result.test_labels == bytes([0, 1, 2, 3] * 16)
    assert result.test_accuracy_percent == 100 * bits.mean()
    assert result.validation_guess_percent == 25.0


def test_a_tuning_trial_has_no_test_accuracy(source: DataSource) -> None:
    result = run(tiny.trial(phase="tune"), source)
    assert result is not None
    assert (result.status, result.test_accuracy_percent, result.test_correct, result.num_test_images) == (
        "finished",
        None,
        None,
        None,
    )


@pytest.mark.parametrize("phase", ["tune", "confirm"])
def test_a_loss_that_is_not_finite_ends_the_trial_as_diverged(phase: str, source: DataSource, tmp_path: Path) -> None:
    spec = tiny.trial(phase=phase, train__lr=1e30, model__normalization="none")
    result = run(spec, source, tmp_path / "trial.pt")
    assert result is not None
    assert result.status == "diverged"
    assert result.epochs == ()
    assert result.test_accuracy_percent is None
    assert result.test_correct is None
    assert result.message is not None
    assert "not finite at step 2" in result.message


def test_a_validation_loss_that_is_not_finite_is_divergence_too(
    source: DataSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validations = iter([0.5, math.nan])
    monkeypatch.setattr(
        train, "evaluate", lambda model, split, *rest: (next(validations), np.ones(len(split), dtype=bool))
    )
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", -1.0)
    result = run(tiny.trial(), source, tmp_path / "trial.pt")
    assert result is not None
    assert (result.status, len(result.epochs)) == ("diverged", 1)
    assert result.message == "the validation loss was not finite after epoch 2"


def test_a_pruned_trial_stops_with_the_epochs_it_has(source: DataSource, tmp_path: Path) -> None:
    result = run(tiny.trial(phase="tune"), source, tmp_path / "trial.pt", orders={2: "prune"})
    assert result is not None
    assert (result.status, len(result.epochs), result.message) == ("pruned", 2, "pruned after epoch 2")


def test_records_count_epochs_and_steps(source: DataSource) -> None:
    result = run(tiny.trial(), source)
    assert result is not None
    assert [(record.epoch, record.step) for record in result.epochs] == [(1, 6), (2, 12), (3, 18)]
    stamps = [record.timestamp_ms for record in result.epochs]
    assert stamps == sorted(stamps)
    assert all(0 < record.epoch_seconds < 60 for record in result.epochs)


def test_learning_begins_when_the_smoothed_loss_is_under_the_threshold() -> None:
    state = TrialState(torch.nn.Identity(), None, [])  # type: ignore[arg-type]
    threshold = 2.0  # of ten classes
    train._watch_onset(state, np.full(10, 2.3), 0, 10)
    assert state.onset_step is None
    train._watch_onset(state, np.full(10, 1.0), 10, 10)
    smoothed, step = 2.3, 10
    while smoothed >= threshold:
        smoothed, step = 0.9 * smoothed + 0.1 * 1.0, step + 1
    assert state.onset_step == step == 13
    train._watch_onset(state, np.full(10, 9.0), 20, 10)
    assert state.onset_step == 13  # the first time counts


def test_one_low_loss_is_no_onset() -> None:
    state = TrialState(torch.nn.Identity(), None, [])  # type: ignore[arg-type]
    train._watch_onset(state, np.array([2.3, 2.3, 0.1, 2.3]), 0, 10)
    assert state.onset_step is None


def test_classes_with_no_image_right_are_dead() -> None:
    labels = np.array([0, 0, 1, 1, 3])
    right = np.array([True, False, False, False, False])
    assert train._num_dead_classes(labels, right) == 2  # 1 and 3; there is no image of class 2
    assert train._num_dead_classes(labels, np.ones(5, dtype=bool)) == 0
    assert train._num_dead_classes(labels, np.zeros(5, dtype=bool)) == 3


def test_evaluation_is_the_mean_over_images_whatever_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (70, 1, 4, 4), dtype=torch.uint8)
    split = Split(images, torch.randint(0, 3, (70,)))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3), torch.nn.Dropout(0.5))
    # A side of 400 pixels would be evaluated 32 images at a time; here the images are already small.
    monkeypatch.setattr(train, "resize", lambda images, size: images)
    loss, correct = evaluate(model, split, 400, TrainConfig(epochs=4, batch_size=8, lr=0.1, precision="fp32"))
    with torch.no_grad():
        logits = model(images / 255)
    assert loss == pytest.approx(torch.nn.functional.cross_entropy(logits, split.labels).item(), rel=1e-6)
    assert correct.tolist() == (logits.argmax(1) == split.labels).tolist()


@pytest.mark.parametrize("preset", INPUTS)
def test_a_batch_that_is_evaluated_on_cuda_leaves_room_for_other_trials(preset: str) -> None:
    made_for = INPUTS[preset]
    peaks = memory(
        PRESETS[preset],
        made_for,
        batch_size=train.EVALUATION_PIXELS["cuda"] // made_for.size**2,
        precision="bf16",
        optimizer="sgd",
        device="cuda",
    )
    assert peaks.peak_prediction_bytes < 2.5 * 2**30


def test_a_network_is_gone_when_its_trial_ends(source: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[weakref.ref[torch.nn.Module]] = []

    def build_and_watch(*arguments: Any, **named: Any) -> torch.nn.Module:
        model = build(*arguments, **named)
        built.append(weakref.ref(model))
        return model

    monkeypatch.setattr(train, "build", build_and_watch)
    # On a device its memory is given back before the next trial; nobody waits for the collector.
    gc.disable()
    try:
        run(tiny.trial(), source)
        assert [model() for model in built] == [None]
    finally:
        gc.enable()


class Dice(torch.nn.Module):
    """Draws from every global generator, in evaluation mode too."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        thrown = random.gauss(0, 1) + np.random.random() + torch.rand(1).item()
        return images * thrown


def with_dice(model: object, images: Input) -> torch.nn.Module:
    return torch.nn.Sequential(Dice(), torch.nn.Flatten(), torch.nn.Linear(16 * 16, images.num_classes))


def test_a_network_may_draw_from_every_global_generator(
    source: DataSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(train, "build", with_dice)
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0.0)
    spec, checkpoint = tiny.trial(), tmp_path / "trial.pt"
    whole = tiny.timeless(run(spec, source))
    random.seed(1)
    np.random.seed(1)
    assert tiny.timeless(run(spec, source)) == whole
    # Interrupted after the first epoch; and after the last, before its result was recorded.
    assert run(spec, source, checkpoint, orders={1: "pause"}) is None
    assert [tiny.timeless(run(spec, source, checkpoint)) for _ in range(2)] == [whole, whole]


def test_weights_that_the_recipe_does_not_draw_are_drawn_from_the_seed(
    source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_a_shift(model: object, images: Input) -> torch.nn.Module:
        class Shift(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.shift = torch.nn.Parameter(torch.rand(images.num_classes))

            def forward(self, logits: torch.Tensor) -> torch.Tensor:
                return logits + self.shift

        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16 * 16, images.num_classes), Shift())

    monkeypatch.setattr(train, "build", with_a_shift)
    torch.manual_seed(1)
    first = run(tiny.trial(), source)
    torch.manual_seed(2)
    assert tiny.timeless(run(tiny.trial(), source)) == tiny.timeless(first)
