"""One trial, from its spec to its result: yields a record an epoch and opens no database.

Shapes: B images a batch, C channels, S side, K classes. images BCSS, logits BK.
"""

from __future__ import annotations

import hashlib
import io
import math
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ablations.datasets import DATASETS
from ablations.execution.capture import CapturedStep
from ablations.execution.data import DataSource, Split, resize, resize_in_two_passes
from ablations.network import build
from ablations.trial import EpochRecord, Order, TrainConfig, TrialResult, TrialSpec, derive
from nin.model import initialize

CHECKPOINT_SECONDS = 5.0
"""A checkpoint is written at the first end of an epoch this long after the last one."""

ONSET_FRACTION = 2.0 / math.log(10)
"""Learning has begun once the smoothed loss is under this share of a guess's loss: 2.0 nats for ten classes."""
ONSET_SMOOTHING = 0.9


EVALUATION_PIXELS = {"cpu": 1024 * 28 * 28, "cuda": 4 * 1024 * 28 * 28}
"""Of a batch that is evaluated, about; on CUDA several trials may evaluate theirs side by side on one device."""

Step = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Trains on the images at these places of the split: the batch's loss and how many were right, both on the device.

What it returns is good until the next step.
"""


@dataclass
class _State:
    """What a trial carries from epoch to epoch, and a checkpoint holds."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    epochs: list[EpochRecord]
    accumulated_parts: int = 1
    """Parts that each batch is split into, or was before the trial was paused."""
    smoothed_loss: float | None = None
    onset_step: int | None = None


def run_trial(
    spec: TrialSpec, source: DataSource, checkpoint: Path | None, weights: Path | None = None
) -> Generator[EpochRecord, Order, TrialResult | None]:
    """Train one trial.

    Everything random comes from the trial's phase and seed, not from its variant: split, order of the images, dropout, and
    first weights wherever layers agree in name and shape.

    Args:
        spec: the trial.
        source: where its images come from.
        checkpoint: file to go on from and to save to, which outlives the trial, since its result is not recorded yet
            when it ends; None keeps nothing.
        weights: file for the weights after the last epoch of a confirmation; None keeps none.

    Yields:
        A record after each epoch; send back an `Order`. Epochs that the checkpoint holds are told again, since the driver's
        pruner may not have seen them.

    Returns:
        The result; None after the order "pause", with the state in `checkpoint`.

    Raises:
        DataError: the data is not there, or altered.
    """
    config, train = spec.config, spec.config.train
    dataset = DATASETS[config.data.name]
    size = config.data.resize or dataset.size
    device = torch.device(spec.device)
    data = source.training(spec)
    training, validation = _to_device(data.train, device), _to_device(data.validation, device)

    state = _at_the_start(spec, size, device)
    if checkpoint is not None and checkpoint.exists() and not _restore(state, checkpoint, spec):
        # What there was of it may be half restored.
        state = _at_the_start(spec, size, device)
    model, parts = state.model, state.accumulated_parts
    step = make_step(model, state.optimizer, training, train, size, parts)
    saved_at = time.monotonic()

    for epoch in range(1, train.epochs + 1):
        if epoch > len(state.epochs):
            trouble = _next_epoch(state, step, training, validation, spec, size)
            if trouble is not None:
                return TrialResult(spec.id, "diverged", tuple(state.epochs), message=trouble, accumulated_parts=parts)
        order = yield state.epochs[epoch - 1]
        if order == "prune":
            epochs, why = tuple(state.epochs[:epoch]), f"pruned after epoch {epoch}"
            return TrialResult(spec.id, "pruned", epochs, message=why, accumulated_parts=parts)
        late = time.monotonic() - saved_at > CHECKPOINT_SECONDS
        if checkpoint is not None and (order == "pause" or late):
            _save(state, checkpoint, spec)
            saved_at = time.monotonic()
        if order == "pause":
            return None

    test: dict[str, Any] = {}
    if spec.phase == "confirm":
        split = _to_device(source.test(spec), device)
        _, correct = evaluate(model, split, size, train, parts)
        test = {
            "test_accuracy_percent": 100 * float(correct.mean()),
            "test_correct": np.packbits(correct).tobytes(),
            "num_test_images": len(correct),
            "test_labels": split.labels.cpu().numpy().astype(np.uint8).tobytes(),
        }
        if weights is not None:
            _keep_weights(model, weights, spec)
    return TrialResult(spec.id, "finished", tuple(state.epochs), **test, accumulated_parts=parts)


