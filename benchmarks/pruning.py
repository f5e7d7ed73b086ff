"""What the median pruner saves, and what it costs: `python -m benchmarks.pruning`.

The suite's own search runs over the pool of real trainings of benchmarks/retuning.py, with its re-runs, with and without the pruner. The same draws
and trainings go to both. Saved are epochs of all tuning trials; lost is mean test accuracy at the chosen rate, over the seeds of the pool.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import numpy as np

from ablations.planning.plan import Plan
from ablations.trial import TrialResult, TrialSpec
from ablations.tuning import VariantTuner
from benchmarks.designs import Design
from benchmarks.retuning import NUM_SEEDS, ROOT, Pool, epoch_record, read_pool

SEARCHES = ((4, 2, 1), (6, 2, 1), (8, 3, 2), (20, 3, 3))
"""Trials of a search, best ones to train again, and on how many seeds."""


def main() -> None:
    """Run the searches, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=300, help="Number of searches a row.")
    parser.add_argument("--pool", type=Path, default=ROOT / "build" / "retuning.npz")
    chosen = parser.parse_args()
    pool = read_pool(chosen.pool)
    print("| trials, re-runs | epochs saved | lost accuracy (points) | other rate chosen |")
    print("| --- | ---: | ---: | ---: |")
    with ProcessPoolExecutor() as processes:
        for row in processes.map(_row, SEARCHES, repeat(pool), repeat(chosen.searches)):
            print(row, flush=True)


def _row(search: tuple[int, int, int], pool: Pool, num_searches: int) -> str:
    trials, best, seeds = search
    plan = Design((10,)).plan
    # The plan of the designs has one epoch.
    epochs = {"train.epochs": pool.curves.shape[2]}
    plan = replace(plan, variants=tuple(replace(v, config=v.config.with_values(epochs)) for v in plan.variants))
    true = pool.test.mean(axis=1)
    saved, lost, other = [], [], []
    for number in range(num_searches):
        changes = {"trials": trials, "rerun_best": best, "rerun_seeds": seeds, "seed": number}
        (rate, whole), (pruned_rate, pruned) = (
            _searched(replace(plan, tuning=plan.tuning.model_copy(update={**changes, "pruner": pruner})), pool, number)
            for pruner in ("none", "median")
        )
        saved.append(1 - pruned / whole)
        lost.append(true[rate] - true[pruned_rate])
        other.append(rate != pruned_rate)
    error = np.std(lost, ddof=1) / np.sqrt(num_searches)
    return f"| {trials}, {best} x {seeds} | {100 * np.mean(saved):.1f} % | {np.mean(lost):+.3f} ± {error:.3f} | {100 * np.mean(other):.0f} % |"


def _searched(plan: Plan, pool: Pool, number: int) -> tuple[int, int]:
    """Run one search.

    Returns:
        The place of the chosen rate, and the number of epochs trained.
    """
    tuner, num_epochs = VariantTuner(plan, plan.baseline), 0
    while specs := tuner.ask():
        for spec in specs:
            result = _trained(tuner, spec, pool, number)
            num_epochs += len(result.epochs)
            tuner.tell(result)
    assert tuner.winner is not None
    return pool.nearest(tuner.winner["train.lr"]), num_epochs


def _trained(tuner: VariantTuner, spec: TrialSpec, pool: Pool, number: int) -> TrialResult:
    """One training of the pool, pruned if the search asks for it. It depends on the trial, and not on the pruner."""
    generator = np.random.default_rng([number, spec.number or 0, spec.seed])
    curve = pool.curves[pool.nearest(spec.hyperparameters["train.lr"]), generator.integers(NUM_SEEDS)]
    records = []
    for epoch, percent in enumerate(curve, start=1):
        records.append(epoch_record(epoch, float(percent)))
        if tuner.report(spec, records[-1]) == "prune":
            return TrialResult(spec.id, "pruned", tuple(records))
    return TrialResult(spec.id, "finished", tuple(records))


if __name__ == "__main__":
    main()
