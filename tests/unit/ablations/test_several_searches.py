"""A run with several searches of each variant: tuned look by look, the same after any interruption."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny
from fakes import NoDisplay
from watched import Told, Watching

from ablations.analysis.examination import examination
from ablations.looking import _recorded
from ablations.planning.plan import Plan, is_rerun, search_of_tuning
from ablations.trial import TrialSpec, derive
from ablations.tuning import VariantTuner

LOSS = {"two": 0.0, "much": 9.0, "some": 1.1, "none": 0.3}
VARIANTS: dict[str, Any] = {
    "two": {},
    "much": {"set": {"model.mixers": 1}},
    "some": {"set": {"model.dropout": 0.2}},
    "none": {"set": {"model.mixers": 0}},
}


@pytest.fixture
def plan() -> Plan:
    return tiny.plan(
        variants=VARIANTS,
        looks=[6, 10, 16],
        tuning={"trials": 3, "rerun_best": 2, "rerun_seeds": 1, "searches": 8},
        decision={"margin": 0.5},
    )


def accuracy(spec: TrialSpec) -> float:
    noise = np.random.default_rng(derive(spec.configuration_id, str(spec.seed))).normal(0, 0.4)
    return 90 - LOSS[spec.variant] - 4 * abs(np.log(spec.hyperparameters["train.lr"] / 0.05)) / 10 + float(noise)


def undisturbed(plan: Plan) -> tuple[Watching, Told]:
    bench, told = Watching(accuracy), Told()
    assert bench.run(plan, display=told).state == "complete"
    return bench, told


def test_a_look_adds_whole_searches_of_open_comparisons_only(plan: Plan) -> None:
    bench, told = undisturbed(plan)
    closed = {name: look.num_seeds for look in told.looks for name in look.closed}
    assert closed["much"] == 6
    assert max(closed.values()) == 16
    for name, count in {**closed, "two": 16}.items():
        assert bench.seeds(name) == set(range(count))
        assert bench.searches(name) == set(range(count // 2))
    judged = next(look for look in told.looks if "much" in look.closed).judgements["much"]
    assert (judged.unit, judged.num_pairs) == ("search", 3)
    assert judged.verdict.word == "worse by more than the margin"


def test_a_seed_is_confirmed_at_the_values_of_its_search(plan: Plan) -> None:
    bench, _ = undisturbed(plan)
    chosen: dict[int, set[float]] = {}
    for spec in bench.every:
        if (spec.phase, spec.variant) == ("confirm", "two"):
            chosen.setdefault(plan.search_of(spec.seed), set()).add(spec.hyperparameters["train.lr"])
    assert set(map(len, chosen.values())) == {1}
    assert len({rate for rates in chosen.values() for rate in rates}) > 1
    for search, (rate,) in chosen.items():
        drawn = [
            spec.hyperparameters["train.lr"]
            for spec in bench.every
            if (spec.phase, spec.variant) == ("tune", "two") and search_of_tuning(spec.seed) == search
        ]
        assert rate in drawn


@pytest.mark.parametrize("stop", range(7, 260, 31))
def test_a_run_that_is_interrupted_anywhere_ends_as_one_that_was_not(plan: Plan, stop: int) -> None:
    whole, told = undisturbed(plan)
    bench, again = Watching(accuracy), Told()
    for _ in range(400):
        steps = iter(range(stop))
        if (
            bench.run(plan, display=again, interrupted=lambda steps=steps: next(steps, None) is None).state
            == "complete"
        ):
            break
    assert again.words == told.words
    assert {spec.id for spec in bench.every} == {spec.id for spec in whole.every}
    assert bench.store.ledgers == whole.store.ledgers
    assert bench.store.settled_ids == whole.store.settled_ids


def test_a_second_run_trains_nothing(plan: Plan) -> None:
    bench, told = undisturbed(plan)
    again = Told()
    outcome = bench.run(plan, display=again)
    assert (outcome.state, outcome.num_trained) == ("complete", 0)
    assert again.words == told.words


def test_a_plain_run_after_one_without_futility_looks_at_all_that_is_there(plan: Plan) -> None:
    bench = Watching(accuracy)
    bench.run(plan, futility=False)
    ledgers, settled = bench.store.ledgers, bench.store.settled_ids
    outcome = bench.run(plan, display=NoDisplay())
    assert (outcome.state, outcome.num_trained) == ("complete", 0)
    assert (bench.store.ledgers, bench.store.settled_ids) == (ledgers, settled)


def test_each_search_has_draws_and_seeds_of_its_own_and_variants_share_them(plan: Plan) -> None:
    def asked(variant: str, search: int) -> list[TrialSpec]:
        return VariantTuner(plan, variant, search).ask()

    def rates(variant: str, search: int) -> list[float]:
        return [spec.hyperparameters["train.lr"] for spec in asked(variant, search)]

    assert rates("two", 1) == rates("none", 1)
    start, *drawn = rates("two", 0)
    other, *others = rates("two", 1)
    assert start == other == 0.05, "every search begins at the start points"
    assert not set(drawn) & set(others)
    assert {spec.seed for spec in asked("two", 3)} == {300}
    assert plan.rerun_seeds(3) == (301,)
    assert [is_rerun(seed) for seed in (0, 1, 100, 301)] == [False, True, False, True]
    # The first search is what a study with one search has.
    one = replace(plan, tuning=plan.tuning.model_copy(update={"searches": 1}))
    assert [spec.id for spec in VariantTuner(one, "two").ask()] == [spec.id for spec in asked("two", 0)]


def test_the_frozen_rules_name_the_searches(plan: Plan) -> None:
    bench, _ = undisturbed(plan)
    (frozen,) = bench.store.ledgers[0].frozen
    assert (frozen.num_searches, frozen.pooled, frozen.data_checksum) == (8, False, plan.data_checksum)
    told = Told()
    fewer = replace(plan, tuning=plan.tuning.model_copy(update={"searches": 4}))
    bench.run(fewer, display=told)
    (warning,) = told.warnings
    assert "looks at 6, 10, 16 seeds from seed 0 on in 8 searches" in warning
    assert "is looks at 6, 10, 16 seeds from seed 0 on in 4 searches now" in warning


def test_a_plain_run_judges_what_an_interrupted_run_without_futility_recorded() -> None:
    """One search: the seeds that the run before trained beyond the futile look count, as they do in a report."""
    plan = tiny.plan(
        variants={"two": {}, "none": {"set": {"model.mixers": 0}}},
        looks=[5, 7, 9],
        search_space={},
        decision={"margin": 0.02},
    )

    def untuned() -> Watching:
        return Watching(lambda spec: accuracy(replace(spec, hyperparameters={"train.lr": 0.05}, variant="two")))

    plain, told = untuned(), Told()
    plain.run(plan, display=told)
    assert [look.closed.get("none") for look in told.looks] == ["futile"], "so that the test shows something"
    bench, num_steps = untuned(), 0
    while not {5, 6} <= bench.seeds("none"):
        num_steps += 5
        bench, steps = untuned(), iter(range(num_steps))
        bench.run(plan, futility=False, interrupted=lambda steps=steps: next(steps, None) is None)
    assert 8 not in bench.seeds("none")
    again = Told()
    bench.run(plan, display=again)
    assert [look.num_seeds for look in again.looks] == [5, 7]


def examined_plan(**changes: Any) -> Plan:
    variants = {"two": {}, "one": {"set": {"model.mixers": 1}}, "none": {"set": {"model.mixers": 0}}}
    return tiny.plan(variants=variants, looks=[5, 8], cross_examine=True, decision={"margin": 0.5}, **changes)


def at_its_best(spec: TrialSpec) -> float:
    """The variant "one" is best at another rate than the others, and no better with both at the same rate."""
    rate = spec.hyperparameters["train.lr"]
    noise = np.random.default_rng(derive(spec.configuration_id, str(spec.seed))).normal(0, 0.05)
    return float((92.0 if (rate == 0.05) == (spec.variant != "one") else 90.0) + noise)


def test_a_cross_examination_trains_both_sides_at_both_values_last() -> None:
    bench, plan = Watching(at_its_best), examined_plan()
    bench.run(plan)
    examined = [spec for spec in bench.every if spec.phase == "examine"]
    assert bench.every[-len(examined) :] == examined
    other = next(spec.hyperparameters for spec in bench.every if (spec.phase, spec.variant) == ("confirm", "one"))
    assert other["train.lr"] != 0.05
    assert {(spec.variant, spec.hyperparameters["train.lr"]) for spec in examined} == {
        ("one", 0.05),
        ("two", other["train.lr"]),
    }, "none and two have the same values"
    assert sorted({spec.seed for spec in examined}) == list(plan.seeds[:5])
    assert {spec.id for spec in examined} <= bench.store.settled_ids
    assert {spec.draws for spec in examined} == {"confirm"}
    assert not {spec.id for spec in examined} & {spec.id for spec in bench.every if spec.phase == "confirm"}
    assert bench.run(plan).num_trained == 0


def test_a_cross_examination_shows_what_comes_with_the_values() -> None:
    bench, plan = Watching(at_its_best), examined_plan()
    bench.run(plan)
    trials = {
        variant.name: [
            _recorded(plan, spec, bench.store.results[spec.id]) for spec in bench.every if spec.variant == variant.name
        ]
        for variant in plan.variants
    }
    found = examination(plan, "one", trials, 20.0)
    assert found is not None
    assert (found.at_variant.num_pairs, found.at_reference.num_pairs) == (5, 5)
    assert found.at_variant.mean == pytest.approx(2.0, abs=0.2)
    assert found.at_reference.mean == pytest.approx(-2.0, abs=0.2)
    assert found.at_reference.interval is not None
    assert found.at_reference.interval.upper < 0
    assert examination(plan, "none", trials, 20.0) is None


@pytest.mark.parametrize("changes", [{"search_space": {}}, {"tuning": {"trials": 2, "searches": 4}}])
def test_with_nothing_tuned_or_several_searches_nothing_is_examined(changes: dict[str, Any]) -> None:
    looks = {"profiles": {"starter": {"description": "all", "seeds": 8}}}
    assert tiny.plan(cross_examine=True, **{**looks, **changes}).examined_seeds == ()


def test_fresh_seeds_have_fresh_searches(plan: Plan) -> None:
    fresh = tiny.plan(
        variants=VARIANTS,
        looks=[6, 10, 16],
        first_seed=16,
        tuning={"trials": 3, "rerun_best": 2, "rerun_seeds": 1, "searches": 8},
        decision={"margin": 0.5},
    )
    assert [fresh.search_of(seed) for seed in fresh.seeds[:3]] == [16, 16, 17]
    assert {cell.seed for cell in plan.cells if cell.phase == "tune"}.isdisjoint(
        cell.seed for cell in fresh.cells if cell.phase == "tune"
    )
    bench, _ = undisturbed(fresh)
    assert min(bench.searches("two")) == 16
