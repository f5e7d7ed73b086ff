"""The state of a trial on disk. torch is imported when a state is saved or restored: the driver only removes files."""

from __future__ import annotations

import hashlib
import io
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.trial import EpochRecord, TrialSpec

if TYPE_CHECKING:
    import torch
    from torch import nn


def remove_checkpoint(folder: Path, spec: TrialSpec) -> None:
    """Remove what a trial that is recorded has left."""
    for suffix in (".pt", ".part"):
        checkpoint_file(folder, spec).with_suffix(suffix).unlink(missing_ok=True)


def checkpoint_file(folder: Path, spec: TrialSpec) -> Path:
    return folder / f"{spec.id}.pt"


@dataclass
class TrialState:
    """What a trial carries from epoch to epoch, and a checkpoint holds."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    epochs: list[EpochRecord]
    accumulated_parts: int = 1
    """Parts that each batch is split into, or was before the trial was paused."""
    smoothed_loss: float | None = None
    onset_step: int | None = None


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written, or not be used; its trial goes on."""


def save(state: TrialState, path: Path, spec: TrialSpec) -> None:
    import torch

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


def keep_weights(model: nn.Module, path: Path, spec: TrialSpec) -> None:
    import torch

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


def restore(state: TrialState, path: Path, spec: TrialSpec) -> bool:
    """Go on from a checkpoint; whether it could be used. One that could not is removed."""
    import torch

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
