"""What a paired sample accepts, and what a judgement always has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from paired import CARRIES_A_WORD, evidence_of, images, judge_one, sample, spread

from ablations.stats.judgement import PairedSample, Verdict

pytestmark = pytest.mark.filterwarnings("error")


def test_a_sample_refuses_images_that_do_not_belong_to_its_differences() -> None:
    correct = images(6, 200, fixed=0.1, flips=0.2)
    values = 100 * correct.mean(axis=1)
    sample(np.round(values, 2), correct=correct)
    with pytest.raises(ValueError, match="order of the sorted seeds"):
        sample(values, correct=correct[::-1])
    with pytest.raises(ValueError, match="shape"):
        sample(values, correct=correct[:5])
    with pytest.raises(ValueError, match="-1, 0 or 1"):
        sample(values, correct=2 * correct)
    with pytest.raises(ValueError, match="counts"):
        PairedSample({}, 10, 0, 3, 0, 2, 10)


def test_images_are_read_in_the_order_of_sorted_seeds() -> None:
    correct = images(6, 200, fixed=0.1, flips=0.2)
    values = 100 * correct.mean(axis=1)
    shuffled = {seed: values[seed] for seed in (3, 0, 5, 1, 4, 2)}
    assert PairedSample(shuffled, 6, 0, 0, 0, 6, 6, correct).values == pytest.approx(values)


def test_a_sample_without_a_seed_counts_one_of_each_fewer() -> None:
    each = PairedSample({0: 0.1, 1: 0.2, 3: 0.4}, 5, 1, 1, 0, 4, 5)
    assert each.without(1) == PairedSample({0: 0.1, 3: 0.4}, 4, 1, 1, 0, 3, 4)
    assert each.without(2) is each


def test_every_verdict_has_words() -> None:
    assert all(verdict.words for verdict in Verdict)
    assert Verdict.UNDECIDED_MORE_SEEDS.word == Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP.word == "undecided"
    assert {verdict for verdict in Verdict if not verdict.is_withheld} == CARRIES_A_WORD
    assert Verdict.BETTER_BY_LESS.words == "better, but by less than the margin"
    assert Verdict("undecided_more_seeds_will_not_help").words == "undecided: more seeds will not help"


def test_a_judgement_has_an_interval_with_its_evidence_and_none_without() -> None:
    judgement = judge_one(sample(spread(0.3, 0.4)))
    assert judgement.interval == evidence_of(judgement).interval
    assert replace(judgement, evidence=None).interval is None
