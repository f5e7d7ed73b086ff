"""The machine of a run: device, cores, processor and software. Only `torch_problem` loads torch."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from ablations.execution.cgroups import cpu_quotas
from ablations.trial import Device, Machine

_CAPABILITY_MAJOR = 75
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR of CUDA's driver interface."""

_AMPERE = 8
"""First major compute capability with matrix units for bf16."""


def detect() -> Machine:
    """The machine as a plan needs it: CUDA if the driver shows a device, else the processor's cores."""
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
    """A problem of torch with this device, and its remedy; None if it works."""
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


def num_cores() -> int:
    """Number of cores available to this process: those it may run on, or as many as its container may use at a time."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Whole ones: one worker more would make all of them wait for the rest of each period.
    return max(1, min([allowed, *map(int, cpu_quotas())]))


def _cuda_devices() -> list[tuple[str, int]]:
    """Name and major compute capability of each visible CUDA device; empty if there is no driver."""
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
    """Whether the processor multiplies bf16 in hardware; torch would emulate it slowly otherwise."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "").split()
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))


def provenance() -> dict[str, Any]:
    """Versions, processor with CUDA devices, and commit, for the last section of a report."""
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
    """Commit of the checkout, if the suite runs from one."""
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
