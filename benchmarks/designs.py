"""Designs of a study: how often their words are wrong, what they decide, and the trainings that it takes.

`python -m benchmarks.designs`. Simulated studies have known true differences, and go through the suite's own looks and judge: four
contrasts that share the reference, normal noise. The columns on no difference and on the margin have all four true differences there,
at a spread of 0.6 points, which is where wrong words are most frequent.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from ablations.analysis.looks import needed_seeds, take_looks
from ablations.analysis.samples import Outcomes
from ablations.analysis.standing import standing_of
from ablations.planning.plan import Plan
from ablations.planning.planner import make_plan
from ablations.stats.judgement import Verdict
from ablations.studyfile.spec import StudySpec
from ablations.trial import Machine

MARGIN = 0.5
NUM_CONTRASTS = 4
TRUE = (0.0, 0.2, 0.5, 1.0, 1.8)
"""True differences, points, each as likely as the others."""
SPREADS = (0.3, 0.5, 0.8)
"""Standard deviations of paired differences, points, likewise."""
LOOKS = (5, 8, 12, 18, 27, 40)
"""The shipped looks."""
DESIGNS = ((10,), (20,), (10, 20), (5, 8, 12, 20), (5, 10, 20, 40), LOOKS)
_LEFT = {Verdict.EQUIVALENT, Verdict.BETTER_BY_LESS, Verdict.WORSE_BY_LESS}
_MORE = {Verdict.BETTER_BY_MORE, Verdict.WORSE_BY_MORE}
_UP = {Verdict.BETTER, Verdict.BETTER_BY_LESS, Verdict.BETTER_BY_MORE}
_DOWN = {Verdict.WORSE, Verdict.WORSE_BY_LESS, Verdict.WORSE_BY_MORE}


def main() -> None:
    """Simulate each design, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000, help="Number of simulated studies a row.")
    parser.add_argument("--no-futility", action="store_true", help="Unlikely words get seeds, too.")
    chosen = parser.parse_args()
    print(
        "| looks | any wrong word | the same, no differences | the same, at the margin | decided | trainings | seeds a contrast |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with ProcessPoolExecutor() as pool:
        rows = pool.map(_row, DESIGNS, repeat(chosen.studies), repeat(not chosen.no_futility))
        for row in rows:
            print(row, flush=True)


def _row(looks: Sequence[int], num_studies: int, futility: bool) -> str:
    design = Design(looks, futility=futility)
    courses = mixed(design, num_studies)
    null, edge = (design.wrong_rate(true, 0.6, num_studies) for true in (0.0, MARGIN))
    wrong, decided, trainings, seeds = np.mean(
        [
            (each.num_wrong > 0, each.num_decided / NUM_CONTRASTS, each.num_trainings, each.num_seeds)
            for each in courses
        ],
        axis=0,
    )
    return f"| {', '.join(map(str, looks))} | {wrong:.3f} | {null:.3f} | {edge:.3f} | {decided:.3f} | {trainings:.1f} | {seeds:.1f} |"


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
    """Looks of a study with four contrasts that share the reference.

    Args:
        looks: numbers of seeds.
        searches: of each variant; the seeds are split between them.
        pooled: whether the spread of the searches is pooled.
        futility: whether a futile contrast gets no more seeds.
    """

    def __init__(self, looks: Sequence[int], *, searches: int = 1, pooled: bool = False, futility: bool = True) -> None:
        self.plan = _plan(looks, searches, pooled)
        self.standing = standing_of(self.plan, self.plan.contrasts())
        self._futility = futility

    def run(self, true: Sequence[float], sd: float, generator: np.random.Generator, *, failing: float = 0.0) -> Course:
        """Run one study: every seed is drawn, and a look sees those that were asked for.

        Args:
            true: differences of the four contrasts, points.
            sd: standard deviation of a contrast's paired differences, points.
            generator: of the noise.
            failing: share of runs that do not learn.
        """
        plan, names = self.plan, [self.plan.baseline, *self.plan.contrast_names]
        means = dict(zip(names, (0.0, *true), strict=True))
        accuracies = {name: 90 + means[name] + generator.normal(0, sd / np.sqrt(2), len(plan.seeds)) for name in names}
        fails = {name: generator.random(len(plan.seeds)) < failing for name in names}
        words, needed = self.follow({name: _outcomes(accuracies[name], fails[name]) for name in names})
        return Course(
            sum(_is_wrong(words[name], means[name]) for name in words),
            sum(verdict in _LEFT | _MORE | _UP | _DOWN for verdict in words.values()),
            sum(needed.values()),
            float(np.mean([needed[name] for name in plan.contrast_names])),
        )

    def follow(self, outcomes: Mapping[str, Outcomes]) -> tuple[dict[str, Verdict], dict[str, int]]:
        """Run a study whose outcomes are known; a look sees those that were asked for.

        Args:
            outcomes: of all seeds of each variant.

        Returns:
            The last verdict on each contrast, and the number of seeds of each variant.
        """
        needed = needed_seeds(self.plan, (), self.standing)
        while True:
            seen = {name: first_seeds(each, self.plan.seeds[: needed[name]]) for name, each in outcomes.items()}
            taken = take_looks(self.plan, seen, self.standing)
            more = needed_seeds(self.plan, taken, self.standing, futility=self._futility)
            if more == needed:
                return {name: each.verdict for look in taken for name, each in look.judgements.items()}, needed
            needed = more

    def wrong_rate(self, true: float, sd: float, num_studies: int, *, failing: float = 0.0) -> float:
        """Share of simulated studies with any wrong word, if all true differences are the same."""
        generator = np.random.default_rng(2)
        courses = (self.run([true] * NUM_CONTRASTS, sd, generator, failing=failing) for _ in range(num_studies))
        return float(np.mean([course.num_wrong > 0 for course in courses]))


def first_seeds(outcomes: Outcomes, seeds: Sequence[int]) -> Outcomes:
    """The outcomes at some of the seeds."""
    return Outcomes(
        accuracy_percent={seed: outcomes.accuracy_percent[seed] for seed in seeds},
        learned=outcomes.learned & set(seeds),
        ran=frozenset(seeds),
        right={seed: outcomes.right[seed] for seed in seeds if seed in outcomes.right},
    )


def mixed(design: Design, num_studies: int) -> list[Course]:
    """Studies whose true differences and spread are drawn."""
    generator = np.random.default_rng(1)
    return [
        design.run(list(generator.choice(TRUE, NUM_CONTRASTS)), generator.choice(SPREADS), generator)
        for _ in range(num_studies)
    ]


def _plan(looks: Sequence[int], searches: int, pooled: bool) -> Plan:
    study = {
        "study": "designs",
        "question": "Which looks decide the most, for how many trainings?",
        "base": {
            "data": {"name": "fashion_mnist", "validation": 6000},
            "model": {"preset": "nin_small"},
            "train": {"epochs": 1, "batch_size": 128, "lr": 0.05},
        },
        "baseline": "two",
        "variants": {"two": {}, **{f"v{n}": {"set": {"model.dropout": 0.1 * (n + 1)}} for n in range(NUM_CONTRASTS)}},
        "search_space": {"train.lr": {"type": "float", "low": 0.015, "high": 0.3, "log": True}},
        "tuning": {"trials": 4, "rerun_best": 2, "rerun_seeds": 1, "searches": searches},
        "decision": {"margin": MARGIN, "pooled": pooled},
        "profiles": {"starter": {"description": "simulated", "looks": list(looks)}},
    }
    machine = Machine("cpu", bf16=False, num_workers=1, description="1 CPU core")
    return make_plan(StudySpec.model_validate(study), "starter", machine)


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


if __name__ == "__main__":
    main()
