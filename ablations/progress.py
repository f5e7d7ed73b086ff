"""The progress of a study: the state of each trial, trials under way, time left. It hears events, and draws nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import mean
from typing import Literal, Protocol

from ablations.planning.frozen import Look
from ablations.planning.plan import Plan
from ablations.trial import EpochRecord, Phase, TrialResult

Mark = Literal["waiting", "running", "paused", "finished", "pruned", "diverged", "failed"]
"""The state of a trial."""

_DONE: tuple[Mark, ...] = ("finished", "pruned", "diverged", "failed")

PHASES: tuple[Phase, ...] = ("tune", "confirm", "examine")

MIN_TRIALS_A_WORKER = 2
"""Trials per worker that must end before a time left is given: the first ones include the start of the worker."""


class Trial(Protocol):
    """Anything that names a trial of the plan: variant, phase and seed."""

    @property
    def id(self) -> str: ...
    @property
    def variant(self) -> str: ...
    @property
    def phase(self) -> Phase: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class Running:
    """A trial under way."""

    trial: Trial
    num_epochs: int
    """Number of epochs to train."""
    record: EpochRecord | None = None
    """The record of its last epoch."""
    since_ms: int | None = None
    """Wall clock at its start, milliseconds since 1970, if another process runs it."""


class Progress:
    """The states of a plan's trials.

    One thread reports events. Others may read at the same time: they may see a state that is one event old, but never
    a half-changed one.
    """

    def __init__(self, plan: Plan, num_workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with every trial waiting.

        Args:
            plan: the study's plan.
            num_workers: number of trials in parallel.
            clock: gives seconds.
        """
        self.plan = plan
        self.began_at: float | None = None
        """Time of the clock at the first start, from which the speed is estimated."""
        self.num_trained = 0
        """Number of trials that ended since then."""
        self._num_workers = num_workers
        self._clock = clock
        seeds: dict[tuple[str, Phase], list[int]] = {
            (variant.name, phase): [] for variant in plan.variants for phase in PHASES
        }
        self._seeds = seeds
        self._marks: dict[tuple[str, Phase], list[Mark]] = {key: [] for key in seeds}
        self._num_examined: Counter[str] = Counter()
        self._num_seeds: dict[str, int] = {}
        """Of each variant, the most that were needed so far: so far go its searches."""
        self._places: dict[tuple[str, str], int] = {}
        """Index of a trial among its variant's trials of its phase, by variant and id."""
        self._accuracies: dict[tuple[str, Phase], list[float]] = {key: [] for key in seeds}
        self._running: dict[str, Running] = {}
        # The model of a trial's work: a fixed share plus its MACs relative to the mean variant's.
        mean_macs = mean(variant.costs.macs for variant in plan.variants)
        self._work = {variant.name: 0.3 + variant.costs.macs / mean_macs for variant in plan.variants}
        self._work_trained = 0.0
        self.words: dict[str, str] = {}
        """The verdict of each comparison that gets no more seeds, by variant."""
        self.needs({variant.name: plan.looks[0] for variant in plan.variants})

    def needs(self, num_seeds: Mapping[str, int]) -> None:
        """Set the number of confirmation seeds that each variant needs now; trials of other seeds or searches are not counted."""
        for name, count in num_seeds.items():
            before = self._num_seeds.get(name, 0)
            for search in self.plan.searches_between(before, count):
                cells = [cell for cell in self.plan.tuning_of(search) if cell.variant == name]
                self._seeds[name, "tune"] += [cell.seed for cell in cells]
                self._marks[name, "tune"] += ["waiting"] * len(cells)
            self._num_seeds[name] = max(count, before)
            key: tuple[str, Phase] = (name, "confirm")
            marks = dict(zip(self._seeds[key], self._marks[key], strict=True))
            arm = self.plan.aa_seeds[:count] if name == self.plan.baseline else ()
            seeds = [*self.plan.seeds[:count], *arm]
            self._seeds[key], self._marks[key] = seeds, [marks.get(seed, "waiting") for seed in seeds]

    def examines(self, num_examinations: Mapping[str, int]) -> None:
        """Set the number of trials of each variant in the cross-examination: it follows from the tuned values."""
        for name, count in num_examinations.items():
            marks = self._marks[name, "examine"]
            marks += ["waiting"] * (count - len(marks))

    def recall(self, looks: Iterable[Look], num_recorded: Mapping[str, int]) -> None:
        """Take over the looks of earlier runs.

        Args:
            looks: recorded ones, the first one first; those at other seeds, margins or variants are passed over.
            num_recorded: by variant, confirmation seeds up to the last one with a trial. A run without futility has more.
        """
        plan = self.plan
        needed = {v.name: max(plan.looks[0], num_recorded.get(v.name, 0)) for v in plan.variants}
        now = {each.variant: (each.variant_key, each.versus_key) for each in plan.contrasts()}
        for look in looks:
            count = len(look.seeds)
            if count not in plan.looks or look.seeds != plan.seeds[:count] or look.margin != plan.decision.margin:
                continue
            after = next((each for each in plan.looks if each > count), count)
            keys = {each.variant: (each.variant_key, each.versus_key) for each in look.contrasts}
            for finding in look.findings:
                if keys.get(finding.variant, now.get(finding.variant)) != now.get(finding.variant, ()):
                    continue
                if finding.closed is not None:
                    self.closed(finding.variant, finding.verdict)
                for side in (finding.variant, plan[finding.variant].versus):
                    needed[side] = max(needed[side], count if finding.closed else after)
        self.needs(needed)

    def closed(self, variant: str, word: str) -> None:
        """The comparison of a variant gets no more seeds."""
        self.words[variant] = word

    def found(self, trial: Trial, result: TrialResult) -> None:
        """A trial ended before."""
        self._running.pop(trial.id, None)
        self._set(trial, result.status)
        last = result.last
        if result.status != "finished" or last is None:
            return
        if trial.phase == "tune":
            self._accuracies[trial.variant, "tune"].append(last.validation_accuracy_percent)
        elif trial.phase == "confirm" and trial.seed in self.plan.seeds and result.test_accuracy_percent is not None:
            self._accuracies[trial.variant, "confirm"].append(result.test_accuracy_percent)

    def ended(self, trial: Trial, result: TrialResult) -> None:
        """A trial ended now."""
        self.found(trial, result)
        self.num_trained += 1
        self._work_trained += self._work[trial.variant]

    def started(self, trial: Trial, num_epochs: int, since_ms: int | None = None) -> None:
        """A trial starts, or continues."""
        if self.began_at is None:
            self.began_at = self._clock()
        self._set(trial, "running")
        self._running[trial.id] = Running(trial, num_epochs, since_ms=since_ms)

    def epoch(self, trial: Trial, record: EpochRecord) -> None:
        """An epoch of a trial under way ended."""
        self._running[trial.id] = replace(self._running[trial.id], record=record)

    def left(self, trial: Trial) -> None:
        """A trial left its worker, and will come back: it was paused, or will be retried."""
        self._running.pop(trial.id, None)
        self._set(trial, "paused")

    def stopped(self) -> None:
        """The run stopped: trials under way are paused."""
        self.began_at = None
        for each in self.running:
            self.left(each.trial)

    def settled(self) -> None:
        """The searches so far are done, perhaps with fewer trials than planned, since draws can coincide."""
        for variant in self.plan.variants:
            key: tuple[str, Phase] = (variant.name, "tune")
            kept = [place for place, mark in enumerate(self._marks[key]) if mark != "waiting"]
            self._seeds[key] = [self._seeds[key][place] for place in kept]
            self._marks[key] = [self._marks[key][place] for place in kept]
            moved = {before: after for after, before in enumerate(kept)}
            for trial, place in list(self._places.items()):
                if trial[0] == variant.name and place in moved:
                    self._places[trial] = moved[place]

    def num_seeds(self, variant: str) -> int:
        """Number of confirmation seeds that a variant needs now, without the A/A arm's."""
        return sum(seed not in self.plan.aa_seeds for seed in self._seeds[variant, "confirm"])

    def marks(self, variant: str, phase: Phase) -> tuple[Mark, ...]:
        """States of a variant's trials: the search before re-runs, otherwise by seed."""
        return tuple(self._marks[variant, phase])

    def accuracy_percent(self, variant: str, phase: Phase) -> float | None:
        """Best validation accuracy, or mean test accuracy, of finished trials; None if there are none."""
        found = tuple(self._accuracies[variant, phase])
        if not found:
            return None
        return max(found) if phase == "tune" else mean(found)

    @property
    def running(self) -> tuple[Running, ...]:
        """Trials under way, in the order of their starts."""
        return tuple(self._running.values())

    @property
    def num_trials(self) -> int:
        """Number of trials that are needed by now."""
        return sum(map(len, self._marks.values()))

    @property
    def num_done(self) -> int:
        """Number of trials with an outcome."""
        return sum(map(self.count, _DONE))

    def count(self, mark: Mark) -> int:
        """Number of trials in a state."""
        return sum(marks.count(mark) for marks in tuple(self._marks.values()))

    @property
    def train_images_per_second(self) -> float:
        """Sum over all trials under way."""
        return sum(each.record.train_images_per_second for each in self.running if each.record)

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds for the rest; None while there is no estimate."""
        enough = self.num_trained >= MIN_TRIALS_A_WORKER * self._num_workers
        if self.began_at is None or not enough or self.num_done == self.num_trials:
            return None
        left = sum(
            self._work[variant] * (len(marks) - sum(map(marks.count, _DONE)))
            for (variant, _), marks in self._marks.items()
        )
        under_way = sum(
            self._work[each.trial.variant] * each.record.epoch / each.num_epochs for each in self.running if each.record
        )
        elapsed = self._clock() - self.began_at
        return (left - under_way) * elapsed / (self._work_trained + under_way)

    def _set(self, trial: Trial, mark: Mark) -> None:
        key = trial.variant, trial.phase
        marks = self._marks[key]
        if trial.phase == "confirm":
            if trial.seed in self._seeds[key]:
                marks[self._seeds[key].index(trial.seed)] = mark
            return
        place = self._places.get((trial.variant, trial.id))
        if trial.phase == "examine" and place is None:
            place = self._places[trial.variant, trial.id] = self._num_examined[trial.variant]
            self._num_examined[trial.variant] += 1
            self.examines(self._num_examined)
        if place is None:
            free = (
                index
                for index, (seed, each) in enumerate(zip(self._seeds[key], marks, strict=True))
                if seed == trial.seed and each == "waiting"
            )
            place = next(free, None)
            if place is None:
                return  # of an earlier tuning of the same variant
            self._places[trial.variant, trial.id] = place
        marks[place] = mark
