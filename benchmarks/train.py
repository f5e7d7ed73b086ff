"""Training speed of the whole machine, against the alternatives of a user. `python -m benchmarks.train [--quick]`.

Our side is the executor's workers, as many as it starts on this machine, each with a trial of the same work. The peers in
`benchmarks.peers` are one process each, as their users run them. They are no dependencies of this project:

    pip install --no-deps d2l                    # its pins are years old; it needs ipython, matplotlib-inline, pandas, requests
    pip install lightning ipython matplotlib-inline pandas requests

All train in turns. After a segment of some steps, all processes of a trainer are frozen while the next one has the machine. The
first segment of each trainer is its warm-up and does not count; nobody's time includes start-up, validation and checkpoints. A
ratio compares two segments of the same round, so that a machine that is slow for a while slows both. A share is relative to
torch's matrix products on this device in the same precision, with fp32 as TF32 on a GPU; see `benchmarks.matrix`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import torch

from ablations.costs import Workload
from ablations.datasets import DATASETS
from ablations.execution.environment import detect, num_cores, processor
from ablations.execution.folders import Folders
from ablations.execution.local import LocalExecutor
from ablations.execution.protocol import WorkerSetup
from ablations.execution.worker_process import WorkerProcess
from ablations.trial import DataConfig, Device, EpochRecord, Precision, TrainConfig, TrialConfig, TrialSpec
from benchmarks.matrix import matrix_flops_per_second, training_flops
from benchmarks.peers import BATCH_SIZE, LEARNING_RATE, NETWORKS, PEERS

EPOCH_STEPS = 468
"""Whole batches of Fashion-MNIST."""
CUDA_STEPS = 58
"""Steps of a peer's segment on a GPU, each of them a hundred times as fast as on a CPU; our segments are whole epochs there."""

OURS: tuple[Precision, ...] = ("bf16", "fp32")

Segment = Callable[[], float]
"""Trains some steps; returns images per second of the whole machine."""


class PeerError(Exception):
    """A peer does not run here; the message says why."""


def main() -> None:
    """Time every trainer on both networks, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="Short segments and two rounds, for a minute or two.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", choices=["cpu", "cuda"], default=detect().device)
    parser.add_argument(
        "--network", choices=NETWORKS, action="append", help="Train only this network; may be given several times."
    )
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    chosen = parser.parse_args()
    # Otherwise a SIGTERM would leave frozen peers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    rounds = 2 if chosen.quick else chosen.rounds
    ceilings = {precision: matrix_flops_per_second(precision, chosen.device) for precision in OURS}
    _describe(chosen.device, ceilings)
    print(
        "| network | trainer | precision | images/s (range) | share of matrix rate | ours in bf16 is | ours in fp32 is |"
    )
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    for name in chosen.network or NETWORKS:
        steps = NETWORKS[name].quick_steps if chosen.quick else NETWORKS[name].steps
        if chosen.device == "cuda":
            steps = min(CUDA_STEPS, EPOCH_STEPS // (rounds + 1))
        _compare(name, steps, rounds, chosen.device, chosen.data_dir, ceilings)


def _describe(device: Device, ceilings: dict[Precision, float]) -> None:
    packages = [name for name in ("torch", "torchvision", "d2l", "lightning") if importlib.util.find_spec(name)]
    shown = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    print(f"# Training, {datetime.now(UTC):%Y-%m-%d}\n")
    trained_on = torch.cuda.get_device_name() if device == "cuda" else "the CPU"
    print(
        f"{num_cores()} cores of {processor()}, trained on {trained_on}; Python {platform.python_version()}, {shown}."
    )
    reached = ", ".join(f"{precision} {rate / 1e12:,.2f} TFLOP/s" for precision, rate in ceilings.items())
    print(f"Matrix products by torch alone{' (fp32 is TF32)' if device == 'cuda' else ''}: {reached}.")
    print(f"Load average before the start: {os.getloadavg()[0]:.1f}.\n")
    print(f"`{shlex.join(['python', '-m', 'benchmarks.train', *sys.argv[1:]])}`\n")


def _compare(
    network: str, steps: int, rounds: int, device: Device, data_dir: Path, ceilings: dict[Precision, float]
) -> None:
    """Time all trainers on one network, and print a row for each."""
    missing: dict[tuple[str, str], str] = {}
    in_parallel: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        segments: dict[tuple[str, str], Segment] = {}
        for precision in OURS:
            number = _num_parallel(_workload(network, precision, device))
            in_parallel[precision] = number
            epoch = EPOCH_STEPS if device == "cuda" else steps
            segments["ours", precision] = stack.enter_context(
                _ours(network, precision, number, epoch, rounds, device, data_dir)
            )
        for peer, switches in PEERS.items():
            for switch in switches:
                try:
                    started = stack.enter_context(_peer(peer, network, switch, steps, device, data_dir))
                except PeerError as error:
                    missing[peer, switch] = str(error)
                else:
                    segments[peer, switch] = started
        speeds: dict[tuple[str, str], list[float]] = {trainer: [] for trainer in segments}
        for number in range(rounds):
            # A different trainer begins each round, since the order may matter.
            first = number % len(segments)
            for trainer in [*segments][first:] + [*segments][:first]:
                speeds[trainer].append(segments[trainer]())
    for trainer, found in speeds.items():
        ratios = [_ratio(speeds["ours", precision], found) for precision in OURS]
        flops = training_flops(_workload(network, OURS[0], device).costs) * statistics.median(found)
        share = f"{flops / ceilings['bf16' if trainer[1] == 'bf16' else 'fp32']:.1%}"
        name, switch = trainer
        if name == "ours":
            name = f"ours, {in_parallel[switch]} in parallel"
        _print_row(network, name, switch, _spread(found, ",.0f"), share, *ratios)
    for trainer, why in missing.items():
        _print_row(network, *trainer, why, "", "", "")


def _print_row(network: str, *cells: str) -> None:
    size = NETWORKS[network].size
    print(f"| {' | '.join([f'{network}, {size}x{size}', *cells])} |", flush=True)


def _ratio(ours: list[float], theirs: list[float]) -> str:
    return _spread([one / other for one, other in zip(ours, theirs, strict=True)], ".2f", "x")


def _spread(values: list[float], form: str, unit: str = "") -> str:
    return f"{statistics.median(values):{form}}{unit} ({min(values):{form}} to {max(values):{form}})"


@contextlib.contextmanager
def _ours(
    network: str, precision: Precision, number: int, steps: int, rounds: int, device: Device, data_dir: Path
) -> Iterator[Segment]:
    """The executor's workers after their warm-up; a segment is one epoch of all their trials, begun together."""
    workers: list[WorkerProcess] = []
    with tempfile.TemporaryDirectory() as name:
        folders = Folders(data_dir, Path(name), Path(name))
        num_devices = detect().num_workers if device == "cuda" else 1
        for index in range(number):
            workers.append(WorkerProcess(index, WorkerSetup(folders, device, index % num_devices)))
            workers[-1].train(_trial(network, precision, steps * BATCH_SIZE, rounds + 1, device, seed=index))

        def received() -> float:
            records = [worker.receive() for worker in workers]
            rates = [record.train_images_per_second for record in records if isinstance(record, EpochRecord)]
            if len(rates) < len(records):
                raise RuntimeError(f"a trial ended early: {records}")
            return sum(rates)

        def segment() -> float:
            # After each epoch a worker waits for its order, and does nothing meanwhile.
            for worker in workers:
                worker.send("go")
            return received()

        try:
            received()
            yield segment
        finally:
            for worker in workers:
                worker.kill()
            for worker in workers:
                worker.join()


