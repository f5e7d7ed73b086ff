"""The numbers of each variant, and which of its trials count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny
from trials import CHANCE, SEEDS, confirm, confirmed, plan, recorded, summary, tune

from ablations.analysis.variants import MIN_DRAWS
from ablations.planning.plan import Plan
from ablations.stats.bands import expected_best_of_n
from ablations.trial import RecordedTrial, TrialResult


def test_a_seed_that_did_not_learn_is_failed_and_kept() -> None:
    p = plan()
    trials = [t for t in confirmed(p) if (t.variant, t.seed) != ("one", 2)]
    trials.append(confirm(p, "one", 2, 26.0, validation=33.3))
    s = summary(p, trials)
    assert s["one"].failed_seeds == (2,)
    assert s["one"].accuracy_percent[2] == 26.0
    assert s["one"].mean_accuracy_percent == pytest.approx(np.mean([69.5, 70.1, 69.8, 70.4]), abs=0.2)
    assert 2 not in s.contrasts[0].differences
    assert s["one"].missing_seeds == ()
    assert "`one`: 1 of 5 confirmation trials ran and did not learn (seed 2)." in s.warnings
    assert [curve.learned for curve in s["one"].curves] == [True, True, False, True, True]


def test_a_diverged_seed_is_failed_and_has_no_accuracy() -> None:
    p = plan()
    trials = [t for t in confirmed(p) if (t.variant, t.seed) != ("one", 2)]
    gone = confirm(p, "one", 2, status="diverged", test_accuracy_percent=None, test_correct=None, num_test_images=None)
    s = summary(p, [*trials, gone])
    assert (s["one"].failed_seeds, s["one"].missing_seeds) == ((2,), ())
    assert 2 not in s["one"].accuracy_percent


def test_a_crashed_seed_is_missing_not_failed() -> None:
    p = plan()
    trials = [t for t in confirmed(p) if (t.variant, t.seed) != ("one", 2)]
    crash = recorded(p, "one", "confirm", 2, TrialResult("x" * 16, "failed", message="out of luck"), {})
    s = summary(p, [*trials, crash])
    assert (s["one"].failed_seeds, s["one"].missing_seeds) == ((), (2,))


@pytest.mark.parametrize(
    ("lr", "warned"),
    [(0.01, True), (0.0115, True), (0.012, False), (0.05, False), (0.17, False), (0.18, True), (0.2, True)],
)
def test_a_tuned_value_at_the_edge_is_told(lr: float, warned: bool) -> None:
    """The outer 5 % of 0.01 to 0.2 in the logarithm begin at 0.0116 and 0.172."""
    p = plan()
    s = summary(p, [confirm(p, "one", 0, hyperparameters={"train.lr": lr})])
    told = f"`one`: tuning chose `train.lr` = {lr:.4g}, at the edge of its search space. Widen it."
    assert (told in s.warnings, s["one"].at_edge == ("train.lr",)) == (warned, warned)


def test_a_key_that_was_not_searched_is_at_no_edge() -> None:
    p = plan(search_space=tiny.CONDITIONAL)
    at_edge = {"train.momentum": 0.0, "train.optimizer": "sgd", "train.lr": 0.05}
    assert summary(p, [confirm(p, "one", 0, hyperparameters=at_edge)])["one"].at_edge == ("train.momentum",)
    without = {"train.optimizer": "adamw", "train.lr": 0.05}
    s = summary(p, [confirm(p, "one", 0, hyperparameters=without)])
    assert (s["one"].at_edge, s["one"].tuned) == ((), without)


def test_tuning_points_are_told_in_order_and_without_scores_of_what_failed() -> None:
    p = plan()
    trials = [tune(p, "one", None, seed=1), tune(p, "one", 1, status="diverged"), tune(p, "one", 0)]
    points = summary(p, trials)["one"].tuning
    assert [(point.seed, point.number) for point in points] == [(0, 0), (0, 1), (1, None)]
    assert [point.validation_accuracy_percent for point in points] == [80.0, None, 80.0]


def drawn(plan: Plan, accuracies: list[float | None]) -> list[RecordedTrial]:
    """A start point, then a draw of each of these validation accuracies; None: it diverged."""
    trials = [tune(plan, "one", 0, epochs=(tiny.record(1, 99.0),))]
    for number, accuracy in enumerate(accuracies, start=1):
        how: dict[str, Any] = {"epochs": (tiny.record(1, accuracy),)} if accuracy else {"status": "diverged"}
        trials.append(tune(plan, "one", number, 0.01 + 0.001 * number, **how))
    return trials


def test_tuning_trials_have_their_role() -> None:
    points = [{"train.lr": 0.05}, {"train.lr": 0.1}]
    p = plan(tuning={"trials": 3, "rerun_best": 1, "rerun_seeds": 1, "start_points": points})
    trials = [*(tune(p, "one", number) for number in (0, 1, 2)), tune(p, "one", 1, seed=1)]
    told = [point.role for point in summary(p, trials)["one"].tuning]
    assert told == ["start point", "start point", "draw", "re-run"]


def test_best_of_n_is_of_draws_alone_and_one_that_diverged_counts_as_guessing() -> None:
    p = plan()
    accuracies = [81.0, 82.0, 83.0, None, 85.0, 86.0, 87.0, 88.0]
    trials = [*drawn(p, accuracies), tune(p, "one", 1, seed=1), tune(p, "one", 9, 0.19, status="failed")]
    band = summary(p, trials)["one"].best_of_n
    assert band is not None
    scores = [CHANCE if accuracy is None else accuracy for accuracy in accuracies]
    assert list(band.mean) == list(expected_best_of_n(scores).mean)
    assert len(band.mean) == 4
    assert band.mean[0] == pytest.approx(np.mean(scores))


def test_best_of_n_is_not_told_of_few_pruned_or_dependent_draws() -> None:
    p, enough = plan(), [80.0 + k for k in range(MIN_DRAWS)]
    assert summary(p, drawn(p, enough))["one"].best_of_n is not None
    assert summary(p, drawn(p, enough[1:]))["one"].best_of_n is None
    assert summary(p, [*drawn(p, enough), tune(p, "one", 20, 0.19, status="pruned")])["one"].best_of_n is None
    tpe = plan(tuning={"sampler": "tpe", "trials": 20})
    assert summary(tpe, drawn(tpe, enough))["one"].best_of_n is None


def test_costs_are_those_of_the_tuned_network() -> None:
    p = plan(search_space={"train.batch_size": {"type": "int", "low": 8, "high": 64}})
    trials = [confirm(p, "two", seed, hyperparameters={"train.batch_size": 64}) for seed in range(SEEDS)]
    variant = summary(p, trials)["two"]
    assert (variant.workload.batch_size, p.workload("two").batch_size) == (64, 32)
    assert variant.memory == variant.workload.memory


def test_draws_that_coincide_count_each_time() -> None:
    p = plan(search_space={"train.batch_size": {"type": "int", "low": 8, "high": 64}}, tuning={"trials": 12})
    trials = [
        recorded(
            p,
            "two",
            "tune",
            0,
            TrialResult(f"{n}", "finished", (tiny.record(1, 80.0 + n),)),
            {"train.batch_size": n + 8},
            n,
        )
        for n in range(10)
    ]
    often = [trials[0], replace(trials[1], count=4), *trials[2:]]
    once, more = (summary(p, each)["two"] for each in (trials, often))
    assert (once.num_tune_done, more.num_tune_done) == (10, 13)
    assert once.best_of_n is not None
    assert more.best_of_n is not None
    # The first is the start point, and no draw.
    assert (once.best_of_n.mean[0], more.best_of_n.mean[0]) == pytest.approx((85.0, 84.0))
