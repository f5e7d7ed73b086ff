"""Plan + recorded trials -> StudySummary; nothing is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from paired import budget

from ablations.analysis.looks import gave_verdicts
from ablations.analysis.summarize import summarize
from ablations.analysis.summary import Contrast, StudySummary
from ablations.analysis.variants import MIN_DRAWS, learned
from ablations.datasets import DATASETS
from ablations.planning.plan import Look, Plan, PlannedContrast
from ablations.planning.planner import make_plan
from ablations.stats.bands import expected_best_of_n
from ablations.stats.intervals import Interval, class_estimates, clopper_pearson
from ablations.stats.judgement import Verdict
from ablations.stats.p_values import difference_p, false_discovery, mcnemar_exact
from ablations.stats.power import MAX_PAIRS, detectable_difference
from ablations.studyfile.spec import Expectation, StudySpec
from ablations.trial import Reason, RecordedTrial, TrialResult

SEEDS = 5
CHANCE = 25.0
"""Percent; the synthetic images have four classes."""


def plan(**changes: Any) -> Plan:
    return tiny.plan(**{"seeds": SEEDS, **changes})


def confirm(
    plan: Plan, variant: str, seed: int, accuracy: float = 90.0, *, validation: float | None = None, **changes: Any
) -> RecordedTrial:
    """A confirmation trial that finished with these accuracies; the test split has 1,000 images."""
    spec = plan.trial(variant, "confirm", seed, changes.pop("hyperparameters", {"train.lr": 0.05}))
    epochs = tuple(tiny.record(epoch, accuracy if validation is None else validation) for epoch in (1, 2, 3))
    right = np.arange(1000) < round(10 * accuracy)
    result = TrialResult(spec.id, "finished", epochs, accuracy, np.packbits(right).tobytes(), 1000)
    return recorded(plan, variant, "confirm", seed, replace(result, **changes), spec.hyperparameters)


def tune(
    plan: Plan, variant: str, number: int | None, lr: float = 0.05, seed: int = 0, **changes: Any
) -> RecordedTrial:
    spec = plan.trial(variant, "tune", seed, {"train.lr": lr}, number)
    result = TrialResult(spec.id, "finished", (tiny.record(1, 80.0),))
    return recorded(plan, variant, "tune", seed, replace(result, **changes), spec.hyperparameters, number)


def recorded(
    plan: Plan,
    variant: str,
    phase: Any,
    seed: int,
    result: TrialResult,
    values: dict[str, Any],
    number: int | None = None,
) -> RecordedTrial:
    run_id = f"{variant}-{phase}-{seed}-{number}"
    return RecordedTrial(run_id, variant, plan[variant].key, phase, seed, number, values, result)


def confirmed(plan: Plan, difference: float = -20.0, spread: float = 0.5, **only: range) -> list[RecordedTrial]:
    """Every variant on every seed; `difference` is what the variants have against the baseline, varied by seed."""
    trials = []
    for variant in plan.variants:
        for seed in only.get(variant.name, range(SEEDS)):
            against = 0.0 if variant.name == plan.baseline else difference + spread * (seed % 3 - 1)
            trials.append(confirm(plan, variant.name, seed, round(90.0 + 0.1 * seed + against, 1)))
    return trials


def summary(plan: Plan, trials: list[RecordedTrial]) -> StudySummary:
    return summarize(plan, trials, {}, {})


def contrast(plan: Plan, trials: list[RecordedTrial]) -> Contrast:
    (only,) = summary(plan, trials).contrasts
    return only


# Nothing, something, everything


def test_with_no_trials_everything_is_missing() -> None:
    p = plan()
    s = summary(p, [])
    assert [v.missing_seeds for v in s.variants] == [p.seeds, p.seeds]
    assert [v.mean_accuracy_percent for v in s.variants] == [None, None]
    assert s.contrasts[0].judgement.verdict is Verdict.NO_VERDICT
    assert s.contrasts[0].expectation == "none stated"
    assert s.warnings == tuple(f"{name}: 5 of 5 confirmation trials have no outcome yet." for name in ("two", "one"))


def test_with_all_trials_numbers_are_those_recorded() -> None:
    p = plan()
    s = summary(p, confirmed(p) + [tune(p, name, n) for name in ("two", "one") for n in (0, 1, None)])
    assert [v.name for v in s.variants] == ["two", "one"]
    assert s["two"].accuracy_percent == {0: 90.0, 1: 90.1, 2: 90.2, 3: 90.3, 4: 90.4}
    assert s["two"].mean_accuracy_percent == pytest.approx(90.2)
    assert s["two"].sd_accuracy_percent == pytest.approx(0.1 * np.std(range(5), ddof=1))
    assert (s["two"].params, s["two"].macs) == (p["two"].costs.params, p["two"].costs.macs)
    assert (s["two"].num_tune_planned, s["two"].num_tune_done, s["two"].num_tune_epochs) == (3, 3, 3)
    assert (s["two"].missing_seeds, s["two"].failed_seeds, s["two"].tuned) == ((), (), {"train.lr": 0.05})
    assert s["two"].trial_seconds == pytest.approx(0.3)
    assert s["two"].train_images_per_second == 1234.5
    assert s["two"].learning_onset_steps == dict.fromkeys(range(5), 4)
    assert s["two"].run_ids[3] == "two-confirm-3-None"
    assert [curve.seed for curve in s["two"].curves] == [0, 1, 2, 3, 4]
    assert s.warnings == ()
    assert (s.chance_percent, s.num_seeds, s.dataset) == (CHANCE, SEEDS, "synthetic bars")
    with pytest.raises(KeyError, match="three"):
        s["three"]


def test_a_difference_is_variant_minus_baseline_by_seed() -> None:
    p = plan()
    c = contrast(p, confirmed(p))
    assert (c.variant, c.versus) == ("one", "two")
    assert {seed: round(d, 6) for seed, d in c.differences.items()} == {
        0: -20.5,
        1: -20.0,
        2: -19.5,
        3: -20.5,
        4: -20.0,
    }
    assert c.judgement.mean == pytest.approx(-20.1)
    assert c.judgement.verdict is Verdict.WORSE_BY_MORE
    assert c.judgement.num_pairs == 5


def test_seeds_that_one_side_lacks_are_no_pairs() -> None:
    p = plan()
    c = contrast(p, confirmed(p, one=range(4), two=range(1, 5)))
    assert set(c.differences) == {1, 2, 3}
    s = summary(p, confirmed(p, one=range(4)))
    assert s["one"].missing_seeds == (4,)
    assert s.warnings == ("one: 1 of 5 confirmation trials have no outcome yet.",)


def test_one_variant_alone_has_no_contrast() -> None:
    assert summary(plan(variants={"two": {}}), []).contrasts == ()


def test_what_is_conditional_is_said() -> None:
    assert summary(plan(), []).scope == "for the tuned configurations, on synthetic bars"
    assert summary(plan(search_space={}), []).scope == "for these fixed configurations, on synthetic bars"
    assert summary(plan(), []).independent_draws
    assert not summary(plan(tuning={"sampler": "tpe"}), []).independent_draws


# Trials that failed, and trials of others


def test_a_seed_that_did_not_learn_is_failed_and_kept() -> None:
    p = plan()
    trials = [t for t in confirmed(p) if (t.variant, t.seed) != ("one", 2)]
    trials.append(confirm(p, "one", 2, 26.0, validation=2 * CHANCE - 0.1))
    s = summary(p, trials)
    assert s["one"].failed_seeds == (2,)
    assert s["one"].accuracy_percent[2] == 26.0
    assert s["one"].mean_accuracy_percent == pytest.approx(np.mean([69.5, 70.1, 69.8, 70.4]), abs=0.2)
    assert 2 not in s.contrasts[0].differences
    assert s["one"].missing_seeds == ()
    assert "one: 1 of 5 confirmation trials ran and did not learn (seed 2)." in s.warnings
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


def failed(plan: Plan, variant: str, seed: int, reason: Reason | None, num_attempts: int = 1) -> RecordedTrial:
    spec = plan.trial(variant, "confirm", seed, {"train.lr": 0.05})
    result = TrialResult(spec.id, "failed", message="out of luck", reason=reason, num_attempts=num_attempts)
    return recorded(plan, variant, "confirm", seed, result, spec.hyperparameters)


def test_each_way_to_fail_has_its_own_line_with_its_rate() -> None:
    p = plan()
    trials = [
        *confirmed(p)[:4],
        confirm(p, "two", 4, status="diverged"),
        failed(p, "one", 0, "crashed", 3),
        failed(p, "one", 1, "crashed", 2),
        failed(p, "one", 2, "hung", 3),
        failed(p, "one", 3, "out_of_memory"),
        failed(p, "one", 4, "error"),
    ]
    s = summary(p, trials)
    said = [line for line in s.warnings if " of 10 trials " in line]
    assert said == [
        "1 of 10 trials diverged (95 % interval of the rate 0.3 to 44.5 %): an outcome, not tried again.",
        "2 of 10 trials crashed their process (95 % interval of the rate 2.5 to 55.6 %); 1 tried again by the next run and 1 "
        "given up, and tried again by run --retry only: one, confirm, seed 0, 3 attempts: out of luck; one, confirm, seed 1, 2 "
        "attempts: out of luck.",
        "1 of 10 trials hung (95 % interval of the rate 0.3 to 44.5 %); 1 given up, and tried again by run --retry only: one, "
        "confirm, seed 2, 3 attempts: out of luck.",
        "1 of 10 trials ran out of memory (95 % interval of the rate 0.3 to 44.5 %); 1 tried again by the next run: one, "
        "confirm, seed 3, 1 attempt: out of luck.",
        "1 of 10 trials ended in an error (95 % interval of the rate 0.3 to 44.5 %); 1 tried again by the next run: one, "
        "confirm, seed 4, 1 attempt: out of luck.",
    ]
    counts = {each.outcome: (each.num_trials, each.num_given_up) for each in s.troubles}
    assert counts == {"diverged": (1, 0), "crashed": (2, 1), "hung": (1, 1), "out of memory": (1, 0), "error": (1, 0)}
    assert s.troubles[1].rate == clopper_pearson(2, 10)
    assert summary(p, confirmed(p)).troubles == ()


def test_a_failure_that_was_recorded_without_a_reason_has_a_line_too() -> None:
    p = plan()
    s = summary(p, [*confirmed(p)[:-1], failed(p, "one", 4, None)])
    (line,) = [line for line in s.warnings if "trials failed" in line]
    assert line.startswith("1 of 10 trials failed (")


def test_of_many_that_failed_a_few_are_named() -> None:
    p = plan(seeds=9)
    (trouble,) = summary(p, [failed(p, "one", seed, "hung") for seed in range(9)]).troubles
    assert trouble.sentence.count("out of luck") == 5
    assert trouble.sentence.endswith("; 4 more.")


def test_trials_of_a_search_that_failed_are_told_apart_by_their_number() -> None:
    p = plan()
    trials = [tune(p, "one", number, 0.02 * number, status="failed", reason="error") for number in (1, 2)]
    (trouble,) = summary(p, trials).troubles
    assert "one, tune, trial 1, seed 0, 1 attempt" in trouble.sentence
    assert "one, tune, trial 2, seed 0, 1 attempt" in trouble.sentence


def test_batches_in_parts_are_told() -> None:
    p = plan()
    trials = [*confirmed(p)[:-1], confirm(p, "one", 4, 70.0, accumulated_parts=4)]
    (line,) = [line for line in summary(p, trials).warnings if "accumulated" in line]
    assert line == (
        "1 trial took each batch in accumulated parts for want of memory, which makes the same steps up to rounding, but draws "
        "other numbers for dropout: one, confirm, seed 4: 4 parts."
    )


def test_failures_are_compared_on_the_seeds_that_ran_on_both_sides() -> None:
    p = plan()
    failed = {("one", 0), ("one", 1), ("one", 2), ("two", 2)}
    trials = [
        confirm(p, variant, seed, validation=CHANCE if (variant, seed) in failed else 90.0)
        for variant in ("one", "two")
        for seed in range(SEEDS)
    ]
    s = summary(p, trials)
    assert s.contrasts[0].p_failures == mcnemar_exact(2, 0)
    assert s["one"].failure_rate == clopper_pearson(3, 5)
    assert s["one"].ran_seeds == set(range(SEEDS))
    without = summary(p, [t for t in trials if (t.variant, t.seed) != ("two", 0)])
    assert without.contrasts[0].p_failures == mcnemar_exact(1, 0)
    assert summary(p, trials[:SEEDS]).contrasts[0].p_failures is None
    assert summary(p, trials[:SEEDS])["two"].failure_rate is None


@pytest.mark.parametrize(("validation", "did"), [(2 * CHANCE, True), (2 * CHANCE - 0.01, False)])
def test_to_learn_is_to_reach_twice_chance(validation: float, did: bool) -> None:
    p = plan()
    assert learned(p, confirm(p, "two", 0, validation=validation).result) is did
    assert not learned(p, confirm(p, "two", 0, status="diverged").result)
    assert not learned(p, TrialResult("x" * 16, "finished"))


def test_trials_of_other_plans_are_left_out() -> None:
    p = plan()
    others = [
        replace(confirm(p, "one", 0, 10.0), variant_key="0" * 16),
        replace(confirm(p, "one", 0, 10.0), variant="three"),
        replace(tune(p, "one", 0), variant_key="0" * 16),
        confirm(p, "one", 99, 10.0),
    ]
    assert summary(p, confirmed(p) + others) == summary(p, confirmed(p))
    assert summary(p, others) == summary(p, [])


# What so many seeds can show


def test_what_a_contrast_can_find_follows_from_its_spread_and_the_images() -> None:
    p = plan()
    judgement, found = contrast(p, confirmed(p)).judgement, contrast(p, confirmed(p)).detectable
    assert found is not None
    assert judgement.sd is not None
    assert judgement.evidence is not None
    floor = judgement.evidence.image_floor or 0.0
    assert found.now == pytest.approx(detectable_difference(judgement.sd, 5, budget(), image_floor=floor))
    assert found.now == found.difference[found.num_seeds.index(5)]
    assert (found.num_seeds[0], found.num_seeds[-1]) == (3, MAX_PAIRS)
    assert list(found.difference) == sorted(found.difference, reverse=True)
    assert all(most > least for most, least in zip(found.difference_at_most, found.difference, strict=True))
    assert found.limit == pytest.approx(2.8 * floor, rel=0.01)
    assert found.difference[-1] > found.limit


@pytest.mark.parametrize("seeds", [0, 1, 2])
def test_without_a_spread_nothing_is_said_of_what_can_be_found(seeds: int) -> None:
    p = plan()
    assert contrast(p, confirmed(p, one=range(seeds))).detectable is None


def test_the_same_difference_at_every_seed_is_no_spread() -> None:
    p = plan()
    assert contrast(p, confirmed(p, spread=0.0)).detectable is None


# Curves


def test_curves_differ_epoch_by_epoch_where_both_learned() -> None:
    p = plan()
    trials = [
        confirm(p, "two", 0, epochs=tuple(tiny.record(epoch, 80.0 + epoch) for epoch in (1, 2, 3))),
        confirm(p, "one", 0, epochs=tuple(tiny.record(epoch, 70.0 + 4 * epoch) for epoch in (1, 2, 3))),
        confirm(p, "two", 1),
        confirm(p, "one", 1, validation=CHANCE),
        confirm(p, "two", 2),
    ]
    assert contrast(p, trials).curve_differences == {0: (-7.0, -4.0, -1.0)}


# Single images


def test_disagreement_is_counted_image_by_image_and_seed_by_seed() -> None:
    p = plan()
    s = summary(p, confirmed(p))
    # The first images are right, as many as the accuracy says: two networks differ on the images between the two.
    differences = {seed: abs(d) for seed, d in s.contrasts[0].differences.items()}
    assert s.contrasts[0].disagreement_percent == pytest.approx(differences)
    pairs = [0.1 * (second - first) for first in range(SEEDS) for second in range(first + 1, SEEDS)]
    assert s["two"].reseed_disagreement_percent == pytest.approx(np.mean(pairs))


def test_disagreement_is_among_runs_that_learned_and_whose_images_are_known() -> None:
    p = plan()
    trials = [t for t in confirmed(p) if t.variant == "two" or t.seed > 2]
    trials.append(confirm(p, "one", 0, 26.0, validation=26.0))
    trials.append(confirm(p, "one", 1, 70.0, test_correct=None, num_test_images=None))
    s = summary(p, trials)
    assert set(s.contrasts[0].differences) == {1, 3, 4}
    assert set(s.contrasts[0].disagreement_percent) == {3, 4}
    assert s["one"].reseed_disagreement_percent == pytest.approx(abs(69.8 - 70.4))
    assert summary(p, trials[:1])["two"].reseed_disagreement_percent is None


LABELS = (np.arange(1000) * 4 // 1000).astype(np.uint8)
"""Four classes of 250 images, one after the other."""


def test_differences_by_class_are_counted_image_by_image() -> None:
    p = plan()
    trials = [
        replace(t, result=replace(t.result, test_labels=LABELS.tobytes())) for t in confirmed(p, difference=-20.0)
    ]
    classes = contrast(p, trials).class_differences
    assert [each.name for each in classes] == list(DATASETS["synthetic"].classes)
    assert [each.num_images for each in classes] == [250] * 4
    # Of 1,000 images about the first 700 are right, and about the first 900 of the baseline: two classes feel it.
    right = {name: list(summary(p, trials)[name].accuracy_percent.values()) for name in ("one", "two")}
    by_class = [
        np.mean([np.clip(10 * np.array(right[n]) - 250 * k, 0, 250) / 2.5 for n in ("one", "two")], axis=1)
        for k in range(4)
    ]
    assert [each.mean for each in classes] == pytest.approx([one - two for one, two in by_class])
    assert [each.interval is None for each in classes] == [True, True, False, False]
    assert [each.p_adjusted is None for each in classes] == [True, True, False, False]
    assert all(each.interval.lower < each.mean < each.interval.upper for each in classes if each.interval)


def test_differences_by_class_want_labels_of_known_classes_and_three_pairs() -> None:
    p = plan()
    trials = confirmed(p)
    assert contrast(p, trials).class_differences == ()
    labelled = [replace(t, result=replace(t.result, test_labels=LABELS.tobytes())) for t in trials]
    assert contrast(p, [t for t in labelled if t.seed < 2]).class_differences == ()
    strange = [replace(t, result=replace(t.result, test_labels=(LABELS + 7).tobytes())) for t in trials]
    assert contrast(p, strange).class_differences == ()


# Expectations


@pytest.mark.parametrize(
    ("expect", "difference", "outcome"),
    [
        ("worse", -20.0, "as expected"),
        ("better", -20.0, "not as expected"),
        ("better", 9.0, "as expected"),
        ("worse", 9.0, "not as expected"),
        ("equivalent", -20.0, "not as expected"),
        ("equivalent", 0.0, "as expected"),
        ("unsure", -20.0, "none stated"),
        (None, -20.0, "none stated"),
    ],
)
def test_an_expectation_meets_its_outcome(expect: Expectation | None, difference: float, outcome: str) -> None:
    p = plan(variants={"two": {}, "one": {"set": {"model.mixers": 1}, "expect": expect}})
    c = contrast(p, confirmed(p, difference))
    assert (c.expect, c.expectation) == (expect, outcome), c.judgement.verdict


def test_an_expectation_stays_open_without_a_verdict() -> None:
    p = plan(variants={"two": {}, "one": {"set": {"model.mixers": 1}, "expect": "worse"}})
    assert contrast(p, []).expectation == "open"
    assert contrast(p, confirmed(p, one=range(2))).expectation == "open"


# Warnings


@pytest.mark.parametrize(
    ("lr", "warned"),
    [(0.01, True), (0.0115, True), (0.012, False), (0.05, False), (0.17, False), (0.18, True), (0.2, True)],
)
def test_a_tuned_value_at_the_edge_is_told(lr: float, warned: bool) -> None:
    """The outer 5 % of 0.01 to 0.2 in the logarithm begin at 0.0116 and 0.172."""
    p = plan()
    s = summary(p, [confirm(p, "one", 0, hyperparameters={"train.lr": lr})])
    told = f"one: tuning chose train.lr = {lr:.4g}, at the edge of its search space: widen it."
    assert (told in s.warnings, s["one"].at_edge == ("train.lr",)) == (warned, warned)


def test_a_key_that_was_not_searched_is_at_no_edge() -> None:
    p = plan(search_space=tiny.CONDITIONAL)
    at_edge = {"train.momentum": 0.0, "train.optimizer": "sgd", "train.lr": 0.05}
    assert summary(p, [confirm(p, "one", 0, hyperparameters=at_edge)])["one"].at_edge == ("train.momentum",)
    without = {"train.optimizer": "adamw", "train.lr": 0.05}
    s = summary(p, [confirm(p, "one", 0, hyperparameters=without)])
    assert (s["one"].at_edge, s["one"].tuned) == ((), without)


def test_dead_classes_stray_runs_and_lost_tuning_are_told() -> None:
    p = plan()
    trials = confirmed(p)
    dead = tuple(tiny.record(epoch, 90.0, num_dead_classes=1) for epoch in (1, 2, 3))
    trials[5] = confirm(p, "one", 0, 50.0, epochs=dead)
    trials += [tune(p, "one", 0, status="diverged"), tune(p, "one", 1, status="failed")]
    assert summary(p, trials).warnings == (
        "one: in 1 of 5 confirmation trials at least one class is never predicted right.",
        "one: 1 run lies more than 5 points under the variant's median; kept, like every run that learned.",
        "one: of 2 tuning trials 1 diverged and 1 failed.",
        "tuning effort is unequal: two 0 trials in 0 epochs; one 1 trial in 2 epochs.",
        "1 of 12 trials diverged (95 % interval of the rate 0.2 to 38.5 %): an outcome, not tried again.",
        "1 of 12 trials failed (95 % interval of the rate 0.2 to 38.5 %); 1 tried again by the next run: one, tune, trial 1, "
        "seed 0, 1 attempt: no message.",
    )


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


# Order


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_the_order_of_trials_does_not_matter(data: st.DataObject) -> None:
    p = plan()
    trials = confirmed(p) + [tune(p, name, n, lr) for name in ("two", "one") for n, lr in ((0, 0.05), (1, 0.1))]
    # Two configurations are run again on one seed: nothing but their values tells them apart.
    trials += [replace(tune(p, "one", None, lr, seed=1), run_id=str(lr)) for lr in (0.05, 0.1)]
    # And one seed was confirmed twice, at two configurations.
    trials.append(replace(confirm(p, "one", 0, 50.0, hyperparameters={"train.lr": 0.1}), run_id="again"))
    assert summary(p, data.draw(st.permutations(trials))) == summary(p, trials)


# Looks


def looked(plan: Plan, *looks: Look) -> StudySummary:
    return summarize(plan, confirmed(plan), {}, {}, looks)


def simultaneous(contrast: Contrast) -> Interval:
    evidence = contrast.judgement.evidence
    assert evidence is not None
    assert evidence.simultaneous_interval is not None
    return evidence.simultaneous_interval


def test_the_look_itself_and_looks_at_another_experiment_take_nothing() -> None:
    p = plan()
    verdicts = [each.judgement.verdict for each in looked(p).contrasts]
    assert verdicts == [Verdict.WORSE_BY_MORE]
    other = replace(p.this_look, seeds=(0, 1, 2), contrasts=(PlannedContrast("another", "yet another", None),))
    fresh = replace(p.this_look, seeds=(20, 21, 22), margin=0.1)
    assert [each.judgement.verdict for each in looked(p, p.this_look, p.this_look, other, fresh).contrasts] == verdicts


def test_a_look_planned_after_the_fact_is_not_bought_by_looking_once_more() -> None:
    """The same 3 seeds at the whole budget, then at half of it once the file had a second look: the dearer one counts."""
    spent = plan(seeds=3).this_look
    again = replace(spent, alpha=0.025)
    second = make_plan(
        StudySpec.model_validate({**tiny.STUDY, "seeds": 3, "extend_to": SEEDS}), "starter", tiny.CPU, extend=True
    )
    for looks in ((spent, again), (again, spent), (spent, again, second.this_look)):
        assert [each.judgement.verdict for each in looked(second, *looks).contrasts] == [Verdict.EXPLORATORY]
    assert [each.judgement.verdict for each in looked(second, again).contrasts] == [Verdict.WORSE_BY_MORE]


def test_what_was_looked_at_later_takes_nothing_from_the_first_look() -> None:
    p = plan()
    later = replace(p.this_look, seeds=tuple(range(20)))
    assert [each.judgement.verdict for each in looked(p, p.this_look, later).contrasts] == [Verdict.WORSE_BY_MORE]
    assert [each.judgement.verdict for each in looked(p, later, p.this_look).contrasts] == [Verdict.EXPLORATORY]


def test_a_margin_changed_after_a_look_makes_every_contrast_exploratory() -> None:
    p = plan()
    (only,) = looked(p, replace(p.this_look, margin=0.1)).contrasts
    assert only.judgement.verdict is Verdict.EXPLORATORY
    assert "the margin was 0.1 points when the results were first looked at" in only.sentence


def test_a_contrast_dropped_after_a_look_has_had_its_share() -> None:
    p = plan()
    (alone,) = looked(p).contrasts
    others = tuple(PlannedContrast(f"key {n}", p["two"].key, None) for n in range(4))
    (dropped,) = looked(p, replace(p.this_look, contrasts=(*p.this_look.contrasts, *others))).contrasts
    assert "after correcting for 5 comparisons" in dropped.sentence
    assert simultaneous(dropped).lower < simultaneous(alone).lower


def test_a_contrast_added_after_a_look_is_exploratory_and_costs_the_planned_ones_nothing() -> None:
    """Adding one at a time until a word comes out gave a wrong word in one study of ten."""
    p = plan(variants={**tiny.STUDY["variants"], "late": {"set": {"model.dropout": 0.25}}})
    before = replace(p.this_look, contrasts=(p.contrast("one"),))
    one, late = looked(p, before).contrasts
    assert (one.variant, one.judgement.verdict, late.judgement.verdict) == (
        "one",
        Verdict.WORSE_BY_MORE,
        Verdict.EXPLORATORY,
    )
    assert "added after the results were first looked at" in late.sentence
    assert "after correcting for 1 comparison" in one.sentence
    assert [each.judgement.verdict for each in looked(p).contrasts] == [Verdict.WORSE_BY_MORE] * 2


def test_what_is_compared_with_something_else_after_a_look_is_a_new_contrast() -> None:
    p = plan()
    (first,) = p.this_look.contrasts
    turned = replace(
        p.this_look, contrasts=(replace(first, variant_key=first.versus_key, versus_key=first.variant_key),)
    )
    assert [each.judgement.verdict for each in looked(p, turned).contrasts] == [Verdict.EXPLORATORY]


def test_alpha_is_not_raised_after_a_look() -> None:
    p = plan()
    (only,) = looked(p, replace(p.this_look, alpha=0.01)).contrasts
    assert only.judgement.verdict is Verdict.EXPLORATORY
    assert "alpha was 0.01 when the results were first looked at" in only.sentence
    assert (
        looked(p, replace(p.this_look, alpha=0.01)).unplanned == "alpha was 0.01 when the results were first looked at"
    )


def test_an_expectation_is_the_one_that_was_there_before_the_first_look() -> None:
    p = plan(variants={"two": {}, "one": {"set": {"model.mixers": 1}, "expect": "better"}})
    (first,) = p.this_look.contrasts
    s = looked(p, replace(p.this_look, contrasts=(replace(first, expect="worse"),)))
    assert (s.contrasts[0].expect, s.contrasts[0].expectation) == ("worse", "as expected")
    assert s.warnings == (
        "one: expect was worse when the results were first looked at, and is better now; what was first counts.",
    )
    assert looked(p, p.this_look).warnings == ()


def test_a_report_without_a_verdict_spends_nothing() -> None:
    p = plan()
    assert gave_verdicts(looked(p))
    assert not gave_verdicts(summary(p, []))
    assert not gave_verdicts(looked(p, replace(p.this_look, seeds=(0, 1, 2))))


def test_costs_are_those_of_the_tuned_network() -> None:
    p = plan(search_space={"train.batch_size": {"type": "int", "low": 8, "high": 64}})
    trials = [confirm(p, "two", seed, hyperparameters={"train.batch_size": 64}) for seed in range(SEEDS)]
    variant = summary(p, trials)["two"]
    assert (variant.workload.batch_size, p.workload("two").batch_size) == (64, 32)
    assert variant.memory == variant.workload.memory


def test_seeds_added_after_a_look_make_every_contrast_exploratory() -> None:
    p = plan()
    (only,) = looked(p, replace(p.this_look, seeds=(0, 1, 2))).contrasts
    assert only.judgement.verdict is Verdict.EXPLORATORY
    assert "looked at before with 3 seeds, and 5 were not planned then (extend_to plans them)" in only.sentence


def test_a_planned_second_look_is_held_against_its_share() -> None:
    p = plan(seeds=3, extend_to=SEEDS)
    second = make_plan(
        StudySpec.model_validate({**tiny.STUDY, "seeds": 3, "extend_to": SEEDS}), "starter", tiny.CPU, extend=True
    )
    (only,) = looked(second, p.this_look).contrasts
    assert only.judgement.verdict is Verdict.WORSE_BY_MORE
    assert "after correcting for 1 comparison and 2 planned looks at a 5 % risk of any wrong word" in only.sentence
    wide, narrow = simultaneous(only), simultaneous(looked(plan()).contrasts[0])
    assert wide.lower < narrow.lower < narrow.upper < wide.upper


def test_a_look_planned_after_the_whole_budget_was_spent_is_exploratory() -> None:
    spent = replace(plan(seeds=3).this_look, alpha=0.05)
    second = make_plan(
        StudySpec.model_validate({**tiny.STUDY, "seeds": 3, "extend_to": SEEDS}), "starter", tiny.CPU, extend=True
    )
    assert [each.judgement.verdict for each in looked(second, spent).contrasts] == [Verdict.EXPLORATORY]


# What is not seen must be told


def test_a_study_with_trials_missing_has_no_word_however_clear_it_is() -> None:
    p = plan(seeds=8)
    (only,) = summary(p, confirmed(p)).contrasts
    assert (len(only.differences), only.judgement.verdict) == (SEEDS, Verdict.NO_VERDICT)
    assert "3 of 8 planned pairs are missing" in only.sentence


def test_an_interval_that_cannot_reckon_with_images_says_so() -> None:
    p = plan()
    trials = confirmed(p)
    assert summary(p, trials).warnings == ()
    unknown = replace(trials[0], result=replace(trials[0].result, test_correct=None, num_test_images=None))
    (warning,) = summary(p, [unknown, *trials[1:]]).warnings
    assert warning.startswith("one: the interval holds for new seeds only, not for new images")


def test_labels_that_do_not_fit_the_images_give_no_classes() -> None:
    p = plan()
    short = [replace(t, result=replace(t.result, test_labels=LABELS[:-8].tobytes())) for t in confirmed(p)]
    assert contrast(p, short).class_differences == ()


def test_p_values_of_classes_are_adjusted_over_all_of_them() -> None:
    p = plan(variants={**tiny.STUDY["variants"], "three": {"set": {"model.mixers": 3}}})
    trials = [replace(t, result=replace(t.result, test_labels=LABELS.tobytes())) for t in confirmed(p)]
    classes = [each for c in summary(p, trials).contrasts for each in c.class_differences if each.interval]
    assert len(classes) == 4
    raw = []
    for each in classes:
        assert each.interval is not None
        # Widths and p follow from one estimate; the smallest p of four is multiplied by at least one, at most four.
        assert each.p_adjusted is not None
        raw.append(each.p_adjusted)
    bits = {(t.variant, t.seed): np.unpackbits(np.frombuffer(t.result.test_correct or b"", np.uint8)) for t in trials}
    tested = []
    for name in ("one", "three"):
        correct = np.stack([bits[name, s].astype(int) - bits["two", s].astype(int) for s in range(SEEDS)])
        found = class_estimates(correct[:, :1000], LABELS).values()
        tested += [difference_p(estimate) for _, estimate in found if estimate is not None]
    assert raw == pytest.approx(false_discovery(tested), abs=0)
    assert raw != pytest.approx(tested, abs=0)


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


def test_an_accuracy_that_leaves_no_room_for_the_margin_is_warned_of() -> None:
    def warned(accuracy: float) -> tuple[str, ...]:
        p = plan(decision={"margin": 1.0})
        return summary(
            p, [confirm(p, name, seed, accuracy) for name in ("two", "one") for seed in range(SEEDS)]
        ).warnings

    assert warned(99.0) == ()
    assert warned(99.1) == (
        "two: nothing can be better by the margin of 1 point than 99.10 %; a harder data set would tell more.",
    )


# The A/A arm


def aa_trials(p: Plan, accuracies: list[float]) -> list[RecordedTrial]:
    return [confirm(p, "two", seed, accuracy) for seed, accuracy in zip(p.aa_seeds, accuracies, strict=True)]


def test_an_aa_arm_is_held_against_the_baseline_and_nothing_else() -> None:
    p = plan(aa_arm=True)
    trials = confirmed(p)
    s = summary(p, trials + aa_trials(p, [90.3, 89.9, 90.4, 90.1, 90.4]))
    assert s.aa is not None
    differences = [0.3, -0.2, 0.2, -0.2, 0.0]
    assert s.aa.mean == pytest.approx(np.mean(differences))
    assert s.aa.sd == pytest.approx(np.std(differences, ddof=1))
    assert (s.aa.num_pairs, s.aa.num_planned, s.aa.num_failed) == (5, 5, 0)
    assert s.aa.interval.lower < 0 < s.aa.interval.upper
    without = summary(plan(), confirmed(plan()))
    assert s.contrasts == without.contrasts
    assert s["two"].accuracy_percent == without["two"].accuracy_percent
    assert without.aa is None


def test_an_aa_run_that_did_not_learn_is_counted() -> None:
    p = plan(aa_arm=True)
    again = aa_trials(p, [90.3, 89.9, 90.4, 90.1, 90.4])
    again[0] = confirm(p, "two", p.aa_seeds[0], 25.0, validation=25.0)
    s = summary(p, confirmed(p) + again)
    assert s.aa is not None
    assert (s.aa.num_pairs, s.aa.num_failed) == (4, 1)


def test_an_aa_arm_without_two_pairs_says_nothing() -> None:
    p = plan(aa_arm=True)
    assert summary(p, [*confirmed(p), confirm(p, "two", 1000, 90.0)]).aa is None
    assert summary(p, []).aa is None


def test_an_aa_arm_whose_differences_are_equal_but_for_rounding_says_nothing() -> None:
    """On few images that happens: 90.3 - 90.0 and 90.4 - 90.1 are not the same floating-point number."""
    p = plan(seeds=2, aa_arm=True)
    trials = [confirm(p, "two", seed, accuracy) for seed, accuracy in enumerate((90.0, 90.1))]
    again = aa_trials(p, [90.3, 90.4])
    assert 90.3 - 90.0 != 90.4 - 90.1
    assert summary(p, trials + again).aa is None


def test_a_verdict_is_held_against_leaving_each_seed_out() -> None:
    p = plan()
    clear = contrast(p, confirmed(p))
    assert [each.verdict for each in clear.without_seed.values()] == [Verdict.WORSE_BY_MORE] * SEEDS
    assert list(clear.without_seed) == list(range(SEEDS))
    assert contrast(p, confirmed(p)[:-1]).without_seed == {}


def test_uncommitted_changes_are_warned_of() -> None:
    p = plan()
    assert not summarize(p, confirmed(p), {"uncommitted_changes": False}, {}).warnings
    (warning,) = summarize(p, confirmed(p), {"uncommitted_changes": True}, {}).warnings
    assert "uncommitted changes" in warning
