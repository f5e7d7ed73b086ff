"""Data sets as published: downloaded, verified and read."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
    if digest(images, labels) != _checksum(dataset, train):
        both = "-".join(digest(*map(np.asarray, read(data_dir, part))) for part in (True, False))
        raise DataError(
            f"{dataset.title}: its {split} split is not the registered one, whose checksum is {dataset.checksum!r}. If the new "
            f"images are right, register it with checksum='sha256:{both}'"
        )
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


def _checksum(dataset: Dataset, train: bool) -> str:
    """The known checksum of a split, as `digest` makes it."""
    return dataset.checksum.removeprefix("sha256:").split("-")[0 if train else -1]


def digest(images: np.ndarray, labels: np.ndarray) -> str:
    """Checksum of a split: 16 hexadecimal digits."""
    content = np.ascontiguousarray(images).tobytes() + labels.astype(np.int64).tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def _fashion_mnist(data_dir: Path, train: bool) -> Split:
    from torchvision.datasets import FashionMNIST

    raw = Path("FashionMNIST") / "raw"
    archives = [
        raw / f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
    ]
    published = _Published(
        "fashion_mnist",
        archives,
        unpack=lambda folder: FashionMNIST(str(folder.absolute()), train=False, download=True),
        remedy=f"Put its four archives into {data_dir / raw}: {', '.join(each.name for each in archives)}; or name the folder "
        f"that has FashionMNIST/raw",
    )
    with _provided(published, data_dir) as folder:
        part, size = "train" if train else "t10k", DATASETS["fashion_mnist"].size
        _verify("fashion_mnist", folder, part)
        images = np.fromfile(folder / raw / f"{part}-images-idx3-ubyte", np.uint8, offset=16).reshape(-1, 1, size, size)
        labels = np.fromfile(folder / raw / f"{part}-labels-idx1-ubyte", np.uint8, offset=8).astype(np.int64)
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


def _cifar10(data_dir: Path, train: bool) -> Split:
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import download_and_extract_archive

    archive, md5 = CIFAR10.filename, CIFAR10.tgz_md5
    published = _Published(
        "cifar10",
        [Path(archive)],
        # Not CIFAR10 itself: it unpickles the files at once, and unpacks nothing if only batches.meta is missing.
        unpack=lambda folder: download_and_extract_archive(
            CIFAR10.url, str(folder.absolute()), filename=archive, md5=md5
        ),
        remedy=f"Put its archive {archive} (MD5 {md5}) into {data_dir}; or name the folder that has {CIFAR10.base_folder}",
    )
    with _provided(published, data_dir) as folder:
        # All files: torchvision needs every one for either split, and does not name the damaged one.
        _verify("cifar10", folder)
        read = CIFAR10(str(folder.absolute()), train=train)
    images = np.ascontiguousarray(read.data.transpose(0, 3, 1, 2))  # torchvision has the channels last
    return Split(torch.from_numpy(images), torch.tensor(read.targets))


@dataclass(frozen=True)
class _Published:
    """How to get the files of a data set.

    Attributes:
        name: of the data set.
        archives: published files, by their paths in the data folder.
        unpack: unpacks the archives in a data folder, and downloads missing ones first.
        remedy: the archives to put in place or the folder to name, for the error.
    """

    name: str
    archives: Sequence[Path]
    unpack: Callable[[Path], object]
    remedy: str


@contextlib.contextmanager
def _provided(published: _Published, data_dir: Path) -> Iterator[Path]:
    """A data folder with the files of a data set, unpacked or downloaded if they are missing.

    It is `data_dir`, or a temporary folder if the archives are in a folder that cannot be written to.

    Raises:
        DataError: the files are missing, and cannot be unpacked or downloaded.
    """
    name, title = published.name, DATASETS[published.name].title
    problem = _problem_of_unpacking(published, data_dir)
    # A read-only folder will do if it has the files.
    if _has_files(name, data_dir):
        yield data_dir
        return
    if not _is_refusal(problem) or not all((data_dir / archive).is_file() for archive in published.archives):
        raise DataError(
            f"{title} is not in {data_dir} and could not be downloaded ({_reason(problem)}).\n{published.remedy} with --data-dir "
            f"or ABLATIONS_DATA."
        ) from problem
    with tempfile.TemporaryDirectory(prefix="ablations-") as temporary:
        try:
            _unpack_elsewhere(published, data_dir, Path(temporary))
        except (RuntimeError, OSError) as error:
            raise DataError(
                f"the archives of {title} are in {data_dir}, which cannot be written to, and cannot be unpacked in {temporary} "
                f"({_reason(error)}). Replace damaged archives, make {data_dir} writable, or set TMPDIR to a folder with room."
            ) from error
        yield Path(temporary)


def _problem_of_unpacking(published: _Published, data_dir: Path) -> Exception | None:
    """Unpack or download what is missing; the problem if that is impossible."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        # Several workers start together: one unpacks, the others wait and find the files.
        with filelock.FileLock(data_dir / f".{published.name}.lock"):
            if not _has_files(published.name, data_dir):
                with _limited():
                    published.unpack(data_dir)
    except (RuntimeError, OSError) as error:
        return error
    return None


def _unpack_elsewhere(published: _Published, data_dir: Path, folder: Path) -> None:
    """Unpack archives of a folder that cannot be written to."""
    for archive in published.archives:
        link = folder / archive
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to((data_dir / archive).absolute())
    with _limited():
        published.unpack(folder)


def _is_refusal(problem: Exception | None) -> bool:
    """Whether a folder cannot be written to."""
    return isinstance(problem, OSError) and problem.errno in {errno.EACCES, errno.EPERM, errno.EROFS}


def _reason(problem: Exception | None) -> str:
    return " ".join(str(problem).split())[:200]


def _has_files(name: str, data_dir: Path) -> bool:
    return all((data_dir / file).exists() for file in DATASETS[name].files_md5)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Limit each wait for the network, and drop what torchvision prints: its download has no limit, and would hang the run."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
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

    published = load_digits()
    raw, labels = published.images.astype(np.uint8), published.target.astype(np.int64)
    # The published data has no split; this one is fixed for good.
    order = stratified_order(labels, derive("digits", 0, "test split"))
    dataset = DATASETS["digits"]
    chosen = order[dataset.num_test :] if train else order[: dataset.num_test]
    # Published with 17 grey levels.
    images, labels = np.rint(raw[chosen] * (255 / 16)).astype(np.uint8)[:, None], labels[chosen]
    if digest(images, labels) != _checksum(dataset, train):
        raise DataError(
            "scikit-learn's digits differ from the ones that this version of the suite knows. Install the version of "
            "scikit-learn in constraints.txt."
        )
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


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
