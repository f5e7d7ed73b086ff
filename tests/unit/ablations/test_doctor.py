"""`doctor`: what it finds, and what it says of it."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import packages
import pytest

from ablations import cli, datasets, doctor, networks
from ablations.datasets import DATASETS
from ablations.doctor import Finding, examine
from ablations.tracking.store import Store


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("ABLATIONS_DATA", raising=False)


def found(
    about: str, level: str, *, data_dir: str = "data", uri: str | None = None, output: str = "reports"
) -> Finding:
    """The one finding of this level about something."""
    findings = list(examine(Path(data_dir), Store.at(uri), Path(output)))
    (finding,) = [each for each in findings if about in each.text and each.level == level]
    return finding


def test_in_an_empty_folder_nothing_is_wrong_and_nothing_is_made() -> None:
    findings = list(examine(Path("data"), Store.at(None), Path("reports")))
    assert not [each for each in findings if each.level == "problem"]
    assert [each.text.split(":")[0] for each in findings if each.level == "warning"] == [
        "data set fashion_mnist",
        "data set cifar10",
    ]
    assert all(each.remedy for each in findings if each.level == "warning")
    assert findings[-1].text.endswith("mlflow.db is made by the first run")
    assert list(Path().iterdir()) == []


def test_a_data_set_that_is_another_one(tmp_path: Path) -> None:
    for file in DATASETS["fashion_mnist"].files_md5:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"something else")
    finding = found("fashion_mnist", "warning", data_dir=str(tmp_path))
    assert finding.text.endswith("train-images-idx3-ubyte is not the published file")


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
def test_archives_that_a_run_unpacks_are_a_data_set(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archives = DATASETS[name].archives_md5
    content = b"an archive"
    for archive in archives:
        (tmp_path / archive).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / archive).write_bytes(content)
    finding = found(name, "warning", data_dir=str(tmp_path))
    assert finding.text.endswith(f"{next(iter(archives))} is not the published file")
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    dataset = replace(DATASETS[name], archives_md5=dict.fromkeys(archives, md5))
    monkeypatch.setattr(doctor, "DATASETS", {name: dataset})
    told = f"data set {name}: in {tmp_path}, as published; the first run unpacks its archives"
    assert found(name, "ok", data_dir=str(tmp_path)).text == told


def test_archives_are_those_that_torchvision_unpacks() -> None:
    from torchvision.datasets import CIFAR10, FashionMNIST

    named = {f"FashionMNIST/raw/{file}": md5 for file, md5 in FashionMNIST.resources}
    assert named == dict(DATASETS["fashion_mnist"].archives_md5)
    assert {CIFAR10.filename: CIFAR10.tgz_md5} == dict(DATASETS["cifar10"].archives_md5)


def test_what_packages_register(site: Path) -> None:
    packages.install(packages.EXAMPLE, site)
    entries = {networks.GROUP: {"broken": "nowhere:X", "lenet": "nowhere:X"}, datasets.GROUP: {"gone": "nowhere:X"}}
    packages.register(site, "other", "2", entries)
    assert found("network resnet_small: of my-networks 1.0", "ok")
    assert found("data set rings: of my-networks 1.0", "ok")
    assert found("network broken: broken cannot be imported: other 2 registers nowhere:X", "warning").remedy
    assert found("data set gone: gone cannot be imported", "warning").remedy
    assert found("network lenet: the suite has a network of this name, which studies use", "warning").remedy


@pytest.mark.parametrize("uri", [None, "http://127.0.0.1:9"])
def test_mlflow_that_cannot_be_imported_is_found_before_there_is_a_store(
    uri: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ablations.tracking.reader", None)
    assert found("mlflow cannot be imported", "problem", uri=uri).remedy


def test_a_store(migrated_database: Path) -> None:
    shutil.copyfile(migrated_database, "mlflow.db")
    assert found("studies recorded: 0", "ok")


def test_a_store_that_another_mlflow_wrote(migrated_database: Path) -> None:
    shutil.copyfile(migrated_database, "mlflow.db")
    with sqlite3.connect("mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    assert "python -m pip install --upgrade mlflow" in found("by a newer MLflow", "problem").text


def test_a_server_is_not_called() -> None:
    assert "user" not in found("which was not called", "ok", uri="http://user:secret@server.invalid:5000").text


def test_a_folder_that_cannot_be_made() -> None:
    Path("reports").write_text("a file")
    assert "reports" in found("cannot be written to", "problem").text


@pytest.mark.parametrize(("free", "level"), [(1 << 20, "problem"), (1 << 30, "warning"), (1 << 40, "ok")])
def test_disks_fill(monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(free))
    assert found("reports: ", level)


def test_a_torch_that_cannot_use_the_device_ends_in_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "torch_problem", lambda device: ("torch is broken", "Mend it."))
    monkeypatch.setattr(sys, "argv", ["ablations", "doctor"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out, err = capsys.readouterr()
    assert caught.value.code == 2
    assert "problem  torch is broken\n         Mend it.\n" in out
    assert err == "error: 1 of these must be fixed before a study can run\n"


def test_the_next_commands_name_the_store(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    option = "--tracking-uri http://server.invalid:5000"
    monkeypatch.setattr(sys, "argv", ["ablations", "doctor", *option.split()])
    with pytest.raises(SystemExit):
        cli.main()
    out = capsys.readouterr().out
    assert f"`python -m ablations report {option}` calls it." in out
    assert out.endswith(f"python -m ablations run one_by_one --profile starter {option}\n")
