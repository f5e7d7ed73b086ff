"""Trains one trial: batches, epochs, validation, and the test at the end."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ablations.costs import images_of
from ablations.execution.capture import CapturedStep
from ablations.execution.checkpoints import TrialState, restore_checkpoint, save_checkpoint, save_weights
from ablations.execution.data import DataSource
from ablations.execution.recipe import autocast, learning_rate, make_optimizer, set_learning_rate
from ablations.execution.splits import Split, resize, resize_in_two_passes
from ablations.stats.guessing import constant_guess_percent
from ablations.torch_networks import build
from ablations.trial import EpochRecord, Order, TrainConfig, TrialResult, TrialSpec, derive
from nin.model import initialize

CHECKPOINT_SECONDS = 5.0
"""A checkpoint is written at the first end of an epoch this long after the last one."""

ONSET_FRACTION = 2.0 / math.log(10)
"""Learning has begun when the smoothed loss is below this share of a guess's loss: 2.0 nats for ten classes.

The guess takes all classes for equally frequent. If they are not, the loss also falls below while a network learns how frequent
they are.
"""

ONSET_SMOOTHING = 0.9
"""Weight of the earlier losses in the smoothed loss."""

EVALUATION_PIXELS = {"cpu": 1024 * 28 * 28, "cuda": 4 * 1024 * 28 * 28}
"""Approximate pixels of an evaluated batch; on CUDA several trials may evaluate in parallel on one device."""

Step = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Trains on the images at these places of the split: the batch's loss and its number of right answers, both on the device.

The returned tensors are valid until the next step.
"""


def run_trial(
    spec: TrialSpec, source: DataSource, checkpoint: Path | None, weights: Path | None = None
) -> Generator[EpochRecord, Order, TrialResult | None]:
    """Train one trial.

    All randomness comes from the trial's phase and seed, not from its variant: split, order of the images, dropout, and
    the first weights of all layers that agree in name and shape.

    Args:
        spec: the trial.
        source: of its images.
        checkpoint: file to continue from and to save to; None keeps nothing. It outlives the trial, whose result is not
            recorded yet when the training ends.
        weights: file for the weights after the last epoch of a confirmation; None keeps none.

    Yields:
        A record after each epoch; send back an `Order`. Epochs in the checkpoint are reported again, since the driver's
        pruner may not have seen them.

    Returns:
        The result; None after the order "pause", with the state in `checkpoint`.

    Raises:
        DataError: the data is missing or altered.
    """
    train, images = spec.config.train, images_of(spec.config.data)
    device = torch.device(spec.device)
    data = source.training(spec)
    training, validation = _to_device(data.train, device), _to_device(data.validation, device)
    state = _restored_state(spec, checkpoint, device)
    parts = state.accumulated_parts
    step = make_step(state.model, state.optimizer, training, train, images.size, parts)
    saved_at = time.monotonic()

    for epoch in range(1, train.epochs + 1):
        if epoch > len(state.epochs):
            problem = _next_epoch(state, step, training, validation, spec)
            if problem is not None:
                return TrialResult(spec.id, "diverged", tuple(state.epochs), message=problem, accumulated_parts=parts)
        order = yield state.epochs[epoch - 1]
        if order == "prune":
            epochs, message = tuple(state.epochs[:epoch]), f"pruned after epoch {epoch}"
            return TrialResult(spec.id, "pruned", epochs, message=message, accumulated_parts=parts)
        late = time.monotonic() - saved_at > CHECKPOINT_SECONDS
        if checkpoint is not None and (order == "pause" or late):
            save_checkpoint(state, checkpoint, spec)
            saved_at = time.monotonic()
        if order == "pause":
            return None

    if spec.phase == "tune":
        return TrialResult(spec.id, "finished", tuple(state.epochs), accumulated_parts=parts)
    result = _tested(state, validation, _to_device(source.test(spec), device), spec)
    if weights is not None and spec.phase == "confirm":
        save_weights(state.model, weights, spec)
    return result


def _restored_state(spec: TrialSpec, checkpoint: Path | None, device: torch.device) -> TrialState:
    """The state in a trial's checkpoint, or its first state if there is no usable one."""
    state = _first_state(spec, device)
    if checkpoint is None or not checkpoint.exists() or restore_checkpoint(state, checkpoint, spec):
        return state
    # Some of the unusable checkpoint may be in the state by now.
    return _first_state(spec, device)