def _num_parallel(workload: Workload) -> int:
    """Number of trials that the executor trains in parallel: one per core, or the result of a probe on a GPU."""
    if workload.device == "cpu":
        return num_cores()
    with tempfile.TemporaryDirectory() as name:
        executor = LocalExecutor(detect(), Path(name), Path(name))
        try:
            executor.probe(workload)
            return executor.num_workers
        finally:
            executor.close()


def _workload(network: str, precision: Precision, device: Device) -> Workload:
    return Workload.of(_trial(network, precision, BATCH_SIZE, 1, device, seed=0).config, device)


def _trial(network: str, precision: Precision, num_images: int, epochs: int, device: Device, seed: int) -> TrialSpec:
    dataset, size = DATASETS["fashion_mnist"], NETWORKS[network].size
    config = TrialConfig(
        DataConfig(
            name="fashion_mnist", resize=None if size == dataset.size else size, validation=10, train_size=num_images
        ),
        NETWORKS[network].config,
        TrainConfig(epochs=epochs, batch_size=BATCH_SIZE, lr=LEARNING_RATE, init="xavier_uniform", precision=precision),
    )
    return TrialSpec("ours", "tune", seed, config, dataset.checksum, device)


@contextlib.contextmanager
def _peer(peer: str, network: str, precision: str, steps: int, device: Device, data_dir: Path) -> Iterator[Segment]:
    """A peer's process group, after its warm-up and frozen."""
    command = [sys.executable, "-m", "benchmarks.peers", peer, "--network", network, "--precision", precision]
    command += ["--device", device, "--data-dir", str(data_dir), "--steps", str(steps)]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
        assert process.stdout is not None
        lines = process.stdout

        def received() -> float:
            line = lines.readline()
            if not line:
                process.wait()
                errors.seek(0)
                last = errors.read().strip().splitlines()[-1:] or ["it ended"]
                if last[0].startswith("ModuleNotFoundError"):
                    raise PeerError(f"not installed ({last[0].partition(': ')[2]}; see the top of benchmarks/train.py)")
                raise PeerError(last[0])
            # Wait until it is frozen: before that it could miss the signal to continue.
            os.waitpid(process.pid, os.WUNTRACED)
            return float(line)

        def segment() -> float:
            os.killpg(process.pid, signal.SIGCONT)
            return received()

        try:
            received()
            yield segment
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    main()
