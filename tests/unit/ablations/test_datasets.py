"""What is said of the data sets before they are read; tests/unit/ablations/execution holds the bytes to it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import packages
import pytest
from builders import edited, planned, refusal

from ablations.datasets import DATASETS, GROUP, Dataset


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


def test_a_registered_data_set_is_known_by_name_and_imported_when_it_is_named(site: Path) -> None:
    packages.install(packages.EXAMPLE, site)
    assert list(DATASETS)[-1] == "rings"
    assert "my_networks.rings" not in sys.modules
    plan = planned(edited(("name: synthetic", "name: rings")))
    assert plan.data_checksum == DATASETS["rings"].checksum
    assert plan["two"].costs.params > 0


def test_a_registered_data_set_that_is_none_is_refused(site: Path) -> None:
    (site / "few.py").write_text(
        "from ablations.datasets import DATASETS\nfrom dataclasses import replace\n"
        "ONE = replace(DATASETS['digits'], classes=('one',), read=print)\nUNREAD = DATASETS['digits']\n"
    )
    entries = {"unread": "few:UNREAD", "one": "few:ONE", "absent": "few:ABSENT", "digits": "few:ONE"}
    packages.register(site, "few", "1", {GROUP: entries})
    for name in ("unread", "one"):
        assert refusal(edited(("name: synthetic", f"name: {name}"))).startswith(
            f"s.yaml:4:16: base.data.name: {name} of few 1 must be an ablations.datasets.Dataset with 2 to 256"
        )
    assert "absent cannot be imported: few 1 registers few:ABSENT; AttributeError" in refusal(
        edited(("name: synthetic", "name: absent"))
    )
    assert DATASETS["digits"].num_classes == 10
