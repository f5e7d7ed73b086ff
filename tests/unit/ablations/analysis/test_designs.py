"""Looks keep their error rate, decide what a simulation with other code decided, and are the older rules where those existed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from paired import budget

from ablations.analysis.looks import take_looks
from ablations.analysis.samples import Outcomes, sample
from ablations.stats import verdicts
from ablations.stats.power import SeedsNeeded
from ablations.stats.verdicts import judge
from benchmarks.designs import LOOKS, Design, mixed


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No word depends on the number of seeds that an undecided contrast would need."""
    monkeypatch.setattr(verdicts, "seeds_needed", lambda *_, **__: SeedsNeeded(1, 1, 1))


def is_within(values: list[float], expected: float) -> bool:
    return abs(np.mean(values) - expected) <= 3 * np.std(values) / np.sqrt(len(values))


@pytest.mark.slow
@pytest.mark.parametrize("true", [0.0, 0.5])
@pytest.mark.parametrize("failing", [0.0, 0.15])
def test_any_wrong_word_is_as_rare_as_alpha(true: float, failing: float) -> None:
    rate = Design(LOOKS).wrong_rate(true, 0.6, 400, failing=failing)
    assert rate <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("looks", "decided", "trainings"),
    [((10,), 0.674, 50.0), ((20,), 0.852, 100.0), ((10, 20), 0.812, 74.1), (LOOKS, 0.933, 98.4)],
)
def test_designs_decide_and_cost_as_much_as_simulated(looks: tuple[int, ...], decided: float, trainings: float) -> None:
    """The table of 20,000 studies a row was made with other code. Its contrasts drew their true differences independently."""
    courses = mixed(Design(looks, futility=False), 300)
    assert is_within([each.num_decided / 4 for each in courses], decided)
    if len(looks) > 1:
        assert is_within([each.num_trainings for each in courses], trainings)
    else:
        assert {each.num_trainings for each in courses} == {trainings}


def drawn(plan_names: list[str], num_seeds: int, seed: int) -> dict[str, Outcomes]:
    generator = np.random.default_rng(seed)
    seeds = range(num_seeds)
    return {
        name: Outcomes(
            {each: 90 + float(generator.normal(0, 0.4)) for each in seeds}, frozenset(seeds), frozenset(seeds), {}
        )
        for name in plan_names
    }


@pytest.mark.parametrize("seed", range(5))
def test_one_look_is_the_judge_itself(seed: int) -> None:
    design = Design((10,))
    plan = design.plan
    outcomes = drawn([v.name for v in plan.variants], 10, seed)
    (only,) = take_looks(plan, outcomes, design.standing)
    samples = {name: sample(outcomes[name], outcomes["two"], plan.seeds) for name in plan.contrast_names}
    assert only.judgements == judge(samples, budget(4))
    assert set(only.closed.values()) <= {"word", "last look"}


@pytest.mark.parametrize("seed", range(5))
def test_looks_at_10_and_20_have_half_of_alpha_each(seed: int) -> None:
    """The rule of older versions. Only a contrast with a word at the first look is not judged again."""
    design = Design((10, 20))
    plan = design.plan
    outcomes = drawn([v.name for v in plan.variants], 20, seed)
    first, *second = take_looks(plan, outcomes, design.standing)
    for look in (first, *second):
        samples = {name: sample(outcomes[name], outcomes["two"], look.seeds) for name in look.judgements}
        found = judge(samples, budget(4, share=0.5))
        for name, judgement in look.judgements.items():
            # A futile contrast has another word for being undecided.
            if look.closed.get(name) != "futile":
                assert judgement == found[name]
    assert all(name not in look.judgements for look in second for name, why in first.closed.items() if why == "word")


def test_a_contrast_with_a_word_keeps_it_whatever_comes_later() -> None:
    design = Design((5, 8))
    plan = design.plan
    seeds = range(8)
    steady = {
        name: Outcomes({s: 90 + 0.01 * s for s in seeds}, frozenset(seeds), frozenset(seeds), {}) for name in ["two"]
    }
    worse = Outcomes({s: (85.0 if s < 5 else 95.0) + 0.05 * s for s in seeds}, frozenset(seeds), frozenset(seeds), {})
    outcomes = {**steady, **dict.fromkeys(plan.contrast_names, worse)}
    (first,) = take_looks(plan, outcomes, design.standing)
    assert set(first.closed.values()) == {"word"}


def test_a_contrast_that_lacks_a_trial_waits_and_the_others_go_on() -> None:
    design = Design((5, 8, 12))
    plan = design.plan
    outcomes = drawn([v.name for v in plan.variants], 8, 3)
    lacking = replace(outcomes["v0"], ran=outcomes["v0"].ran - {4}, learned=outcomes["v0"].learned - {4})
    taken = take_looks(plan, {**outcomes, "v0": lacking}, design.standing)
    assert all("v0" not in look.judgements for look in taken)
    whole = take_looks(plan, outcomes, design.standing)
    assert "v0" in whole[0].judgements
