from __future__ import annotations

import resource
from pathlib import Path

import pytest
import tiny
import torch

from ablations.datasets import DATASETS
from ablations.errors import DataError
from ablations.execution import data
from ablations.execution.data import DataSource
from ablations.execution.loaders import read_split
from ablations.execution.splits import Split
from ablations.execution.train import run_trial
from ablations.trial import EpochRecord


def test_a_split_too_large_once_resized_is_kept_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(data, "RESIDENT_BYTES", 1000)
    spec = tiny.trial()
    training = DataSource(tmp_path, "cpu").training(spec)
    assert training.train.images.shape[-1] == DATASETS["synthetic"].size
    # The trial is the same: each batch is then resized by itself.
    small = tiny.finish(run_trial(spec, DataSource(tmp_path, "cpu"), None))
    monkeypatch.undo()
    assert tiny.timeless(small) == tiny.timeless(tiny.finish(run_trial(spec, DataSource(tmp_path, "cpu"), None)))


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


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError, IsADirectoryError])
def test_a_file_that_cannot_be_read_is_no_trials_fault(
    error: type[OSError], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def read(*args: object, **options: object) -> Split:
        raise error(1, "no such luck", "train-images")

    monkeypatch.setattr(data, "read_split", read)
    for shared in (None, tmp_path):
        with pytest.raises(
            DataError, match=r"synthetic bars cannot be read from .*'train-images'.* --data-dir or ABLATIONS_DATA"
        ):
            DataSource(tmp_path, "cpu", shared).training(tiny.trial())


def test_shared_images_that_vanish_are_no_trials_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(data, "_write", lambda split, path: None)
    with pytest.raises(DataError, match=r"synthetic-train-16\.pt"):
        DataSource(tmp_path, "cpu", tmp_path).training(tiny.trial())


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


def test_images_that_find_no_room_are_no_trials_failure(tmp_path: Path) -> None:
    source = DataSource(tmp_path, "cpu", tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(
            DataError, match=r"cannot be written to .*They take .* MiB: make room there, or set TMPDIR to"
        ):
            source.training(tiny.trial())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.glob("*.pt"))
    assert not list(tmp_path.glob("*.part"))
    assert len(source.training(tiny.trial()).validation) > 0
