"""Wrong words between identical variants that are tuned by themselves: `python -m benchmarks.retuning`.

A pool of real trainings comes first: the baseline of one_by_one at `starter`, 8 learning rates times 12 seeds. Simulated studies draw
from it. Five variants are the same network. Each is tuned as the starter does it, four of the rates, the best two again on another
seed; then it is confirmed at its rate. So every "better" and "worse" is wrong.

The rows differ in the draws, which are the same for all variants or each variant's own, and in the choice: by the re-runs alone, as
the suite does it, or by the mean over the search and the re-runs. `rate known` confirms every variant at the same rate: what is wrong there
is not the luck of tuning.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from ablations.analysis.samples import Outcomes
from ablations.execution.environment import detect
from ablations.execution.local import LocalExecutor
from ablations.planning.planner import make_plan
from ablations.stats.judgement import Verdict
from ablations.studyfile.distributions import FloatDistribution
from ablations.studyfile.loading import read_file
from benchmarks.designs import Design

ROOT = Path(__file__).parents[1]
NUM_RATES, NUM_SEEDS = 8, 12
NUM_DRAWS, NUM_FINALISTS = 4, 2
DESIGNS = ((5,), (10,), (20,), (10, 26), (5, 8, 12, 18, 27, 40))
"""Looks."""
_DIFFERENT = {
    *(Verdict.BETTER, Verdict.BETTER_BY_LESS, Verdict.BETTER_BY_MORE),
    *(Verdict.WORSE, Verdict.WORSE_BY_LESS, Verdict.WORSE_BY_MORE),
}

Choose = Callable[[np.ndarray, np.ndarray], int]
"""Scores of the finalists in the search and in the re-runs -> the place of the chosen one."""

Tuning = Callable[[np.ndarray, np.random.Generator], list[int]]
"""Validation accuracies of the pool -> the place of each variant's chosen rate."""


