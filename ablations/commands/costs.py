"""`costs` and `summary`: costs of networks, in all and layer by layer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations import networks
from ablations.commands.messages import say, warn
from ablations.commands.studies import choose_profile, open_study
from ablations.costs import Measurement, Workload, images_for
from ablations.datasets import DATASETS
from ablations.errors import MeasureError, RegistrationError, UserError
from ablations.networks import Model
from ablations.planning.checking import plan_study
from ablations.text import nearest, shown
from ablations.trial import Machine
from nin.config import ConfigError
from nin.images import Input
from nin.presets import PRESETS

if TYPE_CHECKING:
    from ablations.planning.plan import Plan


@dataclass(frozen=True)
class Images:
    """The options for the images of a network; None where they were not given."""

    data: str | None
    size: int | None

    @property
    def given(self) -> bool:
        """Whether any was given."""
        return self.data is not None or self.size is not None


def costs(
    targets: Sequence[str],
    profile: str | None,
    images: Images,
    *,
    batch_size: int,
    measured: bool,
    as_json: bool,
) -> None:
    """Print the costs of networks, or of the variants of studies.

    Args:
        targets: networks, study files or names of studies; none: every preset.
        profile: of the studies; None chooses by the machine.
        images: of networks; a study has its own.
        batch_size: of networks; a study has its own.
        measured: whether to measure each network here, too.
        as_json: whether to print JSON.

    Raises:
        AblationsError: a target is unknown or cannot be priced.
    """
    from ablations.execution.environment import detect

    machine = detect()
    rows: dict[str, Workload] = {}
    for target in targets or list(PRESETS):
        if networks.is_known(target):
            rows[target] = _network_workload(target, images, batch_size, machine)
            continue
        planned = _planned(target, profile, images, machine)
        # Several studies may have a variant of the same name.
        prefix = f"{planned.study}." if len(targets) > 1 else ""
        rows.update({prefix + variant.name: planned.workload(variant.name) for variant in planned.variants})
    measurements = measure(rows.values(), machine) if measured else {}
    if as_json:
        document = {name: costs_json(each, measurements.get(each.id)) for name, each in rows.items()}
        print(json.dumps(document, indent=2))
        return
    from ablations.terminal.consoles import plain_console
    from ablations.terminal.printing import print_costs

    print_costs(rows, measurements, plain_console())


def summary(network: str, images: Images, *, as_json: bool) -> None:
    """Print a network layer by layer.

    Args:
        network: its name.
        images: to price it for.
        as_json: whether to print JSON.

    Raises:
        AblationsError: it is unknown or cannot be priced.
    """
    if not networks.is_known(network):
        raise UserError(f"no network {shown(network)}; {nearest(network, networks.names())}")
    model, priced_for = _network(network, images)
    with _priced(network, priced_for):
        rows = networks.layer_table(model, priced_for)
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    from ablations.terminal.consoles import plain_console
    from ablations.terminal.printing import print_layers

    print_layers(network, priced_for, rows, plain_console())


def measure(workloads: Iterable[Workload], machine: Machine) -> dict[str, Measurement]:
    """Measure each architecture once on this machine. Warns if one cannot be measured.

    Returns:
        Measurements by the workload's id.

    Raises:
        SetupError: there is no device.
    """
    from ablations.execution.local import LocalExecutor

    distinct = {workload.id: workload for workload in workloads}
    measured = {}
    executor = LocalExecutor(machine, Path("data"), Path(".ablations") / "checkpoints")
    try:
        for number, (key, workload) in enumerate(distinct.items(), start=1):
            say(f"measuring architecture {number} of {len(distinct)}")
            try:
                measured[key] = executor.measure(workload)
            except MeasureError as error:
                warn(f"architecture {number} could not be measured: {error}")
    finally:
        executor.close()
    return measured


def costs_json(workload: Workload, measured: Measurement | None) -> dict[str, Any]:
    """Costs of a workload as a JSON object."""
    return {
        "in_channels": workload.in_channels,
        "size": workload.size,
        "num_classes": workload.num_classes,
        "params": workload.costs.params,
        "macs": workload.costs.macs,
        "flops": workload.costs.flops,
        "batch_size": workload.batch_size,
        "precision": workload.precision,
        "optimizer": workload.optimizer,
        "device": workload.device,
        "memory": None if workload.memory is None else asdict(workload.memory),
        "measured": None if measured is None else asdict(measured),
    }


def _network_workload(name: str, images: Images, batch_size: int, machine: Machine) -> Workload:
    model, priced_for = _network(name, images)
    workload = Workload(
        model,
        **asdict(priced_for),
        batch_size=batch_size,
        precision="bf16" if machine.bf16 else "fp32",
        optimizer="sgd",
        device=machine.device,
    )
    with _priced(name, priced_for):
        _ = workload.costs
    return workload


def _planned(name: str, profile: str | None, images: Images, machine: Machine) -> Plan:
    file = open_study(name, networks.names())
    if images.given:
        raise UserError(f"--data and --size are for networks; the study {file.spec.study} says what its images are")
    chosen, _ = choose_profile(file, profile, machine)
    return plan_study(file, chosen, machine)


def _network(name: str, images: Images) -> tuple[Model, Input]:
    """A network by its name, and the images to price it for."""
    try:
        return networks.configure(name, {}), images_for(name, images.data, images.size)
    except ConfigError as error:
        raise UserError(f"{error.message}.") from error
    except RegistrationError as error:
        raise UserError(f"--data {images.data}: {error}.") from error
    except KeyError:
        raise UserError(f"--data: no data set {shown(images.data)}; {nearest(images.data or '', DATASETS)}") from None


@contextmanager
def _priced(network: str, images: Input) -> Iterator[None]:
    """Name the images in the message if a network cannot be priced for them."""
    try:
        yield
    except ConfigError as error:
        shape = "x".join(map(str, images.shape))
        raise UserError(
            f"{network} cannot be priced for {shape} images and {images.num_classes} classes: {error.message}. Choose others "
            "with --data and --size."
        ) from error
