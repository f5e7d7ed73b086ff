from __future__ import annotations

import gc
import hashlib
import io
import math
import resource
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from ablations.execution import train
from ablations.execution.checkpoints import CheckpointWarning, TrialState
from ablations.execution.data import DataSource
from ablations.execution.recipe import learning_rate
from ablations.execution.splits import Split
from ablations.execution.train import evaluate, run_trial
from ablations.trial import TrainConfig, TrialResult, TrialSpec
from nin.images import Input
from nin.memory import memory
from nin.model import build, initialize, load_weights
from nin.presets import INPUTS, PRESETS

SGD = {"model__dropout": 0.5}
ADAMW = {"model__dropout": 0.5, "train__optimizer": "adamw", "train__lr": 0.003, "train__momentum": 0.0}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> DataSource:
    return DataSource(tmp_path_factory.mktemp("data"), "cpu")


def run(spec: TrialSpec, source: DataSource, checkpoint: Path | None = None, **orders: Any) -> TrialResult | None:
    return tiny.finish(run_trial(spec, source, checkpoint), **orders)


# In parts


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


def test_a_trial_that_was_paused_in_parts_goes_on_in_parts(source: DataSource, tmp_path: Path) -> None:
    spec, checkpoint = tiny.trial(model__normalization="none"), tmp_path / "trial.pt"
    assert run(replace(spec, accumulated_parts=4), source, checkpoint, orders={1: "pause"}) is None
    resumed = run(spec, source, checkpoint)
    whole = run(replace(spec, accumulated_parts=4), source)
    assert resumed is not None
    assert resumed.accumulated_parts == 4
    assert tiny.timeless(resumed) == tiny.timeless(whole)
    # One that went on in more parts than it began with says the most.
    run(spec, source, checkpoint.with_stem("other"), orders={1: "pause"})
    more = run(replace(spec, accumulated_parts=2), source, checkpoint.with_stem("other"))
    assert more is not None
    assert more.accumulated_parts == 2


# The same again


@pytest.mark.parametrize("recipe", [SGD, ADAMW], ids=["sgd", "adamw"])
def test_the_same_trial_gives_the_same_result_bit_for_bit(recipe: dict[str, Any], source: DataSource) -> None:
    spec = tiny.trial(**recipe)
    first = run(spec, source)
    torch.rand(7)  # a trial owes nothing to the state of torch's global generator
    assert tiny.timeless(run(spec, source)) == tiny.timeless(first)


def test_another_seed_gives_another_result(source: DataSource) -> None:
    first, second = (tiny.timeless(run(tiny.trial(seed=seed), source)) for seed in (0, 1))
    assert first["epochs"] != second["epochs"]


@pytest.mark.parametrize("recipe", [SGD, ADAMW], ids=["sgd", "adamw"])
@pytest.mark.parametrize("pause_after", [1, 2, 3])
def test_a_trial_paused_and_resumed_equals_one_that_was_not(
    recipe: dict[str, Any], pause_after: int, source: DataSource, tmp_path: Path
) -> None:
    spec, checkpoint = tiny.trial(**recipe), tmp_path / "trial.pt"
    whole = run(spec, source)
    assert run(spec, source, checkpoint, orders={pause_after: "pause"}) is None
    resumed = run(spec, source, checkpoint)
    assert tiny.timeless(resumed) == tiny.timeless(whole)
    assert resumed is not None
    assert resumed.test_correct is not None
    # Until its result is recorded, a death must not cost the whole trial.
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_the_weights_of_a_confirmation_are_left_where_they_are_asked_for(source: DataSource, tmp_path: Path) -> None:
    spec, weights = tiny.trial(), tmp_path / "weights" / "trial.pt"
    result = tiny.finish(run_trial(spec, source, None, weights))
    assert [path.name for path in weights.parent.iterdir()] == ["trial.pt"]
    model = build(spec.config.model, Input(in_channels=1, size=16, num_classes=4))
    load_weights(model, weights)
    _, correct = evaluate(model, source.test(spec), 16, spec.config.train)
    assert result is not None
    assert 100 * correct.mean() == result.test_accuracy_percent
    tiny.finish(run_trial(tiny.trial(phase="tune"), source, None, tmp_path / "tune.pt"))
    assert not (tmp_path / "tune.pt").exists()


