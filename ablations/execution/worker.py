"""The life of a worker process: it takes trials, and sends their records and results."""

from __future__ import annotations

import os
import signal
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ablations.costs import Measurement, Workload
from ablations.errors import MeasureError
from ablations.execution.checkpoints import checkpoint_file
from ablations.execution.memory import give_back_memory, keep_freed_memory, memory_error
from ablations.execution.probe import Probe, train_for_a_moment
from ablations.text import mebibytes, printable, raised
from ablations.trial import Device, Reason, TrialResult, TrialSpec

DRIVERS_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Warned:
    """What a worker has to say to people while its trial goes on."""

    text: str


def failure(spec: TrialSpec, reason: Reason, message: str) -> TrialResult:
    """How a trial failed. One that ran out of memory, and whose batch cannot be split, is told which batch to choose."""
    # A store refuses some of what libraries say, such as bytes of a path that are no text, and with it all that waits behind.
    message = printable(message)
    workload = Workload.of(spec.config, spec.device)
    if reason == "out_of_memory" and workload.has_batch_statistics and workload.batch_size > 1:
        half = replace(workload, batch_size=workload.batch_size // 2)
        message += (
            f". Its batch cannot be split without changing what batch normalisation computes: choose a train.batch_size of "
            f"{half.batch_size}"
        )
        if half.memory is not None and workload.memory is not None:
            peaks = [mebibytes(each.peak_training_bytes) for each in (half.memory, workload.memory)]
            message += f", which takes {peaks[0]} instead of {peaks[1]}"
    return TrialResult(spec.id, "failed", message=message, reason=reason)


def work(
    connection: Connection,
    data_dir: Path,
    checkpoint_dir: Path,
    shared_dir: Path,
    device: Device,
    index: int,
    weights_dir: Path | None = None,
) -> None:
    """A worker's life: take a trial, send its records, send its result, until the driver hangs up.

    A workload in a trial's place is measured, and a probe trains for a moment.
    """
    # The driver decides what an interrupt means; workers learn it between epochs.
    for number in DRIVERS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # torch's profiler, which counts memory, writes to stderr otherwise.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    import torch

    from ablations.errors import DataError
    from ablations.execution.checkpoints import CheckpointWarning
    from ablations.execution.data import DataSource
    from ablations.execution.train import run_trial

    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
        if issubclass(category, CheckpointWarning):
            connection.send(Warned(str(message)))
        else:
            shown(message, category, *rest, **named)

    warnings.showwarning = show
    # Each time, not once a place in the code.
    warnings.simplefilter("always", CheckpointWarning)
    # AdamW's, of a step that is run as it is: those before the recording, and of the smaller batch at an epoch's end.
    warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")
    # It is, where each map has one maximum: its gradient is added to a zero.
    warnings.filterwarnings("ignore", message="adaptive_max_pool2d_backward_cuda does not have a deterministic")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Deterministic mode writes NaN into all fresh memory, to show reads of it: a sixth of a small network's step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    keep_freed_memory()
    if device == "cuda":
        if not torch.cuda.is_available():
            connection.send(
                f"the CUDA driver shows a device, but this torch ({torch.__version__}) cannot use it. Install a torch built for "
                f"CUDA, or hide the device with CUDA_VISIBLE_DEVICES= to run on the CPU."
            )
            return
        torch.cuda.set_device(index)
        torch.backends.cudnn.benchmark = False
    source = DataSource(data_dir, device, shared_dir)
    try:
        while True:
            spec: TrialSpec | Workload | Probe = connection.recv()
            if isinstance(spec, Workload):
                connection.send(_measured(spec))
                continue
            if isinstance(spec, Probe):
                connection.send(_probed(spec, connection))
                continue
            weights = None if weights_dir is None else weights_dir / f"{spec.id}.pt"
            trial = run_trial(spec, source, checkpoint_file(checkpoint_dir, spec), weights)
            try:
                record = next(trial)
                while True:
                    connection.send(record)
                    record = trial.send(connection.recv())
            except StopIteration as stop:
                # Before the driver hears of it: what it runs next may be a trial that wants all the memory there is.
                give_back_memory()
                torch.cuda.empty_cache()
                connection.send(stop.value)
            except DataError as error:
                connection.send(str(error))
            except (EOFError, ConnectionError):
                raise
            # Whatever fails is that trial's result, not the study's end.
            except Exception as error:  # noqa: BLE001
                short = memory_error(error)
                reason: Reason = "error" if short is None else "out_of_memory"
                connection.send(failure(spec, reason, raised(short or error)))
    except (EOFError, ConnectionError):
        return  # the driver is gone


def _measured(workload: Workload) -> Measurement | MeasureError:
    import torch

    from ablations.execution.measure import measure

    try:
        return measure(workload)
    # Whatever fails leaves these costs unknown; the study goes on.
    except Exception as error:  # noqa: BLE001
        return MeasureError(raised(error))
    finally:
        with suppress(RuntimeError):  # of a device that an error has left unusable
            torch.cuda.empty_cache()


def _probed(probe: Probe, connection: Connection) -> float | MeasureError:
    def wait() -> None:
        connection.send("ready")
        connection.recv()

    try:
        return train_for_a_moment(probe.workload, wait)
    except (EOFError, ConnectionError):
        raise
    # Whatever fails, so many of it do not go here; and the trial itself will say why.
    except Exception as error:  # noqa: BLE001
        return MeasureError(raised(error))
