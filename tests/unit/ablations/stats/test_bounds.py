"""Bounds of a look: just within them there is a word, just beyond there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from paired import budget, evidence_of, images, judge_one, sample, spread, with_images

from ablations.stats.bounds import largest_equivalent, smallest_difference
from ablations.stats.intervals import Estimate
from ablations.stats.judgement import Verdict
from ablations.stats.p_values import images_p, tost_p


@pytest.mark.parametrize("shift", [-1e-6, 1e-6])
def test_a_mean_beyond_the_bound_has_a_word(shift: float) -> None:
    values = np.array(spread(0.0, 0.3))
    bound = smallest_difference(evidence_of(judge_one(sample(list(values)))), budget())
    moved = judge_one(sample(list(values - values.mean() + bound + shift)))
    assert (moved.verdict in {Verdict.BETTER, Verdict.BETTER_BY_LESS}) == (shift > 0)


def test_without_images_the_t_test_decides() -> None:
    values = np.array(spread(0.0, 0.1))
    evidence = evidence_of(judge_one(sample(list(values))))
    bound = largest_equivalent(evidence, None, budget())
    assert bound is not None
    for shift, word in ((-1e-6, True), (1e-6, False)):
        assert (tost_p(replace_mean(evidence.estimate, bound + shift), margin=0.5) <= 0.05) == word
    assert largest_equivalent(evidence_of(judge_one(sample(spread(0.0, 5.0)))), None, budget()) is None


def test_few_images_narrow_the_bound_or_leave_none() -> None:
    evidence = replace(evidence_of(judge_one(with_images(images(10, 1000, fixed=0.0, flips=0.01)))), image_floor=0.0)
    by_t = largest_equivalent(evidence, None, budget())
    bound = largest_equivalent(evidence, 1000, budget())
    assert by_t is not None
    assert bound is not None
    assert 0 < bound < by_t
    assert images_p(bound, 0.0, 1000, margin=0.5) == pytest.approx(0.05)
    assert largest_equivalent(evidence, 360, budget()) is None
    assert largest_equivalent(evidence, 100_000, budget()) == by_t


def replace_mean(estimate: object, mean: float) -> Estimate:
    assert isinstance(estimate, Estimate)
    return replace(estimate, mean=mean)
