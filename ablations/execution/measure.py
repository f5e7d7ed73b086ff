"""Memory and speed of an architecture on this machine, measured with the optimizer and the precision of its trials."""

from __future__ import annotations

import copy
import gc
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
from ablations.execution.recipe import autocast, make_optimizer
from ablations.execution.splits import Split
from ablations.execution.train import make_step
from ablations.torch_networks import build
from ablations.trial import Precision, TrainConfig
from nin.images import Input
from nin.memory import Optimizer

NUM_WARM_UPS = 2
"""Untimed runs before the timed ones."""

MIN_RUNS = 3
"""Timed runs at least, however long they take."""

PROBE_SECONDS = 1.0
"""Training time of a probe."""

STEPS_BETWEEN_LOOKS = 4
"""Steps between two looks at the clock: few enough to end in time, enough to keep the device busy meanwhile."""


def measure(workload: Workload, *, seconds: float = 0.5) -> Measurement:
    """Measure an architecture once, with as many threads as a trial has and with nothing in parallel.

    Set KINETO_LOG_LEVEL=6 before torch loads, or its profiler writes a few lines to stderr.

    Args:
        workload: the architecture; needs a batch of at least 2 if the network normalises batches of 1x1 images.
        seconds: shortest time for each of the three timings; warm-ups and the memory runs add to it.

    Raises:
        ConfigError: the network cannot exist at this size.
        RuntimeError: from torch, for example if memory runs out.
    """
    device = torch.device(workload.device)
    made_for, batch_size = workload.images, workload.batch_size
    model = _network(workload, device)
    run = Run(model, workload.precision, workload.optimizer)
    images, one_image, many_images = (_images(count, made_for, device) for count in (batch_size, 1, 128))
    labels = torch.zeros(batch_size, dtype=torch.int64, device=device)

    if device.type == "cuda":
        # Memory that libraries allocate at their first use and keep, such as cuBLAS' workspace, belongs to no network.
        Run(copy.deepcopy(model), workload.precision, workload.optimizer).train(images, labels)
    saved = saved_bytes(run, images)
    peak_training = peak_training_bytes(run, images, labels)
    peak_prediction = peak_prediction_bytes(run, images)
    if device.type == "cuda":
        # With the captured step of trials: launched kernel by kernel, a small network's step takes several times as long.
        rate = train_for_a_moment(workload, lambda: None, seconds)
    else:
        rate = batch_size / statistics.median(_timed(lambda: run.train(images, labels), device, seconds))
    latency_1 = _timed(lambda: run.predict(one_image), device, seconds)
    latency_128 = _timed(lambda: run.predict(many_images), device, seconds)
    return Measurement(
        processor=torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
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


def train_for_a_moment(workload: Workload, wait: Callable[[], None], seconds: float = PROBE_SECONDS) -> float:
    """Images per second of the trainer's own step, on random images on the device; frees all memory at the end.

    Args:
        workload: the network and how it is trained.
        wait: called when everything is ready, so that several processes can begin together.
        seconds: shortest training time.

    Raises:
        ConfigError: the network cannot exist at this size.
        RuntimeError: from torch, for example if memory runs out.
    """
    try:
        return _training_rate(workload, wait, seconds)
    finally:
        gc.collect()
        if workload.device == "cuda":
            torch.cuda.empty_cache()


def _training_rate(workload: Workload, wait: Callable[[], None], seconds: float) -> float:
    device = torch.device(workload.device)
    batch_size = workload.batch_size
    train = _recipe(workload.precision, workload.optimizer, batch_size)
    model = _network(workload, device).train()
    images = torch.randint(0, 256, (batch_size, *workload.images.shape), dtype=torch.uint8, device=device)
    labels = torch.zeros(batch_size, dtype=torch.int64, device=device)
    step = make_step(model, make_optimizer(model, train), Split(images, labels), train, workload.size)
    places = torch.arange(batch_size, device=device)
    step(places)[0].item()
    wait()
    started = time.perf_counter()
    num_steps = 0
    while not num_steps or time.perf_counter() - started < seconds:
        for _ in range(STEPS_BETWEEN_LOOKS):
            loss, _ = step(places)
        loss.item()
        num_steps += STEPS_BETWEEN_LOOKS
    return num_steps * batch_size / (time.perf_counter() - started)


def _network(workload: Workload, device: torch.device) -> nn.Module:
    model = build(workload.model, workload.images)
    return model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _recipe(precision: Precision, optimizer: Optimizer, batch_size: int = 1) -> TrainConfig:
    """A recipe with the costs of the trials' recipe. Its tiny rate keeps the weights finite, however many steps it takes."""
    return TrainConfig(
        epochs=1,
        batch_size=batch_size,
        optimizer="adamw" if optimizer == "adamw" else "sgd",
        lr=1e-9,
        momentum=0.9 if optimizer == "sgd_momentum" else 0.0,
        precision=precision,
    )


class Run:
    """A network with its optimizer; its steps allocate the same memory as the trainer's."""

    def __init__(self, model: nn.Module, precision: Precision, optimizer: Optimizer) -> None:
        self.model = model
        self._recipe = _recipe(precision, optimizer)
        self.optimizer = make_optimizer(model, self._recipe)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits, in the run's precision."""
        with autocast(self._recipe, images.device):
            logits_BK: torch.Tensor = self.model(images)
        return logits_BK

    def train(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """One training step; as in the trainer, the last step's gradients live until the backward pass."""
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
    """Bytes that autograd keeps after a forward pass: each storage once, without parameters and buffers."""
    saved: list[torch.Tensor] = []
    run.model.train()

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor)  # keeps it alive, or another tensor could get its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run.forward(images)
    sizes = _storage_bytes(saved)
    return sum(sizes[address] for address in sizes.keys() - run.storage_bytes().keys())


def peak_training_bytes(run: Run, images: torch.Tensor, labels: torch.Tensor) -> int:
    """Most bytes allocated at once in a training step that finds the last step's gradients.

    Args:
        run: without a step so far: this one allocates the gradients and the optimizer's state.
        images: the batch.
        labels: its classes.
    """

    def two_steps() -> None:
        for _ in range(2):
            run.train(images, labels)

    return _before(run, images) + _peak_allocated_bytes(two_steps, images.device)


def peak_prediction_bytes(run: Run, images: torch.Tensor) -> int:
    """Most bytes allocated at once while a batch is predicted, without gradients and optimizer state."""
    return _before(run, images) + _peak_allocated_bytes(lambda: run.predict(images), images.device)


def _before(run: Run, images: torch.Tensor) -> int:
    """Bytes of weights, buffers and images, all allocated before the step."""
    return sum(run.storage_bytes().values()) + images.untyped_storage().nbytes()


def _peak_allocated_bytes(work: Callable[[], None], device: torch.device) -> int:
    """Most bytes in use by allocations of `work` at any one moment."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_stats(device)["requested_bytes.all.current"]
        work()
        # Requested bytes: allocated blocks are larger, by an amount that depends on earlier frees.
        return int(torch.cuda.memory_stats(device)["requested_bytes.all.peak"]) - int(before)
    # Without acc_events, torch 2.11 warns about a second cycle.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        work()
    # The only record of every single allocation; `profiler.events()` sums them by operator.
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
    """Random images in the trainer's layout, channels last."""
    images = torch.rand(count, *made_for.shape, device=device)
    return images.contiguous(memory_format=torch.channels_last)


def _storage_bytes(tensors: list[torch.Tensor]) -> dict[int, int]:
    storages = [tensor.untyped_storage() for tensor in tensors]
    return {storage.data_ptr(): storage.nbytes() for storage in storages}
