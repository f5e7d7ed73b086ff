"""Rare bad runs: what "equivalent" may say of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablations.stats.budget import Budget
from ablations.stats.intervals import clopper_pearson
from ablations.stats.judgement import PairedSample, Verdict
from ablations.stats.rare import BadRuns, pairs_without_bad_runs
from ablations.stats.verdicts import judge

SIZE, RATE, MARGIN = 9.0, 0.06, 0.5
"""Of the bad runs of honesty's example: a dead class in 6 % of the runs costs 0.54 points on average."""


def study(num_variants: int, num_seeds: int, generator: np.random.Generator) -> dict[str, PairedSample]:
    """Variants that are the reference, but for rare bad runs."""
    reference = generator.normal(90, 0.15, num_seeds)
    accuracies = generator.normal(90, 0.15, (num_variants, num_seeds))
    bad = generator.random(accuracies.shape) < RATE
    size = SIZE if bad.any() else 0.0
    return {
        str(place): PairedSample(
            dict(enumerate(each - SIZE * those - reference)), num_seeds, 0, 0, 0, num_seeds, num_seeds,
            bad=BadRuns(int(those.sum()), num_seeds, 0, num_seeds, size),
        )
        for place, (each, those) in enumerate(zip(accuracies, bad, strict=True))
    }  # fmt: skip


@pytest.mark.parametrize("num_variants", [1, 4])
def test_equivalent_is_never_said_of_all_runs_while_bad_ones_may_be_frequent(num_variants: int) -> None:
    """Without the rule "equivalent" is said in half of the studies, though the true mean differs by more than the margin."""
    generator = np.random.default_rng(0)
    budget = Budget(alpha=0.05, margin=MARGIN, num_comparisons=num_variants)
    unqualified, said_after_one, said = 0, 0, 0
    for _ in range(400):
        samples = study(num_variants, 10, generator)
        equivalent = {n: j for n, j in judge(samples, budget).items() if j.verdict is Verdict.EQUIVALENT}
        unqualified += any(
            not any(note.startswith("bad runs aside (0 of 10") for note in j.notes) for j in equivalent.values()
        )
        said_after_one += bool(equivalent) and any(each.bad.size for each in samples.values())
        said += bool(equivalent)
    assert unqualified == 0
    assert said_after_one == 0
    # Where none was seen, the words are of runs without one, and say how frequent they may be.
    assert said / 400 <= (1 - RATE) ** (10 * num_variants) + 3 * np.sqrt(0.25 / 400)


def test_what_is_said_of_the_other_runs_is_wrong_as_rarely_as_alpha() -> None:
    generator, wrong = np.random.default_rng(1), 0
    budget = Budget(alpha=0.05, margin=MARGIN, num_comparisons=1)
    for _ in range(400):
        (sample,) = study(1, 10, generator).values()
        moved = {seed: value - MARGIN for seed, value in sample.differences.items()}
        moved_sample = PairedSample(moved, 10, 0, 0, 0, 10, 10, bad=sample.bad)
        wrong += judge({"one": moved_sample}, budget)["one"].verdict is Verdict.EQUIVALENT
    assert wrong / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_an_undecided_contrast_says_that_bad_runs_are_why() -> None:
    differences = dict(enumerate(np.random.default_rng(2).normal(0, 0.1, 10)))
    sample = PairedSample(differences, 10, 0, 0, 0, 10, 10, bad=BadRuns(0, 10, 1, 10, SIZE))
    judgement = judge({"one": sample}, Budget(alpha=0.05, margin=MARGIN, num_comparisons=1))["one"]
    assert judgement.verdict.word == "undecided"
    (note,) = [note for note in judgement.notes if note.startswith("equivalence is out of reach")]
    assert "9.00 points low, and up to 45 % of runs may" in note
    assert "it takes 65 pairs without one" in note


@given(st.floats(1.1, 60), st.floats(0.05, 1.0))
def test_so_many_pairs_without_a_bad_run_are_enough_and_one_fewer_is_not(size: float, margin: float) -> None:
    enough = pairs_without_bad_runs(size, margin)
    assert clopper_pearson(0, enough).upper * size <= margin * (1 + 1e-9)
    if enough > 1:
        assert clopper_pearson(0, enough - 1).upper * size > margin * (1 - 1e-9)
