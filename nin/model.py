"""The torch modules, built from the same layers as the costs."""

from __future__ import annotations

import hashlib
import random
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from math import sqrt
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import nn

from nin.architecture import layers
from nin.complexity import Costs, LayerRow
from nin.config import Config, ConfigError, Scheme
from nin.images import Input
from nin.layers import Activation, BatchNorm2d, Conv2d, Dropout, Flatten, GlobalPool, Layer, Linear, Pool2d


def build(config: Config, images: Input) -> nn.Sequential:
    """The network as a torch module, from images (batch, in_channels, size, size) to logits (batch, num_classes).

    Its children have the layers' names with `_` for the dot: `block1.spatial` has the weights `block1_spatial.weight`.
    Weights are torch's default draw from the global generator; `initialize` replaces them.

    Args:
        config: the dials.
        images: their shape, and the number of logits.

    Raises:
        ConfigError: the network cannot exist at this size.
    """
    named_layers = layers(config, images)
    return nn.Sequential(
        OrderedDict((named.name.replace(".", "_"), torch_module(named.layer)) for named in named_layers)
    )


def load_weights(model: nn.Module, file: Path) -> None:
    """Loads the weights of a network from a file that `torch.save` wrote; no code in the file is run.

    Args:
        model: a network as `build` returns it, with the same dials as the saved one.
        file: a saved `state_dict()`.
    """
    model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))


def materialize(model: nn.Module, images: Input) -> None:
    """Gives lazy layers, such as `nn.LazyConv2d`, their shapes by predicting one black image.

    The model stays in its mode. A model without lazy layers is left alone.

    Args:
        model: on the CPU, or on the device "meta".
        images: their shape, and the number of logits.

    Raises:
        ConfigError: a lazy layer took no part in the prediction.
    """
    if not _lazy(model):
        return
    training = model.training
    # Evaluation mode, since batch normalisation cannot train on a single image.
    with torch.no_grad():
        model.eval()(torch.zeros(1, *images.shape))
    model.train(training)
    if unused := _lazy(model):
        raise ConfigError("build", f"its lazy layer {unused[0].rpartition('.')[0]!r} is not used by forward; remove it")