def _first_state(spec: TrialSpec, device: torch.device) -> TrialState:
    """The state of a trial before its first epoch."""
    train = spec.config.train
    weights_seed = derive(spec.draws, spec.seed, "weights")
    # For layers of a registered network unknown to `initialize`, which leaves them as they were drawn.
    _seed_generators(weights_seed)
    model = build(spec.config.model, images_of(spec.config.data))
    initialize(model, train.init, seed=weights_seed)
    model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TrialState(model, make_optimizer(model, train), [], spec.accumulated_parts)


def _seed_generators(seed: int) -> None:
    """Seed the global generators: dropout draws from torch's, and networks of packages may draw from any of them."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def _tested(state: TrialState, validation: Split, test: Split, spec: TrialSpec) -> TrialResult:
    """The result of a finished confirmation; only here does a network see test images."""
    size = images_of(spec.config.data).size
    # A trial whose last checkpoint has all epochs comes here without having trained.
    _seed_generators(derive(spec.draws, spec.seed, "test"))
    _, correct = evaluate(state.model, test, size, spec.config.train, state.accumulated_parts)
    return TrialResult(
        spec.id,
        "finished",
        tuple(state.epochs),
        test_accuracy_percent=100 * float(correct.mean()),
        test_correct=np.packbits(correct).tobytes(),
        num_test_images=len(correct),
        test_labels=test.labels.cpu().numpy().astype(np.uint8).tobytes(),
        validation_guess_percent=constant_guess_percent(validation.labels.cpu().numpy()),
        accumulated_parts=state.accumulated_parts,
    )


def _next_epoch(state: TrialState, step: Step, training: Split, validation: Split, spec: TrialSpec) -> str | None:
    """Train and validate once, and append the record; if a loss is not finite, a message instead of a record."""
    train, images = spec.config.train, images_of(spec.config.data)
    epoch = len(state.epochs) + 1
    num_batches = len(list(_batches(len(training), train.batch_size)))
    started = time.perf_counter()
    losses, accuracy_percent = _train_epoch(state, step, training, spec, epoch, num_batches)
    train_seconds = time.perf_counter() - started
    if not np.isfinite(losses).all():
        first = (epoch - 1) * num_batches + int(np.argmin(np.isfinite(losses))) + 1
        return f"the loss was not finite at step {first}"
    _watch_onset(state, losses, (epoch - 1) * num_batches, images.num_classes)
    validation_loss, correct = evaluate(state.model, validation, images.size, train, state.accumulated_parts)
    if not math.isfinite(validation_loss):
        return f"the validation loss was not finite after epoch {epoch}"
    state.epochs.append(
        EpochRecord(
            epoch=epoch,
            step=epoch * num_batches,
            train_loss=float(losses.mean()),
            train_accuracy_percent=accuracy_percent,
            validation_loss=validation_loss,
            validation_accuracy_percent=100 * float(correct.mean()),
            num_dead_classes=_num_dead_classes(validation.labels.cpu().numpy(), correct),
            learning_onset_step=state.onset_step,
            train_images_per_second=len(training) / train_seconds,
            epoch_seconds=time.perf_counter() - started,
            timestamp_ms=time.time_ns() // 1_000_000,
        )
    )
    return None


def _train_epoch(
    state: TrialState, step: Step, split: Split, spec: TrialSpec, epoch: int, num_batches: int
) -> tuple[np.ndarray, float]:
    """One pass over the training images: loss of each step, shape (num_batches,), and accuracy in percent.

    Waits for the device at the end only: the order is sent there in one piece, and losses stay there until the end.
    """
    train = spec.config.train
    device = split.labels.device
    generator = np.random.default_rng(derive(spec.draws, spec.seed, "order", epoch))
    order = _sent(torch.from_numpy(generator.permutation(len(split))), device)
    # With a seed per epoch a resumed trial draws the same numbers.
    _seed_generators(derive(spec.draws, spec.seed, "dropout", epoch))
    losses = torch.empty(num_batches, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    seen = 0
    state.model.train()
    for number, (start, stop) in enumerate(_batches(len(split), train.batch_size)):
        set_learning_rate(state.optimizer, learning_rate(train, (epoch - 1) * num_batches + number, num_batches))
        loss, num_right = step(order[start:stop])
        losses[number] = loss
        correct += num_right
        seen += stop - start
    return losses.cpu().numpy().astype(np.float64), 100 * correct.item() / seen


def make_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    split: Split,
    train: TrainConfig,
    size: int,
    accumulated_parts: int = 1,
) -> Step:
    """The training step of a trial; on a CUDA device it is one graph for every whole batch.

    Args:
        model: on the split's device.
        optimizer: of the model, as `make_optimizer` makes it.
        split: the training images.
        train: the recipe.
        size: side in pixels of the model's images.
        accumulated_parts: number of parts of each batch over which gradients are accumulated. In a network without batch
            statistics they equal the whole batch's gradients up to rounding; dropout draws other numbers.
    """

    def forward(places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images_BCSS = _prepare(split.at(places), size)
        labels_B = split.labels[places]
        with autocast(train, labels_B.device):
            logits_BK = model(images_BCSS)
        loss = F.cross_entropy(logits_BK.float(), labels_B)
        return loss, (logits_BK.detach().argmax(1) == labels_B).sum()

    def whole(places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        loss, num_right = forward(places)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach(), num_right

    def in_parts(places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        optimizer.zero_grad(set_to_none=True)
        mean_loss, num_right = torch.zeros((), device=places.device), torch.zeros_like(places[0])
        for part in places.chunk(accumulated_parts):
            loss, right = forward(part)
            share = loss * (len(part) / len(places))
            share.backward()  # type: ignore[no-untyped-call]
            mean_loss, num_right = mean_loss + share.detach(), num_right + right
        optimizer.step()
        return mean_loss, num_right

    step = whole if accumulated_parts == 1 else in_parts
    if split.labels.device.type == "cuda" and len(split) >= train.batch_size > 1:
        return CapturedStep(step, model, optimizer, train.batch_size, split.labels.device)
    return step


def evaluate(model: nn.Module, split: Split, size: int, train: TrainConfig, parts: int = 1) -> tuple[float, np.ndarray]:
    """Mean loss and correctness of each image, in evaluation mode.

    Args:
        model: images to logits.
        split: the images; they stay in their order.
        size: side in pixels of the model's images.
        train: the recipe, for its precision.
        parts: divides the size of the batches, if memory is short.

    Returns:
        Mean cross-entropy in nats; booleans, shape (N,).
    """
    device = split.labels.device
    model.eval()
    # Batches of about the same number of pixels for every size of images.
    batch_size = max(32, EVALUATION_PIXELS[device.type] // (size * size)) // parts
    loss_sum = torch.zeros((), dtype=torch.float64, device=device)
    correct = []
    with torch.inference_mode():
        for start in range(0, len(split), batch_size):
            images_BCSS = _prepare(split.at(slice(start, start + batch_size)), size)
            with autocast(train, device):
                logits_BK = model(images_BCSS)
            labels_B = split.labels[start : start + batch_size]
            loss_sum += F.cross_entropy(logits_BK.float(), labels_B, reduction="sum").double()
            correct.append(logits_BK.argmax(1) == labels_B)
    return loss_sum.item() / len(split), torch.cat(correct).cpu().numpy()


def _to_device(split: Split, device: torch.device) -> Split:
    rows = None if split.rows is None else split.rows.to(device)
    return Split(split.images, split.labels.to(device), rows)


def _sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on the device, without waiting for the copy."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _prepare(images: torch.Tensor, size: int) -> torch.Tensor:
    """Bytes to numbers in [0, 1], channels last."""
    resized = resize_in_two_passes(images, size) if images.is_cuda else resize(images, size).to(torch.float32)
    return resized.div_(255).contiguous(memory_format=torch.channels_last)


def _batches(count: int, batch_size: int) -> Iterator[tuple[int, int]]:
    """Beginning and end of each batch. A single image left over is skipped, since it has no batch statistics."""
    for start in range(0, count, batch_size):
        stop = min(start + batch_size, count)
        if stop - start > 1 or batch_size == 1 or count == 1:
            yield start, stop


def _watch_onset(state: TrialState, losses: np.ndarray, steps_before: int, num_classes: int) -> None:
    """Smooth the losses of an epoch, and note the first step below the threshold."""
    threshold = ONSET_FRACTION * math.log(num_classes)
    # As plain numbers: checkpoints are read with `weights_only`, which refuses NumPy's.
    for step, loss in enumerate(losses.tolist(), start=steps_before + 1):
        before = loss if state.smoothed_loss is None else state.smoothed_loss
        state.smoothed_loss = ONSET_SMOOTHING * before + (1 - ONSET_SMOOTHING) * loss
        if state.onset_step is None and state.smoothed_loss < threshold:
            state.onset_step = step


def _num_dead_classes(labels: np.ndarray, correct: np.ndarray) -> int:
    """Number of classes with images but without a right answer."""
    present = np.bincount(labels) > 0
    right = np.bincount(labels[correct], minlength=len(present)) > 0
    return int((present & ~right).sum())
