"""How sure a search was of its values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny
from made_up import STUDIES

from ablations.analysis.choices import choices, far_apart
from ablations.analysis.summary import TuningPoint, VariantSummary
from ablations.planning.plan import Plan

VARIANT = STUDIES["ordinary"]().variants[0]


def searched(search: dict[float, float], again: dict[float, list[float]], tuned: float) -> VariantSummary:
    """A variant with a search over learning rates: accuracies in the search, and in the re-runs."""

    def point(rate: float, seed: int, accuracy: float) -> TuningPoint:
        return TuningPoint(None, 0, seed, "re-run" if seed else "draw", {"train.lr": rate}, "finished", accuracy)

    points = [point(rate, 0, accuracy) for rate, accuracy in search.items()]
    points += [point(rate, seed, each) for rate, runs in again.items() for seed, each in enumerate(runs, start=1)]
    done = {"num_tune_planned": len(points), "num_tune_done": len(points)}
    return replace(VARIANT, name="two", tuned_by_search={0: {"train.lr": tuned}}, tuning=tuple(points), **done)


def plan(rerun_best: int = 2, rerun_seeds: int = 2, **changes: Any) -> Plan:
    return tiny.plan(tuning={"trials": 3, "rerun_best": rerun_best, "rerun_seeds": rerun_seeds}, **changes)


def test_a_clear_leader_is_chosen_again() -> None:
    variant = searched({0.1: 90.0, 0.2: 80.0, 0.3: 70.0}, {0.1: [90.1, 89.9], 0.2: [80.2, 79.8]}, 0.1)
    found = choices(plan(), [variant])["two"]
    assert (found.runner_up, found.other_share) == ({"train.lr": 0.2}, 0.0)
    assert found.lead_points == pytest.approx(10.0)
    # Squares within: 2 x .1 ** 2 and 2 x .2 ** 2; the search agrees with both means.
    assert found.noise_points == pytest.approx(np.sqrt((2 * 0.1**2 + 2 * 0.2**2) / 3))


def test_equal_finalists_are_a_toss_up() -> None:
    variant = searched({0.1: 90.0, 0.2: 90.0, 0.3: 60.0}, {0.1: [91.0, 89.0], 0.2: [90.9, 89.1]}, 0.1)
    found = choices(plan(), [variant])["two"]
    assert found.lead_points == pytest.approx(0.0)
    assert found.other_share == pytest.approx(0.5, abs=0.05)


def test_without_re_runs_the_search_itself_decides() -> None:
    known = searched({0.1: 90.0, 0.2: 89.0}, {0.1: [90.5, 89.5], 0.2: [89.5, 88.5]}, 0.1)
    bare = replace(known, name="one", tuning=known.tuning[:2], num_tune_planned=2, num_tune_done=2)
    found = choices(plan(rerun_best=1, rerun_seeds=0), [known, bare])
    assert found["one"].lead_points == pytest.approx(1.0)
    assert found["one"].noise_points == found["two"].noise_points
    assert 0 < found["one"].other_share < 0.5


@pytest.mark.parametrize("rerun_seeds", [1, 3])
def test_the_noise_is_that_of_the_trainings_whatever_selection_adds(rerun_seeds: int) -> None:
    generator = np.random.default_rng(0)
    estimates = []
    for _ in range(200):
        variants = []
        for number in range(4):
            search = dict(zip((0.1, 0.2), 91.5 + 0.5 * generator.standard_normal(2), strict=True))
            again = {rate: list(90 + 0.5 * generator.standard_normal(rerun_seeds)) for rate in search}
            variants.append(replace(searched(search, again, 0.1), name=f"v{number}"))
        estimates.append(choices(plan(rerun_seeds=rerun_seeds), variants)["v0"].noise_points ** 2)
    assert np.mean(estimates) == pytest.approx(0.25, rel=0.1)


@pytest.mark.parametrize(
    "variant",
    [
        searched({0.1: 90.0}, {0.1: [90.5, 89.5]}, 0.1),
        searched({0.1: 90.0, 0.2: 89.0}, {}, 0.1),
        replace(searched({0.1: 90.0, 0.2: 80.0}, {0.1: [90.0, 91.0], 0.2: [80.0, 81.0]}, 0.1), num_tune_done=3),
        searched({0.1: 90.0, 0.2: 80.0}, {0.1: [90.0, 91.0], 0.2: [80.0, 81.0]}, 0.7),
        replace(VARIANT, name="two", tuned_by_search={}, tuning=()),
    ],
    ids=["no alternative", "nothing was repeated", "not done", "chosen elsewhere", "not tuned"],
)
def test_what_cannot_be_told_is_left_out(variant: VariantSummary) -> None:
    assert choices(plan(), [variant]) == {}


def test_tuned_values_far_apart_are_warned_of() -> None:
    def apart(one: dict[str, Any], made: Plan | None = None) -> list[str]:
        tuned = {"two": {"train.lr": 0.1}, "one": one}
        variants = [replace(VARIANT, name=name, tuned_by_search={0: values}) for name, values in tuned.items()]
        return list(far_apart(made or plan(), variants))

    assert apart({"train.lr": 0.03}) == [
        "`one` against `two`: `train.lr` was tuned to 0.03 and 0.1, 3.3 times apart. The comparison is of both changes together."
    ]
    assert apart({"train.lr": 0.06}) == []
    assert apart({}) == []
    assert apart({"train.lr": 0.03}, plan(search_space={})) == []
