"""Wrong words between identical variants that are tuned by themselves: `python -m benchmarks.retuning`.

A pool of real trainings comes first: the baseline of one_by_one at `starter`, 8 learning rates times 12 seeds. Simulated studies draw
from it. Five variants are the same network. Each is tuned as the starter does it, by the suite's own search: four rates, the best two
again on another seed. Then it is confirmed at its rate, and the suite's own looks judge it. So every "better" and "worse" is wrong.

`rate known` confirms every variant at the same rate: what is wrong there is not the luck of tuning.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ablations.analysis.samples import Outcomes
from ablations.execution.environment import detect
from ablations.execution.local import LocalExecutor
from ablations.planning.plan import Plan
from ablations.planning.planner import make_plan
from ablations.stats.judgement import Verdict
from ablations.studyfile.distributions import FloatDistribution
from ablations.studyfile.loading import read_file
from ablations.trial import EpochRecord, TrialResult
from ablations.tuning import VariantTuner
from benchmarks.designs import Design

ROOT = Path(__file__).parents[1]
NUM_RATES, NUM_SEEDS = 8, 12
DESIGNS: dict[str, Any] = {
    "1 search, 5 seeds": {"looks": (5,)},
    "1 search, 10 seeds": {"looks": (10,)},
    "1 search, 20 seeds": {"looks": (20,)},
    "1 search, looks at 10 and 26 seeds": {"looks": (10, 26)},
    "1 search, looks at 5, 8, 12, 18, 27, 40 seeds": {"looks": (5, 8, 12, 18, 27, 40)},
    "3 searches of 4 seeds": {"looks": (12,), "searches": 3},
    "3 searches of 4 seeds, pooled": {"looks": (12,), "searches": 3, "pooled": True},
    "5 searches of 2 seeds": {"looks": (10,), "searches": 5},
    "5 searches of 2 seeds, pooled": {"looks": (10,), "searches": 5, "pooled": True},
    "8 searches of 2 seeds, looks at 5 and 8": {"looks": (10, 16), "searches": 8},
}
_DIFFERENT = {
    *(Verdict.BETTER, Verdict.BETTER_BY_LESS, Verdict.BETTER_BY_MORE),
    *(Verdict.WORSE, Verdict.WORSE_BY_LESS, Verdict.WORSE_BY_MORE),
}
Draws = Literal["rate known", "same draws", "own draws"]
"""How variants are tuned: all have the same given rate; their searches have the same draws, as in the suite; or each has its own."""
DRAWS: tuple[Draws, ...] = ("rate known", "same draws", "own draws")


@dataclass(frozen=True)
class Pool:
    """Real trainings of one network at several rates."""

    rates: np.ndarray
    """Learning rates, shape (rates,), evenly apart on a log scale."""
    curves: np.ndarray = field(repr=False)
    """Validation accuracy after each epoch, percent, shape (rates, seeds, epochs)."""
    test: np.ndarray = field(repr=False)
    """Test accuracy, percent, shape (rates, seeds)."""
    right: np.ndarray = field(repr=False)
    """Whether each test image is right, shape (rates, seeds, images)."""

    @property
    def validation(self) -> np.ndarray:
        """Validation accuracy after the last epoch, percent, shape (rates, seeds)."""
        return np.asarray(self.curves[..., -1])

    def nearest(self, rate: float) -> int:
        """Place of the rate that is nearest on a log scale."""
        return int(np.argmin(np.abs(np.log(self.rates / rate))))


def read_pool(path: Path) -> Pool:
    """Read a pool, or make it first."""
    if not path.exists():
        make_pool(path)
    return Pool(**np.load(path))


def main() -> None:
    """Make the pool unless it is there, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000, help="Number of simulated studies a cell.")
    parser.add_argument("--pool", type=Path, default=ROOT / "build" / "retuning.npz")
    chosen = parser.parse_args()
    pool = read_pool(chosen.pool)
    rates = ", ".join(f"{rate:.3g} {test:.2f}" for rate, test in zip(pool.rates, pool.test.mean(axis=1), strict=True))
    spread = pool.test.std(axis=1, ddof=1).mean()
    print(f"mean test accuracy (%) by learning rate: {rates}; sd from seed to seed {spread:.2f}\n")
    print(f"| design | {' | '.join(DRAWS)} |")
    print(f"| --- |{' ---: |' * len(DRAWS)}")
    with ProcessPoolExecutor() as processes:
        tasks = [
            [processes.submit(wrong_rate, Design(**design), draws, pool, chosen.studies) for draws in DRAWS]
            for design in DESIGNS.values()
        ]
        for name, cells in zip(DESIGNS, tasks, strict=True):
            print(f"| {name} | {' | '.join(f'{cell.result():.3f}' for cell in cells)} |", flush=True)


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
    curves = np.zeros((NUM_RATES, NUM_SEEDS, plan.variants[0].config.train.epochs))
    test = np.zeros((NUM_RATES, NUM_SEEDS))
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
                curves[place] = [epoch.validation_accuracy_percent for epoch in result.epochs]
                test[place] = result.test_accuracy_percent or 0.0
                right[place] = np.unpackbits(np.frombuffer(result.test_correct, np.uint8), count=plan.num_test)
    finally:
        executor.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, rates=rates, curves=curves, test=test, right=right)


