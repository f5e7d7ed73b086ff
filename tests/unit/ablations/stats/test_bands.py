"""Bands of learning curves and of the best of n trials."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paired import spread

from ablations.stats.bands import expected_best_of_n, t_band
from ablations.stats.intervals import paired_interval

pytestmark = pytest.mark.filterwarnings("error")


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