def _lazy(model: nn.Module) -> list[str]:
    """Names of parameters and buffers whose shape is still open."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return [name for name, tensor in named if nn.parameter.is_lazy(tensor)]


def initialize(model: nn.Module, scheme: Scheme, *, seed: int) -> None:
    """Draws the initial weights, each parameter from its own generator.

    A generator's seed is a hash of `seed` and the parameter's name. Two networks with a layer of the same name and shape
    therefore start with the same weights there, on any device. Batch normalisation starts with scale 1 and shift 0.

    Args:
        model: a network as `build` returns it, not compiled or wrapped: both rename the parameters.
        scheme: `xavier_uniform`: weights by Glorot and Bengio, biases by torch's default, as in the book;
            `kaiming_normal`: weights N(0, 2 / fan_in), biases 0; `default`: torch's own, weights and biases
            U(-1, 1) / sqrt(fan_in).
        seed: any integer.

    Raises:
        ConfigError: `scheme` is unknown.

    Source:
        Glorot and Bengio (2010); He et al. (2015); `init_cnn` of Zhang et al., Dive into Deep Learning, chapter 7.6.
    """
    if scheme not in get_args(Scheme):
        raise ConfigError("scheme", f"must be one of {', '.join(get_args(Scheme))}; it is {scheme!r}")
    for name, module in model.named_modules():
        match module:
            case nn.Conv2d() | nn.Linear():
                _draw_weight(module.weight, scheme, _generator(seed, f"{name}.weight"))
                if module.bias is not None:
                    bound = 0.0 if scheme == "kaiming_normal" else 1 / sqrt(module.weight[0].numel())
                    _draw_bias(module.bias, bound, _generator(seed, f"{name}.bias"))
            case nn.BatchNorm2d():
                module.reset_parameters()


# Both draw on the CPU and copy, so that neither the device nor the memory format changes the numbers.
def _draw_weight(weight: torch.Tensor, scheme: Scheme, generator: torch.Generator) -> None:
    drawn = torch.empty(weight.shape)
    match scheme:
        case "xavier_uniform":
            nn.init.xavier_uniform_(drawn, generator=generator)
        case "kaiming_normal":
            nn.init.kaiming_normal_(drawn, nonlinearity="relu", generator=generator)
        case "default":
            # torch's way to say U(-1, 1) / sqrt(fan_in).
            nn.init.kaiming_uniform_(drawn, a=sqrt(5), generator=generator)
    with torch.no_grad():
        weight.copy_(drawn)


def _draw_bias(bias: torch.Tensor, bound: float, generator: torch.Generator) -> None:
    with torch.no_grad():
        bias.copy_(torch.empty(bias.shape).uniform_(-bound, bound, generator=generator))


def _generator(seed: int, name: str) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))


class Network(ABC):
    """Base class for a package's network: dials, and a torch module built from them instead of from `nin.layers`.

    Derive a frozen dataclass from it. Its fields are the dials, each with a default: numbers, words (`Literal` lists the known
    ones), true or false, or tuples of them. Its `__post_init__` may refuse values with a `ConfigError`.
    """

    @abstractmethod
    def build(self, *, in_channels: int, size: int, num_classes: int) -> nn.Module:
        """The module, from images (batch, in_channels, size, size) to logits (batch, num_classes).

        Args:
            in_channels: channels of the images.
            size: height and width of the images in pixels.
            num_classes: number of logits.

        Raises:
            ConfigError: the network cannot exist at this size.
        """

    def costs(self, *, in_channels: int, size: int, num_classes: int) -> Costs:
        """Costs of the network for one image, as torch counts them on the device "meta"; nothing is computed.

        Args:
            in_channels: channels of the images.
            size: height and width of the images in pixels.
            num_classes: number of logits.

        Raises:
            ConfigError: the network cannot exist at this size, or does not give logits.
        """
        rows = self.layer_table(in_channels=in_channels, size=size, num_classes=num_classes)
        return Costs(
            params=sum(row.params for row in rows),
            macs=sum(row.macs for row in rows),
            activations=sum(row.activations for row in rows),
        )

    def layer_table(self, *, in_channels: int, size: int, num_classes: int) -> tuple[LayerRow, ...]:
        """Output shape and costs of each layer, as torch counts them; see `nin.counting.layer_table`.

        Args:
            in_channels: channels of the images.
            size: height and width of the images in pixels.
            num_classes: number of logits.

        Raises:
            ConfigError: the network cannot exist at this size, or does not give logits.
        """
        from nin.counting import layer_table  # imports for a tenth of a second, and workers never count

        images = Input(in_channels=in_channels, size=size, num_classes=num_classes)
        with _generators_kept():
            with torch.device("meta"), torch.no_grad():
                model = self.build(in_channels=in_channels, size=size, num_classes=num_classes)
                materialize(model.to("meta"), images)
            return layer_table(model, images)


@contextmanager
def _generators_kept() -> Iterator[None]:
    """Leave the global random generators as they were found: networks are counted in a notebook's process, too."""
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def torch_module(layer: Layer) -> nn.Module:
    """The torch module of a layer."""
    match layer:
        case Conv2d():
            return nn.Conv2d(
                layer.in_channels, layer.out_channels, layer.kernel, layer.stride, layer.padding, bias=layer.bias
            )
        case Linear():
            return nn.Linear(layer.in_features, layer.out_features)
        case BatchNorm2d():
            return nn.BatchNorm2d(layer.channels)
        case Activation(function="relu"):
            # In place: the same numbers, one buffer less at the peak.
            return nn.ReLU(inplace=True)
        case Activation(function="gelu"):
            return nn.GELU()
        case Activation(function="sigmoid"):
            return nn.Sigmoid()
        case Pool2d(statistic="max"):
            return nn.MaxPool2d(layer.kernel, layer.stride)
        case Pool2d(statistic="average"):
            return nn.AvgPool2d(layer.kernel, layer.stride)
        case GlobalPool(statistic="max"):
            return nn.AdaptiveMaxPool2d(1)
        case GlobalPool(statistic="average"):
            return nn.AdaptiveAvgPool2d(1)
        case Dropout():
            return nn.Dropout(layer.rate)
        case Flatten():
            return nn.Flatten()
    raise TypeError(f"no torch module is known for {layer}")
