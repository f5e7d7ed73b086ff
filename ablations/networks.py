"""The networks that a study may name: those of `nin`, and those that installed packages register.

A registered network travels as data, its name, version and dials; its package is imported to check, to count and to build it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
"""Names that stand beside the dials wherever those are written down, and so are no dial's."""


@runtime_checkable
class Network(Protocol):
    """What a package registers; `nin.model.Network` is one to derive from."""

    def build(self, *, in_channels: int, size: int, num_classes: int) -> Any:
        """The torch module, from images (batch, in_channels, size, size) to logits (batch, num_classes)."""

    def costs(self, *, in_channels: int, size: int, num_classes: int) -> Costs:
        """What one image costs."""

    def layer_table(self, *, in_channels: int, size: int, num_classes: int) -> tuple[LayerRow, ...]:
        """What one image costs, layer by layer."""


def _frozen(value: Any) -> Any:
    """A dial's value as one that can be hashed: JSON gives a list where a tuple was.

    Raises:
        ValueError: it is no finite number, word, truth value, nothing, or a list of them.
    """
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
        return value
    raise ValueError(
        f"a dial is a finite number, a word, true or false, nothing, or a list of them; it is {value!a:.80}"
    )


@dataclass(frozen=True)
class RegisteredModel:
    """A network of an installed package."""

    preset: str
    """Its registered name."""
    version: str
    """The package that registers it and its version, such as "my-networks 1.0"."""
    dials: Annotated[tuple[tuple[str, Any], ...], BeforeValidator(_frozen)]
    """All of them with their values, in the order of their declaration."""

    @property
    def network(self) -> Network:
        """The network itself.

        Raises:
            ConfigError: it is not installed here, or in another version.
        """
        planned = f"{self.preset} of {self.version} was planned"
        if self.preset not in registry.names(GROUP):
            raise ConfigError("preset", f"{planned}, and no package here registers it; install that one")
        network, version = _registered(self.preset)
        if version != self.version:
            raise ConfigError("preset", f"{planned}, and {version} is installed; install that one")
        return cast("Network", presets.turned(cast("Any", network), dict(self.dials), self.preset))


Model = Config | RegisteredModel


def names() -> list[str]:
    """All networks that can be named: the presets, then the registered ones, whose packages are not imported for it."""
    return [*presets.PRESETS, *(name for name in registry.names(GROUP) if name not in presets.PRESETS)]


def is_known(preset: str) -> bool:
    """Whether a network has this name."""
    return preset in presets.PRESETS or preset in registry.names(GROUP)


def configure(preset: str, values: Mapping[str, object]) -> Model:
    """A network with some of its dials turned.

    Args:
        preset: its name.
        values: of dials by name, as YAML gives them.

    Raises:
        ConfigError: the name or a dial is unknown, a value has the wrong type or is out of its range, or what is registered
            under the name cannot be used.
    """
    if preset in presets.PRESETS:
        return presets.configure(preset, values)
    network, version = _registered(preset)
    try:
        return RegisteredModel(preset, version, _dials(presets.turned(cast("Any", network), values, preset)))
    except ConfigError:
        raise
    # The package's own code looks at the dials, and may raise anything.
    except Exception as error:
        raise ConfigError("dials", f"{preset} refuses its dials: {raised(error)}") from error


def dial_names(preset: str) -> tuple[str, ...]:
    """Names of the dials that `configure` turns.

    Raises:
        ConfigError: the name is unknown, or what is registered under it cannot be used.
    """
    if preset in presets.PRESETS:
        return presets.dial_names(preset)
    return tuple(each.name for each in fields(cast("Any", _registered(preset)[0])))


def dials(model: Model) -> Mapping[str, Any]:
    """The dials with their values."""
    return dict(model.dials) if isinstance(model, RegisteredModel) else vars(model)


def with_dial(model: Model, name: str, value: Any) -> Model:
    """The same network with one of its dials turned, to a value of its type (an integer will do for a float)."""
    value = float(value) if isinstance(dials(model)[name], float) else value
    if isinstance(model, RegisteredModel):
        return replace(model, dials=tuple({**dials(model), name: value}.items()))
    return replace(model, **{name: value})


def at_width(model: Model, width: float) -> Model:
    """The same network as wide as this; for pricing alone, since equal networks are to be equal however they came about."""
    return with_dial(model, "width", width) if isinstance(model, RegisteredModel) else model.at_width(width)


def costs(model: Model, images: Input) -> Costs:
    """What one image costs: in closed form, or as the registered network counts it.

    Raises:
        ConfigError: the network cannot exist at this size, or cannot be built.
    """
    if isinstance(model, RegisteredModel):
        return _counted(model, images)
    return complexity.costs(model, images)


def layer_table(model: Model, images: Input) -> tuple[LayerRow, ...]:
    """Output shape and costs of each layer, from the image to the logits: in closed form, or as torch counts them.

    Raises:
        ConfigError: the network cannot exist at this size, or cannot be built.
    """
    if not isinstance(model, RegisteredModel):
        return complexity.layer_table(model, images)
    with _building(model):
        return model.network.layer_table(**asdict(images))


# Once: planning asks again and again, and torch counts slowly.
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
    """Turn what is raised while a registered network is built into a message for people: it is the package's own code."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError("build", f"{model.preset} cannot be built: {raised(error)}") from error


@cache
def _registered(preset: str) -> tuple[Network, str]:
    """What a package registers under a name, looked over, and the package."""
    try:
        network, version = registry.find(GROUP, preset)
    except KeyError:
        raise ConfigError("preset", f"no installed package registers the network {preset!a}") from None
    except RegistrationError as error:
        raise ConfigError("preset", str(error)) from error
    if not is_dataclass(network) or isinstance(network, type) or not isinstance(network, Network):
        rule = "must be an instance of a frozen dataclass that derives from nin.model.Network"
        raise ConfigError("preset", f"what {version} registers as {preset} {rule}; it is {network!a:.80}")
    taken = RESERVED & {each.name for each in fields(network)}
    if taken:
        raise ConfigError("preset", f"{preset} of {version} has a dial {min(taken)!r}, a name that is taken; rename it")
    try:
        # Its own defaults have the types that it names.
        presets.turned(network, dict(_dials(network)), preset)
    except ValueError as error:
        raise ConfigError("preset", f"{preset} of {version} has a default that it would refuse: {error}") from error
    return network, version


def _dials(network: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((each.name, _frozen(getattr(network, each.name))) for each in fields(network))
