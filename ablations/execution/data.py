"""Images: read once, verified, held as one tensor of unsigned bytes, split by seed.

Shapes: N images, C channels, S side. Images are uint8 (N, C, S, S), labels int64 (N,).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
import torch
import torch.nn.functional as F

from ablations.datasets import DATASETS, Dataset
from ablations.trial import DataConfig, Device, TrialSpec, derive
from ablations.units import mebibytes, raised

DOWNLOAD_TIMEOUT_SECONDS = 30
Read = Callable[[Path, bool], tuple[np.ndarray, np.ndarray]]
"""How a package reads its data set; see `ablations.datasets.Dataset`."""
RESIDENT_BYTES = 1 << 30
"""A split that is larger than this once resized is kept at its own size on a CPU, and resized batch by batch."""


class DataError(Exception):
    """Data that is not there or is not what it should be; the message is for people."""


@dataclass(frozen=True)
class Split:
    """Some images and their labels.

    Attributes:
        images: where the images are, uint8, on the trial's device; other splits may have theirs there, too.
        labels: of this split's images, shape (N,).
        rows: where in `images` each of them is, shape (N,); None for all of it.
    """

    images: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Split:
        """The images at `indices`, in that order; they are not copied."""
        chosen = torch.from_numpy(indices)
        return Split(self.images, self.labels[chosen], chosen if self.rows is None else self.rows[chosen])

    def at(self, places: torch.Tensor | slice) -> torch.Tensor:
        """The images at these places of the split."""
        return self.images[places if self.rows is None else self.rows[places]]


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
        size = data.resize or DATASETS[data.name].size
        key = (data.name, size, train)
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
        split = load(name, self._data_dir, train=train)
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


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """A random order of the images whose every beginning has the classes about in proportion.

    Args:
        labels: class of each image, shape (N,).
        seed: of the order.

    Returns:
        Indices, shape (N,).
    """
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        place[members] = (np.arange(len(members)) + generator.random()) / len(members)
    return np.argsort(place, kind="stable")


def resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """Bilinear, antialiased, rounded to bytes: on a CPU bit for bit what torchvision's Resize does to PIL images.

    Args:
        images: uint8 (N, C, S, S).
        size: new side in pixels.

    Returns:
        uint8 (N, C, size, size).
    """
    if images.shape[-1] == size:
        return images
    resized = torch.empty((*images.shape[:2], size, size), dtype=torch.uint8)
    for start in range(0, len(images), 4096):
        part = images[start : start + 4096]
        resized[start : start + 4096] = F.interpolate(
            part, size=(size, size), mode="bilinear", antialias=True, align_corners=False
        )
    return resized


def resize_in_two_passes(images: torch.Tensor, size: int) -> torch.Tensor:
    """What `resize` does, on any device: first along the rows, then along the columns, each rounded to whole numbers.

    Bit for bit the same where `exact_in_two_passes`: all weights are then multiples of a power of two, and every sum is exact in
    fp32. Elsewhere a sum close to a half may be rounded the other way.

    Args:
        images: uint8 (N, C, S, S).
        size: new side in pixels.

    Returns:
        fp32 (N, C, size, size), whole numbers from 0 to 255.
    """
    numbers = images.float()
    if images.shape[-1] == size:
        return numbers
    weights = _weights(images.shape[-1], size, images.device)
    rows = torch.floor(numbers @ weights.T + 0.5)
    return torch.floor(weights @ rows + 0.5)


def exact_in_two_passes(size: int, to: int) -> bool:
    """Whether images of one side in pixels are resized to the other exactly by `resize_in_two_passes`."""
    times, rest = divmod(to, size)
    return rest == 0 and times & (times - 1) == 0


@functools.cache
def _weights(size: int, to: int, device: torch.device) -> torch.Tensor:
    """What each old pixel of a line contributes to each new one, shape (to, size)."""
    one_pixel_each = torch.eye(size)[None, None]
    weights = F.interpolate(one_pixel_each, size=(to, size), mode="bilinear", antialias=True, align_corners=False)
    return weights[0, 0].to(device)


def load(name: str, data_dir: Path, *, train: bool) -> Split:
    """The training or test split of a data set as published, at its own size.

    Args:
        name: key of `ablations.datasets.DATASETS`.
        data_dir: folder of data sets that are files; they are downloaded into it when absent.
        train: the training split, else the test split.

    Raises:
        DataError: the data is not there and cannot be downloaded, or is not the published or registered one.
    """
    read = DATASETS[name].read
    if read is not None:
        return _registered(DATASETS[name], read, data_dir, train)
    loaders = {"fashion_mnist": _fashion_mnist, "cifar10": _cifar10, "digits": _digits, "synthetic": _synthetic}
    return loaders[name](data_dir, train)


def _registered(dataset: Dataset, read: Read, data_dir: Path, train: bool) -> Split:
    """A split that a package's function reads, held to what the package has registered."""
    try:
        images, labels = map(np.asarray, read(data_dir, train))
    # The package's own code runs, and may raise anything.
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
            f"{dataset.title}: its {split} split is not the registered one, whose checksum is {dataset.checksum!r}. If what it "
            f"reads now is right, register it with checksum='sha256:{both}'"
        )
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


