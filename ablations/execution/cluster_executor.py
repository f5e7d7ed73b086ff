"""Runs trials on a Ray cluster: a worker wherever there is room."""

from __future__ import annotations

import platform
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
from ablations.execution.checkpoints import remove_checkpoint
from ablations.execution.cluster import Cluster, Node, difference, examined, in_short, live_nodes, on_node, room
from ablations.execution.local import PATIENCE_SECONDS, LocalExecutor, OnEpoch
from ablations.execution.worker import failure
from ablations.trial import Ended, EpochRecord, Machine, Order, TrialResult, TrialSpec

Message = EpochRecord | Ended | Measurement | MeasureError | SetupError | None


_Answer = tuple[list[str], Message]


MAX_LOSSES = 3
"""A trial that loses its worker so often without a new epoch has failed: it may be what takes the nodes down."""


LISTEN_SECONDS = 1.0
"""So often an actor looks whether its worker still lives."""


CLOSE_SECONDS = 10.0
"""Longest wait for the nodes to remove what a run has left there."""


NODES_SECONDS = 1.0
"""So long the cluster is taken to have the same nodes."""


@dataclass
class _Place:
    """An actor, as the driver sees it: one that starts, is idle, or has a trial."""

    actor: Any
    answer: Any
    """Of Ray: will be what it says next, at first that it is there; None while it is idle."""
    spec: TrialSpec | None = None


class ClusterExecutor:
    """Trains trials on a cluster's nodes, whose workers start with the first trials and stay for the next."""

    def __init__(
        self,
        cluster: Cluster,
        data_dir: Path,
        checkpoint_dir: Path,
        warn: Callable[[str], None] = warnings.warn,
    ) -> None:
        """No worker yet.

        Args:
            cluster: that is connected to, and will be let go of by `close`.
            data_dir: of the data sets, on every node.
            checkpoint_dir: of the trials' states; where every node sees the same folder, trials survive their node.
            warn: hears what went wrong without ending a trial.
        """
        self._warn = warn
        self._warned: set[str] = set()
        self._node = cluster.node
        self._checkpoint_dir = checkpoint_dir.resolve()
        name = f"ablations-{uuid.uuid4().hex[:12]}"
        self._shared_dir = Path(tempfile.gettempdir()) / name
        # Nodes that see this file see the checkpoints.
        self._mark = self._checkpoint_dir / f"{name}.mark"
        self._mark.touch()
        needs = {"num_gpus": 1} if cluster.node.device == "cuda" else {}
        self._actor = ray.remote(_Actor).options(num_cpus=1, **needs)
        self._arguments = cluster.node, data_dir.resolve(), self._mark, self._shared_dir
        self._places: list[_Place] = []
        self._waiting: deque[TrialSpec] = deque()
        """Trials under way that have no place yet, or none any more."""
        self._losses: Counter[str] = Counter()
        """Of a trial, by id, since its last new epoch."""
        self._told: dict[str, int] = {}
        """The last epoch that was told of each trial under way, by id."""
        self._counted_at = -NODES_SECONDS
        self._num_places = cluster.machine.num_workers

    @property
    def num_workers(self) -> int:
        """Trials that there is room for now; nodes come and go. With none left there is still one, which waits for a node."""
        return max(1, self._count_places())

    def _count_places(self) -> int:
        if time.monotonic() - self._counted_at > NODES_SECONDS:
            self._num_places = sum(room(node, self._node.device) for node in live_nodes())
            self._counted_at = time.monotonic()
        return self._num_places

    def submit(self, spec: TrialSpec) -> None:
        """Start a trial. At most `num_workers` may be under way.

        Raises:
            RuntimeError: every worker is busy.
        """
        # What the caller was told: nodes that were lost since then make the trial wait.
        if len(self._waiting) + sum(place.spec is not None for place in self._places) >= max(1, self._num_places):
            raise RuntimeError(f"all {max(1, self._num_places)} workers are busy")
        self._told[spec.id] = 0
        self._waiting.append(spec)
        self._assign()

    def recall(self) -> list[Ended]:
        """Take back the trials under way that wait for a node: they are paused where they were saved last."""
        recalled = [Ended(spec, None) for spec in self._waiting]
        self._waiting.clear()
        self._let_go(recalled)
        return recalled

    def forget(self, spec: TrialSpec) -> None:
        """A trial is recorded: its checkpoint is not needed any more."""
        remove_checkpoint(self._checkpoint_dir, spec)

    def measure(self, workload: Workload, stopping: Callable[[], bool] = lambda: False) -> Measurement:
        """Measure what an architecture takes of a node, with no other trial beside it; takes seconds.

        Args:
            workload: what is measured.
            stopping: whether to give it up, asked twice a second.

        Raises:
            MeasureError: it cannot be measured there, or was given up.
            RuntimeError: a trial is under way.
            SetupError: there is no device.
        """
        if self._waiting or any(place.spec is not None for place in self._places):
            raise RuntimeError("a trial is under way, and would be measured with it")
        self._assign()
        place = self._places[0] if self._places else self._new_place()
        answer = place.actor.measure.remote(workload)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not ray.wait([answer], timeout=0.5)[0]:
            if stopping() or time.monotonic() > deadline:
                self._drop(place)
                raise MeasureError(f"it took more than {PATIENCE_SECONDS:g} s, or the run was stopped")
        try:
            _, message = ray.get(answer)
        except RayError as error:
            self._drop(place)
            raise MeasureError(f"its worker was lost: {in_short(error)}") from error
        place.answer = None
        if isinstance(message, Exception):
            raise message
        measured: Measurement = message
        return measured

    def wait(self, on_epoch: OnEpoch, timeout_seconds: float) -> list[Ended]:
        """Wait until something happens; every epoch's record is answered with an order at once.

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
                self._pass_on(["the cluster has no node left for trials; those under way wait for one"])
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
        self._let_go(ended)
        return ended

    def close(self) -> None:
        """End all workers, and let go of the cluster; what they are doing is lost."""
        for place in list(self._places):
            self._drop(place)
        self._waiting.clear()
        self._mark.unlink(missing_ok=True)
        if not ray.is_initialized():
            return
        # A node that does not answer keeps its images.
        with suppress(RayError):
            ray.get([on_node(node, _remove).remote(self._shared_dir) for node in live_nodes()], timeout=CLOSE_SECONDS)
        ray.shutdown()

    def _let_go(self, ended: list[Ended]) -> None:
        """Trials are under way no more."""
        for each in ended:
            del self._told[each.spec.id], self._losses[each.spec.id]

    def _assign(self) -> None:
        """Give the trials that wait to idle places; start new ones for the rest, as far as there is room.

        A trial is given to a place that is there. One that starts may never be: the cluster takes a while to learn that a node
        is lost, and room for another actor then comes with another node only.
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
        actor = self._actor.remote(*self._arguments)
        self._places.append(_Place(actor, actor.greet.remote()))
        return self._places[-1]

    def _order(self, spec: TrialSpec, record: EpochRecord, on_epoch: OnEpoch) -> Order:
        """The answer to a record; one that was told before its worker was lost is not told again."""
        if record.epoch <= self._told[spec.id]:
            return "go"
        self._told[spec.id] = record.epoch
        self._losses[spec.id] = 0
        return on_epoch(spec, record)

    def _lost(self, place: _Place, error: RayError) -> list[Ended]:
        """A place was lost: its trial, or the one that it was started for, waits for another one, or has failed."""
        self._drop(place)
        self._counted_at = -NODES_SECONDS
        spec = place.spec or (self._waiting.popleft() if self._waiting else None)
        if spec is None:
            return []
        if isinstance(error, OutOfMemoryError):
            # Its first line tells how much there was; pages follow.
            why = str(error).strip().partition("\n")[0]
            return [Ended(spec, failure(spec, "out_of_memory", f"Ray killed the worker: {why}"))]
        self._losses[spec.id] += 1
        why = in_short(error)
        if self._losses[spec.id] == MAX_LOSSES:
            message = f"its worker was lost {MAX_LOSSES} times without a new epoch: {why}"
            return [Ended(spec, TrialResult(spec.id, "failed", message=message, reason="crashed"))]
        self._waiting.appendleft(spec)
        self._warn(f"{spec.variant}, seed {spec.seed} lost its worker and goes on with another one ({why})")
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


