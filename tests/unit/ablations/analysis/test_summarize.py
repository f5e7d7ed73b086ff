"""Plan + recorded trials -> StudySummary; nothing is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import CHANCE, SEEDS, confirm, confirmed, plan, summary, tune

from ablations.planning.plan import Plan
from ablations.stats.judgement import Verdict
from ablations.trial import RecordedTrial


def test_with_no_trials_everything_is_missing() -> None:
    p = plan()
    s = summary(p, [])
    assert [v.missing_seeds for v in s.variants] == [p.seeds, p.seeds]
    assert [v.mean_accuracy_percent for v in s.variants] == [None, None]
    assert s.contrasts[0].judgement.verdict is Verdict.NO_VERDICT
    assert s.contrasts[0].expectation == "none stated"
    assert s.warnings == tuple(f"`{name}`: 5 of 5 confirmation trials have no outcome yet." for name in ("two", "one"))


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
    assert (s.guess_percent, len(s.seeds), s.dataset) == (CHANCE, SEEDS, "synthetic bars")
    with pytest.raises(KeyError, match="three"):
        s["three"]


def test_one_variant_alone_has_no_contrast() -> None:
    assert summary(plan(variants={"two": {}}), []).contrasts == ()


def test_what_is_conditional_is_said() -> None:
    assert summary(plan(), []).scope == "for these tuned values, on synthetic bars"
    assert summary(plan(search_space={}), []).scope == "for these fixed configurations, on synthetic bars"
    assert summary(plan(), []).independent_draws
    assert not summary(plan(tuning={"sampler": "tpe"}), []).independent_draws


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
