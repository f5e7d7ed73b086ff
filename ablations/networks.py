"""Networks by name: the presets of `nin`, and the networks of installed packages.

A registered network travels as data: its name, version and dials. Its package is imported to check, count and build it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import cache
from math import isfinite
from typing import Annotated, Any, Protocol, cast, runtime_checkable

from pydantic import BeforeValidator

from ablations import registry
from ablations.errors import RegistrationError
from ablations.text import raised
from nin import complexity, presets
from nin.complexity import Costs, LayerRow
from nin.config import Config, ConfigError
from nin.images import Input

GROUP: registry.Group = "ablations.models"
RESERVED = frozenset({"kind", "preset", "version"})
"""Names that records write beside the dials, so that no dial may have them."""


@runtime_checkable
class Network(Protocol):
    """A network that a package registers; derive it from `nin.model.Network`."""

    def build(self, *, in_channels: int, size: int, num_classes: int) -> Any:
        """The torch module, from images (batch, in_channels, size, size) to logits (batch, num_classes)."""

    def costs(self, *, in_channels: int, size: int, num_classes: int) -> Costs:
        """Costs of one image."""

    def layer_table(self, *, in_channels: int, size: int, num_classes: int) -> tuple[LayerRow, ...]:
        """Costs of one image, layer by layer."""


def _frozen(value: Any) -> Any:
    """A dial's value in hashable form: JSON turns tuples into lists.

    Raises:
        ValueError: it is neither a finite number, text, a boolean, None, nor a list of these.
    """
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
        return value
    raise ValueError(
        f"a dial must be a finite number, text, true, false, nothing or a list of these; it is {value!a:.80}"
    )


@dataclass(frozen=True)
class RegisteredModel:
    """A network of an installed package."""

    preset: str
    """Its registered name."""
    version: str
    """Its package and the package's version, such as "my-networks 1.0"."""
    dials: Annotated[tuple[tuple[str, Any], ...], BeforeValidator(_frozen)]
    """All dials with their values, in the order of their declaration."""

    @property
    def network(self) -> Network:
        """The network itself.

        Raises:
            ConfigError: its package is not installed here, or another version is.
        """
        planned = f"the plan has {self.preset} of {self.version}"
        if self.preset not in registry.names(GROUP):
            raise ConfigError("preset", f"{planned}, but no installed package registers it; install {self.version}")
        network, version = _registered(self.preset)
        if version != self.version:
            raise ConfigError("preset", f"{planned}, but {version} is installed; install {self.version}")
        return _turned(network, dict(self.dials), self.preset)


Model = Config | RegisteredModel


def names() -> list[str]:
    """Names of all networks: the presets, then the registered ones; no package is imported for them."""
    return [*presets.PRESETS, *(name for name in registry.names(GROUP) if name not in presets.PRESETS)]


def is_known(preset: str) -> bool:
    """Whether a network has this name."""
    return preset in presets.PRESETS or preset in registry.names(GROUP)


def configure(preset: str, values: Mapping[str, object]) -> Model:
    """A network with other values for some of its dials.

    Args:
        preset: its name.
        values: of dials by name, as YAML gives them.

    Raises:
        ConfigError: the name or a dial is unknown, a value has the wrong type or is out of range, or the registered network
            cannot be used.
    """
    if preset in presets.PRESETS:
        return presets.configure(preset, values)
    network, version = _registered(preset)
    try:
        return RegisteredModel(preset, version, _dials(_turned(network, values, preset)))
    except ConfigError:
        raise
    # Code of the package checks the dials, and may raise anything.
    except Exception as error:
        raise ConfigError("dials", f"{preset} refuses its dials: {raised(error)}") from error


def dial_names(preset: str) -> tuple[str, ...]:
    """Names of a network's dials.

    Raises:
        ConfigError: the network is unknown, or the registered one cannot be used.
    """
    if preset in presets.PRESETS:
        return presets.dial_names(preset)
    return tuple(each.name for each in fields(cast("Any", _registered(preset)[0])))


