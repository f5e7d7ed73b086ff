"""A training step as one CUDA graph: recorded once, launched whole, so that no kernel waits for Python."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ablations.execution.memory import memory_error

NUM_WARM_UPS = 3
"""Steps before the recording, in which libraries allocate and choose what they need."""


class CaptureError(RuntimeError):
    """A step that cannot be recorded; the message is for people."""


class CapturedStep:
    """A step that is replayed for whole batches, and run as it is for the smaller one at the end of an epoch.

    The model, the optimizer and the generators are left as they were: warming up trains, and is undone.
    """

    def __init__(
        self,
        step: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        batch_size: int,
        device: torch.device,
    ) -> None:
        """Record the step.

        Args:
            step: from places, shape (B,), to loss and number of right answers; must not wait for the device.
            model: that the step trains, on the device; in training mode for the recording.
            optimizer: that it trains with; its learning rate a tensor, which each replay reads anew.
            batch_size: B of a whole batch.
            device: a CUDA device.

        Raises:
            CaptureError: the step waits for the device, or does else what a graph cannot hold.
            RuntimeError: torch's, such as for want of memory.
        """
        self._step = step
        self._places = torch.arange(batch_size, device=device)
        self._graph = torch.cuda.CUDAGraph()
        with undone(model, optimizer):
            # torch asks for a warm-up on another stream than the one that recording begins on.
            side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
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
                # The end of a recording in which something failed may fail, too, and say less.
                why = str(error.__context__ or error).partition("\n")[0]
                raise CaptureError(
                    f"the step cannot be recorded as a CUDA graph ({why}). A network's forward must do the same for every "
                    f"batch, and ask no tensor for its value"
                ) from error

    def __call__(self, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Train on the images at these places."""
        if len(places) != len(self._places):
            return self._step(places)
        self._places.copy_(places)
        self._graph.replay()
        return self._outputs


@contextmanager
def undone(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Steps inside train in training mode, and leave no trace: weights, buffers, moments, the generator and the mode are put back.

    All of it stays where it lies, since a step that is recorded inside has the addresses. After an error nothing is put back.

    Args:
        model: all of it on one device.
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
    """Set an optimizer's tensors back to what its `state_dict` held, where they lie: a recorded step has their addresses.

    What there was not yet becomes zero, which is where every moment and count begins.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, parameter in enumerate(parameters):
        held = before["state"].get(index, {})
        for name, value in optimizer.state[parameter].items():
            if isinstance(value, torch.Tensor):
                value.copy_(held[name]) if name in held else value.zero_()
