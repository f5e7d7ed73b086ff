"""Intervals: their coverage, the traps of the libraries, and published numbers that can be derived."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from paired import images, judge_one, spread, with_images
from scipy import stats as reference

from ablations.stats.intervals import (
    Estimate,
    WiderEstimate,
    class_estimates,
    clopper_pearson,
    crossed_estimate,
    crossed_interval,
    crossed_variance,
    paired_interval,
    seeds_estimate,
)
from ablations.stats.p_values import difference_p, tost_p

pytestmark = pytest.mark.filterwarnings("error")


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


def test_paired_interval_is_the_textbook_one() -> None:
    values = spread(-0.62, 0.4)
    expected = reference.ttest_1samp(values, 0)
    ci = expected.confidence_interval(0.95)
    got = paired_interval(values)
    assert (got.lower, got.upper) == pytest.approx((ci.low, ci.high))
    assert difference_p(seeds_estimate(values)) == pytest.approx(expected.pvalue)


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


def test_of_two_estimates_the_one_that_claims_less_counts_at_each_level_for_itself() -> None:
    over_seeds, over_images = Estimate(1.0, 0.30, 4), Estimate(1.0, 0.36, 200)
    wider = WiderEstimate(over_seeds, over_images)
    assert [wider.is_over_images(level) for level in (0.5, 0.95, 0.999)] == [True, False, False]
    for level in (0.5, 0.8, 0.95, 0.999):
        both = [each.interval(level) for each in (over_seeds, over_images)]
        assert wider.interval(level) == max(both, key=lambda each: each.upper - each.lower)
    assert difference_p(wider) == max(difference_p(over_seeds), difference_p(over_images))
    assert tost_p(wider, margin=1.5) == max(tost_p(each, margin=1.5) for each in (over_seeds, over_images))


@given(
    st.floats(-2, 2),
    st.floats(0.05, 1),
    st.floats(0.05, 1),
    st.integers(2, 50),
    st.floats(2, 500),
    st.floats(0.001, 0.2),
)
def test_interval_and_p_values_of_two_estimates_agree(
    mean: float, seeds_error: float, images_error: float, df: int, images_df: float, alpha: float
) -> None:
    wider = WiderEstimate(Estimate(mean, seeds_error, df), Estimate(mean, images_error, images_df))
    interval = wider.interval(1 - alpha)
    assume(min(abs(interval.lower), abs(interval.upper)) > 1e-9)
    assert (difference_p(wider) <= alpha) == (not interval.lower <= 0 <= interval.upper)


def test_crossed_interval_refuses_what_has_no_spread() -> None:
    for bad in (np.zeros((5, 10)), np.ones((1, 10)), np.ones((5, 1)), np.zeros(5), np.array([[1, 0], [0, 1]])):
        with pytest.raises(ValueError, match="correct"):
            crossed_interval(bad)


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
