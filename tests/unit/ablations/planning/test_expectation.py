"""Expected numbers of seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
from looked import ledger_of, look_of

from ablations.planning.expectation import TRUE_MARGINS, expectation, expected_seeds
from ablations.planning.frozen import Finding, Ledger
from benchmarks.designs import LOOKS, Design


def test_one_look_takes_its_seeds() -> None:
    plan = tiny.plan(seeds=10)
    assert expected_seeds(plan, 0.5) == {variant.name: 10 for variant in plan.variants}


def test_a_study_with_nothing_to_compare_or_one_seed_takes_its_seeds() -> None:
    assert expected_seeds(tiny.plan(variants={"two": {}}, seeds=7), 0.5) == {"two": 7}
    assert set(expected_seeds(tiny.plan(seeds=1), 0.5).values()) == {1}


def test_more_spread_takes_more_seeds_and_a_reference_as_many_as_its_contrasts() -> None:
    plan = replace(Design(LOOKS).plan, num_test=10**9)
    calm, wild = expected_seeds(plan, 0.3), expected_seeds(plan, 1.0)
    assert all(5 <= calm[name] < wild[name] <= 40 for name in calm)
    assert all(each["two"] == max(each.values()) for each in (calm, wild))


@pytest.mark.slow
@pytest.mark.parametrize("sd", [0.3, 0.8])
def test_the_judge_and_its_looks_take_about_as_many(sd: float) -> None:
    design = Design(LOOKS, futility=False)
    generator = np.random.default_rng(1)
    took = [design.run(0.5 * generator.choice(TRUE_MARGINS, 4), sd, generator).num_trainings for _ in range(150)]
    expected = sum(expected_seeds(replace(design.plan, num_test=10**9), sd).values())
    # The step-down and a shared reference, which this leaves out, save some.
    assert 0.97 <= expected / np.mean(took) <= 1.15


def test_looks_that_were_taken_replace_the_assumed_spreads() -> None:
    plan = replace(Design(LOOKS).plan, num_test=10**9)
    assumed = expectation(plan)
    assert (list(assumed.by_spread), assumed.is_measured) == ([0.25, 0.5, 1.0], False)
    spreads = {"v0": (0.9, 0.4), "v1": (0.2,), "v2": (0.7,), "gone": (9.0,)}
    looks = [
        look_of(plan, findings=(Finding(name, "undecided", 5, 0.1, sd, None),))
        for name, values in spreads.items()
        for sd in values
    ]
    found = expectation(plan, [Ledger("other", "starter", looks=(replace(looks[0]),)), ledger_of(plan, *looks)])
    assert (list(found.by_spread), found.is_measured) == ([0.2, 0.4, 0.7], True)
    counts = [sum(each.values()) for each in found.by_spread.values()]
    assert counts == sorted(counts)