def test_weights_that_cannot_be_kept_cost_no_trial(source: DataSource, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file where the folder should be")
    with pytest.warns(CheckpointWarning, match="the weights of two, seed 0, cannot be kept in"):
        result = tiny.finish(run_trial(tiny.trial(), source, None, tmp_path / "weights" / "trial.pt"))
    assert result is not None
    assert result.status == "finished"


def test_a_resumed_trial_tells_its_earlier_epochs_again(source: DataSource, tmp_path: Path) -> None:
    spec, checkpoint = tiny.trial(), tmp_path / "trial.pt"
    training = run_trial(spec, source, checkpoint)
    told = [next(training), training.send("go")]
    with pytest.raises(StopIteration):
        training.send("pause")
    again = run_trial(spec, source, checkpoint)
    assert [next(again), again.send("go")] == told
    assert again.send("go").epoch == 3


def test_a_trial_killed_between_epochs_goes_on_from_its_last_checkpoint(
    source: DataSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0.0)
    spec, checkpoint = tiny.trial(**SGD), tmp_path / "trial.pt"
    training = run_trial(spec, source, checkpoint)
    next(training)
    training.send("go")
    training.close()
    assert checkpoint.exists()
    assert tiny.timeless(run(spec, source, checkpoint)) == tiny.timeless(run(spec, source))


def flipped(whole: bytes) -> bytes:
    """One bit of a weight is another one: a whole file for all that torch can tell."""
    place = len(whole) // 2
    return whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    """A whole checkpoint with other content, as another version of the suite or of a registered network may have written it."""

    def damage(whole: bytes) -> bytes:
        values = torch.load(io.BytesIO(whole[32:]), weights_only=True)
        change(values)
        buffer = io.BytesIO()
        torch.save(values, buffer)
        return hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-200],
        lambda whole: b"",
        lambda whole: b"\x80\x02garbage",
        flipped,
        changed(lambda values: values.update(trial_id="of another trial")),
        changed(lambda values: values.pop("smoothed_loss")),
        changed(lambda values: values["model"].popitem()),
        changed(lambda values: values["optimizer"]["param_groups"].clear()),
        changed(lambda values: values["epochs"][0].pop("train_loss")),
    ],
)
def test_a_damaged_checkpoint_costs_time_and_nothing_else(damage: Any, source: DataSource, tmp_path: Path) -> None:
    spec, checkpoint = tiny.trial(), tmp_path / "trial.pt"
    run(spec, source, checkpoint, orders={1: "pause"})
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.warns(UserWarning, match="is damaged, or another version's .*; its trial starts anew"):
        result = run(spec, source, checkpoint)
    assert tiny.timeless(result) == tiny.timeless(run(spec, source))


