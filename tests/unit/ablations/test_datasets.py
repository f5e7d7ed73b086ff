"""What is said of the data sets before they are read; tests/unit/ablations/execution holds the bytes to it."""

from __future__ import annotations

import re

import pytest

from ablations.datasets import DATASETS, Dataset


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=list(DATASETS))
def test_a_data_set_can_be_planned_with(dataset: Dataset) -> None:
    assert dataset.num_classes >= 2
    assert dataset.channels in {1, 3}
    assert dataset.num_train >= 2 * dataset.num_classes
    assert dataset.num_test >= dataset.num_classes
    assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in dataset.files_md5.values())
    assert not any(".." in path or path.startswith("/") for path in dataset.files_md5)


def test_every_data_set_has_a_checksum_of_its_own() -> None:
    assert len({dataset.checksum for dataset in DATASETS.values()}) == len(DATASETS)


def test_a_checksum_names_the_files_it_stands_for() -> None:
    for dataset in DATASETS.values():
        if dataset.files_md5:
            assert dataset.checksum == "md5:" + "-".join(md5[:8] for md5 in dataset.files_md5.values())


def test_the_data_sets_are_fixed() -> None:
    with pytest.raises(TypeError):
        DATASETS["digits"] = DATASETS["synthetic"]  # type: ignore[index]
