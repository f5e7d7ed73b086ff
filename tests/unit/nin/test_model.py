"""The torch modules: shapes, the book's own network, and the first weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from types import MappingProxyType
from typing import get_args

import pytest
import torch
from torch import nn

from nin.architecture import layers
from nin.config import Config, ConfigError, Scheme
from nin.images import Input
from nin.model import build, initialize, materialize
from nin.presets import PRESETS, configure

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)


def small(
    scheme: Scheme = "kaiming_normal", *, seed: int = 0, dials: Mapping[str, object] = MappingProxyType({})
) -> nn.Sequential:
    model = build(configure("nin_small", dials), Input(in_channels=1, size=28, num_classes=10))
    initialize(model, scheme, seed=seed)
    return model


def book_nin() -> nn.Sequential:
    """The network as chapter 8.3 of Dive into Deep Learning describes it, layer by layer."""

    def block(in_channels: int, out_channels: int, kernel: int, stride: int, padding: int) -> list[nn.Module]:
        return [
            nn.Conv2d(in_channels, out_channels, kernel, stride, padding),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 1),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 1),
            nn.ReLU(),
        ]

    return nn.Sequential(
        *block(1, 96, 11, 4, 0),
        nn.MaxPool2d(3, stride=2),
        *block(96, 256, 5, 1, 2),
        nn.MaxPool2d(3, stride=2),
        *block(256, 384, 3, 1, 1),
        nn.MaxPool2d(3, stride=2),
        nn.Dropout(0.5),
        *block(384, 10, 3, 1, 1),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
    )


def book_lenet() -> nn.Sequential:
    """LeNet as chapter 7.6 describes it."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Sigmoid(),
        nn.AvgPool2d(2, stride=2),
        nn.Conv2d(6, 16, 5),
        nn.Sigmoid(),
        nn.AvgPool2d(2, stride=2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.Sigmoid(),
        nn.Linear(120, 84),
        nn.Sigmoid(),
        nn.Linear(84, 10),
    )


def copy_parameters(source: nn.Module, target: nn.Module) -> None:
    """Copies the parameters in their order; both networks must have the same shapes."""
    with torch.no_grad():
        for theirs, ours in zip(source.parameters(), target.parameters(), strict=True):
            assert theirs.shape == ours.shape
            ours.copy_(theirs)


@pytest.mark.parametrize(("preset", "peer", "size"), [("nin_book", book_nin, 224), ("lenet", book_lenet, 28)])
@pytest.mark.parametrize("training", [False, True])
def test_the_book_s_weights_give_the_book_s_logits(
    preset: str, peer: Callable[[], nn.Module], size: int, training: bool
) -> None:
    theirs = peer().train(training)
    ours = build(PRESETS[preset], Input(in_channels=1, size=size, num_classes=10)).train(training)
    initialize(theirs, "xavier_uniform", seed=0)
    copy_parameters(theirs, ours)
    images = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0))

    # With the same seed, dropout draws the same mask if and only if it stands at the same place.
    torch.manual_seed(0)
    expected = theirs(images)
    torch.manual_seed(0)
    assert torch.equal(ours(images), expected)


def test_torchvision_s_weights_give_torchvision_s_logits() -> None:
    models = pytest.importorskip("torchvision.models")
    theirs = models.alexnet(num_classes=10).eval()
    config = configure("alexnet", {"channels": [64, 192, 384, 256, 256], "paddings": [2, 2, 1, 1, 1]})
    ours = build(config, Input(in_channels=3, size=224, num_classes=10)).eval()
    copy_parameters(theirs, ours)
    images = torch.rand(1, 3, 224, 224)
    torch.testing.assert_close(ours(images), theirs(images))


@pytest.mark.parametrize("preset", PRESETS)
def test_each_module_has_its_layer_s_name_and_output_shape(preset: str) -> None:
    with torch.device("meta"):
        model = build(PRESETS[preset], Input(in_channels=1, size=224, num_classes=10))
        out = torch.empty(2, 1, 224, 224)
    named_layers = layers(PRESETS[preset], Input(in_channels=1, size=224, num_classes=10))
    for (name, module), named in zip(model.named_children(), named_layers, strict=True):
        out = module(out)
        assert name == named.name.replace(".", "_")
        assert tuple(out.shape) == (2, *named.out_shape)


def test_the_keys_of_a_checkpoint_can_be_read() -> None:
    assert list(small(dials={"mixers": 0}).state_dict())[:3] == [
        "block1_spatial.weight",
        "block1_spatial_norm.weight",
        "block1_spatial_norm.bias",
    ]


