"""Intervals and tests: their coverage, the traps of the libraries, and published numbers that can be derived."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paired import images, judge_one, spread, with_images
from scipy import stats as reference

from ablations.stats.bands import expected_best_of_n, t_band
from ablations.stats.disagreement import disagreement, disagreement_between_reseeds
from ablations.stats.intervals import (
    Estimate,
    class_estimates,
    clopper_pearson,
    crossed_estimate,
    crossed_interval,
    crossed_variance,
    paired_interval,
    seeds_estimate,
)
from ablations.stats.p_values import (
    difference_p,
    false_discovery,
    mcnemar_exact,
    sign_flip_p,
    smallest_sign_flip_p,
    step_down,
    tost_p,
)

pytestmark = pytest.mark.filterwarnings("error")


# Acceptance check 3: coverage


@pytest.mark.parametrize("num_pairs", [3, 5, 10, 20])
def test_t_interval_covers(num_pairs: int) -> None:
    rng = np.random.default_rng(num_pairs)
    intervals = [paired_interval(row) for row in rng.normal(0.3, 0.5, (4000, num_pairs))]
    covered = np.mean([each.lower < 0.3 < each.upper for each in intervals])
    assert 0.93 <= covered <= 0.97


def test_the_coverage_check_would_catch_a_bootstrap() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(0.3, 0.5, (2000, 5))
    means = draws[:, rng.integers(0, 5, (300, 5))].mean(axis=2)
    lower, upper = np.quantile(means, (0.025, 0.975), axis=1)
    assert np.mean((lower < 0.3) & (upper > 0.3)) < 0.93


# Intervals against the libraries where those are right


def test_paired_interval_is_the_textbook_one() -> None:
    values = spread(-0.62, 0.4)
    expected = reference.ttest_1samp(values, 0)
    ci = expected.confidence_interval(0.95)
    got = paired_interval(values)
    assert (got.lower, got.upper) == pytest.approx((ci.low, ci.high))
    assert difference_p(seeds_estimate(values)) == pytest.approx(expected.pvalue)


def test_tost_is_the_larger_of_two_one_sided_tests() -> None:
    for mean in (-0.7, -0.3, 0.0, 0.2, 0.5):
        values = spread(mean, 0.4)
        above = reference.ttest_1samp(values, -0.5, alternative="greater").pvalue
        below = reference.ttest_1samp(values, 0.5, alternative="less").pvalue
        assert tost_p(seeds_estimate(values), margin=0.5) == pytest.approx(max(above, below))
    assert tost_p(Estimate(0.5, 0.1, 9), margin=0.5) == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [[], [0.3], [[0.1, 0.2]], [0.1, math.nan], [0.1, math.inf], [0.3, 0.3, 0.3]])
def test_paired_interval_refuses_what_has_no_spread(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="differences"):
        paired_interval(np.array(bad))


def test_crossed_variance_finds_its_parts() -> None:
    rng = np.random.default_rng(0)
    num_seeds, num_images = 40, 4000
    # Right or wrong by a logistic-free sum is not -1, 0, 1, so the parts are checked on the mean squares themselves.
    effects = (
        rng.normal(0, 0.02, (num_seeds, 1)),
        rng.normal(0, 0.3, num_images),
        rng.normal(0, 0.4, (num_seeds, num_images)),
    )
    variance = crossed_variance(sum(effects, np.zeros((num_seeds, num_images))))
    assert variance.image_floor == pytest.approx(100 * 0.3 / math.sqrt(num_images), rel=0.1)
    expected = 100 * math.sqrt(0.02**2 / num_seeds + 0.3**2 / num_images + 0.4**2 / (num_seeds * num_images))
    assert variance.standard_error == pytest.approx(expected, rel=0.15)


def test_crossed_equals_seeds_where_images_have_no_part() -> None:
    # Independent flips only: the two standard errors estimate the same thing, and df is that of the seeds.
    ratios = []
    for seed in range(40):
        correct = images(10, 2000, fixed=0.0, flips=0.1, seed=seed)
        ratios.append(
            crossed_estimate(correct).standard_error / seeds_estimate(100 * correct.mean(axis=1)).standard_error
        )
    assert np.median(ratios) == pytest.approx(1, abs=0.15)


def test_seeds_that_agree_by_luck_are_not_taken_for_a_small_spread() -> None:
    true = 100 * math.sqrt(0.1 / 2000)
    drawn = [images(5, 2000, fixed=0.0, flips=0.1, seed=seed) for seed in range(40)]
    sds = np.array([(100 * each.mean(axis=1)).std(ddof=1) for each in drawn])
    spreads = np.array([crossed_variance(each).spread for each in drawn])
    assert sds.min() < 0.6 * true
    assert spreads.min() > 0.9 * true
    assert spreads[sds > 1.1 * true] == pytest.approx(sds[sds > 1.1 * true])


def test_the_wider_interval_is_chosen_by_width_not_by_standard_error() -> None:
    # Images raise the standard error a little and the degrees of freedom a lot, so that t over seeds stays wider.
    for seed in range(200):
        correct = images(5, 300, fixed=0.03, flips=0.1, seed=seed)
        values = 100 * correct.mean(axis=1)
        over_seeds, crossed = seeds_estimate(values), crossed_estimate(correct)
        widths = [each.interval(0.95).upper - each.interval(0.95).lower for each in (over_seeds, crossed)]
        judgement = judge_one(with_images(correct))
        assert judgement.interval is not None
        assert judgement.interval.upper - judgement.interval.lower == pytest.approx(max(widths))
        if over_seeds.standard_error < crossed.standard_error and widths[0] > widths[1]:
            assert judgement.evidence is not None
            assert judgement.evidence.basis == "seeds"
            return
    pytest.fail("no sample told the two rules apart")


def test_crossed_interval_refuses_what_has_no_spread() -> None:
    for bad in (np.zeros((5, 10)), np.ones((1, 10)), np.ones((5, 1)), np.zeros(5), np.array([[1, 0], [0, 1]])):
        with pytest.raises(ValueError, match="correct"):
            crossed_interval(bad)


# Clopper-Pearson, sign flips, McNemar


@pytest.mark.parametrize(("num_trials", "upper"), [(5, 0.52), (10, 0.31), (20, 0.17)])
def test_a_rate_never_seen_may_still_be_large(num_trials: int, upper: float) -> None:
    got = clopper_pearson(0, num_trials)
    assert got.lower == 0
    assert got.upper == pytest.approx(upper, abs=0.005)


@pytest.mark.parametrize(("wins", "num_pairs"), [(6, 6), (8, 8), (9, 10), (15, 20), (21, 29)])
def test_wins_needed_to_prove_improvement(wins: int, num_pairs: int) -> None:
    assert clopper_pearson(wins, num_pairs).lower > 0.5
    assert clopper_pearson(wins - 1, num_pairs).lower < 0.5


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_clopper_pearson_is_scipys(counts: tuple[int, int]) -> None:
    successes, trials = counts
    expected = reference.binomtest(successes, trials).proportion_ci(0.95, method="exact")
    got = clopper_pearson(successes, trials)
    assert (got.lower, got.upper) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert got.lower < got.upper


def test_clopper_pearson_refuses_impossible_counts() -> None:
    for successes, trials in ((0, 0), (-1, 5), (6, 5)):
        with pytest.raises(ValueError, match="trials"):
            clopper_pearson(successes, trials)


@pytest.mark.parametrize(
    ("num_pairs", "floor"),
    [(1, 1.0), (3, 0.25), (5, 0.0625), (6, 0.03125), (8, 0.0078125), (10, 0.001953125), (20, 0.0002)],
)
def test_sign_flip_floor(num_pairs: int, floor: float) -> None:
    assert smallest_sign_flip_p(num_pairs) == pytest.approx(floor)
    assert sign_flip_p(1 + np.arange(num_pairs)) == pytest.approx(floor)
    with pytest.raises(ValueError, match="at least 1"):
        smallest_sign_flip_p(0)


@pytest.mark.parametrize(
    "values", [spread(0.3, 0.4, 8), np.array([0.1, 0.1, -0.1, 0.2, 0.0, 0.1]), np.array([0.2, -0.1])]
)
def test_sign_flip_is_scipys_exact_permutation(values: np.ndarray) -> None:
    expected = reference.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True, axis=-1
    )
    assert sign_flip_p(values) == pytest.approx(expected.pvalue)


def test_sign_flip_of_many_pairs_is_near_t_and_the_same_every_time() -> None:
    values = spread(0.2, 0.4, 20)
    p = sign_flip_p(values)
    assert p == sign_flip_p(values[::-1]) == sign_flip_p(-values)
    assert p == pytest.approx(difference_p(seeds_estimate(values)), abs=0.02)


def test_sign_flip_of_nothing_but_zeros_is_one_and_infinity_is_refused() -> None:
    assert sign_flip_p(np.zeros(6)) == 1
    for bad in ([], [0.1, math.inf], [0.1, math.nan]):
        with pytest.raises(ValueError, match="differences"):
            sign_flip_p(np.array(bad))


def test_mcnemar_of_no_discordant_pairs_is_one() -> None:
    assert mcnemar_exact(0, 0) == 1
    for only_first, only_second in ((0, 3), (5, 5), (1, 9), (400, 700)):
        expected = reference.binomtest(only_first, only_first + only_second).pvalue
        assert mcnemar_exact(only_first, only_second) == pytest.approx(expected)
    assert mcnemar_exact(0, 5000) > 0
    with pytest.raises(ValueError, match="counts"):
        mcnemar_exact(-1, 2)


# Step-down


@given(st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=40))
def test_false_discovery_is_scipys(p_values: list[float]) -> None:
    assert false_discovery(p_values) == pytest.approx(reference.false_discovery_control(p_values))


def test_false_discovery_of_nothing_is_nothing_and_refuses_what_is_no_p() -> None:
    assert false_discovery([]) == []
    for bad in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="must lie in"):
            false_discovery([0.5, bad])


def test_class_estimates_are_those_of_each_class_alone() -> None:
    rng = np.random.default_rng(0)
    correct = rng.integers(-1, 2, (6, 300))
    labels = rng.permutation(np.repeat([0, 1, 2], 100))
    correct[:, labels == 2] = 1
    found = class_estimates(correct, labels)
    for label in (0, 1):
        among = correct[:, labels == label]
        mean, estimate = found[label]
        assert mean == pytest.approx(100 * among.mean())
        assert estimate is not None
        widths = [np.ptp([i.lower, i.upper]) for i in (crossed_interval(among), estimate.interval(0.95))]
        assert widths[1] >= widths[0]
    assert found[2] == (100.0, None), "no spread"
    with pytest.raises(ValueError, match="one per image"):
        class_estimates(correct, labels[:-1])


def test_step_down_multiplies_by_how_many_nulls_can_still_be_true() -> None:
    p = np.array([0.03, 0.001, 0.002, 0.04, 0.02, 0.009])  # K = 3: times 3, 3, 3, 3, 2, 1 from the smallest up
    expected = [0.06, 0.003, 0.006, 0.06, 0.06, 0.027]
    assert step_down(p, num_comparisons=3) == pytest.approx(expected)


def test_step_down_counts_comparisons_that_were_not_tested() -> None:
    assert step_down(np.array([0.01, 0.02]), num_comparisons=5) == pytest.approx([0.05, 0.1])
    assert step_down(np.array([]), num_comparisons=5).size == 0


def test_step_down_refuses_nan_zero_and_too_many() -> None:
    for bad in ([0.1, math.nan], [0.0, 0.5], [0.1, 1.5], [0.1, 0.2, 0.3]):
        with pytest.raises(ValueError, match="p-values"):
            step_down(np.array(bad), num_comparisons=1)


@given(st.lists(st.floats(1e-12, 1), min_size=1, max_size=12), st.floats(0.001, 0.2))
def test_step_down_rejects_while_p_is_small_enough(p: list[float], alpha: float) -> None:
    num = math.ceil(len(p) / 2)
    adjusted = step_down(np.array(p), num_comparisons=num)
    rejected = 0
    for j, each in enumerate(sorted(p), start=1):
        if each * min(num, 2 * num - j + 1) > alpha:
            break
        rejected = j
    assert (adjusted <= alpha).sum() == rejected
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= 1).all()


# Curves, best of n, churn


def test_t_band_is_the_interval_at_each_epoch() -> None:
    values = np.stack([spread(mean, 0.3, 6) for mean in (10.0, 50.0, 90.0)], axis=1)
    band = t_band(values)
    for epoch in range(3):
        expected = paired_interval(values[:, epoch])
        assert (band.lower[epoch], band.upper[epoch]) == pytest.approx((expected.lower, expected.upper))
    assert band.mean == pytest.approx([10, 50, 90])


def test_t_band_has_a_gap_where_there_is_no_spread() -> None:
    band = t_band(np.array([[10.1, 40.0], [10.1, 41.0], [10.1, 45.0]]))
    assert np.isnan(band.lower).tolist() == np.isnan(band.upper).tolist() == [True, False]
    assert np.isnan(t_band(np.array([[10.0, 40.0]])).lower).all()
    for bad in (np.zeros(3), np.zeros((0, 3)), np.array([[1.0, math.nan], [1.0, 2.0]])):
        with pytest.raises(ValueError, match="values"):
            t_band(bad)


def test_the_band_of_one_trial_is_the_interval_of_the_mean() -> None:
    scores = spread(90.0, 0.4, 12)
    band, expected = expected_best_of_n(scores), paired_interval(scores)
    assert (band.lower[0], band.upper[0]) == pytest.approx((expected.lower, expected.upper))


@given(st.lists(st.floats(0, 100), min_size=2, max_size=9))
def test_expected_best_of_n_is_the_mean_over_all_subsets(scores: list[float]) -> None:
    band = expected_best_of_n(scores)
    assert band.mean.shape == (len(scores) // 2,)
    for n, got in enumerate(band.mean, start=1):
        assert got == pytest.approx(np.mean([max(c) for c in combinations(scores, n)]), rel=1e-9, abs=1e-9)
    assert (np.diff(band.mean) >= -1e-9).all()
    assert not (band.lower >= band.upper).any()


def test_expected_best_of_n_is_unbiased() -> None:
    rows = np.random.default_rng(0).normal(size=(1500, 20))
    means = np.mean([expected_best_of_n(row).mean for row in rows], axis=0)
    assert means[[2, 4, 9]] == pytest.approx([0.846, 1.163, 1.539], abs=0.04)


def test_expected_best_of_n_stays_finite_for_many_trials_and_refuses_nan() -> None:
    band = expected_best_of_n(np.random.default_rng(0).normal(size=1000))
    assert np.isfinite(band.mean).all()
    assert np.isfinite(band.lower).all()
    assert np.isnan(expected_best_of_n([90.0] * 5).lower).all()
    for bad in ([], [1.0], [1.0, math.nan], [1.0, math.inf]):
        with pytest.raises(ValueError, match="scores"):
            expected_best_of_n(bad)


def test_disagreement_between_variants_and_between_reseeds() -> None:
    correct = np.random.default_rng(0).random((5, 400)) < 0.9
    pairs = [disagreement(correct[i], correct[j]) for i, j in combinations(range(5), 2)]
    assert disagreement_between_reseeds(correct) == pytest.approx(np.mean(pairs))
    assert disagreement(correct, correct) == 0
    assert disagreement(correct, ~correct) == 100
    with pytest.raises(ValueError, match="shapes"):
        disagreement(correct, correct[:2])
    with pytest.raises(ValueError, match="2 seeds"):
        disagreement_between_reseeds(correct[:1])


def test_import_loads_nothing_heavy() -> None:
    heavy = "{'pandas', 'statsmodels', 'torch', 'scipy.stats', 'matplotlib'}"
    code = f"import ablations.stats.verdicts, sys; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    subprocess.run([sys.executable, "-c", code], check=True)
