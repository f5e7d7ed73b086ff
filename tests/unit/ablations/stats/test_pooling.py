"""One mean square for all variants."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ablations.stats.judgement import PairedSample
from ablations.stats.pooling import pooled_estimates


def paired(values: np.ndarray, reference: np.ndarray) -> PairedSample:
    """Two variants; accuracies of shape (searches, seeds)."""
    differences = dict(enumerate((values - reference).ravel()))
    searches = {seed: seed // values.shape[1] for seed in differences}
    count = len(differences)
    return PairedSample(differences, count, 0, 0, 0, count, count, searches=searches)


def test_two_variants_pooled_are_a_paired_t_test_by_search() -> None:
    accuracies = np.random.default_rng(0).normal(90, 1, (2, 4, 3))
    (estimate,) = pooled_estimates({"one": paired(accuracies[1], accuracies[0])}, {"one": "two"}).values()
    found = stats.ttest_rel(*accuracies[::-1].mean(axis=2))
    assert estimate.df == 3
    assert estimate.mean / estimate.standard_error == pytest.approx(found.statistic)


@pytest.mark.parametrize("chained", [False, True])
def test_the_mean_square_is_that_of_the_interaction_however_variants_are_compared(chained: bool) -> None:
    accuracies = np.random.default_rng(1).normal(90, 1, (3, 5, 2))
    references = {"one": "two", "none": "one" if chained else "two"}
    sides = {"two": accuracies[0], "one": accuracies[1], "none": accuracies[2]}
    samples = {name: paired(sides[name], sides[versus]) for name, versus in references.items()}
    means = accuracies.mean(axis=2)
    left = means - means.mean(axis=0) - means.mean(axis=1, keepdims=True) + means.mean()
    for name, estimate in pooled_estimates(samples, references).items():
        assert estimate.df == 2 * 4
        assert estimate.standard_error == pytest.approx(np.sqrt(2 * np.sum(left**2) / 8 / 5))
        assert estimate.mean == pytest.approx((sides[name] - sides[references[name]]).mean())


def test_without_two_common_searches_or_any_spread_nothing_is_pooled() -> None:
    flat = np.full((3, 2), 90.0)
    assert pooled_estimates({}, {}) == {}
    assert pooled_estimates({"one": paired(flat + 1, flat)}, {"one": "two"}) == {}
    first, second = paired(flat + 1, flat), paired(flat, flat)
    lacking = [first.without(0), second.without(1).without(2)]
    assert pooled_estimates(dict(zip(("one", "none"), lacking, strict=True)), {"one": "two", "none": "two"}) == {}
