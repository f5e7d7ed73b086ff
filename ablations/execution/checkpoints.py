"""The state of a trial on disk, with its checksum, and the weights of a finished one."""

from __future__ import annotations

import hashlib
import io
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ablations.trial import EpochRecord, TrialSpec

_NUM_CHECKSUM_BYTES = 32
"""SHA-256 of the rest of the file, at its beginning."""


@dataclass
class TrialState:
    """All that a trial carries from epoch to epoch; a checkpoint holds the same.

    Attributes:
        model: the network.
        optimizer: of the network.
        epochs: the records so far.
        accumulated_parts: parts of each batch over which gradients are accumulated, now or before the trial was paused.
        smoothed_loss: of the last step; None before the first.
        onset_step: first step with a smoothed loss below the onset threshold; None before that.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    epochs: list[EpochRecord]
    accumulated_parts: int = 1
    smoothed_loss: float | None = None
    onset_step: int | None = None


class CheckpointWarning(UserWarning):
    """A file could not be written, or not be used; its trial goes on."""


def save_checkpoint(state: TrialState, path: Path, spec: TrialSpec) -> None:
    """Write a trial's state. If the disk refuses it, the earlier checkpoint stays, and a CheckpointWarning says so.

    Args:
        state: of the trial.
        path: the file; its folder is made.
        spec: the trial.
    """
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
        # A process that is killed here leaves the last whole checkpoint.
        part.write_bytes(hashlib.sha256(content).digest() + content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        warnings.warn(
            f"the checkpoint of {spec.variant}, seed {spec.seed}, after epoch {len(state.epochs)} could not be written to {path}: "
            f"{error.strerror}; the trial continues, and an interruption would cost it more epochs",
            CheckpointWarning,
            stacklevel=2,
        )


def restore_checkpoint(state: TrialState, path: Path, spec: TrialSpec) -> bool:
    """Read a trial's state back. An unusable checkpoint is removed, and a CheckpointWarning says so.

    Args:
        state: of the same trial before its first epoch; is overwritten, and in part if the checkpoint turns out unusable.
        path: the file.
        spec: the trial.

    Returns:
        Whether the checkpoint could be used.
    """
    try:
        values = _read(path, spec)
        state.model.load_state_dict(values["model"])
        # The learning rate is set before each step. If it is a tensor, it must stay the one on the device.
        for group, own in zip(values["optimizer"]["param_groups"], state.optimizer.param_groups, strict=True):
            group["lr"] = own["lr"]
        state.optimizer.load_state_dict(values["optimizer"])
        state.epochs = [EpochRecord(**record) for record in values["epochs"]]
        # A trial that was paused in parts did not fit whole.
        state.accumulated_parts = max(state.accumulated_parts, values["accumulated_parts"])
        state.smoothed_loss, state.onset_step = values["smoothed_loss"], values["onset_step"]
    except (MemoryError, torch.OutOfMemoryError):
        raise  # the checkpoint may be good
    # Damage can raise anything, and so can a checkpoint of another version of the suite or of a registered network. Only time
    # is lost: the trial starts from the beginning, and ends with the same result.
    except Exception as error:  # noqa: BLE001
        warnings.warn(
            f"the checkpoint {path} is damaged or from another version ({' '.join(str(error).split())[:200]}); its trial starts "
            f"from the beginning: {spec.variant}, seed {spec.seed}",
            CheckpointWarning,
            stacklevel=2,
        )
        path.unlink(missing_ok=True)
        return False
    return True


def _read(path: Path, spec: TrialSpec) -> dict[str, Any]:
    """The values of a checkpoint, once its checksum and its trial are verified."""
    whole = path.read_bytes()
    checksum, content = whole[:_NUM_CHECKSUM_BYTES], whole[_NUM_CHECKSUM_BYTES:]
    # torch verifies no checksum: it would take a flipped bit for a weight.
    if hashlib.sha256(content).digest() != checksum:
        raise ValueError("its checksum does not match its content")
    values: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if values["trial_id"] != spec.id:
        raise ValueError(f"it belongs to trial {values['trial_id']}")
    return values


def save_weights(model: nn.Module, path: Path, spec: TrialSpec) -> None:
    """Write the final weights of a trial. If the disk refuses them, a CheckpointWarning says so.

    Args:
        model: the trained network.
        path: the file; its folder is made.
        spec: the trial.
    """
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), part)
        part.replace(path)
    # On a full disk torch raises a RuntimeError about its own file.
    except (OSError, RuntimeError) as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        warnings.warn(
            f"the weights of {spec.variant}, seed {spec.seed}, could not be written to {path}: {error}",
            CheckpointWarning,
            stacklevel=2,
        )
