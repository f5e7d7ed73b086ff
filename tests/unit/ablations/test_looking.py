"""Looks during a run: seeds for open comparisons only, the same words after any interruption."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny
from watched import Told, Watching

from ablations.planning.plan import Plan
from ablations.trial import TrialSpec, derive

VARIANTS = {
    "two": {},
    "much": {"set": {"model.mixers": 1}},
    "some": {"set": {"model.dropout": 0.2}},
    "none": {"set": {"model.mixers": 0}},
}
LOSS = {"two": 0.0, "much": 9.0, "some": 1.1, "none": 0.35}
LOOKS = [5, 8, 12]


def accuracy(spec: TrialSpec) -> float:
    noise = np.random.default_rng(derive(spec.configuration_id, str(spec.seed))).normal(0, 0.4)
    return 90 - LOSS[spec.variant] + float(noise)


@pytest.fixture
def plan() -> Plan:
    return tiny.plan(variants=VARIANTS, looks=LOOKS, search_space={}, decision={"margin": 0.5})


def seeds(bench: Watching) -> dict[str, int]:
    """Number of confirmations of each variant that the store has."""
    found: dict[str, int] = {}
    for seed, variant in ((spec.seed, spec.variant) for spec in bench.every):
        found[variant] = max(found.get(variant, 0), seed + 1)
    return found


def undisturbed(plan: Plan, **options: Any) -> tuple[Watching, Told]:
    bench, told = Watching(accuracy), Told()
    assert bench.run(plan, display=told, **options).state == "complete"
    return bench, told


def test_only_open_comparisons_and_their_reference_get_more_seeds(plan: Plan) -> None:
    bench, told = undisturbed(plan)
    closed = {name: (look.num_seeds, why) for look in told.looks for name, why in look.closed.items()}
    assert closed["much"] == (5, "word")
    needed = seeds(bench)
    assert {name: needed[name] for name in closed} == {name: count for name, (count, _) in closed.items()}
    assert needed["two"] == max(needed.values()) > 5, "the reference goes on as long as anything is open"
    assert [look.number for look in told.looks] == list(range(1, len(told.looks) + 1))
    (ledger,) = bench.store.ledgers
    (frozen,) = ledger.frozen
    assert (frozen.looks, [c.variant for c in frozen.contrasts]) == ((5, 8, 12), ["much", "some", "none"])
    assert [len(look.seeds) for look in ledger.looks] == [look.num_seeds for look in told.looks]
    assert ledger.looks[0].alpha == pytest.approx(0.05 * 5 / 12)


def test_without_futility_everything_open_goes_to_the_last_look(plan: Plan) -> None:
    _, told = undisturbed(plan, futility=False)
    last = {name: look for look in told.looks for name in look.judgements}
    assert all(look.closed[name] in {"word", "last look"} for name, look in last.items())


@pytest.mark.parametrize("step", range(3, 60, 6))
def test_a_run_that_is_interrupted_anywhere_ends_as_one_that_was_not(plan: Plan, step: int) -> None:
    whole, told = undisturbed(plan)
    bench, again = Watching(accuracy), Told()
    while True:
        events = iter(range(10**6))
        outcome = bench.run(plan, display=again, interrupted=lambda events=events: next(events) > 4 * step)  # type: ignore[misc]
        if outcome.state == "complete":
            break
    assert again.words == told.words
    assert seeds(bench) == seeds(whole)
    assert bench.store.ledgers == whole.store.ledgers


def test_a_crashed_trial_is_tried_again_before_its_look_is_judged(plan: Plan) -> None:
    whole, told = undisturbed(plan)
    bench, again = Watching(accuracy), Told()
    crashes = iter([True, True])
    bench.training.crashing = lambda spec: (spec.variant, spec.seed) == ("some", 2) and next(crashes, False)
    bench.run(plan, display=again)
    assert again.words == told.words
    assert seeds(bench) == seeds(whole)


def test_a_comparison_waits_for_a_trial_that_was_given_up_and_the_others_go_on(plan: Plan) -> None:
    whole, told = undisturbed(plan)
    bench, again = Watching(accuracy), Told()
    bench.training.crashing = lambda spec: (spec.variant, spec.seed) == ("some", 2)
    outcome = bench.run(plan, display=again)
    assert len(outcome.given_up) == 1
    assert "some" not in again.words
    assert again.words["much"] == told.words["much"]
    bench.training.crashing = lambda spec: False
    after = Told()
    bench.run(plan, display=after, retry=True)
    assert after.words == told.words
    assert seeds(bench) == seeds(whole)


def test_a_second_run_trains_nothing_and_says_the_same(plan: Plan) -> None:
    bench, told = undisturbed(plan)
    again = Told()
    bench.run(plan, display=again)
    assert bench.trained == []
    assert again.words == told.words


def test_a_changed_plan_is_warned_of_and_gets_no_more_seeds_than_its_first_look(plan: Plan) -> None:
    bench, _ = undisturbed(plan)
    changed = tiny.plan(variants=VARIANTS, looks=[6, 30], search_space={}, decision={"margin": 0.5})
    told = Told()
    bench.run(changed, display=told)
    (warning,) = told.warnings
    assert warning.startswith(
        "no verdict on much, some, none: the plan was looks at 5, 8, 12 seeds from seed 0 on when"
    )
    assert {word for _, word in told.words.values()} == {"exploratory"}
    assert len(told.looks) == 1
    assert len(bench.store.ledgers[0].frozen) == 1
