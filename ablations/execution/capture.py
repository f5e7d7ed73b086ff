"""A training step as one CUDA graph: captured once and launched whole, so that no kernel waits for Python."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import nn

from ablations.execution.memory import memory_error

NUM_WARM_UPS = 3
"""Steps before the capture, in which libraries allocate their memory and choose their kernels."""


class CaptureError(RuntimeError):
    """A step cannot be captured; the message is for people."""


class CapturedStep:
    """A captured step for whole batches, and the plain step for the smaller batch at the end of an epoch.

    The warm-up trains, and is undone: model, optimizer and random generators stay as they were.
    """

    def __init__(
        self,
        step: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        batch_size: int,
        device: torch.device,
    ) -> None:
        """Capture the step.

        Args:
            step: from places, shape (B,), to loss and number of right answers; must not wait for the device.
            model: the network of the step, on the device; in training mode during the capture.
            optimizer: of the network; its learning rate is a tensor, and each replay reads it.
            batch_size: B of a whole batch.
            device: a CUDA device.

        Raises:
            CaptureError: the step waits for the device, or does something else impossible in a graph.
            RuntimeError: from torch, for example if memory runs out.
        """
        self._step = step
        self._places = torch.arange(batch_size, device=device)
        self._graph = torch.cuda.CUDAGraph()
        with undone(model, optimizer):
            side = _warm_up_stream(device)
            side.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(side):
                for _ in range(NUM_WARM_UPS):
                    step(self._places)
            torch.cuda.current_stream(device).wait_stream(side)
            try:
                with torch.cuda.graph(self._graph):
                    self._outputs = step(self._places)
            except RuntimeError as error:
                if memory_error(error) is not None:
                    raise
                # The end of a failed capture may raise a second error, with less information.
                why = str(error.__context__ or error).partition("\n")[0]
                raise CaptureError(
                    f"the step cannot be captured as a CUDA graph ({why}). A network's forward must do the same for every "
                    f"batch: it must not branch on tensor values or call .item()"
                ) from error

    def __call__(self, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Train on the images at these places."""
        if len(places) != len(self._places):
            return self._step(places)
        self._places.copy_(places)
        self._graph.replay()
        return self._outputs


# One per process: cuBLAS keeps a workspace of 32 MiB for each stream that it has seen, so that each trial would keep another.
@cache
def _warm_up_stream(device: torch.device) -> torch.cuda.Stream:
    """A stream for warm-ups: torch asks for another one than that of the capture."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@contextmanager
def undone(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Undo all training inside: weights, buffers, moments, random generator and mode are restored. Inside is training mode.

    All tensors keep their addresses, because a step captured inside uses them. After an error nothing is restored.

    Args:
        model: the network, on one device.
        optimizer: of the model.
    """
    tensors = [*model.parameters(), *model.buffers()]
    held = [tensor.detach().clone() for tensor in tensors]
    moments = copy.deepcopy(optimizer.state_dict())
    generators = torch.cuda if tensors[0].is_cuda else torch.random
    state, training = generators.get_rng_state(), model.training
    model.train()
    yield
    with torch.no_grad():
        for tensor, before in zip(tensors, held, strict=True):
            tensor.copy_(before)
    restore_in_place(optimizer, moments)
    generators.set_rng_state(state)
    model.train(training)


def restore_in_place(optimizer: torch.optim.Optimizer, before: dict[str, Any]) -> None:
    """Restore an optimizer's tensors from its earlier `state_dict`, at their addresses: a captured step uses them.

    Newer tensors become zero, the first value of every moment and count.

    Args:
        optimizer: the optimizer.
        before: its earlier `state_dict`, copied.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, parameter in enumerate(parameters):
        held = before["state"].get(index, {})
        for name, value in optimizer.state[parameter].items():
            if isinstance(value, torch.Tensor):
                value.copy_(held[name]) if name in held else value.zero_()
