from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from ablations.execution import memory


@pytest.mark.parametrize(
    ("told", "file"),
    [
        ("0::/a/b.scope\n", "a/b.scope/memory.events"),
        ("5:devices:/\n4:cpu,memory:/a:b\n0::/\n", "memory/a:b/memory.oom_control"),
        ("0::/of/the/host\n", "memory.events"),
    ],
)
def test_memory_kills_are_counted_in_the_own_group(told: str, file: str, system: Path) -> None:
    assert memory.num_memory_kills() == 7
    (system / "self" / "cgroup").write_text(told)
    assert memory.num_memory_kills() == 7  # the system's root has no group's files
    (system / file).parent.mkdir(parents=True, exist_ok=True)
    (system / file).write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert memory.num_memory_kills() == 2


def test_a_system_that_counts_no_memory_kills_has_none(system: Path) -> None:
    (system / "vmstat").unlink()
    assert memory.num_memory_kills() == 0
    (system / "vmstat").write_text("three words here\n")
    assert memory.num_memory_kills() == 0


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
