"""Costs of any torch module, as torch counts them: for networks that `nin` does not lower to layers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nin.complexity import LayerRow
from nin.config import ConfigError
from nin.images import Input

_MULTIPLYING = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
"""Modules whose outputs count as activations."""


class _Output(NamedTuple):
    """One output of a layer; a layer that is used twice has two.

    Attributes:
        shape: with the batch of one image in front.
        is_new: the output has its own memory; otherwise it shares an input's.
    """

    shape: torch.Size
    is_new: bool


def layer_table(model: nn.Module, images: Input) -> tuple[LayerRow, ...]:
    """Output shape and costs of each layer, in the order of first use.

    A layer is a convolution, a linear layer, or any other module without children. If parameters or MACs are left over,
    a last row `elsewhere` has them.

    Args:
        model: the network, built on the device "meta", where tensors have shapes but no numbers. Tensors elsewhere
            are moved there; weights that layers share are then counted for each layer.
        images: their shape, and the number of logits.

    Raises:
        ConfigError: the output for one image is not of shape (1, num_classes).
    """
    with torch.device("meta"), torch.no_grad():
        # Evaluation mode, since batch normalisation cannot train on a single image.
        model = model.to("meta").eval()
        layers = dict(_layers(model))
        outputs, counter = _predict(model, layers, images)
    uncounted = {weight for weight in model.parameters() if weight.requires_grad}
    rows = []
    for name, given in outputs.items():
        # A weight that several layers share counts for the first.
        weights = uncounted & set(layers[name].parameters())
        uncounted -= weights
        rows.append(_row(name, layers[name], given, weights, _macs(counter, model, name)))
    macs = counter.get_total_flops() // 2 - sum(row.macs for row in rows)
    if uncounted or macs:
        rows.append(LayerRow(_numel(uncounted), macs, 0, name="elsewhere", kind="", out_shape=(), out_bytes=0))
    return tuple(rows)


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules that get a row, by name."""
    multiplying = [module for module in model.modules() if isinstance(module, _MULTIPLYING)]
    # A convolution with normalised weights, for example, has a child that computes them; it stays one layer.
    inner = {part for module in multiplying for part in module.modules() if part is not module}
    for name, module in model.named_modules():
        if module not in inner and (module in multiplying or not any(module.children())):
            yield name, module


def _predict(
    model: nn.Module, layers: Mapping[str, nn.Module], images: Input
) -> tuple[Mapping[str, Sequence[_Output]], FlopCounterMode]:
    """Predict one image; return each layer's outputs, in the order of first use, and torch's count of operations."""
    outputs: dict[str, list[_Output]] = defaultdict(list)

    def keep(name: str, _: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        if isinstance(output, torch.Tensor):
            shared = any(isinstance(each, torch.Tensor) and _share_memory(each, output) for each in inputs)
            outputs[name].append(_Output(output.shape, is_new=not shared))

    for name, layer in layers.items():
        layer.register_forward_hook(partial(keep, name))
    with FlopCounterMode(display=False) as counter:
        logits = model(torch.empty(1, *images.shape))
    if logits.shape != (1, images.num_classes):
        rule = f"must give logits of shape (batch, {images.num_classes})"
        raise ConfigError("build", f"{rule}; for one image it gives {tuple(logits.shape)}")
    return outputs, counter


def _row(
    name: str, layer: nn.Module, outputs: Sequence[_Output], weights: Collection[nn.Parameter], macs: int
) -> LayerRow:
    numbers = sum(output.shape.numel() for output in outputs)
    return LayerRow(
        name=name or "model",
        kind=type(layer).__name__,
        out_shape=tuple(outputs[-1].shape[1:]),
        out_bytes=sum(4 * output.shape.numel() for output in outputs if output.is_new),
        params=_numel(weights),
        macs=macs,
        activations=numbers if isinstance(layer, _MULTIPLYING) else 0,
    )


def _macs(counter: FlopCounterMode, model: nn.Module, name: str) -> int:
    """MACs of the layer `name`: torch counts two operations for each, in convolutions and matrix products only."""
    path = ".".join(filter(None, (type(model).__name__, name)))
    return sum(counter.get_flop_counts().get(path, {}).values()) // 2


def _numel(weights: Collection[nn.Parameter]) -> int:
    return sum(weight.numel() for weight in weights)


def _share_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether one tensor is a view of the other, or the other itself; on any device."""
    return bool(one.untyped_storage()._cdata == other.untyped_storage()._cdata)
