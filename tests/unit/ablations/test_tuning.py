from __future__ import annotations

import math
from collections.abc import Callable
from statistics import mean
from typing import Any

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from ablations.errors import SpecError
from ablations.planning.plan import Plan, is_rerun
from ablations.studyfile.distributions import active
from ablations.trial import TrialResult, TrialSpec
from ablations.tuning import VariantTuner

SAMPLERS = ["qmc", "random", "tpe"]
Objective = Callable[[TrialSpec], float]


def tuning_plan(**changes: Any) -> Plan:
    """The tiny study with a search of eight trials; `changes` to its tuning, or to its top keys."""
    top = {key: changes.pop(key) for key in ("search_space", "variants", "base") if key in changes}
    tuning = {"trials": 8, "rerun_best": 2, "rerun_seeds": 2, **changes}
    return tiny.plan(**{"tuning": tuning, **top})


def near(best: float) -> Objective:
    """Accuracy that falls with the distance of the learning rate from the best one."""
    return lambda spec: 90 - 20 * abs(math.log10(spec.hyperparameters["train.lr"] / best))


def drive(
    tuner: VariantTuner,
    evaluate: Callable[[TrialSpec], TrialResult],
    told: Callable[[list[TrialSpec]], list[TrialSpec]] = list,
) -> list[TrialSpec]:
    """Run a search to its end; `told` is the order in which trials that were asked for together end."""
    asked: list[TrialSpec] = []
    while specs := tuner.ask():
        asked += specs
        for spec in told(specs):
            result = evaluate(spec)
            if result.status == "finished":
                for record in result.epochs:
                    if tuner.report(spec, record) == "prune":
                        result = TrialResult(spec.id, "pruned", result.epochs[: record.epoch])
                        break
            tuner.tell(result)
    assert tuner.done
    return asked


def scored(objective: Objective) -> Callable[[TrialSpec], TrialResult]:
    return lambda spec: tiny.result(spec, objective(spec))


def rates(specs: list[TrialSpec]) -> list[float]:
    return [spec.hyperparameters["train.lr"] for spec in specs if not is_rerun(spec.seed)]


# The same effort for every variant


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_variant_is_offered_the_same_draws(sampler: str) -> None:
    plan = tuning_plan(sampler=sampler)
    one, two = (drive(VariantTuner(plan, name), scored(near(0.05))) for name in ("one", "two"))
    assert rates(one) == rates(two)
    assert [spec.id for spec in one] != [spec.id for spec in two]


@pytest.mark.parametrize("sampler", ["qmc", "random"])
def test_draws_do_not_depend_on_results(sampler: str) -> None:
    plan = tuning_plan(sampler=sampler)
    assert rates(drive(VariantTuner(plan, "one"), scored(near(0.01)))) == rates(
        drive(VariantTuner(plan, "one"), scored(near(0.2)))
    )


