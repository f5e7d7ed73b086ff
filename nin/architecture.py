"""From dials to layers; the costs and the torch module are both made from these layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from string import ascii_lowercase

from nin.blocks import POOLS, Part, Style, convolutions
from nin.config import ClassicConfig, Config, ConfigError, FeatureConfig, NinConfig, spread
from nin.heads import HEADS, hidden_layers
from nin.images import Input
from nin.layers import Activation, Dropout, Layer, Shape

CLASS_BLOCK = "class_block"


@dataclass(frozen=True)
class NamedLayer:
    """A layer at its place in a network.

    Attributes:
        name: `<block>.<part>`, such as `block1.mixer2`: the first block of stage 3 is `block3`, further ones
            `block3b`, `block3c`, so that a layer keeps its name when any stage gets deeper.
        layer: the layer itself.
        in_shape: its input's shape for one image, (channels, height, width) or (features,).
        out_shape: its output's shape for one image.
    """

    name: str
    layer: Layer
    in_shape: Shape
    out_shape: Shape


def layers(config: Config, images: Input) -> tuple[NamedLayer, ...]:
    """The network's layers, from the image to the logits.

    Args:
        config: the dials.
        images: their shape, and the number of logits.

    Raises:
        ConfigError: a convolution or a pool has a window larger than its padded input; the message names the layer,
            the size it has and the size it needs. Or a number in `images` is below 1.
    """
    for field, value in asdict(images).items():
        if value < 1:
            raise ConfigError(field, f"must be at least 1, it is {value}")
    stack = _Stack(images.shape)
    config = config.at_width(config.width)
    match config:
        case NinConfig():
            _nin(stack, config, images.num_classes)
        case ClassicConfig():
            _classic(stack, config, images.num_classes)
    return tuple(stack.layers)


class _Stack:
    """Layers put one on the other, each checked against the output shape of the one below."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.layers: list[NamedLayer] = []

    def put(self, block: str, parts: Iterable[Part]) -> None:
        """Adds the parts of a block, with the block's name in front of theirs."""
        for part, layer in parts:
            name = f"{block}.{part}"
            side = min(self.shape[1:], default=1)
            if side < layer.smallest_input:
                needed = layer.smallest_input
                dial = "pools" if part == "pool" else "kernels"
                raise ConfigError(dial, f"{name} needs an input of at least {needed}x{needed}, it has {side}x{side}")
            out_shape = layer.out_shape(self.shape)
            self.layers.append(NamedLayer(name, layer, self.shape, out_shape))
            self.shape = out_shape


def _nin(stack: _Stack, config: NinConfig, num_classes: int) -> None:
    """Puts the feature stages, the class block and the head of a Network in Network."""
    style = Style(config.normalization, config.activation)
    *mixers, class_mixers = spread(config.mixers, config.num_stages)
    *mixer_kernels, class_mixer_kernel = spread(config.mixer_kernel, config.num_stages)
    mixer_channels = config.mixer_channels or [(c,) * m for c, m in zip(config.channels, mixers, strict=True)]
    widths = [(c, *rest) for c, rest in zip(config.channels, mixer_channels, strict=True)]
    between = config.dropout if config.dropout_place == "every_block" else 0.0

    _features(stack, config, style, widths, mixer_kernels, dropout=between)
    stack.put(CLASS_BLOCK, _dropout(config.dropout))

    *hidden, (name, logits) = convolutions(
        stack.shape[0],
        config.class_steps + (num_classes,) * (class_mixers + 1 - len(config.class_steps)),
        kernel=config.kernels[-1],
        stride=config.strides[-1],
        padding=config.paddings[-1],
        mixer_kernel=class_mixer_kernel,
    )
    for hidden_name, conv in hidden:
        stack.put(CLASS_BLOCK, style.convolution(hidden_name, conv))
    # The last convolution keeps its bias and is not normalised: that would fix the scale of the logits.
    stack.put(CLASS_BLOCK, [(name, logits)])
    if config.logits_relu:
        stack.put(CLASS_BLOCK, [(f"{name}_activation", Activation(config.activation))])

    stack.put("head", HEADS[config.head](stack.shape, num_classes))


def _classic(stack: _Stack, config: ClassicConfig, num_classes: int) -> None:
    """Puts the convolutions and the fully connected layers of LeNet, AlexNet or a VGG."""
    style = Style(config.normalization, config.activation)
    widths = [(channels,) for channels in config.channels]
    _features(stack, config, style, widths, mixer_kernels=[1] * len(widths), dropout=0.0)
    head = hidden_layers(
        stack.shape,
        num_classes,
        widths=config.dense,
        activation=config.activation,
        dropout=config.dropout,
    )
    stack.put("head", head)


def _features(
    stack: _Stack,
    config: FeatureConfig,
    style: Style,
    widths: Sequence[tuple[int, ...]],
    mixer_kernels: Sequence[int],
    *,
    dropout: float,
) -> None:
    """Puts the feature stages: blocks, then the stage's pool, if it has one.

    Args:
        stack: the stack to put them on.
        config: the dials of the feature stages.
        style: normalisation and activation after each convolution.
        widths: output channels of a block's convolutions, one tuple per stage.
        mixer_kernels: side of the mixers' windows, one per stage.
        dropout: dropout rate before every stage except the first; 0 leaves dropout out.
    """
    depths = spread(config.depths, config.num_features)
    pools = spread(config.pools, config.num_features)
    for stage in range(config.num_features):
        for repeat in range(depths[stage]):
            block = f"block{stage + 1}" + (ascii_lowercase[repeat] if repeat else "")
            if stage and not repeat:
                stack.put(block, _dropout(dropout))
            for name, conv in convolutions(
                stack.shape[0],
                widths[stage],
                kernel=config.kernels[stage],
                stride=1 if repeat else config.strides[stage],
                padding=config.paddings[stage],
                mixer_kernel=mixer_kernels[stage],
            ):
                stack.put(block, style.convolution(name, conv))
        if pools[stage]:
            stack.put(f"block{stage + 1}", POOLS[config.pool_kind](stack.shape[0], config.pool_kernel, style))


def _dropout(rate: float) -> Iterator[Part]:
    if rate > 0:
        yield "dropout", Dropout(rate)
