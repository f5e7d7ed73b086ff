"""Memory of a network while it trains and while it predicts, in closed form, without torch.

The layers are walked as torch walks them, forwards and backwards. A heap of blocks counts shared memory once: an
activation in place, a view, a tensor kept by two layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from nin.architecture import NamedLayer, layers
from nin.config import Config
from nin.images import Input
from nin.layers import Dropout, Shape, Storage

Precision = Literal["fp32", "bf16"]
"""fp32 throughout; or bf16 by autocast: weights and images are fp32, and convolutions and linear layers cast them."""

Optimizer = Literal["sgd", "sgd_momentum", "adamw"]
Device = Literal["cpu", "cuda"]

STATE_COPIES: Mapping[Optimizer, int] = {"sgd": 0, "sgd_momentum": 1, "adamw": 2}
"""Numbers per parameter in the optimizer's state."""

_FP32, _INT64 = 4, 8
_ELEMENT: Mapping[Precision, int] = {"fp32": 4, "bf16": 2}
"""Bytes per element of the activations and of their gradients."""


@dataclass(frozen=True)
class Memory:
    """Bytes of tensors for one batch, without the allocator's rounding and the kernels' workspaces.

    Attributes:
        weight_bytes: fp32 parameters, and the buffers of batch normalisation.
        gradient_bytes: gradients of the parameters, fp32.
        optimizer_bytes: momentum, or AdamW's two moments, fp32; without AdamW's step counts (4 bytes per tensor).
        saved_activation_bytes: memory that autograd keeps from the forward to the backward pass, each block counted once:
            inputs and outputs of layers (including the images or their cast), pooling indices, dropout masks, batch
            statistics. Without parameters, `saved_cast_bytes` and the loss's tensors.
        saved_cast_bytes: bf16 casts of weights that autograd keeps; 0 in fp32. They do not grow with the batch.
        peak_training_bytes: most memory alive at once in a step after the first: weights, optimizer state, images, logits,
            the tensors saved at that moment, activations and their gradients, and the parameters' gradients (the previous
            step's live until the backward pass begins). Without the loss, the labels and the optimizer's temporaries.
        peak_activation_bytes: most memory of images, inputs, outputs and pooling indices at once while the network
            predicts. An activation is freed once the layer that reads it is done.
        peak_prediction_bytes: most memory alive at once while the network predicts: `weight_bytes`, activations, and in
            bf16 the casts of one layer's parameters (in inference mode autocast caches none).
    """

    weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    saved_activation_bytes: int
    saved_cast_bytes: int
    peak_training_bytes: int
    peak_activation_bytes: int
    peak_prediction_bytes: int

    @property
    def saved_bytes(self) -> int:
        """All memory that autograd keeps from the forward to the backward pass, without parameters and loss."""
        return self.saved_activation_bytes + self.saved_cast_bytes


def memory(
    config: Config,
    images: Input,
    *,
    batch_size: int,
    precision: Precision,
    optimizer: Optimizer,
    device: Device,
) -> Memory:
    """Memory of training on, and of predicting, a batch.

    Args:
        config: the dials.
        images: their shape, and the number of logits.
        batch_size: images in the batch.
        precision: precision of the computation; weights, gradients and optimizer state are fp32 in both.
        optimizer: kind of optimizer, for the size of its state.
        device: only decides the size of dropout's masks (CUDA: one byte per element; CPU: as the activations).

    Raises:
        ConfigError: the network cannot exist at this size.
    """
    network = layers(config, images)
    gradient_bytes = _FP32 * sum(named.layer.params for named in network)
    weight_bytes = gradient_bytes + sum(named.layer.buffer_bytes for named in network)
    optimizer_bytes = STATE_COPIES[optimizer] * gradient_bytes

    step = _TrainingStep(network, batch_size, precision, device)
    step.heap.allocate(weight_bytes + optimizer_bytes)
    last_gradients = step.heap.allocate(gradient_bytes)
    step.forward()
    step.heap.free([last_gradients])
    step.backward()

    live_bytes, live_and_cast_bytes = zip(*_prediction(network, batch_size, precision), strict=True)
    return Memory(
        weight_bytes=weight_bytes,
        gradient_bytes=gradient_bytes,
        optimizer_bytes=optimizer_bytes,
        saved_activation_bytes=step.saved_activation_bytes,
        saved_cast_bytes=step.saved_cast_bytes,
        peak_training_bytes=step.heap.peak_bytes,
        peak_activation_bytes=max(live_bytes),
        peak_prediction_bytes=weight_bytes + max(live_and_cast_bytes),
    )


