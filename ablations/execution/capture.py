"""A training step as one CUDA graph: recorded once, launched whole, so that no kernel waits for Python."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

NUM_WARM_UPS = 3
"""Steps before the recording, in which libraries allocate and choose what they need."""


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
            model: that the step trains, on the device, in training mode for the recording.
            optimizer: that it trains with; its learning rate a tensor, which each replay reads anew.
            batch_size: B of a whole batch.
            device: a CUDA device.
        """
        self._step = step
        self._places = torch.arange(batch_size, device=device)
        weights = copy.deepcopy(model.state_dict())
        moments = copy.deepcopy(optimizer.state_dict())
        generator = torch.cuda.get_rng_state(device)
        training = model.training
        model.train()
        # torch asks for a warm-up on another stream than the one that recording begins on.
        side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(NUM_WARM_UPS):
                step(self._places)
        torch.cuda.current_stream(device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = step(self._places)
        model.load_state_dict(weights)
        restore_in_place(optimizer, moments)
        torch.cuda.set_rng_state(generator, device)
        model.train(training)

    def __call__(self, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Train on the images at these places."""
        if len(places) != len(self._places):
            return self._step(places)
        self._places.copy_(places)
        self._graph.replay()
        return self._outputs


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
