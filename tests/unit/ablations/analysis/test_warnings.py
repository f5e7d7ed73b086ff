"""What a reader is warned of."""

from __future__ import annotations

from dataclasses import replace

import tiny
from trials import SEEDS, confirm, confirmed, failed, plan, summary, tune

from ablations.analysis.summarize import summarize
from ablations.stats.intervals import clopper_pearson


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
        "1 of 10 trials diverged (95 % CI of the rate 0.3 to 44.5 %). This is an outcome: they are not tried again.",
        "2 of 10 trials crashed their process (95 % CI of the rate 2.5 to 55.6 %). Tried again by the next run: 1. Given up, and tried "
        "again by `run --retry`: 1. Messages: one, confirm, seed 0, 3 attempts: out of luck; one, confirm, seed 1, 2 attempts: out of luck.",
        "1 of 10 trials hung (95 % CI of the rate 0.3 to 44.5 %). Given up, and tried again by `run --retry`: 1. Messages: one, "
        "confirm, seed 2, 3 attempts: out of luck.",
        "1 of 10 trials ran out of memory (95 % CI of the rate 0.3 to 44.5 %). Tried again by the next run: 1. Messages: one, "
        "confirm, seed 3, 1 attempt: out of luck.",
        "1 of 10 trials ended in an error (95 % CI of the rate 0.3 to 44.5 %). Tried again by the next run: 1. Messages: one, "
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
        "1 trial accumulated gradients over parts of each batch, for lack of memory. Steps are equal up to rounding, and dropout draws "
        "other numbers. Trials: one, confirm, seed 4: 4 parts."
    )


def test_dead_classes_stray_runs_and_lost_tuning_are_told() -> None:
    p = plan()
    trials = confirmed(p)
    dead = tuple(tiny.record(epoch, 90.0, num_dead_classes=1) for epoch in (1, 2, 3))
    trials[5] = confirm(p, "one", 0, 50.0, epochs=dead)
    trials += [tune(p, "one", 0, status="diverged"), tune(p, "one", 1, status="failed")]
    assert summary(p, trials).warnings == (
        "`one`: 1 of 5 runs that learned is bad (seed 0). A class is never predicted right, or accuracy is more than 5 points under the "
        "variant's median. Bad runs are kept. 95 % CI of their rate: 1 to 72 %.",
        "`one`: of 2 tuning trials, 1 diverged and 1 failed.",
        "Tuning effort is unequal. `two`: 0 trials in 0 epochs; `one`: 1 trial in 2 epochs.",
        "1 of 12 trials diverged (95 % CI of the rate 0.2 to 38.5 %). This is an outcome: they are not tried again.",
        "1 of 12 trials failed (95 % CI of the rate 0.2 to 38.5 %). Tried again by the next run: 1. Messages: one, tune, trial 1, "
        "seed 0, 1 attempt: no message.",
    )


def test_an_interval_that_cannot_reckon_with_images_says_so() -> None:
    p = plan()
    trials = confirmed(p)
    assert summary(p, trials).warnings == ()
    unknown = replace(trials[0], result=replace(trials[0].result, test_correct=None, num_test_images=None))
    (warning,) = summary(p, [unknown, *trials[1:]]).warnings
    assert warning.startswith("`one`: the interval holds for new seeds only, not for new images")


def test_an_accuracy_that_leaves_no_room_for_the_margin_is_warned_of() -> None:
    def warned(accuracy: float) -> tuple[str, ...]:
        p = plan(decision={"margin": 1.0})
        return summary(
            p, [confirm(p, name, seed, accuracy) for name in ("two", "one") for seed in range(SEEDS)]
        ).warnings

    assert warned(99.0) == ()
    assert warned(99.1) == (
        "`two` reaches 99.10 %, so nothing can be better by the margin of 1 point. Take a harder data set.",
    )


def test_uncommitted_changes_are_warned_of() -> None:
    p = plan()
    assert not summarize(p, confirmed(p), {"uncommitted_changes": False}, {}).warnings
    (warning,) = summarize(p, confirmed(p), {"uncommitted_changes": True}, {}).warnings
    assert "uncommitted changes" in warning


def test_missing_trials_of_a_cross_examination_are_counted() -> None:
    p = plan(cross_examine=True)
    two = [confirm(p, "two", seed, hyperparameters={"train.lr": 0.05}) for seed in p.seeds]
    one = [confirm(p, "one", seed, hyperparameters={"train.lr": 0.1}) for seed in p.seeds]
    told = [each for each in summary(p, [*two, *one]).warnings if "Cross-examination" in each]
    number = 2 * len(p.examined_seeds)
    assert told == [f"Cross-examination: {number} of {number} trials have no outcome yet."]
    alike = [confirm(p, "one", seed, hyperparameters={"train.lr": 0.05}) for seed in p.seeds]
    assert not any("Cross" in each for each in summary(p, [*two, *alike]).warnings)
    assert not any("Cross" in each for each in summary(plan(), [*two, *one]).warnings)