def dials(model: Model) -> Mapping[str, Any]:
    """The dials with their values."""
    return dict(model.dials) if isinstance(model, RegisteredModel) else vars(model)


def installed_code(models: Iterable[Model]) -> dict[str, str]:
    """Packages of the registered networks among these, as installed here, with digests of their source files. Imports none."""
    presets_of_packages = sorted({model.preset for model in models if isinstance(model, RegisteredModel)})
    found: dict[str, str] = {}
    for preset in presets_of_packages:
        found |= registry.code(GROUP, preset)
    return found


def with_dial(model: Model, name: str, value: Any) -> Model:
    """The same network with another value for one dial, of the dial's type (an integer will do for a float)."""
    value = float(value) if isinstance(dials(model)[name], float) else value
    if isinstance(model, RegisteredModel):
        return replace(model, dials=tuple({**dials(model), name: value}.items()))
    return replace(model, **{name: value})


def at_width(model: Model, width: float) -> Model:
    """The same network at another width, which is multiplied into its channels where possible; for pricing only."""
    return with_dial(model, "width", width) if isinstance(model, RegisteredModel) else model.at_width(width)


def costs(model: Model, images: Input) -> Costs:
    """Costs of one image: in closed form, or counted by the registered network.

    Raises:
        ConfigError: the network cannot exist at this size, or cannot be built.
    """
    if isinstance(model, RegisteredModel):
        return _counted(model, images)
    return complexity.costs(model, images)


def layer_table(model: Model, images: Input) -> tuple[LayerRow, ...]:
    """Output shape and costs of each layer, from the image to the logits: in closed form, or counted by torch.

    Raises:
        ConfigError: the network cannot exist at this size, or cannot be built.
    """
    if not isinstance(model, RegisteredModel):
        return complexity.layer_table(model, images)
    with _building(model):
        return model.network.layer_table(**asdict(images))


# Cached: planning asks repeatedly, and torch counts slowly.
@cache
def _counted(model: RegisteredModel, images: Input) -> Costs:
    with _building(model):
        counted = model.network.costs(**asdict(images))
    # Costs are compared as ratios.
    if not isinstance(counted, Costs) or min(counted.params, counted.macs) < 1:
        raise ConfigError("costs", f"{model.preset} must have params and MACs; counted are {counted!a:.80}")
    return counted


@contextmanager
def _building(model: RegisteredModel) -> Iterator[None]:
    """Turn errors of a registered network, whose code may raise anything, into messages for people.

    Its prints go to standard error.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError("build", f"{model.preset} cannot be built: {raised(error)}") from error


@cache
def _registered(preset: str) -> tuple[Network, str]:
    """The checked network under a registered name, and its package."""
    try:
        network, version = registry.find(GROUP, preset)
    except KeyError:
        raise ConfigError("preset", f"no installed package registers the network {preset!a}") from None
    except RegistrationError as error:
        raise ConfigError("preset", str(error)) from error
    if not is_dataclass(network) or isinstance(network, type) or not isinstance(network, Network):
        rule = "must be an instance of a frozen dataclass derived from nin.model.Network"
        raise ConfigError("preset", f"{preset} of {version} {rule}; it is {network!a:.80}")
    taken = RESERVED & {each.name for each in fields(network)}
    if taken:
        raise ConfigError(
            "preset", f"{preset} of {version} has a dial named {min(taken)!r}, which is reserved; rename it"
        )
    try:
        # The network's defaults must have its annotated types.
        _turned(network, dict(_dials(network)), preset)
    except ValueError as error:
        raise ConfigError(
            "preset", f"{preset} of {version} has a default that breaks its own rules: {error}"
        ) from error
    return network, version


def _turned(network: Network, values: Mapping[str, object], preset: str) -> Network:
    """A registered network with some of its dials turned; prints of its code go to standard error."""
    with redirect_stdout(sys.stderr):
        return cast("Network", presets.turned(cast("Any", network), values, preset))


def _dials(network: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((each.name, _frozen(getattr(network, each.name))) for each in fields(network))