def test_a_disk_that_is_full_costs_a_checkpoint_and_not_the_trial(
    source: DataSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", -1.0)
    spec, checkpoint = tiny.trial(), tmp_path / "trial.pt"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.warns(CheckpointWarning, match=r"no checkpoint of two, seed 0, at epoch \d: .*File too large"):
            result = run(spec, source, checkpoint)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert tiny.timeless(result) == tiny.timeless(run(spec, source))
    assert not list(tmp_path.iterdir())


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


def test_a_checkpoint_runs_no_code(source: DataSource, tmp_path: Path) -> None:
    trap, checkpoint = tmp_path / "sprung", tmp_path / "trial.pt"
    buffer = io.BytesIO()
    torch.save({"trial_id": _Touch(trap)}, buffer)
    checkpoint.write_bytes(hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())
    with pytest.warns(UserWarning, match="damaged"):
        run(tiny.trial(), source, checkpoint)
    assert not trap.exists()


class _Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return (Path.touch, (self.path,))


# Common random numbers


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


# The recipe


def recipe(**changes: Any) -> TrainConfig:
    return TrainConfig.model_validate({"epochs": 4, "batch_size": 8, "lr": 0.1, **changes})


def test_a_constant_learning_rate_is_constant() -> None:
    assert [learning_rate(recipe(), step, 5) for step in range(20)] == [0.1] * 20


def test_a_cosine_falls_from_the_peak_towards_zero() -> None:
    rates = [learning_rate(recipe(schedule="cosine"), step, 5) for step in range(20)]
    assert rates[0] == 0.1
    assert rates[10] == pytest.approx(0.05)
    assert rates[5] == pytest.approx(0.1 * (1 + math.cos(math.pi / 4)) / 2)
    assert 0 < rates[-1] < 0.001
    assert rates == sorted(rates, reverse=True)


def test_a_warm_up_rises_in_equal_steps_to_the_peak() -> None:
    rates = [learning_rate(recipe(schedule="cosine", warmup_epochs=0.8), step, 5) for step in range(20)]
    assert rates[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert learning_rate(recipe(warmup_epochs=0.8), 19, 5) == 0.1


def test_the_scheduled_rate_reaches_the_optimizer(source: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[float] = []
    original = torch.optim.SGD.step

    def spying(self: torch.optim.SGD, *rest: Any) -> Any:
        used.append(self.param_groups[0]["lr"])
        return original(self, *rest)

    monkeypatch.setattr(torch.optim.SGD, "step", spying)
    spec = tiny.trial(train__schedule="cosine", train__warmup_epochs=1)
    run(spec, source)
    assert used == [learning_rate(spec.config.train, step, 6) for step in range(18)]


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


def test_bf16_and_fp32_differ_by_rounding_only(source: DataSource) -> None:
    bf16, fp32 = (run(tiny.trial(train__precision=p, train__epochs=1), source) for p in ("bf16", "fp32"))
    assert bf16 is not None
    assert fp32 is not None
    losses = bf16.epochs[0].train_loss, fp32.epochs[0].train_loss
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_precision_is_that_of_the_plan(source: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    enabled: set[tuple[torch.dtype, bool]] = set()
    original = train.autocast

    def spying(*args: Any) -> torch.autocast:
        context = original(*args)
        enabled.add((context.fast_dtype, context._enabled))
        return context

    monkeypatch.setattr(train, "autocast", spying)
    run(tiny.trial(train__precision="bf16", train__epochs=1), source)
    assert enabled == {(torch.bfloat16, True)}
    enabled.clear()
    run(tiny.trial(train__precision="fp32", train__epochs=1), source)
    assert {on for _, on in enabled} == {False}


def test_the_tiny_network_learns_its_images(source: DataSource) -> None:
    result = run(tiny.trial(train__epochs=15, train__schedule="cosine", model__width=0.5), source)
    assert result is not None
    assert result.test_accuracy_percent is not None
    assert result.test_accuracy_percent > 80
    first, last = result.epochs[0], result.epochs[-1]
    assert last.train_loss < first.train_loss / 2
    assert last.num_dead_classes == 0
    assert last.learning_onset_step is not None


# How a trial ends


def test_a_finished_confirmation_has_one_test_bit_an_image(source: DataSource) -> None:
    result = run(tiny.trial(), source)
    assert result is not None
    assert result.test_correct is not None
    bits = np.unpackbits(np.frombuffer(result.test_correct, np.uint8), count=result.num_test_images)
    assert (result.status, result.num_test_images) == ("finished", 64)
    assert result.test_labels == bytes([0, 1, 2, 3] * 16)
    assert result.test_accuracy_percent == 100 * bits.mean()


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


def test_a_trial_without_a_checkpoint_leaves_no_file(source: DataSource, tmp_path: Path) -> None:
    assert run(tiny.trial(), source, None, orders={1: "pause"}) is None
    assert not list(tmp_path.iterdir())


# What a record says


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
    loss, correct = evaluate(model, split, 400, recipe(precision="fp32"))
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


def test_nesterov_without_momentum_is_plain_descent(source: DataSource) -> None:
    plain, nesterov = (
        tiny.finish(train.run_trial(tiny.trial(train__momentum=0.0, train__nesterov=each), source, None))
        for each in (False, True)
    )
    assert [e.train_loss for e in plain.epochs] == [e.train_loss for e in nesterov.epochs]  # type: ignore[union-attr]


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
