"""A Ray cluster: connecting to it, and what its nodes are."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ablations.errors import SetupError
from ablations.execution.environment import detect, num_cores, processor, provenance
from ablations.text import plural
from ablations.trial import TRAINING_VERSION, Device, Machine

LOCAL = "local"
"""The address of a cluster that is started on this machine, for one run."""


AUTO = "auto"
"""The address of the cluster that this machine is a node of."""


REACH_SECONDS = 10.0
"""Longest wait for a cluster's address to answer; Ray itself would try for minutes."""


START_SECONDS = 120.0
"""Longest wait for the nodes to say what they are; each may have to start a process for it."""


OBJECT_STORE_BYTES = 100 * 2**20
"""Of a cluster on this machine: messages are small, and images are mapped from files."""


@dataclass(frozen=True)
class Node:
    """What decides how trials on a node come out."""

    device: Device
    bf16: bool
    processor: str
    software: dict[str, str]
    """Versions, by name."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that is connected to."""

    machine: Machine
    """All its nodes, taken as one."""
    node: Node
    """Any of them: but for the processor they are the same."""
    processors: tuple[str, ...]
    """The different ones among its nodes."""


def connect(address: str) -> Cluster:
    """Connect to a cluster, and learn what its nodes are.

    Args:
        address: "local" to start one on this machine, "auto" for the one that this machine is a node of, else HOST:PORT.

    Raises:
        SetupError: there is none, or its nodes cannot run the suite, or not all in the same way.
    """
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address not in {LOCAL, AUTO}:
        _reach(address)
    if address == LOCAL:
        # Nothing is sent home, and whoever connects must know what only this run's processes do.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex()
        options["include_dashboard"] = False
        options["num_cpus"] = num_cores()
        options["object_store_memory"] = OBJECT_STORE_BYTES
    # What Ray has to say of lost nodes, pages of it, would go between the lines of the display.
    ray._private.worker.print_to_stdstream = lambda *arguments, **options: None
    try:
        ray.init(address, **options)
        nodes = live_nodes()
        if not nodes:
            raise SetupError(
                f"the Ray cluster at {address} has no node with a processor or a GPU for trials. Add one with 'ray start'."
            )
        found: list[Node] = ray.get(
            [on_node(node, examined, num_gpus=min(1, _num_gpus(node))).remote() for node in nodes],
            timeout=START_SECONDS,
        )
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise SetupError(
            f"the Ray cluster at {address} cannot be used: {in_short(error)}. It must answer, and have this suite and its "
            f"libraries, in the same versions, on every node."
        ) from error
    first = found[0]
    names = ["this machine", *(str(node["NodeManagerAddress"]) for node in nodes)]
    for name, node in zip(names, [replace(first, software=_software()), *found], strict=True):
        if problem := difference(node, first):
            raise SetupError(
                f"{name} is not like {names[1]}, a node of the Ray cluster at {address}: {problem}. Install the same versions, "
                f"on machines of one kind of device."
            )
    num_workers = sum(room(node, first.device) for node in nodes)
    machine = Machine(
        first.device,
        first.bf16,
        num_workers,
        f"a Ray cluster: {plural(len(nodes), 'node')}, {plural(num_workers, 'worker')}",
    )
    return Cluster(machine, first, tuple(sorted({node.processor for node in found})))


def _reach(address: str) -> None:
    """See whether something listens there.

    Raises:
        SetupError: nothing does, or it is no address.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise SetupError(
            f"{address!r} is no address of a Ray cluster: {LOCAL}, {AUTO}, or HOST:PORT, such as 10.0.0.1:6379"
        )
    try:
        socket.create_connection((host, int(port)), REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise SetupError(
            f"no Ray cluster answers at {address}: {error}. Start one there with 'ray start', or give {LOCAL} or {AUTO}."
        ) from error


def examined() -> Node:
    """What the node that this runs on is."""
    machine = detect()
    return Node(machine.device, machine.bf16, processor(), _software())


def _software() -> dict[str, str]:
    """Versions of what decides results, by name."""
    found = provenance()
    return {"Python": found["python"], **found["versions"], "the training code": str(TRAINING_VERSION)}


def difference(node: Node, expected: Node) -> str | None:
    """What of a node is not as expected, in words; its processor may be another one."""
    pairs = {
        "device": (node.device, expected.device),
        "bf16": (node.bf16, expected.bf16),
        **{name: (node.software.get(name), version) for name, version in expected.software.items()},
    }
    return (
        ", ".join(f"{name} {here} instead of {there}" for name, (here, there) in pairs.items() if here != there) or None
    )


def live_nodes() -> list[dict[str, Any]]:
    """The nodes that take trials: those with a GPU, or, where none has one, those with a processor."""
    alive = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    return [node for node in alive if _num_gpus(node)] or alive


def _num_gpus(node: dict[str, Any]) -> int:
    return int(node["Resources"].get("GPU", 0))


def room(node: dict[str, Any], device: Device) -> int:
    """Trials that a node takes at a time: one a processor, on CUDA one a GPU."""
    num_cores = int(node["Resources"]["CPU"])
    return min(_num_gpus(node), num_cores) if device == "cuda" else num_cores


def on_node(node: dict[str, Any], function: Callable[..., Any], **needs: float) -> Any:
    """A task that calls a function on a node, whatever else runs there."""
    strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    return ray.remote(function).options(num_cpus=0, max_retries=0, scheduling_strategy=strategy, **needs)


def in_short(error: Exception) -> str:
    """The last line of an error; those before it say where in Ray it was."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip().rstrip(".")[:300] if lines else type(error).__name__