def _at_the_start(spec: TrialSpec, size: int, device: torch.device) -> _State:
    """A trial that has not trained yet."""
    dataset, train = DATASETS[spec.config.data.name], spec.config.train
    weights_seed = derive(spec.phase, spec.seed, "weights")
    # For what a registered network has that `initialize` does not know, and so leaves as it was drawn.
    torch.manual_seed(weights_seed)
    model = build(spec.config.model, in_channels=dataset.channels, size=size, num_classes=dataset.num_classes)
    initialize(model, train.init, seed=weights_seed)
    model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return _State(model, make_optimizer(model, train), [], spec.accumulated_parts)


def _next_epoch(
    state: _State, step: Step, training: Split, validation: Split, spec: TrialSpec, size: int
) -> str | None:
    """Train and validate once, and append the record; where the loss was not finite there is none, but a message."""
    train, dataset = spec.config.train, DATASETS[spec.config.data.name]
    epoch = len(state.epochs) + 1
    num_batches = len(list(_batches(len(training), train.batch_size)))
    started = time.perf_counter()
    losses, accuracy_percent = _train_epoch(state, step, training, spec, epoch, num_batches)
    train_seconds = time.perf_counter() - started
    if not np.isfinite(losses).all():
        first = (epoch - 1) * num_batches + int(np.argmin(np.isfinite(losses))) + 1
        return f"the loss was not finite at step {first}"
    _watch_onset(state, losses, (epoch - 1) * num_batches, dataset.num_classes)
    validation_loss, correct = evaluate(state.model, validation, size, train, state.accumulated_parts)
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
    state: _State, step: Step, split: Split, spec: TrialSpec, epoch: int, num_batches: int
) -> tuple[np.ndarray, float]:
    """One pass over the training images: loss of each step, shape (num_batches,), and accuracy in percent.

    The device is waited for at the end only: the order goes there in one piece, losses stay there until the epoch is over.
    """
    train = spec.config.train
    device = split.labels.device
    generator = np.random.default_rng(derive(spec.phase, spec.seed, "order", epoch))
    order = _sent(torch.from_numpy(generator.permutation(len(split))), device)
    # Dropout draws from torch's global generator; a seed for each epoch makes a resumed trial draw the same.
    torch.manual_seed(derive(spec.phase, spec.seed, "dropout", epoch))
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
    """The training step of a trial; on a CUDA device one graph, wherever the batch is a whole one.

    Args:
        model: on the split's device.
        optimizer: of the model, as `make_optimizer` makes it.
        split: the training images.
        train: the recipe.
        size: side in pixels that the model takes.
        accumulated_parts: that each batch is split into. Their gradients add up to the whole batch's up to rounding, in a
            network without batch statistics; dropout draws other numbers.
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
        split: what to evaluate on; left in its own order.
        size: side in pixels that the model takes.
        train: for the precision.
        parts: that batches are split into for want of memory.

    Returns:
        Mean cross-entropy in nats; booleans, shape (N,).
    """
    device = split.labels.device
    model.eval()
    # Batches of about the same number of pixels, whatever their size.
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


