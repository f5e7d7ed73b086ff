from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from ablations.execution import environment, memory


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


def test_only_the_cores_of_this_process_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2, 5, 7}, raising=False)
    assert environment.num_cores() == 3


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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_freed_memory_is_taken_again_without_fresh_pages() -> None:
    program = """
import resource
from ablations.execution.memory import keep_freed_memory

def fresh_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(1 << 26)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
first, again = fresh_pages(), fresh_pages()
assert again < 10 < first, (first, again)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    memory.keep_freed_memory()
    memory.give_back_memory()


KEEPER = """
from pathlib import Path
from ablations.execution.memory import give_back_memory, keep_freed_memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
keep_freed_memory()
before = resident()
blocks = [bytearray(b"x" * 1_000_000) for _ in range(200)]
del blocks
kept = resident() - before
give_back_memory()
print(kept, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps nothing")
def test_memory_that_was_kept_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", KEEPER], capture_output=True, text=True, check=True)
    kept, left = map(int, done.stdout.split())
    assert kept > 150_000_000
    assert left < 50_000_000


def raised_while_recording(first: Exception) -> Exception:
    """What is caught where a recording ends with an error of its own after the one that ended it."""
    try:
        try:
            raise first
        finally:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    "first",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
    ],
)
def test_memory_that_was_short_is_found_behind_what_came_of_it(first: Exception) -> None:
    assert memory.memory_error(first) is first
    assert memory.memory_error(raised_while_recording(first)) is first


def test_other_errors_are_not_taken_for_short_memory() -> None:
    assert memory.memory_error(raised_while_recording(ValueError("too wide"))) is None