class _Actor:
    """What runs on a node: a place for one trial, with a worker process of its own.

    It answers with texts for people, and with what its worker has said, or an error of the set-up.
    """

    def __init__(self, expected: Node, data_dir: Path, mark: Path, shared_dir: Path) -> None:
        self._texts: list[str] = []
        here = examined()
        # It may have joined since the others were looked at.
        self.difference = difference(here, expected)
        if not mark.exists():
            self._texts.append(
                f"not every node sees {mark.parent}: a trial that is lost with its node starts anew. Run the study in a folder that "
                f"all nodes share, and it goes on from its checkpoint"
            )
        shared_dir.mkdir(parents=True, exist_ok=True)
        machine = Machine(here.device, here.bf16, num_workers=1, description="")
        self._executor = LocalExecutor(
            machine, data_dir, mark.parent, self._texts.append, shared_dir=shared_dir, share_devices=False
        )

    def greet(self) -> _Answer:
        """Say that it is there, and may be."""
        if self.difference:
            return self._answer(
                SetupError(
                    f"the node {platform.node()} has joined the cluster, and is not like the others: {self.difference}. Take it "
                    f"out, or install the same versions there; then run the study again."
                )
            )
        return self._answer(None)

    def train(self, spec: TrialSpec) -> _Answer:
        """Begin a trial, or go on with it from its checkpoint; its first record, or its end."""
        self._executor.submit(spec)
        return self._listen()

    def go_on(self, spec: TrialSpec, order: Order) -> _Answer:
        """Answer a trial's last record; its next one, or its end."""
        self._executor.instruct(spec, order)
        return self._listen()

    def measure(self, workload: Workload) -> _Answer:
        """Measure what an architecture takes here."""
        try:
            return self._answer(self._executor.measure(workload))
        except (MeasureError, SetupError) as error:
            return self._answer(error)

    def _listen(self) -> _Answer:
        while True:
            try:
                epochs, ended = self._executor.listen(LISTEN_SECONDS)
            except SetupError as error:
                return self._answer(error)
            if ended:
                return self._answer(ended[0])
            if epochs:
                return self._answer(epochs[0][1])

    def _answer(self, message: Message) -> _Answer:
        texts = list(self._texts)
        self._texts.clear()
        return texts, message


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
