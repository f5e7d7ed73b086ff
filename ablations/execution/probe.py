"""How many trainings side by side make the most of a CUDA device: measured, since it depends on the network and the device."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

from ablations.costs import Workload

GAIN = 1.1
"""Another training on a device must raise its images a second by this factor, or it only takes memory."""
MOST = 8
"""Trainings on one device at most."""
SECONDS = 1.0
"""Of training, for each number that is tried."""
STEPS_BETWEEN_LOOKS = 4
"""At the clock: often enough to end in time, seldom enough that the device is not waited for."""


@dataclass(frozen=True)
class Probe:
    """Asks a worker to train on random images for a moment: it says when it is ready, and then waits for the word."""

    workload: Workload


def best_number(rate_of: Callable[[int], float | None], most: int = MOST) -> tuple[int, float]:
    """Try one training, two, three ... for as long as one more pays.

    Args:
        rate_of: images a second of that many side by side; None where they do not fit.
        most: numbers to try.

    Returns:
        The number, and how many times the images a second of a single one it gives.
    """
    alone = best = rate_of(1)
    if alone is None or best is None:
        return 1, 1.0
    for number in range(2, most + 1):
        rate = rate_of(number)
        if rate is None or rate < GAIN * best:
            return number - 1, best / alone
        best = rate
    return most, best / alone


def train_for_a_moment(workload: Workload, wait: Callable[[], None], seconds: float = SECONDS) -> float:
    """Images a second of the trainer's own step, on random images that are on the device; nothing stays there.

    Args:
        workload: what is trained.
        wait: called once all is ready, so that several begin together.
        seconds: of training, at least.

    Raises:
        RuntimeError: torch's, such as for want of memory.
    """
    import torch

    try:
        return _rate(workload, wait, seconds)
    finally:
        gc.collect()
        if workload.device == "cuda":
            torch.cuda.empty_cache()


def _rate(workload: Workload, wait: Callable[[], None], seconds: float) -> float:
    import torch

    from ablations.execution.recipe import make_optimizer, recipe
    from ablations.execution.splits import Split
    from ablations.execution.train import make_step
    from ablations.torch_networks import build

    device = torch.device(workload.device)
    batch_size = workload.batch_size
    train = recipe(workload.precision, workload.optimizer, batch_size)
    model = build(workload.model, workload.images)
    model = model.train().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
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