def digest(images: np.ndarray, labels: np.ndarray) -> str:
    """16 hexadecimal digits that name a split of a registered data set."""
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
        # Not by the class, which unpickles what it has unpacked, and unpacks nothing where only batches.meta is missing.
        unpack=lambda: download_and_extract_archive(CIFAR10.url, str(data_dir), filename=archive, md5=md5),
        remedy=f"Put its archive {archive} (MD5 {md5}) into {data_dir}; or name the folder that has {CIFAR10.base_folder}",
    )
    # All of it: torchvision wants every file whole, whichever split it reads, and does not say which one is not.
    _verify("cifar10", data_dir)
    published = CIFAR10(str(data_dir), train=train)
    images = np.ascontiguousarray(published.data.transpose(0, 3, 1, 2))  # torchvision has the channels last
    return Split(torch.from_numpy(images), torch.tensor(published.targets))


def _provide(name: str, data_dir: Path, *, unpack: Callable[[], object], remedy: str) -> None:
    """See to it that a data set's files are there.

    Args:
        name: of the data set.
        data_dir: folder of data sets that are files.
        unpack: unpacks the archives, and downloads those that are missing too.
        remedy: what to put where, or which folder to name; for the error.

    Raises:
        DataError: the files are not there, and cannot be unpacked or downloaded.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        # Several workers start together: one unpacks, the others wait and find the files.
        with filelock.FileLock(data_dir / f".{name}.lock"):
            if not _has_files(name, data_dir):
                with _timeout(), contextlib.redirect_stdout(io.StringIO()):
                    unpack()
    except (RuntimeError, OSError) as error:
        # A folder that cannot be written to will do where the files are there.
        if not _has_files(name, data_dir):
            raise DataError(
                f"{DATASETS[name].title} is not in {data_dir} and could not be downloaded "
                f"({' '.join(str(error).split())[:200]}).\n{remedy} with --data-dir or ABLATIONS_DATA."
            ) from error


def _has_files(name: str, data_dir: Path) -> bool:
    return all((data_dir / file).exists() for file in DATASETS[name].files_md5)


@contextlib.contextmanager
def _timeout() -> Iterator[None]:
    """A dead network must not hang the run: torchvision's download has no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _verify(name: str, data_dir: Path, part: str = "") -> None:
    """Hold the files of a data set whose names begin with `part` to the published MD5s.

    Raises:
        DataError: a file is another one; the message names it.
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
            "scikit-learn's digits are not those that this version of the suite knows. Install the scikit-learn that "
            "constraints.txt names."
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