@pytest.mark.parametrize("pruner", ["none", "median"])
def test_a_start_point_that_diverges_does_not_change_the_draws_after_it(pruner: str) -> None:
    def diverging_first(spec: TrialSpec) -> TrialResult:
        return tiny.result(spec, status="diverged" if spec.number == 0 else "finished")

    plan = tuning_plan(sampler="qmc", pruner=pruner)
    assert rates(drive(VariantTuner(plan, "one"), diverging_first)) == rates(
        drive(VariantTuner(plan, "two"), scored(lambda spec: 50.0))
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_start_points_come_first_and_the_base_is_one_unless_told_otherwise(sampler: str) -> None:
    base = drive(VariantTuner(tuning_plan(sampler=sampler), "two"), scored(near(0.05)))
    assert rates(base)[0] == tiny.STUDY["base"]["train"]["lr"]
    points = [{"train.lr": 0.11}, {"train.lr": 0.013}]
    chosen = drive(VariantTuner(tuning_plan(sampler=sampler, start_points=points), "two"), scored(near(0.05)))
    assert rates(chosen)[:2] == [0.11, 0.013]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_has_as_many_trials_as_planned_all_inside_the_space(sampler: str) -> None:
    asked = drive(VariantTuner(tuning_plan(sampler=sampler), "two"), scored(near(0.05)))
    assert len(rates(asked)) == len(set(rates(asked))) == 8
    assert all(0.01 <= rate <= 0.2 for rate in rates(asked))
    assert len(asked) == 8 + 2 * 2
    assert [spec.phase for spec in asked] == ["tune"] * 12


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_more_trials_begin_as_fewer_did(sampler: str) -> None:
    few, many = (
        rates(drive(VariantTuner(tuning_plan(sampler=sampler, trials=n), "two"), scored(near(0.05)))) for n in (4, 9)
    )
    assert many[:4] == few


def test_another_tuning_seed_gives_other_draws() -> None:
    first, second = (rates(drive(VariantTuner(tuning_plan(seed=s), "two"), scored(near(0.05)))) for s in (0, 1))
    assert first[0] == second[0]  # the start point
    assert not set(first[1:]) & set(second[1:])


# Going on from what is recorded


@pytest.mark.parametrize("pruner", ["none", "median"])
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("num_recorded", [0, 3, 5, 8])
def test_a_search_that_goes_on_asks_for_the_same_trials(sampler: str, pruner: str, num_recorded: int) -> None:
    plan = tuning_plan(sampler=sampler, pruner=pruner)
    recorded: dict[str, TrialResult] = {}
    first = VariantTuner(plan, "two")
    tell = first.tell
    first.tell = lambda result: (recorded.update({result.trial_id: result}), tell(result))[1]  # type: ignore[method-assign]
    asked = drive(first, scored(near(0.05)))
    known = {spec.id for spec in asked[:num_recorded]}

    again: list[TrialSpec] = []
    second = VariantTuner(plan, "two")
    while specs := second.ask():
        again += specs
        for spec in specs:
            if spec.id in known:  # as the runner does: told, without its epochs having been reported
                second.tell(recorded[spec.id])
                continue
            result = tiny.result(spec, near(0.05)(spec))
            for record in result.epochs:
                if second.report(spec, record) == "prune":
                    result = TrialResult(spec.id, "pruned", result.epochs[: record.epoch])
                    break
            assert result == recorded[spec.id]
            second.tell(result)
    assert [spec.id for spec in again] == [spec.id for spec in asked]
    assert second.winner == first.winner


@pytest.mark.parametrize("sampler", ["qmc", "random"])
def test_the_order_in_which_trials_end_changes_nothing(sampler: str) -> None:
    plan = tuning_plan(sampler=sampler)
    forward, backward = VariantTuner(plan, "two"), VariantTuner(plan, "two")
    assert drive(forward, scored(near(0.05))) == drive(
        backward, scored(near(0.05)), told=lambda specs: list(reversed(specs))
    )
    assert forward.winner == backward.winner


@pytest.mark.parametrize("changes", [{"sampler": "tpe"}, {"pruner": "median"}])
def test_a_search_that_learns_has_one_trial_under_way(changes: dict[str, str]) -> None:
    tuner = VariantTuner(tuning_plan(**changes), "two")
    (only,) = tuner.ask()
    assert tuner.ask() == []
    tuner.tell(tiny.result(only))
    assert len(tuner.ask()) == 1


def test_nothing_is_asked_while_the_last_trials_are_under_way() -> None:
    tuner = VariantTuner(tuning_plan(), "two")
    specs = tuner.ask()
    assert len(specs) == 8
    for spec in specs[:-1]:
        tuner.tell(tiny.result(spec))
        assert tuner.ask() == []
    assert not tuner.done
    with pytest.raises(RuntimeError, match="is not done"):
        _ = tuner.winner


# The winner


def test_the_best_are_run_again_on_fresh_seeds_seed_by_seed() -> None:
    asked = drive(VariantTuner(tuning_plan(), "two"), scored(near(0.05)))
    search, reruns = asked[:8], asked[8:]
    best = sorted(search, key=near(0.05), reverse=True)[:2]
    assert [(spec.seed, spec.number) for spec in reruns] == [(s, spec.number) for s in (1, 2) for spec in best]
    assert {spec.id for spec in reruns}.isdisjoint(spec.id for spec in search)


def test_the_best_mean_of_the_re_runs_wins_not_the_best_search_trial() -> None:
    def lucky(spec: TrialSpec) -> float:
        if not is_rerun(spec.seed):
            return {2: 99.0, 5: 98.0}.get(spec.number or 0, 50.0)
        return {2: [80.0, 90.0], 5: [89.0, 88.0]}[spec.number or 0][spec.seed - 1]

    tuner = VariantTuner(tuning_plan(), "two")
    asked = drive(tuner, scored(lucky))
    assert mean([89.0, 88.0]) > mean([80.0, 90.0])
    assert tuner.winner == asked[5].hyperparameters


def test_a_tie_goes_to_the_better_search_trial_then_to_the_earlier() -> None:
    tuner = VariantTuner(tuning_plan(), "two")
    asked = drive(tuner, scored(lambda spec: 60.0 if not is_rerun(spec.seed) and spec.number == 6 else 50.0))
    assert tuner.winner == asked[6].hyperparameters
    tuner = VariantTuner(tuning_plan(), "two")
    asked = drive(tuner, scored(lambda spec: 50.0))
    assert tuner.winner == asked[0].hyperparameters


def test_among_equal_accuracies_the_lower_loss_is_the_better() -> None:
    def evaluate(spec: TrialSpec) -> TrialResult:
        loss = 0.1 if spec.number == 4 else 0.2
        return TrialResult(spec.id, "finished", (tiny.record(1, 50.0, validation_loss=loss),))

    tuner = VariantTuner(tuning_plan(rerun_seeds=0), "two")
    asked = drive(tuner, evaluate)
    assert tuner.winner == asked[4].hyperparameters
    assert len(asked) == 8


def test_a_configuration_that_diverges_on_a_fresh_seed_does_not_win_by_the_others() -> None:
    def evaluate(spec: TrialSpec) -> TrialResult:
        if spec.seed == 2 and spec.number == 2:
            return tiny.result(spec, status="diverged")
        return tiny.result(spec, {2: 99.0, 5: 60.0}.get(spec.number or 0, 10.0))

    tuner = VariantTuner(tuning_plan(), "two")
    asked = drive(tuner, evaluate)
    assert tuner.winner == asked[5].hyperparameters


@pytest.mark.parametrize("status", ["diverged", "failed"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_without_one_finished_trial_there_is_no_winner(sampler: str, status: str) -> None:
    tuner = VariantTuner(tuning_plan(sampler=sampler), "two")
    asked = drive(tuner, lambda spec: tiny.result(spec, status=status))
    assert len(asked) == 8
    assert tuner.winner is None


def test_a_failed_trial_is_neither_run_again_nor_chosen() -> None:
    tuner = VariantTuner(tuning_plan(), "two")
    asked = drive(tuner, lambda spec: tiny.result(spec, 50.0, "finished" if spec.number == 3 else "failed"))
    assert [(spec.number, spec.seed) for spec in asked[8:]] == [(3, 1), (3, 2)]
    assert tuner.winner == asked[3].hyperparameters


# Kinds of search spaces


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_draws_that_coincide_share_one_training(sampler: str) -> None:
    space = {"train.batch_size": {"type": "categorical", "choices": [16, 32]}}
    tuner = VariantTuner(tuning_plan(sampler=sampler, search_space=space, rerun_seeds=1), "two")
    asked = drive(tuner, scored(lambda spec: float(spec.hyperparameters["train.batch_size"])))
    search = [spec for spec in asked if not is_rerun(spec.seed)]
    assert sorted(spec.hyperparameters["train.batch_size"] for spec in search) == [16, 32]
    assert len({spec.id for spec in asked}) == len(asked) == 4
    assert tuner.winner == {"train.batch_size": 32}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_kind_of_distribution_is_drawn_from(sampler: str) -> None:
    space = {
        "train.lr": {"type": "float", "low": 0.01, "high": 0.2},
        "train.batch_size": {"type": "int", "low": 8, "high": 64, "log": True},
        "train.nesterov": {"type": "categorical", "choices": [True, False]},
    }
    plan = tuning_plan(sampler=sampler, search_space=space, trials=12)
    search = drive(VariantTuner(plan, "two"), scored(near(0.05)))[:12]
    assert {spec.hyperparameters["train.nesterov"] for spec in search} == {True, False}
    sizes = [spec.config.train.batch_size for spec in search]
    assert all(isinstance(size, int) and 8 <= size <= 64 for size in sizes)
    assert len(set(sizes)) > 4
    for spec in search:
        assert spec.config.train.lr == spec.hyperparameters["train.lr"]
        assert spec.config.train.nesterov is spec.hyperparameters["train.nesterov"]


# Conditions

SGD = {"train.momentum": 0.9, "train.optimizer": "sgd", "train.lr": 0.05}
"""The base's own values."""
ADAMW = {"train.optimizer": "adamw", "train.lr": 0.05}


def conditional_plan(**changes: Any) -> Plan:
    return tuning_plan(**{"search_space": tiny.CONDITIONAL, "trials": 16, **changes})


def draws(plan: Plan, evaluate: Callable[[TrialSpec], TrialResult] = tiny.result) -> list[dict[str, Any]]:
    return [spec.hyperparameters for spec in drive(VariantTuner(plan, "two"), evaluate) if not is_rerun(spec.seed)]


@given(st.data(), st.sampled_from(SAMPLERS))
@settings(max_examples=20, deadline=None)
def test_a_trial_has_values_of_the_keys_that_are_searched_there_and_of_no_other(
    data: st.DataObject, sampler: str
) -> None:
    space: dict[str, dict[str, Any]] = {
        "train.optimizer": {"type": "categorical", "choices": ["sgd", "adamw"]},
        "train.nesterov": {"type": "categorical", "choices": [True, False]},
        "train.init": {"type": "categorical", "choices": ["default", "kaiming_normal"]},
        "train.momentum": {"type": "float", "low": 0.1, "high": 0.95},
        "train.batch_size": {"type": "int", "low": 8, "high": 64, "log": True},
        "train.lr": {"type": "float", "low": 0.01, "high": 0.2},
    }
    keys = list(space)
    for n, key in enumerate(keys[1:-1], 1):
        others = st.sampled_from([other for other in keys[:n] if "choices" in space[other]])
        on = data.draw(st.dictionaries(others, st.integers(0, 1), max_size=2))
        if on:
            space[key]["when"] = {other: space[other]["choices"][choice] for other, choice in on.items()}
    order = data.draw(st.permutations(keys))
    try:
        plan = tuning_plan(sampler=sampler, search_space={key: space[key] for key in order}, trials=12)
    except SpecError as error:
        assert "never holds" in error.problem  # noqa: PT017
        return
    for spec in drive(VariantTuner(plan, "one"), scored(near(0.05))):
        for key in keys:
            conditions = space[key].get("when", {})
            holds = all(spec.hyperparameters.get(other) == value for other, value in conditions.items())
            assert (key in spec.hyperparameters) is holds
            trained, base = (getattr(c.train, key.split(".")[1]) for c in (spec.config, plan["one"].config))
            assert trained == spec.hyperparameters.get(key, base)


@pytest.mark.parametrize("start", [SGD, ADAMW])
@pytest.mark.parametrize("sampler", ["qmc", "random"])
def test_conditions_change_no_draw_but_take_out_what_is_not_searched(sampler: str, start: dict[str, Any]) -> None:
    """All keys stay on one Sobol sequence."""
    plan = conditional_plan(sampler=sampler, start_points=[start])
    space = {**tiny.CONDITIONAL, "train.momentum": {"type": "float", "low": 0.0, "high": 0.95}}
    everywhere = draws(conditional_plan(sampler=sampler, search_space=space))
    search = draws(plan)
    assert search[0] == start
    assert search[1:] == [{key: point[key] for key in active(plan.search_space, point)} for point in everywhere[1:]]
    assert {"train.momentum" in point for point in search} == {True, False}


@pytest.mark.parametrize("sampler", ["qmc", "random"])
def test_start_points_change_no_other_draw(sampler: str) -> None:
    complete, lacking = (
        draws(conditional_plan(sampler=sampler, start_points=[each, {**each, "train.lr": 0.1}]))
        for each in (SGD, ADAMW)
    )
    assert lacking[:2] == [ADAMW, {**ADAMW, "train.lr": 0.1}]
    assert complete[2:] == lacking[2:]


@pytest.mark.parametrize("start", [SGD, ADAMW])
@pytest.mark.parametrize("sampler", ["qmc", "random"])
def test_conditional_draws_depend_neither_on_results_nor_on_their_order(sampler: str, start: dict[str, Any]) -> None:
    """With a pruner a trial is told before the next is asked, without one all are asked before any is told."""

    def diverging(spec: TrialSpec) -> TrialResult:
        adamw = spec.hyperparameters["train.optimizer"] == "adamw"
        return tiny.result(spec, status="diverged" if adamw else "finished")

    at_once, one_by_one = (
        conditional_plan(sampler=sampler, pruner=pruner, start_points=[start]) for pruner in ("none", "median")
    )
    assert draws(at_once) == draws(at_once, diverging) == draws(one_by_one) == draws(one_by_one, diverging)


@pytest.mark.parametrize("start", [SGD, ADAMW])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_conditional_search_that_begins_again_asks_for_the_same_trials(sampler: str, start: dict[str, Any]) -> None:
    plan = conditional_plan(sampler=sampler, start_points=[start])
    asked, again = (drive(VariantTuner(plan, "two"), scored(near(0.03))) for _ in range(2))
    assert [spec.id for spec in asked] == [spec.id for spec in again]
    other = drive(VariantTuner(plan, "one"), scored(near(0.03)))
    assert [spec.hyperparameters for spec in other] == [spec.hyperparameters for spec in asked]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_draws_that_differ_in_what_is_not_searched_share_one_training(sampler: str) -> None:
    space = {key: tiny.CONDITIONAL[key] for key in ("train.optimizer", "train.momentum")}
    tuner = VariantTuner(conditional_plan(sampler=sampler, search_space=space, rerun_best=1), "two")
    asked = drive(tuner, scored(lambda spec: 80.0 if spec.config.train.optimizer == "adamw" else 50.0))
    assert len({spec.id for spec in asked}) == len(asked)
    search = [spec.hyperparameters for spec in asked if not is_rerun(spec.seed)]
    assert search.count({"train.optimizer": "adamw"}) == 1
    assert len(search) > 2
    assert tuner.winner == {"train.optimizer": "adamw"}


# Pruning


def slow(spec: TrialSpec) -> TrialResult:
    return tiny.result(spec, 10.0)


def pruned(plan: Plan, variant: str, evaluate: Callable[[TrialSpec], TrialResult]) -> list[int | None]:
    tuner, numbers = VariantTuner(plan, variant), []
    report = tuner.report

    def watching(spec: TrialSpec, record: Any) -> Any:
        order = report(spec, record)
        if order == "prune":
            numbers.append(spec.number)
        return order

    tuner.report = watching  # type: ignore[method-assign]
    drive(tuner, evaluate)
    return numbers


def falling(spec: TrialSpec) -> TrialResult:
    return tiny.result(spec, 90.0 - 5 * (spec.number or 0))


def test_the_median_pruner_stops_what_is_below_its_own_variants_median() -> None:
    plan = tuning_plan(pruner="median")
    assert pruned(plan, "two", falling) == [4, 5, 6, 7]  # the first four are let finish
    assert pruned(tuning_plan(pruner="none"), "two", falling) == []


def test_a_slow_variant_is_not_pruned_for_being_slower_than_another() -> None:
    plan = tuning_plan(pruner="median")
    assert pruned(plan, "two", falling)
    assert pruned(plan, "one", slow) == []


def test_a_re_run_is_never_pruned() -> None:
    plan = tuning_plan(pruner="median", rerun_best=3)
    asked = drive(VariantTuner(plan, "two"), falling)
    tuner = VariantTuner(plan, "two")
    for spec in asked[:8]:
        tuner.ask()
        tuner.tell(falling(spec))
    reruns = tuner.ask()
    assert len(reruns) == 6
    assert {tuner.report(spec, tiny.record(2, 1.0)) for spec in reruns} == {"go"}


@pytest.mark.parametrize(("epoch", "order"), [(1, "go"), (2, "prune"), (3, "go")])
def test_neither_the_first_epoch_nor_the_last_is_pruned(epoch: int, order: str) -> None:
    tuner = VariantTuner(tuning_plan(pruner="median"), "two")
    for _ in range(5):
        (spec,) = tuner.ask()
        tuner.tell(tiny.result(spec, 90.0))
    (spec,) = tuner.ask()
    assert tuner.report(spec, tiny.record(epoch, 1.0)) == order


@pytest.mark.filterwarnings("error")
def test_a_trial_that_is_tried_again_may_tell_its_epochs_again() -> None:
    tuner = VariantTuner(tuning_plan(pruner="median"), "two")
    (spec,) = tuner.ask()
    for _ in range(2):
        assert tuner.report(spec, tiny.record(1, 50.0)) == "go"
    tuner.tell(tiny.result(spec, 90.0))
    assert tuner.ask() != [spec]
