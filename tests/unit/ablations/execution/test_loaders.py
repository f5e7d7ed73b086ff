from __future__ import annotations

import errno
import gzip
import hashlib
import io
import multiprocessing
import os
import pickle
import shutil
import struct
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import filelock
import numpy as np
import pytest
import sklearn.datasets
import torch
import torchvision
from places import SHARED_FASHION_MNIST

from ablations.datasets import DATASETS, Dataset
from ablations.errors import DataError
from ablations.execution import loaders
from ablations.execution.loaders import digest, read_split

SHARED = SHARED_FASHION_MNIST


def test_digits_are_split_for_good_and_keep_their_classes(tmp_path: Path) -> None:
    train, test = (read_split("digits", tmp_path, train=each) for each in (True, False))
    assert (len(train), len(test)) == (DATASETS["digits"].num_train, DATASETS["digits"].num_test)
    assert int(train.images.max()) == 255
    assert torch.bincount(test.labels).min() >= 97  # of 1,000 / 10
    assert torch.bincount(train.labels).min() >= 77  # of 797 / 10
    # The split is part of the checksum, and so of every trial's id.
    both = (digest(split.images.numpy(), split.labels.numpy()) for split in (train, test))
    assert DATASETS["digits"].checksum == f"sha256:{'-'.join(both)}"


def test_no_image_of_the_digits_is_in_both_splits(tmp_path: Path) -> None:
    images = [
        each.numpy().tobytes() for part in (True, False) for each in read_split("digits", tmp_path, train=part).images
    ]
    published = sklearn.datasets.load_digits().images
    assert len(images) == len(published)
    assert sorted(images) == sorted(np.rint(each * (255 / 16)).astype(np.uint8).tobytes() for each in published)


def test_other_digits_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    digits = sklearn.datasets.load_digits()
    digits.images[5, 3, 3] += 1
    altered = SimpleNamespace(images=digits.images, target=digits.target)
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: altered)
    with pytest.raises(DataError, match="scikit-learn's digits differ from the ones"):
        _ = [read_split("digits", tmp_path, train=train) for train in (True, False)]


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_images_are_as_the_catalogue_says(name: str, tmp_path: Path) -> None:
    known = DATASETS[name]
    for train, count in ((True, known.num_train), (False, known.num_test)):
        split = read_split(name, tmp_path, train=train)
        assert split.images.shape == (count, known.channels, known.size, known.size)
        assert split.images.dtype == torch.uint8
        assert split.labels.unique().tolist() == list(range(known.num_classes))
    assert not list(tmp_path.iterdir())


def own(**changes: Any) -> Dataset:
    """A data set of four images to train on and two to test on, and what is changed of it."""
    images = np.arange(4 * 9, dtype=np.uint8).reshape(4, 1, 3, 3)
    labels = np.array([0, 1, 0, 1])
    facts = {
        "title": "own",
        "classes": ("a", "b"),
        "channels": 1,
        "size": 3,
        "num_train": 4,
        "num_test": 2,
        "checksum": f"sha256:{digest(images, labels)}-{digest(images[:2], labels[:2])}",
        "read": lambda data_dir, train: (images, labels) if train else (images[:2], labels[:2]),
    }
    return Dataset(**{**facts, **changes})


