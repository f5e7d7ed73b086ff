"""TODO"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import filelock
import torch

from ablations.costs import images_of
from ablations.errors import DataError
from ablations.execution.loaders import read_split
from ablations.execution.splits import Split, exact_in_two_passes, resize, stratified_order
from ablations.text import mebibytes
from ablations.trial import DataConfig, Device, TrialSpec, derive

RESIDENT_BYTES = 1 << 30
"""A split that is larger than this once resized is kept at its own size on a CPU, and resized batch by batch."""


@dataclass(frozen=True)
class TrainingData:
    """What a trial may learn and be tuned from. There is no test split in it."""

    train: Split
    validation: Split


class DataSource:
    """Reads each data set once and carves each trial's splits from it."""

    def __init__(self, data_dir: Path, device: Device, shared_dir: Path | None = None) -> None:
        """Reads nothing yet.

        Args:
            data_dir: folder of data sets that are files; they are downloaded into it when absent.
            device: where the images will be needed.
            shared_dir: folder in which processes leave what they have read, verified and resized, for the others to map
                into their memory; None for a process by itself.
        """
        self._data_dir = data_dir
        self._device = device
        self._shared_dir = shared_dir
        self._read: dict[tuple[str, int, bool], Split] = {}

    def training(self, spec: TrialSpec) -> TrainingData:
        """Train and validation splits of a trial; they depend on its phase and seed, not on its variant.

        Raises:
            DataError: the data is not there, or altered.
        """
        data = spec.config.data
        whole = self._load(data, train=True)
        order = stratified_order(whole.labels.numpy(), derive(spec.phase, spec.seed, "split"))
        validation, rest = order[: data.validation], order[data.validation :]
        return TrainingData(train=whole.take(rest[: data.train_size]), validation=whole.take(validation))

    def test(self, spec: TrialSpec) -> Split:
        """The test split, for a confirmation trial.

        Raises:
            PermissionError: the trial is of the tuning phase, which must not see it.
            DataError: the data is not there, or altered.
        """
        if spec.phase != "confirm":
            raise PermissionError(f"a {spec.phase} trial must not read the test split")
        return self._load(spec.config.data, train=False)

    def _load(self, data: DataConfig, *, train: bool) -> Split:
        key = (data.name, images_of(data).size, train)
        if key not in self._read:
            shared = self._shared_dir
            split = self._mapped(*key, shared) if shared else self._prepared(*key)
            self._read[key] = Split(split.images.to(self._device), split.labels)
        return self._read[key]

    def _mapped(self, name: str, size: int, train: bool, folder: Path) -> Split:
        """A split in memory that all processes share: the first to need it writes it, each maps the file."""
        path = folder / f"{name}-{'train' if train else 'test'}-{size}.pt"
        with filelock.FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _write(self._prepared(name, size, train), path)
        images, labels = torch.load(path, mmap=True, weights_only=True)
        return Split(images, labels)

    def _prepared(self, name: str, size: int, train: bool) -> Split:
        split = read_split(name, self._data_dir, train=train)
        if self._device == "cuda":
            # The device resizes a batch in no time where it can do it exactly, and more trials then fit beside each other.
            resident = not exact_in_two_passes(split.images.shape[-1], size)
        else:
            resident = split.images[:, :, 0, 0].numel() * size * size <= RESIDENT_BYTES
        return Split(resize(split.images, size), split.labels) if resident else split


def _write(split: Split, path: Path) -> None:
    """Write a whole split to a file that is there once it is whole.

    Raises:
        DataError: it cannot be written: no trial could be trained, so that none shall count as failed.
    """
    part = path.with_suffix(".part")
    try:
        torch.save((split.images, split.labels), part)
        part.replace(path)
    # torch says of a full disk that its own file is not as it should be.
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        why = error.strerror if isinstance(error, OSError) else "the disk is full, or cannot be written to"
        raise DataError(
            f"the images that all workers share cannot be kept in {path.parent}: {why}. They take {mebibytes(split.images.nbytes)}: make "
            f"room there, or name a folder on another disk with TMPDIR."
        ) from error
