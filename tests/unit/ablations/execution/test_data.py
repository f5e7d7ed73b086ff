from __future__ import annotations

import errno
import gzip
import hashlib
import io
import multiprocessing
import os
import pickle
import resource
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
import tiny
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from places import SHARED_FASHION_MNIST

from ablations.datasets import DATASETS, Dataset
from ablations.errors import DataError
from ablations.execution import data, loaders
from ablations.execution.data import DataSource
from ablations.execution.loaders import digest, read_split
from ablations.execution.splits import Split, exact_in_two_passes, resize, resize_in_two_passes, stratified_order
from ablations.execution.train import run_trial
from ablations.trial import EpochRecord

SHARED = SHARED_FASHION_MNIST


def noise(count: int, size: int, channels: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, channels, size, size), dtype=np.uint8))


# Resizing


@pytest.mark.parametrize(("size", "to"), [(28, 14), (28, 32), (28, 56), (28, 64), (28, 224), (8, 16), (8, 32)])
def test_resize_is_that_of_torchvision_on_pil_images_bit_for_bit(size: int, to: int) -> None:
    images = noise(20, size)
    torchvision_resize = torchvision.transforms.Resize(to)
    expected = [np.asarray(torchvision_resize(Image.fromarray(image[0].numpy()))) for image in images]
    assert np.array_equal(resize(images, to)[:, 0].numpy(), np.stack(expected))


@pytest.mark.parametrize("to", [24, 64, 224])
def test_resize_of_colours_is_that_of_torchvision_too(to: int) -> None:
    images = noise(20, 32, channels=3)
    torchvision_resize = torchvision.transforms.Resize(to)
    expected = [np.asarray(torchvision_resize(Image.fromarray(image.permute(1, 2, 0).numpy()))) for image in images]
    assert np.array_equal(resize(images, to).permute(0, 2, 3, 1).numpy(), np.stack(expected))


def test_resize_in_parts_is_the_same_as_in_one() -> None:
    images = noise(4096 + 3, 8)
    assert torch.equal(resize(images, 12)[4096:], resize(images[4096:], 12))


def test_images_of_the_right_size_are_left_alone() -> None:
    images = noise(2, 28)
    assert resize(images, 28) is images


def test_a_split_too_large_once_resized_is_kept_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(data, "RESIDENT_BYTES", 1000)
    spec = tiny.trial()
    training = DataSource(tmp_path, "cpu").training(spec)
    assert training.train.images.shape[-1] == DATASETS["synthetic"].size
    # The trial is the same: each batch is then resized by itself.
    small = tiny.finish(run_trial(spec, DataSource(tmp_path, "cpu"), None))
    monkeypatch.undo()
    assert tiny.timeless(small) == tiny.timeless(tiny.finish(run_trial(spec, DataSource(tmp_path, "cpu"), None)))


@pytest.mark.parametrize(("size", "to"), [(28, 28), (28, 56), (28, 112), (28, 224), (32, 64), (8, 16), (8, 32)])
@pytest.mark.parametrize("channels", [1, 3])
def test_two_passes_are_the_same_resize_bit_for_bit(size: int, to: int, channels: int) -> None:
    assert exact_in_two_passes(size, to)
    images = noise(50, size, channels)
    assert torch.equal(resize_in_two_passes(images, to), resize(images, to).float())


@pytest.mark.parametrize(("size", "to"), [(28, 24), (28, 64), (28, 84), (32, 224), (28, 14)])
def test_other_sizes_are_not_left_to_two_passes(size: int, to: int) -> None:
    assert not exact_in_two_passes(size, to)


