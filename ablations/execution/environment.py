"""What this machine is and what runs on it, found without importing torch, which only `torch_problem` does."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from ablations.plan import Machine
from ablations.trial import Device

_CAPABILITY_MAJOR = 75
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR of CUDA's driver interface."""
_AMPERE = 8
"""First compute capability whose matrix units take bf16."""
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Parameters of glibc's `mallopt`: free bytes at the heap's end that it keeps, and how many blocks it may map singly."""
_NO_MEMORY = (
    "allocate memory",
    "out of memory",
    "bad_alloc",
    "ALLOC_FAILED",
    # cuBLAS makes itself ready at the first product, and cuDNN tries kernels until one's workspace fits: neither says why not.
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "unable to find an engine to execute",
)
"""What libraries say that have no exception of their own for it."""


def detect() -> Machine:
    """The machine as a plan needs it: CUDA where the driver shows a device, else the processor's cores."""
    devices = _cuda_devices()
    if devices:
        count = len(devices)
        return Machine(
            device="cuda",
            bf16=min(major for _, major in devices) >= _AMPERE,
            num_workers=count,
            description=f"{count} CUDA device{'s' if count > 1 else ''}, more where a probe finds that it pays",
        )
    cores, bf16 = num_cores(), _cpu_has_bf16()
    return Machine(
        device="cpu",
        bf16=bf16,
        num_workers=cores,
        description=f"{cores} CPU core{'s' if cores > 1 else ''}{'' if bf16 else ' without bf16'}",
    )


def torch_problem(device: Device) -> tuple[str, str] | None:
    """What is wrong with torch on this device, and what to do; None where it works."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return f"torch cannot be imported: {error}", "Install it again, with pip."
    if device == "cuda" and not torch.cuda.is_available():
        return (
            f"the CUDA driver shows a device, but this torch ({torch.__version__}) cannot use it",
            "Install a torch built for CUDA, or hide the device with CUDA_VISIBLE_DEVICES= to run on the CPU.",
        )
    return None


def memory_error(error: BaseException) -> BaseException | None:
    """The exception that says that memory was short: this one, or one that it came from; None where none does.

    One that is raised while a step is recorded on a CUDA device is followed by another, which says that the recording failed.
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, MemoryError) or any(words in str(found) for words in _NO_MEMORY):
            return found
        found = found.__cause__ or found.__context__
    return None


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cuda_devices() -> list[tuple[str, int]]:
    """Name and major compute capability of each visible CUDA device; empty where there is no driver."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return []
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return []
    devices = []
    for ordinal in range(count.value):
        device, major, name = ctypes.c_int(0), ctypes.c_int(0), ctypes.create_string_buffer(256)
        driver.cuDeviceGet(ctypes.byref(device), ordinal)
        driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
        driver.cuDeviceGetName(name, len(name), device)
        devices.append((name.value.decode(errors="replace"), major.value))
    return devices


def _cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 itself; where it does not, torch emulates it and is slow."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "").split()
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, where its C library is glibc.

    Activations are large, and glibc gives each back to the kernel at once; the next step then pays for fresh pages, which
    the kernel clears: a tenth to a sixth of a step's processor time.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def give_back_memory() -> None:
    """Give the kernel back what `keep_freed_memory` has kept, between trials: another process may need it meanwhile."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def provenance() -> dict[str, Any]:
    """Versions, processor, CUDA devices among it, and commit, for a report's last section."""
    packages = ("nin-ablations", "torch", "torchvision", "optuna", "mlflow", "numpy", "scipy", "scikit-learn")
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": ", ".join([processor(), *(name for name, _ in _cuda_devices())]),
        "versions": {name: _version(name) for name in packages},
        **_commit(),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """Name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return name or platform.processor() or "unknown"


def _commit() -> dict[str, Any]:
    """The checkout's commit, when the suite runs from one."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return {}
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=10)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    if commit.returncode or changed.returncode:
        return {}
    return {"commit": commit.stdout.strip(), "uncommitted_changes": bool(changed.stdout.strip())}
