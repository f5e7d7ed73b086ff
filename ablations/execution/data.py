"""The images of trials: each trial's splits, in memory shared by all workers of a machine."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import filelock
import torch

from ablations.costs import images_of
from ablations.datasets import DATASETS
from ablations.errors import DataError
from ablations.execution.loaders import read_split
from ablations.execution.splits import Split, exact_in_two_passes, resize, stratified_order
from ablations.text import mebibytes
from ablations.trial import DataConfig, Device, TrialSpec, derive

RESIDENT_BYTES = 1 << 30
"""Largest resized split on a CPU; the images of a larger one keep their size, and each batch is resized."""


@dataclass(frozen=True)
class TrainingData:
    """The images for training and tuning a trial. There is no test split in it."""

    train: Split
    validation: Split


class DataSource:
    """Reads each data set once, and takes each trial's splits from it."""

    def __init__(self, data_dir: Path, device: Device, shared_dir: Path | None = None) -> None:
        """Reads nothing yet.

        Args:
            data_dir: folder of the downloaded data sets; missing ones are downloaded.
            device: where the images are used.
            shared_dir: folder for images after reading, verifying and resizing; every process maps the same file into its
                memory. None for a single process.
        """
        self._data_dir = data_dir
        self._device = device
        self._shared_dir = shared_dir
        self._read: dict[tuple[str, int, bool], Split] = {}

    def training(self, spec: TrialSpec) -> TrainingData:
        """Train and validation splits of a trial; they depend on its phase and seed, not on its variant.

        Raises:
            DataError: the data is missing or altered.
        """
        data = spec.config.data
        whole = self._load(data, train=True)
        order = stratified_order(whole.labels.numpy(), derive(spec.draws, spec.seed, "split"))
        validation, rest = order[: data.validation], order[data.validation :]
        return TrainingData(train=whole.take(rest[: data.train_size]), validation=whole.take(validation))

    def test(self, spec: TrialSpec) -> Split:
        """The test split, for a confirmation or an examination.

        Raises:
            PermissionError: the trial belongs to the tuning phase, which must not see it.
            DataError: the data is missing or altered.
        """
        if spec.phase == "tune":
            raise PermissionError(f"a {spec.phase} trial must not read the test split")
        return self._load(spec.config.data, train=False)

    def _load(self, data: DataConfig, *, train: bool) -> Split:
        key = (data.name, images_of(data).size, train)
        if key not in self._read:
            shared = self._shared_dir
            try:
                split = self._mapped(*key, shared) if shared else self._prepared(*key)
            # A file that vanished, or that may not be read. No trial is to blame.
            except OSError as error:
                raise DataError(
                    f"{DATASETS[data.name].title} cannot be read from {self._data_dir}: {' '.join(str(error).split())}. Check that its "
                    f"files can be read, or name another folder with --data-dir or ABLATIONS_DATA."
                ) from error
            self._read[key] = Split(split.images.to(self._device), split.labels)
        return self._read[key]

    def _mapped(self, name: str, size: int, train: bool, folder: Path) -> Split:
        """A split in memory shared by all processes: the first process writes the file, and every process maps it."""
        path = folder / f"{name}-{'train' if train else 'test'}-{size}.pt"
        with filelock.FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _write(self._prepared(name, size, train), path)
        images, labels = torch.load(path, mmap=True, weights_only=True)
        return Split(images, labels)

    def _prepared(self, name: str, size: int, train: bool) -> Split:
        split = read_split(name, self._data_dir, train=train)
        if self._device == "cuda":
            # Where it is exact, the device resizes each batch in almost no time, and more trials fit in parallel.
            resident = not exact_in_two_passes(split.images.shape[-1], size)
        else:
            resident = split.images[:, :, 0, 0].numel() * size * size <= RESIDENT_BYTES
        return Split(resize(split.images, size), split.labels) if resident else split


def _write(split: Split, path: Path) -> None:
    """Write a split to a file, which appears when it is whole.

    Raises:
        DataError: the disk refuses it. No trial can be trained then, and none of them is to blame.
    """
    part = path.with_suffix(".part")
    try:
        torch.save((split.images, split.labels), part)
        part.replace(path)
    # On a full disk torch raises a RuntimeError about its own file.
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        why = error.strerror if isinstance(error, OSError) else "the disk is full or read-only"
        raise DataError(
            f"the images for all workers cannot be written to {path.parent}: {why}. They take {mebibytes(split.images.nbytes)}: make "
            f"room there, or set TMPDIR to a folder on another disk."
        ) from error