def searched(plan: Plan, variant: str, search: int, pool: Pool, generator: np.random.Generator) -> int:
    """Run one search of the suite; each of its trainings is one of the pool, at the rate nearest to its own.

    Returns:
        The place of the chosen rate.
    """
    tuner = VariantTuner(plan, variant, search)
    while specs := tuner.ask():
        for spec in specs:
            rate = pool.nearest(spec.hyperparameters["train.lr"])
            percent = float(pool.validation[rate, generator.integers(NUM_SEEDS)])
            tuner.tell(TrialResult(spec.id, "finished", (epoch_record(1, percent),)))
    assert tuner.winner is not None
    return pool.nearest(tuner.winner["train.lr"])


def epoch_record(epoch: int, accuracy_percent: float) -> EpochRecord:
    """An epoch of which only the validation accuracy counts."""
    return EpochRecord(
        epoch=epoch,
        step=1,
        train_loss=0.0,
        train_accuracy_percent=accuracy_percent,
        validation_loss=0.0,
        validation_accuracy_percent=accuracy_percent,
        num_dead_classes=0,
        learning_onset_step=1,
        train_images_per_second=1.0,
        epoch_seconds=1.0,
        timestamp_ms=0,
    )


def chosen_rates(
    plan: Plan, draws: Draws, number: int, pool: Pool, generator: np.random.Generator
) -> dict[str, list[int]]:
    """By variant: the place of the rate that each search chose.

    Args:
        plan: of the study.
        draws: how the draws of the variants differ.
        number: of the simulated study; every study has draws of its own.
        pool: of real trainings.
        generator: of everything else.
    """
    known, found = int(generator.integers(NUM_RATES)), {}
    for place, variant in enumerate(plan.variants):
        seed = 10 * number + (place if draws == "own draws" else 0)
        drawn = replace(plan, tuning=plan.tuning.model_copy(update={"seed": seed}))
        found[variant.name] = [
            known if draws == "rate known" else searched(drawn, variant.name, search, pool, generator)
            for search in range(plan.num_searches)
        ]
    return found


def wrong_rate(design: Design, draws: Draws, pool: Pool, num_studies: int) -> float:
    """Share of simulated studies with any wrong word."""
    generator = np.random.default_rng(1)
    num_wrong = 0
    for number in range(num_studies):
        chosen = chosen_rates(design.plan, draws, number, pool, generator)
        outcomes = {name: _outcomes(design.plan, pool, rates, generator) for name, rates in chosen.items()}
        words, _ = design.follow(outcomes)
        num_wrong += any(verdict in _DIFFERENT for verdict in words.values())
    return num_wrong / num_studies


def _outcomes(plan: Plan, pool: Pool, rates: Sequence[int], generator: np.random.Generator) -> Outcomes:
    places = [(rates[plan.search_of(seed)], int(generator.integers(NUM_SEEDS))) for seed in plan.seeds]
    seeds = frozenset(plan.seeds)
    return Outcomes(
        accuracy_percent={seed: float(pool.test[place]) for seed, place in zip(plan.seeds, places, strict=True)},
        learned=seeds,
        ran=seeds,
        right={seed: pool.right[place] for seed, place in zip(plan.seeds, places, strict=True)},
    )


if __name__ == "__main__":
    main()