def test_a_registered_data_set_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loaders, "DATASETS", {"own": own()})
    train, test = (read_split("own", tmp_path, train=each) for each in (True, False))
    assert (train.images.shape, train.labels.tolist(), len(test)) == ((4, 1, 3, 3), [0, 1, 0, 1], 2)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"read": lambda data_dir, train: 1 / 0}, "own cannot be read: ZeroDivisionError"),
        ({"size": 4}, "its test split must be images of uint8 (2, 1, 4, 4) and labels (2,); read gives images of uint8 (2, 1, 3, 3)"),
        ({"num_test": 3}, "must be images of uint8 (3, 1, 3, 3) and labels (3,)"),
        ({"read": lambda data_dir, train: (np.zeros((2, 1, 3, 3)), [0, 1])}, "read gives images of float64"),
        ({"read": lambda data_dir, train: (np.zeros((2, 1, 3, 3), np.uint8), [0, 2])}, "must be integers from 0 to 1"),
        ({"read": lambda data_dir, train: (np.zeros((2, 1, 3, 3), np.uint8), [0.0, 1.0])}, "must be integers from 0 to 1"),
        ({"checksum": "sha256:"}, f"register it with checksum='{own().checksum}'"),
    ],
)  # fmt: skip
def test_a_registered_data_set_that_is_not_what_it_says_is_refused(
    changes: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(loaders, "DATASETS", {"own": own(**changes)})
    with pytest.raises(DataError) as caught:
        read_split("own", tmp_path, train=False)
    assert says in str(caught.value)


Files = dict[str, bytes]


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> Files:
    """Four files as published but small, known by their MD5s; the mirror is an address that refuses."""
    rng = np.random.default_rng(0)
    files: Files = {}
    for part, count in (("train", 20), ("t10k", 8)):
        pixels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        files[f"{part}-images-idx3-ubyte"] = struct.pack(">iiii", 2051, count, 28, 28) + pixels.tobytes()
        files[f"{part}-labels-idx1-ubyte"] = struct.pack(">ii", 2049, count) + labels.tobytes()
    raw_md5 = {f"FashionMNIST/raw/{name}": md5(content) for name, content in files.items()}
    known = replace(DATASETS["fashion_mnist"], files_md5=raw_md5, num_train=20, num_test=8)
    monkeypatch.setattr(loaders, "DATASETS", {**DATASETS, "fashion_mnist": known})
    archives = [(f"{name}.gz", md5(archive(content))) for name, content in files.items()]
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "resources", archives)
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    return files


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def archive(content: bytes) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
        file.write(content)
    return packed.getvalue()


