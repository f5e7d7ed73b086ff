"""How to split seeds between searches, with known spreads: `python -m benchmarks.luck`.

Simulated studies have four contrasts that share the reference, and normal noise: .3 points from seed to seed, .1 or .2 from search
to search. The judge of the suite decides at one look, at alpha .05 and a margin of .5 points. Wrong is any word where nothing differs. Power
is the share of contrasts that are called different at a true difference of .5 points. The half width is that of the 95 % interval.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import numpy as np

from ablations.stats.budget import Budget
from ablations.stats.judgement import Judgement, PairedSample
from ablations.stats.verdicts import judge

DESIGNS = ((1, 10, False), (1, 20, False), (3, 4, False), (3, 4, True), (5, 2, False), (5, 2, True), (8, 2, False), (10, 1, False), (10, 1, True))  # fmt: skip
"""Searches, seeds of each, and whether the spread is pooled."""
RETUNE_SDS = (0.1, 0.2)
RESEED_SD = 0.3
NUM_VARIANTS = 5
BUDGET = Budget(alpha=0.05, margin=0.5, num_comparisons=NUM_VARIANTS - 1)
NUM_TUNING_TRIALS = 8
"""Trainings of a search: those of one_by_one at laptop."""


def main() -> None:
    """Simulate each design, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000, help="Number of simulated studies a cell.")
    studies = parser.parse_args().studies
    sds = " / ".join(f"{sd:g}" for sd in RETUNE_SDS)
    print(
        f"| searches x seeds | any wrong word at retune sd {sds} | 95 % half width | power at .5 points | trainings |"
    )
    print("| --- | --- | --- | --- | ---: |")
    with ProcessPoolExecutor() as processes:
        for row in processes.map(_row, DESIGNS, repeat(studies)):
            print(row, flush=True)


def _row(design: tuple[int, int, bool], num_studies: int) -> str:
    searches, seeds, pooled = design
    cells = [
        (
            np.mean([any(map(_is_word, words)) for words in _studies(design, retune, 0.0, num_studies)]),
            np.mean([_half_width(each) for words in _studies(design, retune, 0.0, num_studies // 4) for each in words]),
            np.mean([_is_word(each) for words in _studies(design, retune, 0.5, num_studies) for each in words]),
        )
        for retune in RETUNE_SDS
    ]
    wrong, width, power = (" / ".join(f"{cell:.3f}" for cell in column) for column in zip(*cells, strict=True))
    trainings = NUM_VARIANTS * searches * (NUM_TUNING_TRIALS + seeds)
    name = f"{searches} x {seeds}{', pooled' if pooled else ''}"
    return f"| {name} | {wrong} | {width} | {power} | {trainings} |"


def _studies(design: tuple[int, int, bool], retune: float, true: float, num_studies: int) -> list[list[Judgement]]:
    searches, seeds, pooled = design
    generator, found = np.random.default_rng(1), []
    for _ in range(num_studies):
        luck = generator.normal(0, retune, (NUM_VARIANTS, searches, 1))
        accuracies = 90 + luck + generator.normal(0, RESEED_SD, (NUM_VARIANTS, searches, seeds))
        samples = {str(place): _sample(each - accuracies[0] + true) for place, each in enumerate(accuracies[1:])}
        found.append(
            list(judge(samples, BUDGET, pooling=dict.fromkeys(samples, "reference") if pooled else {}).values())
        )
    return found


def _sample(differences: np.ndarray) -> PairedSample:
    """Differences of shape (searches, seeds)."""
    num_searches, num_seeds = differences.shape
    values = dict(enumerate(differences.ravel().tolist()))
    searches = {seed: seed // num_seeds for seed in values} if num_searches > 1 else {}
    return PairedSample(values, len(values), 0, 0, 0, len(values), len(values), searches=searches)


def _is_word(judgement: Judgement) -> bool:
    return judgement.verdict.words.startswith(("better", "worse"))


def _half_width(judgement: Judgement) -> float:
    interval = judgement.interval
    return float("nan") if interval is None else (interval.upper - interval.lower) / 2


if __name__ == "__main__":
    main()
