"""Simulated studies with known true differences, through the suite's own judge and looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tiny

from ablations.analysis.looks import needed_seeds, take_looks
from ablations.analysis.samples import Outcomes
from ablations.analysis.standing import Standing, standing_of
from ablations.planning.plan import Plan
from ablations.stats.judgement import Verdict

MARGIN = 0.5
_LEFT = {Verdict.EQUIVALENT, Verdict.BETTER_BY_LESS, Verdict.WORSE_BY_LESS}
_MORE = {Verdict.BETTER_BY_MORE, Verdict.WORSE_BY_MORE}
_UP = {Verdict.BETTER, Verdict.BETTER_BY_LESS, Verdict.BETTER_BY_MORE}
_DOWN = {Verdict.WORSE, Verdict.WORSE_BY_LESS, Verdict.WORSE_BY_MORE}


@dataclass(frozen=True)
class Course:
    """How one simulated study went."""

    num_wrong: int
    """Wrong words."""
    num_decided: int
    """Contrasts with a word."""
    num_trainings: int
    """Confirmation trials, the reference's included."""
    num_seeds: float
    """Mean number of seeds of a contrast."""


class Design:
    """Looks of a study with four contrasts that share the reference."""

    def __init__(self, looks: Sequence[int], *, futility: bool = True) -> None:
        variants = {"two": {}, **{f"v{n}": {"set": {"model.dropout": 0.1 * (n + 1)}} for n in range(4)}}
        asked = {"looks": list(looks)} if len(looks) > 1 else {"seeds": looks[0]}
        self.plan: Plan = tiny.plan(variants=variants, decision={"margin": MARGIN}, search_space={}, **asked)
        self.standing: Standing = standing_of(self.plan, self.plan.contrasts())
        self._futility = futility

    def run(self, true: Sequence[float], sd: float, generator: np.random.Generator, *, failing: float = 0.0) -> Course:
        """Run one study: every seed is drawn, and a look sees those that were asked for.

        Args:
            true: differences of the four contrasts, points.
            sd: standard deviation of a contrast's paired differences, points.
            generator: of the noise.
            failing: share of runs that do not learn.
        """
        plan, names = self.plan, ["two", *self.plan.contrast_names]
        means = dict(zip(names, (0.0, *true), strict=True))
        accuracies = {name: 90 + means[name] + generator.normal(0, sd / np.sqrt(2), len(plan.seeds)) for name in names}
        fails = {name: generator.random(len(plan.seeds)) < failing for name in names}
        needed = needed_seeds(plan, (), self.standing)
        while True:
            outcomes = {name: _outcomes(accuracies[name][: needed[name]], fails[name]) for name in names}
            taken = take_looks(plan, outcomes, self.standing)
            more = needed_seeds(plan, taken, self.standing, futility=self._futility)
            if more == needed:
                break
            needed = more
        words = {name: each.verdict for look in taken for name, each in look.judgements.items()}
        return Course(
            sum(_is_wrong(words[name], means[name]) for name in words),
            sum(verdict in _LEFT | _MORE | _UP | _DOWN for verdict in words.values()),
            sum(needed.values()),
            float(np.mean([needed[name] for name in plan.contrast_names])),
        )


def _outcomes(accuracies: np.ndarray, fails: np.ndarray) -> Outcomes:
    seeds = range(len(accuracies))
    return Outcomes(
        accuracy_percent={seed: float(accuracies[seed]) for seed in seeds},
        learned=frozenset(seed for seed in seeds if not fails[seed]),
        ran=frozenset(seeds),
        right={},
    )


def _is_wrong(verdict: Verdict, true: float) -> bool:
    return (
        (verdict in _UP and true <= 0)
        or (verdict in _DOWN and true >= 0)
        or (verdict in _LEFT and abs(true) >= MARGIN)
        or (verdict in _MORE and abs(true) <= MARGIN)
    )