def main() -> None:
    """Make the pool unless it is there, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000, help="Number of simulated studies a cell.")
    parser.add_argument("--pool", type=Path, default=ROOT / "build" / "retuning.npz")
    chosen = parser.parse_args()
    if not chosen.pool.exists():
        make_pool(chosen.pool)
    pool = np.load(chosen.pool)
    rates = ", ".join(
        f"{rate:.3g} {test:.2f}" for rate, test in zip(pool["rates"], pool["test"].mean(axis=1), strict=True)
    )
    print(
        f"mean test accuracy (%) by learning rate: {rates}; sd from seed to seed {pool['test'].std(axis=1, ddof=1).mean():.2f}\n"
    )
    print(f"| tuning | {' | '.join(', '.join(map(str, looks)) for looks in DESIGNS)} |")
    print(f"| --- |{' ---: |' * len(DESIGNS)}")
    with ProcessPoolExecutor() as processes:
        for name, tuning in TUNINGS.items():
            cells = processes.map(partial(_wrong_rate, tuning, chosen.pool, chosen.studies), DESIGNS)
            print(f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} |", flush=True)


def make_pool(path: Path) -> None:
    """Train every rate with every seed, a minute or two on two cores."""
    machine = detect()
    plan = make_plan(read_file(ROOT / "studies" / "one_by_one.yaml").spec, "starter", machine)
    space = plan.search_space["train.lr"]
    assert isinstance(space, FloatDistribution)
    rates = np.geomspace(space.low, space.high, NUM_RATES)
    waiting = [
        plan.trial(plan.baseline, "confirm", seed, {"train.lr": float(rate)})
        for seed in range(NUM_SEEDS)
        for rate in rates
    ]
    places = {spec.id: divmod(place, NUM_RATES)[::-1] for place, spec in enumerate(waiting)}
    validation, test = np.zeros((NUM_RATES, NUM_SEEDS)), np.zeros((NUM_RATES, NUM_SEEDS))
    right = np.zeros((NUM_RATES, NUM_SEEDS, plan.num_test), dtype=bool)
    executor = LocalExecutor(machine, ROOT / "data", path.parent / "checkpoints")
    num_running = 0
    try:
        while waiting or num_running:
            while waiting and num_running < executor.num_workers:
                executor.submit(waiting.pop(0))
                num_running += 1
            for ended in executor.wait(lambda *_: "go", 1.0):
                num_running -= 1
                result, place = ended.result, places[ended.spec.id]
                if result is None or result.last is None or result.test_correct is None:
                    raise RuntimeError(f"a training of the pool did not end: {result}")
                validation[place], test[place] = (
                    result.last.validation_accuracy_percent,
                    result.test_accuracy_percent or 0.0,
                )
                right[place] = np.unpackbits(np.frombuffer(result.test_correct, np.uint8), count=plan.num_test)
    finally:
        executor.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, rates=rates, validation=validation, test=test, right=right)


def by_reruns(search: np.ndarray, again: np.ndarray) -> int:
    """As the suite chooses: by the re-runs, the better of the search among equals."""
    return int(np.lexsort((-search, -again))[0])


def by_all_scores(search: np.ndarray, again: np.ndarray) -> int:
    """By the mean over the search and the re-runs."""
    return int(np.argmax(search + again))


def _own_draws(generator: np.random.Generator) -> Iterable[np.ndarray]:
    while True:
        yield generator.choice(NUM_RATES, NUM_DRAWS, replace=False)


def _same_draws(generator: np.random.Generator) -> Iterable[np.ndarray]:
    draws = generator.choice(NUM_RATES, NUM_DRAWS, replace=False)
    while True:
        yield draws


def _tuned(
    draws: Callable[..., Iterable[np.ndarray]], choose: Choose, validation: np.ndarray, generator: np.random.Generator
) -> list[int]:
    """The chosen rate of each variant."""
    chosen = []
    for _, drawn in zip(range(5), draws(generator), strict=False):
        search = validation[drawn, generator.integers(NUM_SEEDS, size=NUM_DRAWS)]
        best = np.argsort(-search, kind="stable")[:NUM_FINALISTS]
        again = validation[drawn[best], generator.integers(NUM_SEEDS, size=NUM_FINALISTS)]
        chosen.append(int(drawn[best[choose(search[best], again)]]))
    return chosen


def _known(validation: np.ndarray, generator: np.random.Generator) -> list[int]:
    return [int(generator.integers(NUM_RATES))] * 5


TUNINGS: dict[str, Tuning] = {
    "rate known": _known,
    "same draws, by the re-runs": partial(_tuned, _same_draws, by_reruns),
    "same draws, by all scores": partial(_tuned, _same_draws, by_all_scores),
    "own draws, by the re-runs": partial(_tuned, _own_draws, by_reruns),
    "own draws, by all scores": partial(_tuned, _own_draws, by_all_scores),
}


def _wrong_rate(tuning: Tuning, path: Path, num_studies: int, looks: tuple[int, ...]) -> float:
    """Share of studies with any wrong word."""
    pool = dict(np.load(path))
    design, generator = Design(looks), np.random.default_rng(1)
    names = [variant.name for variant in design.plan.variants]
    num_wrong = 0
    for _ in range(num_studies):
        chosen = tuning(pool["validation"], generator)
        outcomes = {
            name: _outcomes(pool, rate, generator.integers(NUM_SEEDS, size=len(design.plan.seeds)))
            for name, rate in zip(names, chosen, strict=True)
        }
        words, _ = design.follow(outcomes)
        num_wrong += any(verdict in _DIFFERENT for verdict in words.values())
    return num_wrong / num_studies


def _outcomes(pool: dict[str, np.ndarray], rate: int, drawn: np.ndarray) -> Outcomes:
    seeds = frozenset(range(len(drawn)))
    return Outcomes(
        accuracy_percent={seed: float(pool["test"][rate, each]) for seed, each in enumerate(drawn)},
        learned=seeds,
        ran=seeds,
        right={seed: pool["right"][rate, each] for seed, each in enumerate(drawn)},
    )


if __name__ == "__main__":
    main()
