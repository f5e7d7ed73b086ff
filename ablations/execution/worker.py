"""The work of a worker process: it trains trials, measures networks, and answers probes."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import torch

from ablations.costs import Measurement, Workload
from ablations.errors import DataError, MeasureError, SetupError
from ablations.execution.checkpoints import CheckpointWarning
from ablations.execution.data import DataSource
from ablations.execution.measure import measure, train_for_a_moment
from ablations.execution.memory import give_back_memory, keep_freed_memory, memory_error
from ablations.execution.protocol import Probe, ToWorker, Warned, WorkerSetup, failed
from ablations.execution.train import run_trial
from ablations.text import raised
from ablations.trial import EpochRecord, Order, TrialResult, TrialSpec


def work(connection: Connection, setup: WorkerSetup) -> None:
    """Serve the driver until it hangs up.

    Args:
        connection: to the driver; `protocol` has the messages.
        setup: the device and the folders.
    """
    _prepare_warnings(connection)
    try:
        _prepare_torch(setup)
    except SetupError as error:
        connection.send(error)
        return
    folders = setup.folders
    source = DataSource(folders.data, setup.device, folders.shared)
    with suppress(EOFError, ConnectionError):  # the driver is gone
        while True:
            request: ToWorker = connection.recv()
            match request:
                case Workload():
                    connection.send(_measured(request))
                case Probe(workload):
                    connection.send(_probed(workload, connection))
                case TrialSpec():
                    trial = run_trial(request, source, folders.checkpoint_of(request), folders.weights_of(request))
                    connection.send(_trained(request, trial, connection))


def _prepare_warnings(connection: Connection) -> None:
    """Send warnings about checkpoints to the driver, and silence two that are known to be harmless."""
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
        if issubclass(category, CheckpointWarning):
            connection.send(Warned(str(message)))
        else:
            shown(message, category, *rest, **named)

    warnings.showwarning = show
    # Every time, and not only once for each line of code.
    warnings.simplefilter("always", CheckpointWarning)
    # AdamW warns in steps that are not captured: the warm-up steps, and the smaller batch at the end of an epoch.
    warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")
    # It is deterministic if each map has one maximum: its gradient is then added to zero.
    warnings.filterwarnings("ignore", message="adaptive_max_pool2d_backward_cuda does not have a deterministic")


def _prepare_torch(setup: WorkerSetup) -> None:
    """One thread, deterministic algorithms, and the worker's device.

    Raises:
        SetupError: this torch cannot use the CUDA device.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Deterministic mode fills new memory with NaN, to show reads of it: a sixth of the time of a small network's step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    keep_freed_memory()
    if setup.device == "cuda":
        if not torch.cuda.is_available():
            raise SetupError(
                f"the CUDA driver shows a device, but this torch ({torch.__version__}) cannot use it. Install a torch built for "
                f"CUDA, or hide the device with CUDA_VISIBLE_DEVICES= to run on the CPU."
            )
        torch.cuda.set_device(setup.device_index)
        torch.backends.cudnn.benchmark = False


def _trained(
    spec: TrialSpec, trial: Generator[EpochRecord, Order, TrialResult | None], connection: Connection
) -> TrialResult | SetupError | None:
    """Train a trial, and report its epochs on the way; its result, or None if it was paused."""
    try:
        record = next(trial)
        while True:
            connection.send(record)
            record = trial.send(connection.recv())
    except StopIteration as stop:
        # Before the driver hears of it: its next trial, in another process, may need all the memory there is.
        give_back_memory()
        torch.cuda.empty_cache()
        result: TrialResult | None = stop.value
        return result
    except DataError as error:
        return SetupError(str(error))
    except (EOFError, ConnectionError):
        raise
    # Any other error is this trial's result, and does not end the study.
    except Exception as error:  # noqa: BLE001
        if (short := memory_error(error)) is not None:
            return failed(spec, "out_of_memory", raised(short))
        return failed(spec, "error", raised(error))


def _measured(workload: Workload) -> Measurement | MeasureError:
    try:
        return measure(workload)
    # After any error these costs stay unknown, and the study goes on.
    except Exception as error:  # noqa: BLE001
        return MeasureError(raised(error))
    finally:
        with suppress(RuntimeError):  # an error may have left the device unusable
            torch.cuda.empty_cache()


def _probed(workload: Workload, connection: Connection) -> float | MeasureError:
    def wait() -> None:
        connection.send("ready")
        connection.recv()

    try:
        return train_for_a_moment(workload, wait)
    except (EOFError, ConnectionError):
        raise
    # Any error means: this many do not run in parallel. The trial itself will say why.
    except Exception as error:  # noqa: BLE001
        return MeasureError(raised(error))