@pytest.mark.parametrize("dials", [{"pool_kind": "conv", "activation": "gelu"}, {"head": "dense"}, {"head": "gmp"}])
def test_every_parameter_has_a_gradient(dials: dict[str, object]) -> None:
    model = small(dials=dials)
    model(torch.rand(4, 1, 28, 28)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("preset", ["nin_small", "lenet"])
def test_every_parameter_is_drawn(preset: str, scheme: Scheme) -> None:
    model = build(PRESETS[preset], Input(in_channels=1, size=28, num_classes=10))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    initialize(model, scheme, seed=0)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_same_seed_draws_the_same_weights_and_another_seed_others(scheme: Scheme) -> None:
    first, again, other = (small(scheme, seed=seed, dials={"normalization": "none"}).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    drawn = [name for name in first if name.endswith("weight")]
    assert not any(torch.equal(first[name], other[name]) for name in drawn)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "dials",
    [
        {"mixers": 1},
        {"mixers": [0, 3, 2, 2]},
        {"mixer_kernel": 3},
        {"head": "dense"},
        {"depths": 2},
        {"normalization": "none"},
        {"class_steps": [24]},
    ],
    ids=str,
)
def test_variants_start_with_the_same_weights_where_they_share_a_layer(
    scheme: Scheme, dials: dict[str, object]
) -> None:
    baseline, variant = small(scheme).state_dict(), small(scheme, dials=dials).state_dict()
    shared = {
        name.removesuffix(".weight")
        for name in baseline
        if name.endswith(".weight") and name in variant and baseline[name].shape == variant[name].shape
    }
    assert {"block1_spatial", "block3_spatial"} <= shared
    assert all(
        torch.equal(baseline[name], variant[name])
        for name in baseline
        if name in variant and name.rpartition(".")[0] in shared
    )


def test_layers_of_the_same_shape_start_with_weights_of_their_own() -> None:
    weights = small().state_dict()
    assert not torch.equal(weights["block1_mixer1.weight"], weights["block1_mixer2.weight"])


def test_drawing_neither_reads_nor_moves_the_global_generator() -> None:
    model = small()
    before = model.state_dict()["block1_spatial.weight"].clone()
    torch.manual_seed(7)
    state = torch.get_rng_state()
    initialize(model, "kaiming_normal", seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model.state_dict()["block1_spatial.weight"], before)


def test_the_memory_format_does_not_change_the_weights() -> None:
    model = small()
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.to(memory_format=torch.channels_last)
    initialize(model, "kaiming_normal", seed=0)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())


def wide_convolution(scheme: Scheme) -> nn.Conv2d:
    """A convolution with enough weights to see their distribution: fan-in 576, fan-out 1152."""
    model = nn.Sequential(nn.Conv2d(64, 128, 3))
    initialize(model, scheme, seed=0)
    return model[0]  # type: ignore[return-value]


def test_xavier_uniform() -> None:
    conv = wide_convolution("xavier_uniform")
    bound = sqrt(6 / (576 + 1152))
    assert bound * 0.99 < conv.weight.abs().max() <= bound
    assert conv.weight.std().item() == pytest.approx(bound / sqrt(3), rel=0.01)
    assert conv.bias is not None
    assert 0.8 / sqrt(576) < conv.bias.abs().max() <= 1 / sqrt(576)


def test_kaiming_normal() -> None:
    conv = wide_convolution("kaiming_normal")
    assert conv.weight.std().item() == pytest.approx(sqrt(2 / 576), rel=0.01)
    assert conv.weight.abs().max() > 3 * sqrt(2 / 576)
    assert conv.bias is not None
    assert conv.bias.count_nonzero() == 0


def test_default_is_torch_s_own() -> None:
    conv = wide_convolution("default")
    torch.manual_seed(0)
    torch_s_own = nn.Conv2d(64, 128, 3)
    assert conv.bias is not None
    assert torch_s_own.bias is not None
    for ours, theirs in ((conv.weight, torch_s_own.weight), (conv.bias, torch_s_own.bias)):
        assert 0.8 / sqrt(576) < ours.abs().max() <= 1 / sqrt(576)
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.15)


def test_batch_normalisation_starts_as_the_identity() -> None:
    model = small()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(3.0)
    initialize(model, "xavier_uniform", seed=0)
    norms = [module for module in model if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all((norm.weight == 1).all() and (norm.bias == 0).all() for norm in norms)


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(ConfigError, match="scheme: must be one of xavier_uniform"):
        initialize(small(), "orthogonal", seed=0)  # type: ignore[arg-type]


def test_a_network_that_cannot_exist_is_not_built() -> None:
    config: Config = PRESETS["nin_book"]
    with pytest.raises(ConfigError, match=r"block2\.pool"):
        build(config, Input(in_channels=1, size=28, num_classes=10))


def lazy_or_not(*, lazy: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.LazyConv2d(6, 3) if lazy else nn.Conv2d(2, 6, 3),
        nn.LazyBatchNorm2d() if lazy else nn.BatchNorm2d(6),
        nn.Flatten(),
        nn.LazyLinear(5) if lazy else nn.Linear(6 * 4 * 4, 5),
    )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_lazy_network_starts_with_the_weights_of_one_that_is_not(scheme: Scheme) -> None:
    lazy, plain = lazy_or_not(lazy=True), lazy_or_not(lazy=False)
    materialize(lazy, Input(in_channels=2, size=6, num_classes=5))
    assert lazy.training
    for model in (lazy, plain):
        initialize(model, scheme, seed=3)
    states = lazy.state_dict(), plain.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_lazy_layer_that_takes_no_part_is_refused() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.idle, self.used = nn.LazyLinear(3), nn.LazyConv2d(3, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.used(images)
            return logits

    with pytest.raises(ConfigError, match="its lazy layer 'idle' is not used by forward; remove it"):
        materialize(Idle(), Input(in_channels=2, size=6, num_classes=3))


def test_a_network_that_is_not_lazy_predicts_nothing() -> None:
    class Refusing(nn.Linear):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise AssertionError

    materialize(Refusing(2, 2), Input(in_channels=2, size=6, num_classes=2))
