from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from ablations.execution import environment


class FakeDriver:
    """CUDA's driver interface with devices of the given major compute capabilities."""

    def __init__(self, majors: list[int], error: int = 0) -> None:
        self._majors = majors
        self._error = error

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._error

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self._majors)
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        device._obj.value = ordinal
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = self._majors[device.value]
        return 0

    def cuDeviceGetName(self, name: Any, length: int, device: Any) -> int:  # noqa: N802
        name.value = f"Abacus {device.value}".encode()
        return 0


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *args: monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeDriver(*args))


def test_every_cuda_device_is_a_worker(driver: Any) -> None:
    driver([9, 9, 9])
    machine = environment.detect()
    assert (machine.device, machine.num_workers, machine.bf16) == ("cuda", 3, True)
    assert machine.description == "3 CUDA devices, more where a probe finds that it pays"


def test_a_report_names_the_cuda_devices(driver: Any) -> None:
    driver([9, 9])
    assert environment.provenance()["processor"] == f"{environment.processor()}, Abacus 0, Abacus 1"


@pytest.mark.parametrize(("majors", "bf16"), [([7], False), ([8], True), ([9, 7], False)])
def test_bf16_needs_ampere_in_every_device(majors: list[int], bf16: bool, driver: Any) -> None:
    driver(majors)
    assert environment.detect().bf16 is bf16


@pytest.mark.parametrize("driver_state", [([], 0), ([9], 100)], ids=["no device", "a driver that does not start"])
def test_without_a_usable_device_the_cores_are_the_workers(driver_state: Any, driver: Any) -> None:
    driver(*driver_state)
    machine = environment.detect()
    assert (machine.device, machine.num_workers) == ("cpu", environment.num_cores())


def test_no_driver_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert environment.detect().device == "cpu"


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu avx512f amx_bf16\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("", False),
    ],
)
def test_bf16_is_read_from_the_processors_flags(cpuinfo: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda path: cpuinfo)
    assert environment._cpu_has_bf16() is expected


def test_a_machine_that_does_not_describe_its_processor_trains_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", missing)
    assert environment._cpu_has_bf16() is False
    assert environment.processor()


@pytest.mark.usefixtures("system")
def test_only_the_cores_of_this_process_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2, 5, 7}, raising=False)
    assert environment.num_cores() == 3


@pytest.mark.parametrize(
    ("quota", "cores"), [(50_000, 1), (199_999, 1), (400_000, 4), (6_400_000, 64), (9_900_000, 64)]
)
def test_a_containers_quota_counts_if_it_is_smaller(
    quota: int, cores: int, system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    (system / "self" / "cgroup").write_text("0::/\n")
    (system / "cpu.max").write_text(f"{quota} 100000\n")
    machine = environment.detect()
    assert environment.num_cores() == cores
    if machine.device == "cpu":
        assert (machine.num_workers, machine.description.split(" ")[0]) == (cores, str(cores))


def test_provenance_can_be_written_as_json_and_names_versions() -> None:
    provenance = json.loads(json.dumps(environment.provenance()))
    assert {"python", "platform", "processor", "versions"} <= set(provenance)
    assert all(provenance["versions"][name] != "not installed" for name in ("torch", "mlflow", "optuna", "numpy"))


def test_provenance_names_the_suite_as_its_package_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] in environment.provenance()["versions"]


def test_provenance_names_the_commit_of_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "ablations" / "execution" / "environment.py"))
    assert environment._commit() == {}
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "file").write_text("1")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "first"], check=True)
    clean = environment._commit()
    assert len(clean["commit"]) == 40
    assert clean["uncommitted_changes"] is False
    (tmp_path / "file").write_text("2")
    assert environment._commit()["uncommitted_changes"] is True


def test_looking_at_the_machine_imports_no_torch() -> None:
    code = "import sys; from ablations.execution import environment, local; environment.detect(); environment.provenance(); "
    code += "assert not {'torch', 'mlflow', 'optuna'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
