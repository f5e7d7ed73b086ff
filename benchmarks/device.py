"""Tries everything on a new GPU in one go. `python -m benchmarks.device [--quick]`.

The parts run one after the other, even if one fails:

* device: its description and its matrix rates.
* tests: `tests/gpu`.
* presets: for each preset the measured memory next to the closed form, images per second, and share of the matrix rate.
* probe: the number of trials in parallel.
* peers: the table of `benchmarks.train`.

The end names the failed parts, and the exit code is then 1. docs/gpu.md has the expected results.

`--device cpu` tries the script itself on a machine without a GPU: no tests, and batches of 8.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from ablations.costs import Workload
from ablations.errors import MeasureError
from ablations.execution.environment import detect, num_cores, processor
from ablations.execution.local import LocalExecutor
from ablations.text import mebibytes
from ablations.trial import Device, Precision
from benchmarks.matrix import matrix_flops_per_second, training_flops
from nin.presets import INPUTS, PRESETS

ROOT = Path(__file__).parents[1]
QUICK = ("nin_book", "nin_small", "nin_cifar10")
"""Presets of a quick run."""
PARTS = ("device", "tests", "presets", "probe", "peers")
PRECISIONS: tuple[Precision, ...] = ("bf16", "fp32")


class PartError(Exception):
    """A part failed; the message says why."""


def main() -> None:
    """Run all parts, and name the failed ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="Three presets, and a quick table: about five minutes.")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument(
        "--part", choices=PARTS, action="append", help="Run only this part; may be given several times."
    )
    chosen = parser.parse_args()
    if chosen.device == "cuda" and (detect().device != "cuda" or not torch.cuda.is_available()):
        sys.exit("This torch can use no CUDA device here. To find out why: python -m ablations doctor")
    presets = QUICK if chosen.quick else tuple(PRESETS)
    parts: dict[str, Callable[[], None]] = {
        "device": lambda: _describe(chosen.device),
        "tests": lambda: _test(chosen.device),
        "presets": lambda: _measure(presets, chosen.device),
        "probe": lambda: _probe(QUICK, chosen.device),
        "peers": lambda: _compare(chosen.device, chosen.data_dir, quick=chosen.quick),
    }
    failed = []
    for name in chosen.part or PARTS:
        part = parts[name]
        print(f"\n## {name}\n", flush=True)
        started = time.monotonic()
        try:
            part()
        # After any error the other parts still run: time on a device is scarce.
        except Exception as error:  # noqa: BLE001
            print(f"\n{type(error).__name__}: {error}")
            failed.append(name)
        print(f"\n({name}: {time.monotonic() - started:.0f} s)", flush=True)
    print(f"\nFailed: {', '.join(failed)}." if failed else "\nNo part failed.")
    sys.exit(1 if failed else 0)


def _describe(device: Device) -> None:
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {num_cores()} cores of {processor()}.")
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        print(
            f"{properties.name}, {mebibytes(properties.total_memory)}, capability {properties.major}.{properties.minor}, "
            f"CUDA {torch.version.cuda}, cuDNN {cudnn}; seen by the driver as {detect().description}."
        )
    for precision in PRECISIONS:
        print(f"Matrix products in {precision}: {matrix_flops_per_second(precision, device) / 1e12:,.2f} TFLOP/s.")


def _test(device: Device) -> None:
    if device == "cpu":
        print("Skipped: they need a CUDA device.")
        return
    if subprocess.run([sys.executable, "-m", "pytest", "tests/gpu", "-v", "--tb=short"], cwd=ROOT).returncode:
        raise PartError("not all tests passed")


def _workload(preset: str, precision: Precision, device: Device) -> Workload:
    batch_size = 128 if device == "cuda" else 8
    return Workload(
        PRESETS[preset],
        **asdict(INPUTS[preset]),
        batch_size=batch_size,
        precision=precision,
        optimizer="sgd_momentum",
        device=device,
    )


def _executor(device: Device, folder: str) -> LocalExecutor:
    machine = detect()
    if machine.device != device:
        raise PartError(f"this machine trains on {machine.device}")
    return LocalExecutor(machine, Path(folder), Path(folder), say=print)


def _measure(presets: tuple[str, ...], device: Device) -> None:
    """Print a row for each preset and precision, with the memory of a step of its batch."""
    ceilings = {precision: matrix_flops_per_second(precision, device) for precision in PRECISIONS}
    print(
        "| preset | precision | saved by autograd | training peak | prediction peak | images/s | share of matrix rate |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        executor = _executor(device, folder)
        try:
            for preset in presets:
                for precision in PRECISIONS:
                    workload = _workload(preset, precision, device)
                    try:
                        found = executor.measure(workload)
                    except MeasureError as error:
                        failed.append(preset)
                        why = str(error).partition("\n")[0]
                        print(f"| {preset} | {precision} | {why} | | | | |", flush=True)
                        continue
                    closed = workload.memory
                    assert closed is not None  # every preset's layers are known
                    share = training_flops(workload.costs) * found.train_images_per_second / ceilings[precision]
                    cells = [
                        preset,
                        precision,
                        _beside(found.saved_bytes, closed.saved_bytes),
                        _beside(found.peak_training_bytes, closed.peak_training_bytes),
                        _beside(found.peak_prediction_bytes, closed.peak_prediction_bytes),
                        f"{found.train_images_per_second:,.0f}",
                        f"{share:.1%}",
                    ]
                    print(f"| {' | '.join(cells)} |", flush=True)
        finally:
            executor.close()
    if failed:
        raise PartError(f"not measured: {', '.join(failed)}")


def _beside(measured: int, closed: int) -> str:
    """Measured memory, and its ratio to the closed form."""
    return f"{mebibytes(measured)}, {measured / closed:.3f}x"


def _probe(presets: tuple[str, ...], device: Device) -> None:
    """Print the number of trials that the executor trains in parallel, for each preset."""
    for preset in presets:
        with tempfile.TemporaryDirectory() as folder:
            executor = _executor(device, folder)
            try:
                executor.probe(_workload(preset, "bf16", device))
                print(f"{preset} in bf16: {executor.num_workers} in parallel on {detect().description}", flush=True)
            finally:
                executor.close()


def _compare(device: Device, data_dir: Path, *, quick: bool) -> None:
    command = [sys.executable, "-m", "benchmarks.train", "--device", device, "--data-dir", str(data_dir)]
    if subprocess.run([*command, *["--quick"] * quick], cwd=ROOT).returncode:
        raise PartError("the table is incomplete")


if __name__ == "__main__":
    main()
