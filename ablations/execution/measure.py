"""TODO"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import nn
from torch.profiler import ProfilerActivity, profile

from ablations.costs import Measurement, Workload
from ablations.execution.environment import processor
from ablations.execution.probe import train_for_a_moment
from ablations.execution.recipe import autocast, make_optimizer, recipe
from ablations.torch_networks import build
from ablations.trial import Precision
from nin.images import Input
from nin.memory import Optimizer

NUM_WARM_UPS = 2


MIN_RUNS = 3
"""Timed runs at least, however long they take."""


def measure(workload: Workload, *, seconds: float = 0.5) -> Measurement:
    """Measure an architecture once: with the threads that trials have, and nothing beside it.

    Set KINETO_LOG_LEVEL=6 before torch loads, or its profiler writes a few lines to stderr.

    Args:
        workload: what to measure; a batch of at least 2 where the network normalises batches of 1x1 images.
        seconds: spent on each of the three timings, at least; warm-ups and the memory runs come on top.

    Raises:
        ConfigError: the network cannot exist at this size.
        RuntimeError: torch's, such as for want of memory.
    """
    on = torch.device(workload.device)
    model = build(workload.model, workload.images)
    model = model.to(device=on, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(model, workload.precision, workload.optimizer)
    images, one_image, many_images = (_images(count, workload.images, on) for count in (workload.batch_size, 1, 128))
    labels = torch.zeros(workload.batch_size, dtype=torch.int64, device=on)

    if on.type == "cuda":
        # What libraries allocate at their first use and keep, such as cuBLAS its workspace, is no network's.
        Run(copy.deepcopy(model), workload.precision, workload.optimizer).train(images, labels)
    saved = saved_bytes(run, images)
    peak_training = peak_training_bytes(run, images, labels)
    peak_prediction = peak_prediction_bytes(run, images)
    if on.type == "cuda":
        # As trials do it: recorded once and replayed. Launched kernel by kernel, a small network's step takes several times as long.
        rate = train_for_a_moment(workload, lambda: None, seconds)
    else:
        rate = workload.batch_size / statistics.median(_timed(lambda: run.train(images, labels), on, seconds))
    latency_1 = _timed(lambda: run.predict(one_image), on, seconds)
    latency_128 = _timed(lambda: run.predict(many_images), on, seconds)
    return Measurement(
        processor=torch.cuda.get_device_name(on) if on.type == "cuda" else processor(),
        num_threads=torch.get_num_threads(),
        torch_version=torch.__version__,
        saved_bytes=saved,
        peak_training_bytes=peak_training,
        peak_prediction_bytes=peak_prediction,
        train_images_per_second=rate,
        latency_1_seconds=statistics.median(latency_1),
        latency_1_iqr_seconds=_interquartile_range(latency_1),
        latency_128_seconds=statistics.median(latency_128),
        latency_128_iqr_seconds=_interquartile_range(latency_128),
    )


class Run:
    """A network with what trains it; its steps allocate as the trainer's do."""

    def __init__(self, model: nn.Module, precision: Precision, optimizer: Optimizer) -> None:
        self.model = model
        self._train = recipe(precision, optimizer)
        self.optimizer = make_optimizer(model, self._train)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits, in the run's precision."""
        with autocast(self._train, images.device):
            logits_BK: torch.Tensor = self.model(images)
        return logits_BK

    def train(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """One training step; the gradients of the step before live until its backward pass, as in the trainer."""
        self.model.train()
        logits_BK = self.forward(images)
        loss = F.cross_entropy(logits_BK.float(), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def predict(self, images: torch.Tensor) -> None:
        """One batch of predictions."""
        self.model.eval()
        with torch.inference_mode():
            self.forward(images)

    def storage_bytes(self) -> dict[int, int]:
        """Size of each storage of parameters and buffers, by its address."""
        return _storage_bytes([*self.model.parameters(), *self.model.buffers()])


def saved_bytes(run: Run, images: torch.Tensor) -> int:
    """What autograd keeps of a forward pass, in bytes, each storage once; parameters and buffers left out."""
    saved: list[torch.Tensor] = []
    run.model.train()

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor)  # and so alive, or its address could be given to another
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run.forward(images)
    sizes = _storage_bytes(saved)
    return sum(sizes[address] for address in sizes.keys() - run.storage_bytes().keys())


def peak_training_bytes(run: Run, images: torch.Tensor, labels: torch.Tensor) -> int:
    """Most bytes allocated at once in a training step that has the gradients of the step before.

    Args:
        run: fresh: no step was taken, so that the gradients and the optimizer's state are allocated here.
        images: the batch.
        labels: its classes.
    """

    def two_steps() -> None:
        for _ in range(2):
            run.train(images, labels)

    return _before(run, images) + _peak_allocated_bytes(two_steps, images.device)


def peak_prediction_bytes(run: Run, images: torch.Tensor) -> int:
    """Most bytes allocated at once while a batch is predicted; gradients and optimizer state left out."""
    return _before(run, images) + _peak_allocated_bytes(lambda: run.predict(images), images.device)


def _before(run: Run, images: torch.Tensor) -> int:
    """Bytes of weights, buffers and images."""
    return sum(run.storage_bytes().values()) + images.untyped_storage().nbytes()


def _peak_allocated_bytes(work: Callable[[], None], device: torch.device) -> int:
    """Most bytes that `work` has allocated and not yet freed at any one moment."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_stats(device)["requested_bytes.all.current"]
        work()
        # What was asked for: blocks are larger, and how much so depends on what was freed before.
        return int(torch.cuda.memory_stats(device)["requested_bytes.all.peak"]) - int(before)
    # torch 2.11 warns of what a second cycle would do, unless it is told to keep all events.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        work()
    # The only record of every single allocation; `profiler.events()` adds them up by operator.
    events = profiler.profiler.kineto_results.events()
    changes = sorted((int(event.start_ns()), int(event.nbytes())) for event in events if event.name() == "[memory]")
    return max(accumulate(num_bytes for _, num_bytes in changes))


def _timed(work: Callable[[], None], device: torch.device, seconds: float) -> list[float]:
    """Seconds of each run of `work`, after warm-ups."""
    durations: list[float] = []
    for _ in range(NUM_WARM_UPS):
        work()
    while len(durations) < MIN_RUNS or sum(durations) < seconds:
        _synchronize(device)
        started = time.perf_counter()
        work()
        _synchronize(device)
        durations.append(time.perf_counter() - started)
    return durations


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _interquartile_range(values: list[float]) -> float:
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return third - first


def _images(count: int, made_for: Input, device: torch.device) -> torch.Tensor:
    """Random images, channels last, as the trainer prepares them."""
    images = torch.rand(count, *made_for.shape, device=device)
    return images.contiguous(memory_format=torch.channels_last)


def _storage_bytes(tensors: list[torch.Tensor]) -> dict[int, int]:
    storages = [tensor.untyped_storage() for tensor in tensors]
    return {storage.data_ptr(): storage.nbytes() for storage in storages}