def learning_rate(train: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Learning rate of a step.

    Args:
        train: the recipe.
        step: from 0.
        steps_per_epoch: optimizer steps in an epoch.

    Returns:
        Linear from near zero to `train.lr` over the warm-up, then constant, or half a cosine down towards zero.

    Source:
        Loshchilov and Hutter (2017) for the cosine, without restarts.
    """
    warmup = train.warmup_epochs * steps_per_epoch
    if step < warmup:
        return train.lr * (step + 1) / (warmup + 1)
    if train.schedule == "constant":
        return train.lr
    total = train.epochs * steps_per_epoch
    return train.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, total - warmup)))


def make_optimizer(model: nn.Module, train: TrainConfig) -> torch.optim.Optimizer:
    """The recipe's optimizer; on a CUDA device one whose steps a graph can hold, its learning rate there, too."""
    device = next(model.parameters()).device
    on_cuda = device.type == "cuda"
    rate = torch.tensor(train.lr, device=device) if on_cuda else train.lr
    if train.optimizer == "adamw":
        return torch.optim.AdamW(
            model.parameters(), lr=rate, weight_decay=train.weight_decay, fused=True, capturable=on_cuda
        )
    return torch.optim.SGD(
        model.parameters(),
        lr=rate,
        momentum=train.momentum,
        # Without momentum Nesterov's step is the plain one; torch refuses to be asked for it.
        nesterov=train.nesterov and train.momentum > 0,
        weight_decay=train.weight_decay,
        fused=True,
    )


def autocast(train: TrainConfig, device: torch.device) -> torch.autocast:
    """The recipe's precision, for a `with` statement."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=train.precision == "bf16")


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give the optimizer the rate of its next step; where it is a tensor, a captured step reads it from there."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def _to_device(split: Split, device: torch.device) -> Split:
    rows = None if split.rows is None else split.rows.to(device)
    return Split(split.images, split.labels.to(device), rows)


def _sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on the device, without waiting for it there."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _prepare(images: torch.Tensor, size: int) -> torch.Tensor:
    """Bytes to numbers in [0, 1], channels last."""
    resized = resize_in_two_passes(images, size) if images.is_cuda else resize(images, size).to(torch.float32)
    return resized.div_(255).contiguous(memory_format=torch.channels_last)


def _batches(count: int, batch_size: int) -> Iterator[tuple[int, int]]:
    """Beginning and end of each batch; a single image left over is left out, since it has no batch statistics."""
    for start in range(0, count, batch_size):
        stop = min(start + batch_size, count)
        if stop - start > 1 or batch_size == 1 or count == 1:
            yield start, stop


def _watch_onset(state: _State, losses: np.ndarray, steps_before: int, num_classes: int) -> None:
    threshold = ONSET_FRACTION * math.log(num_classes)
    # Plain numbers: a checkpoint is read with `weights_only`, which refuses NumPy's.
    for step, loss in enumerate(losses.tolist(), start=steps_before + 1):
        before = loss if state.smoothed_loss is None else state.smoothed_loss
        state.smoothed_loss = ONSET_SMOOTHING * before + (1 - ONSET_SMOOTHING) * loss
        if state.onset_step is None and state.smoothed_loss < threshold:
            state.onset_step = step


def _num_dead_classes(labels: np.ndarray, correct: np.ndarray) -> int:
    present = np.bincount(labels) > 0
    right = np.bincount(labels[correct], minlength=len(present)) > 0
    return int((present & ~right).sum())


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written, or not be used; its trial goes on."""


def _save(state: _State, path: Path, spec: TrialSpec) -> None:
    values = {
        "trial_id": spec.id,
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "epochs": [asdict(record) for record in state.epochs],
        "accumulated_parts": state.accumulated_parts,
        "smoothed_loss": state.smoothed_loss,
        "onset_step": state.onset_step,
    }
    buffer = io.BytesIO()
    torch.save(values, buffer)
    content = buffer.getvalue()
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A kill while writing leaves the last whole checkpoint.
        part.write_bytes(hashlib.sha256(content).digest() + content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        warnings.warn(
            f"no checkpoint of {spec.variant}, seed {spec.seed}, at epoch {len(state.epochs)}: {path}: {error.strerror}; "
            f"it trains on, and would go on from an earlier epoch after an interruption",
            CheckpointWarning,
            stacklevel=2,
        )


def _keep_weights(model: nn.Module, path: Path, spec: TrialSpec) -> None:
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), part)
        part.replace(path)
    # torch says of a full disk that its own file is not as it should be.
    except (OSError, RuntimeError) as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        warnings.warn(
            f"the weights of {spec.variant}, seed {spec.seed}, cannot be kept in {path}: {error}",
            CheckpointWarning,
            stacklevel=2,
        )


def _restore(state: _State, path: Path, spec: TrialSpec) -> bool:
    """Go on from a checkpoint; whether it could be used. One that could not is removed."""
    try:
        whole = path.read_bytes()
        # torch checks no sums: it would take a flipped bit for a weight.
        if hashlib.sha256(whole[32:]).digest() != whole[:32]:
            raise ValueError("its checksum is not that of its content")
        values: dict[str, Any] = torch.load(io.BytesIO(whole[32:]), map_location="cpu", weights_only=True)
        if values["trial_id"] != spec.id:
            raise ValueError(f"it is of trial {values['trial_id']}")
        state.model.load_state_dict(values["model"])
        # A learning rate is set anew each step; where it is a tensor, it stays the one on the device.
        for group, own in zip(values["optimizer"]["param_groups"], state.optimizer.param_groups, strict=True):
            group["lr"] = own["lr"]
        state.optimizer.load_state_dict(values["optimizer"])
        state.epochs = [EpochRecord(**record) for record in values["epochs"]]
        # One that was paused in parts did not fit whole.
        state.accumulated_parts = max(state.accumulated_parts, values["accumulated_parts"])
        state.smoothed_loss, state.onset_step = values["smoothed_loss"], values["onset_step"]
    except (MemoryError, torch.OutOfMemoryError):
        raise  # says nothing of the checkpoint
    # What damage raises depends on where it is, and what another version wrote, or another version of a registered network, on
    # what it was. Only time is lost: a trial that starts anew comes to the same result.
    except Exception as error:  # noqa: BLE001
        warnings.warn(
            f"the checkpoint {path} is damaged, or another version's ({' '.join(str(error).split())[:200]}); its trial starts anew: "
            f"{spec.variant}, seed {spec.seed}",
            CheckpointWarning,
            stacklevel=2,
        )
        path.unlink(missing_ok=True)
        return False
    return True
