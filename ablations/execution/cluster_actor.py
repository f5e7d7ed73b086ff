"""The part of the cluster's executor that runs on a node."""

from __future__ import annotations

import platform
from pathlib import Path

from ablations.costs import Measurement, Workload
from ablations.errors import MeasureError, SetupError
from ablations.execution.cluster import Node, describe_this_node, differences_between
from ablations.execution.folders import Folders
from ablations.execution.local import LocalExecutor
from ablations.trial import Ended, EpochRecord, Machine, Order, TrialSpec

Message = EpochRecord | Ended | Measurement | MeasureError | SetupError | None

Answer = tuple[list[str], Message]
"""Warnings for people, and the message of the worker, if there is one."""

LISTEN_SECONDS = 1.0
"""Interval of an actor's checks on its worker."""


class Actor:
    """Runs on a node: room for one trial, with a local executor of one worker."""

    def __init__(self, expected: Node, folders: Folders, mark: Path) -> None:
        self._texts: list[str] = []
        here = describe_this_node()
        # This node may have joined after the others were compared.
        self._differences = differences_between(here, expected)
        if not mark.exists():
            self._texts.append(
                f"not every node sees {folders.checkpoints}: a trial that loses its node starts from the beginning. Run the study "
                f"in a folder that all nodes share, and such a trial continues from its checkpoint"
            )
        folders.shared.mkdir(parents=True, exist_ok=True)
        self._executor = LocalExecutor(
            Machine(here.device, here.bf16, num_workers=1, description=""),
            folders.data,
            folders.checkpoints,
            self._texts.append,
            shared_dir=folders.shared,
            share_devices=False,
        )

    def greet(self) -> Answer:
        """Report for work, or report the differences of the node, which must not train then."""
        if self._differences:
            return self._answer(
                SetupError(
                    f"the node {platform.node()} has joined the cluster, and differs from the others: {self._differences}. Remove "
                    f"it, or install the same versions there; then run the study again."
                )
            )
        return self._answer(None)

    def train(self, spec: TrialSpec) -> Answer:
        """Start a trial, or continue it from its checkpoint; the first record, or the result."""
        self._executor.submit(spec)
        return self._listen()

    def go_on(self, spec: TrialSpec, order: Order) -> Answer:
        """Answer a trial's last record; the next record, or the result."""
        self._executor.instruct(spec, order)
        return self._listen()

    def measure(self, workload: Workload) -> Answer:
        """Measure memory and speed of an architecture here."""
        try:
            return self._answer(self._executor.measure(workload))
        except (MeasureError, SetupError) as error:
            return self._answer(error)

    def _listen(self) -> Answer:
        while True:
            try:
                epochs, ended = self._executor.listen(LISTEN_SECONDS)
            except SetupError as error:
                return self._answer(error)
            if ended:
                return self._answer(ended[0])
            if epochs:
                return self._answer(epochs[0][1])

    def _answer(self, message: Message) -> Answer:
        texts = list(self._texts)
        self._texts.clear()
        return texts, message
