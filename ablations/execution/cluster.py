"""Connects to a Ray cluster, and checks that its nodes are alike."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ablations.errors import SetupError
from ablations.execution.environment import detect, num_cores, processor, provenance
from ablations.text import plural
from ablations.trial import TRAINING_VERSION, Device, Machine

LOCAL = "local"
"""Address of a cluster on this machine, started for one run."""

AUTO = "auto"
"""Address of this machine's own cluster."""

REACH_SECONDS = 10.0
"""Longest wait for an answer from a cluster's address; Ray itself would try for minutes."""

START_SECONDS = 120.0
"""Longest wait for the nodes' descriptions; each node may have to start a process for its own."""

OBJECT_STORE_BYTES = 100 * 2**20
"""For a cluster on this machine: messages are small, and images are mapped from files."""


@dataclass(frozen=True)
class Node:
    """A node, as far as it decides the results of its trials.

    Attributes:
        device: where its trials train.
        bf16: whether the device computes in bf16 natively.
        processor: name of the CPU.
        software: versions by name.
    """

    device: Device
    bf16: bool
    processor: str
    software: dict[str, str]


@dataclass(frozen=True)
class Cluster:
    """A connected cluster.

    Attributes:
        machine: all its nodes, described as one machine.
        node: one of the nodes; all others are the same, except for their processors.
        processors: the different processors of its nodes.
    """

    machine: Machine
    node: Node
    processors: tuple[str, ...]


def connect(address: str) -> Cluster:
    """Connect to a cluster, and check that its nodes are alike.

    Args:
        address: "local" to start one on this machine, "auto" for this machine's own cluster, else HOST:PORT.

    Raises:
        SetupError: there is no cluster, its nodes cannot run the suite, or they differ.
    """
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options |= _prepare_local()
    elif address != AUTO:
        _reach(address)
    # Ray prints pages about lost nodes between the lines of the display.
    ray._private.worker.print_to_stdstream = lambda *arguments, **options: None
    try:
        # Ray's workers look for modules in the driver's current folder first, and a study may lie beside a nin.py.
        with chdir(Path(__file__).parents[2]):
            ray.init(address, **options)
        nodes = training_nodes()
        if not nodes:
            raise SetupError(
                f"the Ray cluster at {address} has no node with a processor or a GPU for trials. Add one with 'ray start'."
            )
        described: list[Node] = ray.get(
            [task_on(node, describe_this_node, num_gpus=min(1, _num_gpus(node))).remote() for node in nodes],
            timeout=START_SECONDS,
        )
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise SetupError(
            f"the Ray cluster at {address} cannot be used: {last_line(error)}. It must answer, and every node must have this "
            f"suite and its libraries in the same versions."
        ) from error
    _check_alike(address, nodes, described)
    node = described[0]
    num_workers = sum(num_places(each, node.device) for each in nodes)
    description = f"a Ray cluster: {plural(len(nodes), 'node')}, {plural(num_workers, 'worker')}"
    machine = Machine(node.device, node.bf16, num_workers, description)
    return Cluster(machine, node, tuple(sorted({each.processor for each in described})))


def _prepare_local() -> dict[str, Any]:
    """Ray's options for a cluster on this machine, without usage statistics and for this run's processes only."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex()
    return {"include_dashboard": False, "num_cpus": num_cores(), "object_store_memory": OBJECT_STORE_BYTES}


def _reach(address: str) -> None:
    """Check that something listens at an address.

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


def _check_alike(address: str, nodes: list[dict[str, Any]], described: list[Node]) -> None:
    """Compare all nodes, and this machine's software, with the first node.

    Raises:
        SetupError: one differs; the message names it and the differences.
    """
    first = described[0]
    names = ["this machine", *(str(node["NodeManagerAddress"]) for node in nodes)]
    for name, node in zip(names, [replace(first, software=_software()), *described], strict=True):
        if differences := differences_between(node, first):
            raise SetupError(
                f"{name} differs from {names[1]}, a node of the Ray cluster at {address}: {differences}. Install the same "
                f"versions, on machines with the same kind of device."
            )


def describe_this_node() -> Node:
    """The node of this process."""
    machine = detect()
    return Node(machine.device, machine.bf16, processor(), _software())


def _software() -> dict[str, str]:
    """Versions of the software behind the results, by name."""
    found = provenance()
    return {"Python": found["python"], **found["versions"], "the training code": str(TRAINING_VERSION)}


def differences_between(node: Node, expected: Node) -> str | None:
    """The differences of a node from the expected one, in words; None if there is none. Processors may differ."""
    pairs = {
        "device": (node.device, expected.device),
        "bf16": (node.bf16, expected.bf16),
        **{name: (node.software.get(name), version) for name, version in expected.software.items()},
    }
    differing = [f"{name} {here} instead of {there}" for name, (here, there) in pairs.items() if here != there]
    return ", ".join(differing) or None


def training_nodes() -> list[dict[str, Any]]:
    """The live nodes for trials: all nodes with a GPU, or all with a processor if there is no GPU."""
    alive = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    return [node for node in alive if _num_gpus(node)] or alive


def num_places(node: dict[str, Any], device: Device) -> int:
    """Number of trials in parallel on a node: one per processor, on CUDA one per GPU."""
    num_cores = int(node["Resources"]["CPU"])
    return min(_num_gpus(node), num_cores) if device == "cuda" else num_cores


def _num_gpus(node: dict[str, Any]) -> int:
    return int(node["Resources"].get("GPU", 0))


def task_on(node: dict[str, Any], function: Callable[..., Any], **needs: float) -> Any:
    """Ray's task of calling a function on a node, even on a busy one."""
    strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    return ray.remote(function).options(num_cpus=0, max_retries=0, scheduling_strategy=strategy, **needs)


def last_line(error: Exception) -> str:
    """The last line of an error's message; Ray's earlier lines only say where it was raised."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip().rstrip(".")[:300] if lines else type(error).__name__