def put(files: Files, folder: Path, *, archives: bool = False) -> Path:
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in files.items():
        (raw / (f"{name}.gz" if archives else name)).write_bytes(archive(content) if archives else content)
    return raw


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Makes a folder one that cannot be written to, until the test is over."""
    folders: list[Path] = []

    def refuse(lock: filelock.FileLock, *args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", lock.lock_file)

    def make(folder: Path) -> None:
        folder.chmod(0o555)
        folders.append(folder)
        monkeypatch.setattr(filelock.FileLock, "acquire", refuse)  # for root, who may write everywhere

    yield make
    for folder in folders:
        folder.chmod(0o755)


@pytest.mark.parametrize("archives", [True, False])
def test_fashion_mnist_is_read_from_archives_and_from_raw_files(
    archives: bool, small_files: Files, tmp_path: Path
) -> None:
    put(small_files, tmp_path, archives=archives)
    for part, train in (("train", True), ("t10k", False)):
        split = read_split("fashion_mnist", tmp_path, train=train)
        assert split.images.numpy().tobytes() == small_files[f"{part}-images-idx3-ubyte"][16:]
        assert split.labels.numpy().astype(np.uint8).tobytes() == small_files[f"{part}-labels-idx1-ubyte"][8:]


def test_fashion_mnist_absent_with_no_network_is_one_error_that_says_what_to_do(
    small_files: Files, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        read_split("fashion_mnist", tmp_path / "nowhere", train=True)
    message = str(caught.value)
    assert str(tmp_path / "nowhere" / "FashionMNIST" / "raw") in message
    assert all(f"{name}.gz" in message for name in small_files)
    assert "ABLATIONS_DATA" in message
    assert len(message.splitlines()) == 2


def test_a_broken_archive_is_not_unpacked(small_files: Files, tmp_path: Path) -> None:
    raw = put(small_files, tmp_path, archives=True)
    (raw / "t10k-labels-idx1-ubyte.gz").write_bytes(b"half a down")
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz"):
        read_split("fashion_mnist", tmp_path, train=True)


@pytest.mark.parametrize("alter", [lambda raw: raw[:-1] + b"?", lambda raw: raw[:-100], lambda raw: b""])
def test_an_altered_raw_file_is_named(alter: Callable[[bytes], bytes], small_files: Files, tmp_path: Path) -> None:
    file = put(small_files, tmp_path) / "train-images-idx3-ubyte"
    file.write_bytes(alter(file.read_bytes()))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte is not the published file: its MD5 is"):
        read_split("fashion_mnist", tmp_path, train=True)


def test_a_folder_that_cannot_be_written_to_will_do(
    small_files: Files, read_only: Callable[[Path], None], tmp_path: Path
) -> None:
    put(small_files, tmp_path)
    read_only(tmp_path)
    assert len(read_split("fashion_mnist", tmp_path, train=True)) == 20


def test_archives_in_a_folder_that_cannot_be_written_to_will_do(
    small_files: Files, read_only: Callable[[Path], None], tmp_path: Path
) -> None:
    raw = put(small_files, tmp_path, archives=True)
    read_only(tmp_path)
    assert len(read_split("fashion_mnist", tmp_path, train=True)) == 20
    assert {each.suffix for each in raw.iterdir()} == {".gz"}


def test_a_broken_archive_in_a_folder_that_cannot_be_written_to_is_said_to_be_there(
    small_files: Files, read_only: Callable[[Path], None], tmp_path: Path
) -> None:
    raw = put(small_files, tmp_path, archives=True)
    (raw / "t10k-labels-idx1-ubyte.gz").write_bytes(b"half a down")
    read_only(tmp_path)
    with pytest.raises(DataError) as caught:
        read_split("fashion_mnist", tmp_path, train=True)
    message = str(caught.value)
    assert (
        f"the archives of Fashion-MNIST are in {tmp_path}, which cannot be written to, and cannot be unpacked"
        in message
    )
    assert "t10k-labels-idx1-ubyte.gz" in message
    assert (raw / "t10k-labels-idx1-ubyte.gz").read_bytes() == b"half a down"


@pytest.mark.skipif(not SHARED.exists(), reason="the published archives are not beside this checkout")
def test_the_published_archives_are_what_the_catalogue_knows(tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for file in SHARED.glob("*.gz"):
        shutil.copyfile(file, raw / file.name)
    known = DATASETS["fashion_mnist"]
    train, test = (read_split("fashion_mnist", tmp_path, train=each) for each in (True, False))
    assert (len(train), len(test)) == (known.num_train, known.num_test)
    assert torch.bincount(train.labels).tolist() == [6000] * 10
    assert known.checksum == "md5:" + "-".join(each[:8] for each in known.files_md5.values())
    shutil.rmtree(tmp_path)


ARCHIVE = "cifar-10-python.tar.gz"


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> Files:
    """The published files in small, known to us and to torchvision by their MD5s; the address refuses."""
    rng = np.random.default_rng(0)
    counts = {f"data_batch_{number}": 4 for number in range(1, 6)} | {"test_batch": 6}
    batches: dict[str, dict[str, object]] = {
        name: {
            "batch_label": name,
            "labels": rng.integers(0, 10, count).tolist(),
            "data": rng.integers(0, 256, (count, 3 * 32 * 32), dtype=np.uint8),
            "filenames": [f"{name}_{index}.png" for index in range(count)],
        }
        for name, count in counts.items()
    }
    batches["batches.meta"] = {"label_names": [f"class {label}" for label in range(10)]}
    files = {name: pickle.dumps(batch, protocol=2) for name, batch in batches.items()}
    found = {name: md5(content) for name, content in files.items()}
    known = replace(DATASETS["cifar10"], files_md5={f"cifar-10-batches-py/{name}": found[name] for name in files})
    monkeypatch.setattr(loaders, "DATASETS", {**DATASETS, "cifar10": known})
    cifar10 = torchvision.datasets.CIFAR10
    monkeypatch.setattr(cifar10, "train_list", [[name, found[name]] for name in files if name.startswith("data_batch")])
    monkeypatch.setattr(cifar10, "test_list", [["test_batch", found["test_batch"]]])
    monkeypatch.setattr(cifar10, "meta", {**cifar10.meta, "md5": found["batches.meta"]})
    monkeypatch.setattr(cifar10, "tgz_md5", md5(tar(files)))
    monkeypatch.setattr(cifar10, "url", f"http://127.0.0.1:9/{ARCHIVE}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return files


def tar(files: Files) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as file:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return archive(packed.getvalue())


def put_batches(files: Files, folder: Path) -> Path:
    batches = folder / "cifar-10-batches-py"
    batches.mkdir()
    for name, content in files.items():
        (batches / name).write_bytes(content)
    return batches


def put_archive(files: Files, folder: Path) -> Path:
    path = folder / ARCHIVE
    path.write_bytes(tar(files))
    return path


@pytest.mark.parametrize("put_files", [put_archive, put_batches])
def test_cifar10_is_read_in_its_own_order_and_its_test_images_stay_apart(
    put_files: Callable[[Files, Path], Path], small_batches: Files, tmp_path: Path
) -> None:
    put_files(small_batches, tmp_path)
    batches = {name: pickle.loads(content) for name, content in small_batches.items()}
    training = [f"data_batch_{number}" for number in range(1, 6)]
    for names, train, count in ((training, True, 20), (["test_batch"], False, 6)):
        split = read_split("cifar10", tmp_path, train=train)
        assert (split.images.dtype, split.images.shape) == (torch.uint8, (count, 3, 32, 32))
        assert (split.labels.dtype, split.labels.shape) == (torch.int64, (count,))
        # Each image is its red, its green and its blue plane, row by row.
        assert split.images.numpy().tobytes() == b"".join(batches[name]["data"].tobytes() for name in names)
        assert split.labels.tolist() == [label for name in names for label in batches[name]["labels"]]


def test_torchvision_knows_the_same_files_by_the_same_md5s() -> None:
    published = torchvision.datasets.CIFAR10
    listed = [*published.train_list, *published.test_list, [published.meta["filename"], published.meta["md5"]]]
    assert dict(DATASETS["cifar10"].files_md5) == {f"{published.base_folder}/{name}": md5 for name, md5 in listed}


def test_cifar10_absent_with_no_network_is_one_error_that_says_what_to_do(small_batches: Files, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(DataError) as caught:
        read_split("cifar10", nowhere, train=True)
    refused = f"<urlopen error [Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}>"
    assert str(caught.value) == (
        f"CIFAR-10 is not in {nowhere} and could not be downloaded ({refused}).\n"
        f"Put its archive cifar-10-python.tar.gz (MD5 {md5(tar(small_batches))}) into {nowhere}; or name the folder that has "
        "cifar-10-batches-py with --data-dir or ABLATIONS_DATA."
    )


def test_a_broken_archive_of_cifar10_is_not_unpacked(small_batches: Files, tmp_path: Path) -> None:
    path = put_archive(small_batches, tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"Put its archive cifar-10-python\.tar\.gz \(MD5 "):
        read_split("cifar10", tmp_path, train=True)
    assert not (tmp_path / "cifar-10-batches-py").exists()


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", ["data_batch_1", "data_batch_5", "test_batch", "batches.meta"])
def test_an_altered_batch_is_named_and_nothing_is_unpickled(
    name: str, train: bool, small_batches: Files, tmp_path: Path
) -> None:
    batches = put_batches(small_batches, tmp_path)
    sprung = tmp_path / "sprung"
    altered = pickle.dumps(Trap(sprung))
    (batches / name).write_bytes(altered)
    with pytest.raises(DataError) as caught:
        read_split("cifar10", tmp_path, train=train)
    assert str(caught.value) == (
        f"{batches / name} is not the published file: its MD5 is {md5(altered)}, it should be "
        f"{md5(small_batches[name])}. Delete it; it is then unpacked or downloaded again."
    )
    assert not sprung.exists()
    # What the message says to do helps.
    (batches / name).unlink()
    put_archive(small_batches, tmp_path)
    assert len(read_split("cifar10", tmp_path, train=train)) == (20 if train else 6)


def test_a_folder_of_cifar10_that_cannot_be_written_to_will_do(
    small_batches: Files, read_only: Callable[[Path], None], tmp_path: Path
) -> None:
    put_batches(small_batches, tmp_path)
    read_only(tmp_path)
    assert len(read_split("cifar10", tmp_path, train=True)) == 20


def test_the_archive_of_cifar10_in_a_folder_that_cannot_be_written_to_will_do(
    small_batches: Files, read_only: Callable[[Path], None], tmp_path: Path
) -> None:
    put_archive(small_batches, tmp_path)
    read_only(tmp_path)
    assert len(read_split("cifar10", tmp_path, train=True)) == 20
    assert [each.name for each in tmp_path.iterdir()] == [ARCHIVE]


def test_of_two_processes_at_once_one_unpacks_and_both_read(
    small_batches: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("fork")  # so that they know the small files' MD5s
    unpackings, counts, together = context.SimpleQueue(), context.Queue(), context.Barrier(2)
    extract = torchvision.datasets.utils.extract_archive

    def slowly(*args: object, **options: object) -> None:
        unpackings.put("unpacked")
        time.sleep(0.5)  # the other one is here meanwhile
        extract(*args, **options)

    def read() -> None:
        together.wait(60)
        counts.put(len(read_split("cifar10", tmp_path, train=True)))

    monkeypatch.setattr(torchvision.datasets.utils, "extract_archive", slowly)
    put_archive(small_batches, tmp_path)
    readers = [context.Process(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    assert [counts.get(timeout=60) for _ in readers] == [20, 20]
    for reader in readers:
        reader.join()
    assert unpackings.get() == "unpacked"
    assert unpackings.empty()
