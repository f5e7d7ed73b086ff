"""Data sets as published: downloaded, verified and read."""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import numpy as np
import torch

from ablations.datasets import DATASETS, Dataset
from ablations.errors import DataError
from ablations.execution.splits import Split, stratified_order
from ablations.text import raised
from ablations.trial import derive

DOWNLOAD_TIMEOUT_SECONDS = 30
"""Longest silence of the network."""

Read = Callable[[Path, bool], tuple[np.ndarray, np.ndarray]]
"""Reads a package's data set; see `ablations.datasets.Dataset`."""


def read_split(name: str, data_dir: Path, *, train: bool) -> Split:
    """The training or test split of a data set as published, at its own size.

    Args:
        name: key of `ablations.datasets.DATASETS`.
        data_dir: folder of the downloaded data sets; missing ones are downloaded.
        train: the training split, else the test split.

    Raises:
        DataError: the data is missing and cannot be downloaded, or it differs from the published or registered data.
    """
    read = DATASETS[name].read
    if read is not None:
        return _registered(DATASETS[name], read, data_dir, train)
    loaders = {"fashion_mnist": _fashion_mnist, "cifar10": _cifar10, "digits": _digits, "synthetic": _synthetic}
    return loaders[name](data_dir, train)


def _registered(dataset: Dataset, read: Read, data_dir: Path, train: bool) -> Split:
    """A split as a package's function reads it, checked against the registered facts."""
    try:
        images, labels = map(np.asarray, read(data_dir, train))
    # This is the package's own code, and may raise anything.
    except Exception as error:
        raise DataError(f"{dataset.title} cannot be read: {raised(error)}") from error
    count = dataset.num_train if train else dataset.num_test
    wanted = (count, dataset.channels, dataset.size, dataset.size)
    split = "training" if train else "test"
    if images.dtype != np.uint8 or images.shape != wanted or labels.shape != (count,):
        raise DataError(
            f"{dataset.title}: its {split} split must be images of uint8 {wanted} and labels ({count},); read gives images of "
            f"{images.dtype} {images.shape} and labels {labels.shape}"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= dataset.num_classes:
        raise DataError(
            f"{dataset.title}: labels of its {split} split must be integers from 0 to {dataset.num_classes - 1}"
        )
    labels = labels.astype(np.int64)
    if digest(images, labels) != dataset.checksum.removeprefix("sha256:").split("-")[0 if train else -1]:
        both = "-".join(digest(*map(np.asarray, read(data_dir, part))) for part in (True, False))
        raise DataError(
            f"{dataset.title}: its {split} split is not the registered one, whose checksum is {dataset.checksum!r}. If the new "
            f"images are right, register it with checksum='sha256:{both}'"
        )
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


def digest(images: np.ndarray, labels: np.ndarray) -> str:
    """Checksum of a split of a registered data set: 16 hexadecimal digits."""
    content = np.ascontiguousarray(images).tobytes() + labels.astype(np.int64).tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def _fashion_mnist(data_dir: Path, train: bool) -> Split:
    from torchvision.datasets import FashionMNIST

    raw = data_dir / "FashionMNIST" / "raw"
    _provide(
        "fashion_mnist",
        data_dir,
        unpack=lambda: FashionMNIST(str(data_dir), train=False, download=True),
        remedy=f"Put its four archives into {raw}: train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
        f"t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz; or name the folder that has FashionMNIST/raw",
    )
    part, size = "train" if train else "t10k", DATASETS["fashion_mnist"].size
    _verify("fashion_mnist", data_dir, part)
    images = np.fromfile(raw / f"{part}-images-idx3-ubyte", np.uint8, offset=16).reshape(-1, 1, size, size)
    labels = np.fromfile(raw / f"{part}-labels-idx1-ubyte", np.uint8, offset=8).astype(np.int64)
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


def _cifar10(data_dir: Path, train: bool) -> Split:
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import download_and_extract_archive

    archive, md5 = CIFAR10.filename, CIFAR10.tgz_md5
    _provide(
        "cifar10",
        data_dir,
        # Not CIFAR10 itself: it unpickles the files at once, and unpacks nothing if only batches.meta is missing.
        unpack=lambda: download_and_extract_archive(CIFAR10.url, str(data_dir), filename=archive, md5=md5),
        remedy=f"Put its archive {archive} (MD5 {md5}) into {data_dir}; or name the folder that has {CIFAR10.base_folder}",
    )
    # All files: torchvision needs every one for either split, and does not name the damaged one.
    _verify("cifar10", data_dir)
    published = CIFAR10(str(data_dir), train=train)
    images = np.ascontiguousarray(published.data.transpose(0, 3, 1, 2))  # torchvision has the channels last
    return Split(torch.from_numpy(images), torch.tensor(published.targets))


def _provide(name: str, data_dir: Path, *, unpack: Callable[[], object], remedy: str) -> None:
    """Unpack or download a data set's files if they are missing.

    Args:
        name: of the data set.
        data_dir: folder of the downloaded data sets.
        unpack: unpacks the archives, and downloads missing ones first.
        remedy: the archives to put in place or the folder to name, for the error.

    Raises:
        DataError: the files are missing, and cannot be unpacked or downloaded.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        # Several workers start together: one unpacks, the others wait and find the files.
        with filelock.FileLock(data_dir / f".{name}.lock"):
            if not _has_files(name, data_dir):
                with _timeout(), contextlib.redirect_stdout(io.StringIO()):
                    unpack()
    except (RuntimeError, OSError) as error:
        # A read-only folder will do if it has the files.
        if not _has_files(name, data_dir):
            raise DataError(
                f"{DATASETS[name].title} is not in {data_dir} and could not be downloaded "
                f"({' '.join(str(error).split())[:200]}).\n{remedy} with --data-dir or ABLATIONS_DATA."
            ) from error


def _has_files(name: str, data_dir: Path) -> bool:
    return all((data_dir / file).exists() for file in DATASETS[name].files_md5)


@contextlib.contextmanager
def _timeout() -> Iterator[None]:
    """Limit each wait for the network: torchvision's download has no limit, and would hang the run."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _verify(name: str, data_dir: Path, part: str = "") -> None:
    """Check files of a data set against the published MD5s.

    Args:
        name: of the data set.
        data_dir: folder of the downloaded data sets.
        part: beginning of the names of the files to check; all files begin with "".

    Raises:
        DataError: a file differs; the message names it.
    """
    for file, md5 in DATASETS[name].files_md5.items():
        path = data_dir / file
        if not path.name.startswith(part):
            continue
        found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        if found != md5:
            raise DataError(
                f"{path} is not the published file: its MD5 is {found}, it should be {md5}. Delete it; it is then unpacked or "
                f"downloaded again."
            )


def _digits(data_dir: Path, train: bool) -> Split:
    from sklearn.datasets import load_digits

    digits = load_digits()
    raw, labels = digits.images.astype(np.uint8), digits.target.astype(np.int64)
    found = hashlib.sha256(raw.tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()
    if not found.startswith(DATASETS["digits"].checksum.removeprefix("sha256:")):
        raise DataError(
            "scikit-learn's digits differ from the ones that this version of the suite knows. Install the version of "
            "scikit-learn in constraints.txt."
        )
    # The published data has no split; this one is fixed for good.
    order = stratified_order(labels, derive("digits", 0, "test split"))
    num_test = DATASETS["digits"].num_test
    chosen = order[num_test:] if train else order[:num_test]
    images = np.rint(raw * (255 / 16)).astype(np.uint8)  # published with 17 grey levels
    return Split(torch.from_numpy(images[chosen]).unsqueeze(1), torch.from_numpy(labels[chosen]))


def _synthetic(data_dir: Path, train: bool) -> Split:
    """Noise with a bright bar: horizontal or vertical, in the first or the second half."""
    dataset = DATASETS["synthetic"]
    count = dataset.num_train if train else dataset.num_test
    generator = np.random.default_rng(derive("synthetic", int(train), "images"))
    labels = np.arange(count) % dataset.num_classes
    images = generator.integers(0, 100, (count, 1, dataset.size, dataset.size))
    half = dataset.size // 2
    for image, label, at in zip(images, labels, generator.integers(0, half, count), strict=True):
        line = at + half * (label // 2)
        bar = (0, line, slice(None)) if label % 2 else (0, slice(None), line)
        image[bar] += 120
    return Split(torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels.astype(np.int64)))