# Order and splits


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    seed=st.integers(0, 2**63 - 1),
)
@settings(max_examples=60, deadline=None)
def test_every_beginning_of_a_stratified_order_has_the_classes_in_proportion(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    order = stratified_order(labels, seed)
    assert sorted(order) == list(range(len(labels)))
    share = np.array(counts) / len(labels)
    seen = np.cumsum(np.eye(len(counts))[labels[order]], axis=0)
    expected = np.arange(1, len(labels) + 1)[:, None] * share
    # Each class strays from its place by under one image; the others' strays add to the number of images taken.
    assert (np.abs(seen - expected) < 1 + share * max(0, len(counts) - 2) + 1e-9).all()


@given(per_class=st.integers(1, 20), num_classes=st.integers(1, 10), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_equally_large_classes_differ_by_at_most_one_image(per_class: int, num_classes: int, seed: int) -> None:
    labels = np.tile(np.arange(num_classes), per_class)
    seen = np.cumsum(np.eye(num_classes)[labels[stratified_order(labels, seed)]], axis=0)
    assert (seen.max(axis=1) - seen.min(axis=1) <= 1).all()


def test_the_seed_decides_the_stratified_order() -> None:
    labels = np.arange(40) % 4
    assert np.array_equal(stratified_order(labels, 1), stratified_order(labels, 1))
    assert not np.array_equal(stratified_order(labels, 1), stratified_order(labels, 2))


@pytest.fixture
def numbered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DataSource:
    """A source whose images are told apart by their first two bytes."""

    def load_numbered(name: str, data_dir: Path, *, train: bool) -> Split:
        count = DATASETS[name].num_train
        images = torch.zeros(count, 1, 8, 8, dtype=torch.uint8)
        images[:, 0, 0, 0], images[:, 0, 0, 1] = torch.arange(count) % 256, torch.arange(count) // 256
        return Split(images, torch.arange(count) % DATASETS[name].num_classes)

    monkeypatch.setattr(data, "read_split", load_numbered)
    return DataSource(tmp_path, "cpu")


def numbers(split: Split) -> list[int]:
    images = split.at(slice(None))
    return (images[:, 0, 0, 0].int() + 256 * images[:, 0, 0, 1].int()).tolist()


def test_train_and_validation_are_disjoint_and_whole(numbered: DataSource) -> None:
    training = numbered.training(tiny.trial(data__resize=None, model__pools=[True, False, False]))
    train, validation = numbers(training.train), numbers(training.validation)
    assert len(validation) == 64
    assert sorted(train + validation) == list(range(256))
    assert torch.bincount(training.validation.labels).tolist() == [16, 16, 16, 16]


def splits(source: DataSource, **trial: object) -> tuple[list[int], list[int]]:
    spec = tiny.trial(data__resize=None, model__pools=[True, False, False], **trial)
    training = source.training(spec)
    return numbers(training.train), numbers(training.validation)


def test_splits_depend_on_phase_and_seed_and_on_nothing_else(numbered: DataSource) -> None:
    reference = splits(numbered)
    assert splits(numbered, variant="one") == reference
    assert splits(numbered, train__lr=0.01, model__width=0.5) == reference
    assert splits(numbered, seed=1) != reference
    assert splits(numbered, phase="tune") != reference


def test_fewer_training_images_leave_validation_as_it_is(numbered: DataSource) -> None:
    train, validation = splits(numbered)
    fewer, same = splits(numbered, data__train_size=50)
    assert (fewer, same) == (train[:50], validation)


def test_splits_are_rows_of_one_tensor_and_no_copies(tmp_path: Path) -> None:
    source = DataSource(tmp_path, "cpu")
    first, second = (source.training(tiny.trial(seed=seed)) for seed in range(2))
    places = {split.images.data_ptr() for each in (first, second) for split in (each.train, each.validation)}
    assert len(places) == 1


def test_processes_share_what_the_first_has_read_and_resized(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = tiny.trial()
    alone = DataSource(tmp_path, "cpu").training(spec).train
    first = DataSource(tmp_path, "cpu", tmp_path).training(spec).train
    monkeypatch.setattr(data, "read_split", None)
    second = DataSource(tmp_path, "cpu", tmp_path).training(spec).train
    for shared in (first, second):
        assert torch.equal(shared.at(slice(None)), alone.at(slice(None)))
        assert torch.equal(shared.labels, alone.labels)
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert sum("synthetic-train-16.pt" in line for line in maps.read_text().splitlines()) >= 2


def test_a_data_set_is_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    read: list[bool] = []
    original = read_split
    monkeypatch.setattr(data, "read_split", lambda *args, train: read.append(train) or original(*args, train=train))
    source = DataSource(tmp_path, "cpu")
    for seed in range(3):
        source.training(tiny.trial(seed=seed))
        source.test(tiny.trial(seed=seed))
    assert read == [True, False]


# The test split


def test_a_tuning_trial_cannot_have_the_test_split(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="must not read the test split"):
        DataSource(tmp_path, "cpu").test(tiny.trial(phase="tune"))


def test_what_a_trial_learns_from_has_no_test_split(tmp_path: Path) -> None:
    assert set(vars(DataSource(tmp_path, "cpu").training(tiny.trial()))) == {"train", "validation"}


@pytest.mark.parametrize(("phase", "reads"), [("tune", []), ("confirm", [3])])
def test_the_test_split_is_read_by_confirmation_only_and_after_the_last_epoch(
    phase: str, reads: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[EpochRecord] = []
    test_read_after: list[int] = []
    original = read_split

    def spying(name: str, data_dir: Path, *, train: bool) -> Split:
        if not train:
            test_read_after.append(len(seen))
        return original(name, data_dir, train=train)

    monkeypatch.setattr(data, "read_split", spying)
    tiny.finish(run_trial(tiny.trial(phase=phase), DataSource(tmp_path, "cpu"), None), told=seen.append)
    assert test_read_after == reads


# Digits and synthetic images


def test_digits_are_split_for_good_and_keep_their_classes(tmp_path: Path) -> None:
    train, test = (read_split("digits", tmp_path, train=each) for each in (True, False))
    assert (len(train), len(test)) == (DATASETS["digits"].num_train, DATASETS["digits"].num_test)
    assert int(train.images.max()) == 255
    assert torch.bincount(test.labels).min() >= 34  # of 360 / 10
    # The split itself is part of what "digits" means: if it changes, so must the checksum.
    assert hashlib.sha256(test.images.numpy().tobytes()).hexdigest()[:16] == "d9f4e5927e2df784"


def test_other_digits_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    digits = sklearn.datasets.load_digits()
    digits.images[5, 3, 3] += 1
    altered = SimpleNamespace(images=digits.images, target=digits.target)
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: altered)
    with pytest.raises(DataError, match="scikit-learn's digits are not those"):
        read_split("digits", tmp_path, train=True)


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_images_are_as_the_catalogue_says(name: str, tmp_path: Path) -> None:
    known = DATASETS[name]
    for train, count in ((True, known.num_train), (False, known.num_test)):
        split = read_split(name, tmp_path, train=train)
        assert split.images.shape == (count, known.channels, known.size, known.size)
        assert split.images.dtype == torch.uint8
        assert split.labels.unique().tolist() == list(range(known.num_classes))
    assert not list(tmp_path.iterdir())


# Of a package that registers it


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


# Fashion-MNIST, from small files of its format

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


# CIFAR-10, from small batches of its format

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


def test_images_that_find_no_room_are_no_trials_failure(tmp_path: Path) -> None:
    source = DataSource(tmp_path, "cpu", tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(
            DataError, match=r"cannot be kept in .*They take .* MiB: make room there, or .* with TMPDIR"
        ):
            source.training(tiny.trial())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.glob("*.pt"))
    assert not list(tmp_path.glob("*.part"))
    assert len(source.training(tiny.trial()).validation) > 0
