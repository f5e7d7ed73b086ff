"""Trains trials on a Ray cluster: an actor for each trial in parallel, with a worker process of its own."""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
import warnings
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError

from ablations.costs import Measurement, Workload
from ablations.errors import MeasureError, SetupError
from ablations.execution.cluster import Cluster, last_line, num_places, task_on, training_nodes
from ablations.execution.cluster_actor import Actor
from ablations.execution.folders import Folders
from ablations.execution.local import HANG_SECONDS, OnEpoch
from ablations.execution.protocol import failed
from ablations.trial import Ended, EpochRecord, Order, TrialResult, TrialSpec

MAX_LOSSES = 3
"""A trial fails when it has lost this many workers without a new epoch: it may be the cause."""

CLOSE_SECONDS = 10.0
"""Longest wait for the nodes to remove a run's files."""

NODES_SECONDS = 1.0
"""A count of the cluster's nodes is used for this long."""


@dataclass
class _Place:
    """Room for one trial: an actor, either starting, idle or with a trial.

    Attributes:
        actor: Ray's handle of it.
        answer: Ray's reference to its next answer, at first to its greeting; None while it is idle.
        spec: its trial, if any.
    """

    actor: Any
    answer: Any
    spec: TrialSpec | None = None


class ClusterExecutor:
    """Trains trials on a cluster's nodes. Workers start with the first trials, and serve the later ones, too."""

    def __init__(
        self,
        cluster: Cluster,
        data_dir: Path,
        checkpoint_dir: Path,
        warn: Callable[[str], None] = warnings.warn,
    ) -> None:
        """Start no worker yet.

        Args:
            cluster: the connected cluster; `close` disconnects from it.
            data_dir: folder of the data sets, on every node.
            checkpoint_dir: folder of the trials' states. If all nodes share it, trials survive their nodes.
            warn: is called with problems, except for failed trials.
        """
        self._warn = warn
        self._warned: set[str] = set()
        self._node = cluster.node
        name = f"ablations-{uuid.uuid4().hex[:12]}"
        shared = Path(tempfile.gettempdir()) / name
        self._folders = Folders(data_dir.resolve(), checkpoint_dir.resolve(), shared)
        # Nodes that see this file see the checkpoints.
        self._mark = self._folders.checkpoints / f"{name}.mark"
        self._mark.touch()
        needs = {"num_gpus": 1} if cluster.node.device == "cuda" else {}
        self._actor = ray.remote(Actor).options(num_cpus=1, **needs)
        self._places: list[_Place] = []
        self._waiting: deque[TrialSpec] = deque()
        """Trials under way without a place, before their start or after a loss."""
        self._losses: Counter[str] = Counter()
        """Lost workers of each trial since its last new epoch, by id."""
        self._reported: dict[str, int] = {}
        """The last reported epoch of each trial under way, by id."""
        self._counted_at = -NODES_SECONDS
        self._num_places = cluster.machine.num_workers

    @property
    def num_workers(self) -> int:
        """Number of trials for which the nodes have room now. At least 1: without nodes, a trial waits for one."""
        return max(1, self._count_places())

    def _count_places(self) -> int:
        if time.monotonic() - self._counted_at > NODES_SECONDS:
            self._num_places = sum(num_places(node, self._node.device) for node in training_nodes())
            self._counted_at = time.monotonic()
        return self._num_places

    def submit(self, spec: TrialSpec) -> None:
        """Start a trial. At most `num_workers` may be under way.

        Raises:
            RuntimeError: every worker is busy.
        """
        # The count that the caller has seen: if nodes were lost since then, the trial waits.
        if len(self._waiting) + sum(place.spec is not None for place in self._places) >= max(1, self._num_places):
            raise RuntimeError(f"all {max(1, self._num_places)} workers are busy")
        self._reported[spec.id] = 0
        self._waiting.append(spec)
        self._assign()

    def recall(self) -> list[Ended]:
        """Take back all trials without a node: they are paused at their last checkpoints."""
        recalled = [Ended(spec, None) for spec in self._waiting]
        self._waiting.clear()
        self._forget_progress(recalled)
        return recalled

    def forget(self, spec: TrialSpec) -> None:
        """Remove the checkpoint of a recorded trial."""
        self._folders.remove_checkpoint(spec)

    def measure(self, workload: Workload, stopping: Callable[[], bool] = lambda: False) -> Measurement:
        """Measure memory and speed of an architecture on a node, with no trial in parallel; takes seconds.

        Args:
            workload: the architecture and how it is trained.
            stopping: whether to give up; asked twice a second.

        Raises:
            MeasureError: it cannot be measured there, or the measurement was given up.
            RuntimeError: a trial is under way.
            SetupError: there is no device.
        """
        if self._waiting or any(place.spec is not None for place in self._places):
            raise RuntimeError("a trial is under way, and would disturb the measurement")
        self._assign()
        place = self._places[0] if self._places else self._new_place()
        answer = place.actor.measure.remote(workload)
        deadline = time.monotonic() + HANG_SECONDS
        while not ray.wait([answer], timeout=0.5)[0]:
            if stopping() or time.monotonic() > deadline:
                self._drop(place)
                raise MeasureError(f"it took more than {HANG_SECONDS:g} s, or the run was stopped")
        try:
            _, message = ray.get(answer)
        except RayError as error:
            self._drop(place)
            raise MeasureError(f"its worker was lost: {last_line(error)}") from error
        place.answer = None
        if isinstance(message, Exception):
            raise message
        measured: Measurement = message
        return measured

    def wait(self, on_epoch: OnEpoch, timeout_seconds: float) -> list[Ended]:
        """Wait until something happens, and answer each epoch's record at once.

        Args:
            on_epoch: decides how a trial goes on.
            timeout_seconds: longest wait.

        Returns:
            The trials that ended meanwhile.

        Raises:
            SetupError: a worker found no data or no device.
        """
        self._assign()
        talking = {place.answer: place for place in self._places if place.answer is not None}
        if not talking:
            if self._waiting:
                self._pass_on(["the cluster has no node left; all trials under way wait for one"])
            time.sleep(timeout_seconds)
            return []
        answers = list(talking)
        ray.wait(answers, timeout=timeout_seconds)
        ended: list[Ended] = []
        for answer in ray.wait(answers, num_returns=len(answers), timeout=0)[0]:
            place = talking[answer]
            try:
                texts, message = ray.get(answer)
            except RayError as error:
                ended += self._lost(place, error)
                continue
            self._pass_on(texts)
            place.answer = None
            match message:
                case EpochRecord():
                    assert place.spec is not None
                    order = self._order(place.spec, message, on_epoch)
                    place.answer = place.actor.go_on.remote(place.spec, order)
                case Ended():
                    place.spec = None
                    ended.append(message)
                case SetupError():
                    raise message
        self._forget_progress(ended)
        return ended

    def close(self) -> None:
        """End all workers, and disconnect; trials under way lose all progress since their checkpoints."""
        for place in list(self._places):
            self._drop(place)
        self._waiting.clear()
        self._mark.unlink(missing_ok=True)
        if not ray.is_initialized():
            return
        # If a node does not answer, its images stay there.
        with suppress(RayError):
            ray.get(
                [task_on(node, _remove).remote(self._folders.shared) for node in training_nodes()],
                timeout=CLOSE_SECONDS,
            )
        ray.shutdown()

    def _forget_progress(self, ended: list[Ended]) -> None:
        """Forget the progress of trials that have left the cluster."""
        for each in ended:
            del self._reported[each.spec.id], self._losses[each.spec.id]

    def _assign(self) -> None:
        """Give waiting trials to idle places, and start places for the rest while there is room.

        A place gets a trial only after its greeting, since it may never start: the cluster takes a while to notice the loss
        of a node, and room for the actor then comes only with another node.
        """
        idle = [place for place in self._places if place.answer is None]
        for place in idle[: len(self._waiting)]:
            place.spec = self._waiting.popleft()
            place.answer = place.actor.train.remote(place.spec)
        starting = [place for place in self._places if place.answer is not None and place.spec is None]
        for place in starting[len(self._waiting) :]:
            self._drop(place)
        while len(starting) < len(self._waiting) and len(self._places) < self._count_places():
            starting.append(self._new_place())

    def _new_place(self) -> _Place:
        actor = self._actor.remote(self._node, self._folders, self._mark)
        self._places.append(_Place(actor, actor.greet.remote()))
        return self._places[-1]

    def _order(self, spec: TrialSpec, record: EpochRecord, on_epoch: OnEpoch) -> Order:
        """The answer to a record; records from before the loss of a worker are not reported again."""
        if record.epoch <= self._reported[spec.id]:
            return "go"
        self._reported[spec.id] = record.epoch
        self._losses[spec.id] = 0
        return on_epoch(spec, record)

    def _lost(self, place: _Place, error: RayError) -> list[Ended]:
        """A place was lost: its trial, or the first waiting trial, waits for another place or fails."""
        self._drop(place)
        self._counted_at = -NODES_SECONDS
        spec = place.spec or (self._waiting.popleft() if self._waiting else None)
        if spec is None:
            return []
        if isinstance(error, OutOfMemoryError):
            # Its first line says how much memory there was; pages follow.
            why = str(error).strip().partition("\n")[0]
            return [Ended(spec, failed(spec, "out_of_memory", f"Ray killed the worker: {why}"))]
        self._losses[spec.id] += 1
        why = last_line(error)
        if self._losses[spec.id] == MAX_LOSSES:
            message = f"its worker was lost {MAX_LOSSES} times without a new epoch: {why}"
            return [Ended(spec, TrialResult(spec.id, "failed", message=message, reason="crashed"))]
        self._waiting.appendleft(spec)
        self._warn(f"{spec.variant}, seed {spec.seed} lost its worker and continues with another one ({why})")
        return []

    def _drop(self, place: _Place) -> None:
        with suppress(RayError):
            ray.kill(place.actor)
        self._places.remove(place)

    def _pass_on(self, texts: list[str]) -> None:
        for text in texts:
            if text not in self._warned:
                self._warned.add(text)
                self._warn(text)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