class _Heap:
    """The live blocks of memory, and the most bytes they ever took together."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._live_bytes = 0
        self._sizes: list[int] = []

    def allocate(self, num_bytes: int) -> int:
        """Allocates a block and returns its number."""
        self._sizes.append(num_bytes)
        self._live_bytes += num_bytes
        self.peak_bytes = max(self.peak_bytes, self._live_bytes)
        return len(self._sizes) - 1

    def size(self, blocks: Iterable[int]) -> int:
        """Bytes of some blocks."""
        return sum(self._sizes[block] for block in blocks)

    def free(self, blocks: Iterable[int]) -> None:
        """Frees some blocks."""
        self._live_bytes -= self.size(blocks)


class _TrainingStep:
    """A batch on its way through the network, and the gradients on their way back."""

    def __init__(self, network: Sequence[NamedLayer], batch_size: int, precision: Precision, device: Device) -> None:
        self.heap = _Heap()
        self.saved_activation_bytes = 0
        self.saved_cast_bytes = 0
        self._network = network
        self._batch_size = batch_size
        self._element = _ELEMENT[precision]
        self._autocast = precision == "bf16"
        self._mask_element = 1 if device == "cuda" else self._element
        # For each layer, the blocks that no layer before it keeps: its backward pass is the last to need them.
        self._saved: list[list[int]] = []

    def forward(self) -> None:
        """From the images to the logits."""
        # The images are the trainer's; the first layer, a convolution, takes them or their cast.
        block = self._activation(self._network[0].in_shape, _FP32)
        if self._autocast:
            block = self._activation(self._network[0].in_shape, self._element)
        saved: set[int] = set()
        cast_biases = []
        for named in self._network:
            layer, storage = named.layer, named.layer.storage(named.in_shape)
            in_block = block
            if storage.new_output:
                block = self._activation(named.out_shape, self._element)
            kept = [self.heap.allocate(num_bytes) for num_bytes in self._extras(storage)]
            kept += [in_block] * storage.keeps_input + [block] * storage.keeps_output
            kept = [each for each in kept if each not in saved]
            saved.update(kept)
            self.saved_activation_bytes += self.heap.size(kept)
            if self._autocast and layer.weights:
                cast_weight = self.heap.allocate(self._element * layer.weights)
                self.saved_cast_bytes += self.heap.size([cast_weight])
                kept.append(cast_weight)
                cast_biases.append(self.heap.allocate(self._element * (layer.params - layer.weights)))
            self._saved.append(kept)
            if in_block not in saved and in_block != block:
                self.heap.free([in_block])
        # Autocast caches its casts of the parameters until it exits; after that, autograd keeps the casts of the weights.
        self.heap.free(cast_biases)

    def backward(self) -> None:
        """From the logits to the first layer's parameters."""
        gradient = self._activation(self._network[-1].out_shape, self._element)
        for named, saved in zip(reversed(self._network), reversed(self._saved), strict=True):
            layer = named.layer
            cast = self._autocast and layer.weights > 0
            out_gradient = gradient
            if named is not self._network[0]:  # nobody asks for the images' gradient
                gradient = self._activation(named.in_shape, self._element)
            counts = [layer.weights, layer.params - layer.weights]
            of_params = [self.heap.allocate((self._element if cast else _FP32) * count) for count in counts]
            self.heap.free([*saved, out_gradient])
            if cast:
                for count, low in zip(counts, of_params, strict=True):
                    self.heap.allocate(_FP32 * count)
                    self.heap.free([low])

    def _activation(self, shape: Shape, element_bytes: int) -> int:
        return self.heap.allocate(element_bytes * self._batch_size * prod(shape))

    def _extras(self, storage: Storage) -> tuple[int, int, int]:
        """Bytes that a layer keeps besides its input and output: indices, mask, statistics."""
        return (
            _INT64 * self._batch_size * storage.indices,
            self._mask_element * self._batch_size * storage.mask,
            _FP32 * storage.statistics,
        )


def _prediction(network: Sequence[NamedLayer], batch_size: int, precision: Precision) -> Iterator[tuple[int, int]]:
    """For each layer, the bytes alive while it predicts, without and with the casts of its parameters."""
    element, autocast = _ELEMENT[precision], precision == "bf16"
    num_pixels = batch_size * prod(network[0].in_shape)
    # The images stay alive throughout; the first layer reads them in fp32, and their cast in bf16.
    in_bytes = element * num_pixels if autocast else 0
    for named in network:
        layer, storage = named.layer, named.layer.storage(named.in_shape)
        if isinstance(layer, Dropout):
            continue  # it returns its input unchanged
        out_bytes = element * batch_size * prod(named.out_shape) if storage.new_output else 0
        live_bytes = _FP32 * num_pixels + in_bytes + out_bytes + _INT64 * batch_size * storage.indices
        yield live_bytes, live_bytes + (element * layer.params if autocast and layer.weights else 0)
        in_bytes = out_bytes or in_bytes
