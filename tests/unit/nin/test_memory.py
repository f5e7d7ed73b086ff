"""Memory in closed form against the tensors that torch makes and keeps."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from dials import classic_configs, nin_configs
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ablations.execution.measure import Run, saved_bytes
from nin.architecture import layers
from nin.complexity import costs
from nin.config import Config, ConfigError
from nin.images import Input
from nin.layers import BatchNorm2d, Conv2d
from nin.memory import Memory, Optimizer, Precision, memory
from nin.model import build
from nin.presets import INPUTS, PRESETS, configure

SMALL = [name for name, made_for in INPUTS.items() if made_for.size < 224]
PRECISIONS = get_args(Precision)
OPTIMIZERS = get_args(Optimizer)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """As in a worker; with two, torch 2.15 may crash in the backward pass of a 1x1 convolution with a stride."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class TensorTracker(TorchDispatchMode):
    """Most bytes that tensors take at once: what the closed form counts, without what kernels allocate inside."""

    def __init__(self, alive: list[torch.Tensor]) -> None:
        super().__init__()
        self.live_bytes = self.peak_bytes = 0
        self._seen: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()
        for tensor in alive:
            self._see(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # Inference mode hands over whole operators; what they make inside shows when they are taken apart.
        with self:
            result = func.decompose(*args, **(kwargs or {}))
        if result is NotImplemented:
            result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._see(leaf)
        return result

    def _see(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self._seen:
            self._seen.add(storage)
            self._change(storage.nbytes())
            weakref.finalize(storage, self._change, -storage.nbytes())

    def _change(self, num_bytes: int) -> None:
        self.live_bytes += num_bytes
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)


def closed(preset: str, **changes: Any) -> Memory:
    """Memory of a preset with the images it is made for: 8 of them, fp32, SGD, on a CPU, but for `changes`."""
    how = {"batch_size": 8, "precision": "fp32", "optimizer": "sgd", "device": "cpu", **changes}
    return memory(PRESETS[preset], INPUTS[preset], **how)


def counted_by_torch(
    config: Config, made_for: Input, batch_size: int, precision: Precision, optimizer: Optimizer
) -> Memory:
    """The same numbers from a step on the CPU; those that torch cannot tell apart are summed in the first."""
    images = torch.rand(batch_size, *made_for.shape)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(batch_size, dtype=torch.int64)
    run = Run(build(config, made_for).to(memory_format=torch.channels_last), precision, optimizer)
    weights = [*run.model.parameters(), *run.model.buffers()]

    prediction = TensorTracker([*weights, images])
    with prediction:
        run.predict(images)
    saved = saved_bytes(run, images)
    run.train(images, labels)
    gradients = [parameter.grad for parameter in run.model.parameters() if parameter.grad is not None]
    state = [each for values in run.optimizer.state.values() for each in values.values() if each.dim()]
    training = TensorTracker([*weights, *gradients, *state, images])
    # Else these would hold what the step frees.
    gradient_bytes, state_bytes = (sum(each.nbytes for each in tensors) for tensors in (gradients, state))
    del gradients, state
    with training:
        run.train(images, labels)
    return Memory(
        weight_bytes=sum(each.nbytes for each in weights),
        gradient_bytes=gradient_bytes,
        optimizer_bytes=state_bytes,
        saved_activation_bytes=saved,
        saved_cast_bytes=0,
        peak_training_bytes=training.peak_bytes,
        peak_activation_bytes=0,
        peak_prediction_bytes=prediction.peak_bytes,
    )


def check(config: Config, made_for: Input, precision: Precision, optimizer: Optimizer, batch_size: int = 2) -> None:
    counted = counted_by_torch(config, made_for, batch_size, precision, optimizer)
    ours = memory(config, made_for, batch_size=batch_size, precision=precision, optimizer=optimizer, device="cpu")
    assert ours.weight_bytes == counted.weight_bytes
    assert ours.gradient_bytes == counted.gradient_bytes
    assert ours.optimizer_bytes == counted.optimizer_bytes
    assert ours.saved_bytes == counted.saved_bytes
    assert ours.peak_prediction_bytes == counted.peak_prediction_bytes
    # What the loss adds: logits in fp32, their logarithms of probabilities, their gradient, and three numbers.
    loss_bytes = 3 * 4 * batch_size * made_for.num_classes + 3 * 4
    assert ours.peak_training_bytes <= counted.peak_training_bytes <= ours.peak_training_bytes + loss_bytes


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("preset", [*SMALL, "nin_book"])
def test_closed_form_is_what_torch_keeps_for_the_presets(preset: str, precision: Precision) -> None:
    check(PRESETS[preset], INPUTS[preset], precision, "sgd_momentum")


@settings(max_examples=60, deadline=None)
@given(
    config=nin_configs() | classic_configs(),
    in_channels=st.integers(1, 3),
    size=st.integers(12, 20),
    precision=st.sampled_from(PRECISIONS),
    optimizer=st.sampled_from(OPTIMIZERS),
    batch_size=st.integers(2, 5),
)
def test_closed_form_is_what_torch_keeps_for_any_dials(
    config: Config, in_channels: int, size: int, precision: Precision, optimizer: Optimizer, batch_size: int
) -> None:
    made_for = Input(in_channels=in_channels, size=size, num_classes=10)
    try:
        convs = [named.layer for named in layers(config, made_for) if isinstance(named.layer, Conv2d)]
    except ConfigError:
        assume(False)
    # Weights of 1x1 on one channel have no memory format, so that torch may lay the activations out either way.
    assume(not any(conv.kernel == 1 and conv.in_channels == 1 for conv in convs))
    check(config, made_for, precision, optimizer, batch_size)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("preset", PRESETS)
def test_the_parts_of_every_preset_fit_together(preset: str, precision: Precision) -> None:
    plain, momentum, adamw = (closed(preset, precision=precision, optimizer=each) for each in OPTIMIZERS)
    params = costs(PRESETS[preset], INPUTS[preset]).params
    assert plain.gradient_bytes == 4 * params
    assert (plain.optimizer_bytes, momentum.optimizer_bytes, adamw.optimizer_bytes) == (0, 4 * params, 8 * params)
    for more in (momentum, adamw):
        changed = {"optimizer_bytes": more.optimizer_bytes, "peak_training_bytes": more.peak_training_bytes}
        assert replace(plain, **changed) == more
        assert more.peak_training_bytes - plain.peak_training_bytes == more.optimizer_bytes
    assert plain.peak_training_bytes >= plain.weight_bytes + plain.gradient_bytes + plain.saved_bytes
    assert plain.weight_bytes + plain.peak_activation_bytes <= plain.peak_prediction_bytes < plain.peak_training_bytes


@pytest.mark.parametrize("preset", PRESETS)
def test_activations_grow_with_the_batch_and_nothing_else_does(preset: str) -> None:
    one, two, three = (closed(preset, batch_size=count, precision="bf16") for count in (1, 2, 3))
    network = layers(PRESETS[preset], INPUTS[preset])
    statistics = sum(2 * 4 * named.layer.channels for named in network if isinstance(named.layer, BatchNorm2d))
    assert three.saved_activation_bytes == 3 * (one.saved_activation_bytes - statistics) + statistics
    assert three.peak_activation_bytes == 3 * one.peak_activation_bytes
    assert three.peak_training_bytes - two.peak_training_bytes > 0
    for each in ("weight_bytes", "gradient_bytes", "optimizer_bytes", "saved_cast_bytes"):
        assert getattr(one, each) == getattr(three, each)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_masks_of_dropout_are_bytes_on_cuda(device: str) -> None:
    with_masks = closed("alexnet", device=device).saved_activation_bytes
    without = memory(
        replace(PRESETS["alexnet"], dropout=0.0),
        INPUTS["alexnet"],
        batch_size=8,
        precision="fp32",
        optimizer="sgd",
        device=device,
    ).saved_activation_bytes
    # Each of the two hidden layers: the mask, and the output of the dropout beside that of the activation.
    mask = 1 if device == "cuda" else 4
    assert with_masks - without == 8 * 2 * 4096 * (mask + 4)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_predicting_knows_no_dropout(precision: Precision) -> None:
    how: Any = {"batch_size": 8, "precision": precision, "optimizer": "sgd", "device": "cpu"}
    with_dropout, without = (
        memory(configure("lenet", {"dense": [9999], "activation": "relu", "dropout": rate}), INPUTS["lenet"], **how)
        for rate in (0.5, 0)
    )
    assert with_dropout.peak_activation_bytes == without.peak_activation_bytes
    assert with_dropout.peak_prediction_bytes == without.peak_prediction_bytes


def test_lenet_by_hand() -> None:
    lenet = closed("lenet")
    # Images; two sigmoids, which the pools keep, too; the first pool's output; the flat copy of the second's; and the
    # sigmoids of the hidden layers.
    saved = 28 * 28 + 6 * 28 * 28 + 6 * 14 * 14 + 16 * 10 * 10 + 400 + 120 + 84
    assert lenet.saved_activation_bytes == 4 * 8 * saved
    assert lenet.weight_bytes == 4 * 61_706
    # Images, and input and output of the first sigmoid.
    assert lenet.peak_activation_bytes == 4 * 8 * (28 * 28 + 2 * 6 * 28 * 28)
    assert lenet.peak_prediction_bytes == lenet.weight_bytes + lenet.peak_activation_bytes
