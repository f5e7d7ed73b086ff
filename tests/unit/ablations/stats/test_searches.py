"""Verdicts by searches: the unit of every test is a search with its seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ablations.stats.budget import Budget
from ablations.stats.judgement import PairedSample, Verdict
from ablations.stats.sentences import paragraph
from ablations.stats.verdicts import judge, judge_without_each_unit

BUDGET = Budget(alpha=0.05, margin=0.5, num_comparisons=1)
DIFFERENT = {
    *(Verdict.BETTER, Verdict.BETTER_BY_LESS, Verdict.BETTER_BY_MORE),
    *(Verdict.WORSE, Verdict.WORSE_BY_LESS, Verdict.WORSE_BY_MORE),
}


def searched(differences: np.ndarray, *, by_search: bool = True) -> PairedSample:
    """Differences of shape (searches, seeds)."""
    values = dict(enumerate(differences.ravel().tolist()))
    searches = {seed: seed // differences.shape[1] for seed in values} if by_search else {}
    return PairedSample(values, len(values), 0, 0, 0, len(values), len(values), searches=searches)


def test_a_search_counts_once_however_many_seeds_it_has() -> None:
    differences = np.random.default_rng(0).normal(0.6, 0.4, (5, 3))
    judgement = judge({"one": searched(differences)}, BUDGET)["one"]
    found = stats.ttest_1samp(differences.mean(axis=1), 0.0)
    assert (judgement.unit, judgement.num_pairs) == ("search", 5)
    assert judgement.evidence is not None
    assert judgement.evidence.basis == "searches"
    assert judgement.evidence.p_difference == pytest.approx(found.pvalue)
    low, high = found.confidence_interval(0.95)
    assert (judgement.evidence.interval.lower, judgement.evidence.interval.upper) == pytest.approx((low, high))
    told = paragraph(judgement, BUDGET, variant="one", reference="two")
    assert " of 5 searches)" in told


def test_images_are_averaged_over_the_seeds_of_a_search() -> None:
    generator = np.random.default_rng(2)
    correct = generator.choice([-1, 0, 1], (6, 400), p=(0.1, 0.7, 0.2))
    differences = dict(enumerate((100 * correct.mean(axis=1)).tolist()))
    sample = PairedSample(differences, 6, 0, 0, 0, 6, 6, correct=correct, searches={s: s // 2 for s in range(6)})
    assert sample.unit_correct is not None
    assert sample.unit_correct == pytest.approx(correct.reshape(3, 2, 400).mean(axis=1))
    assert list(sample.unit_differences.values()) == pytest.approx((100 * sample.unit_correct.mean(axis=1)).tolist())
    without = sample.without(1)
    assert (without.num_planned, sorted(without.differences)) == (4, [0, 1, 4, 5])
    assert without.correct is not None
    assert (without.correct == correct[[0, 1, 4, 5]]).all()


def test_a_pair_that_failed_leaves_its_search_with_the_others() -> None:
    differences = {0: 1.0, 1: 3.0, 2: 2.0, 4: 4.0, 5: 6.0}
    sample = PairedSample(differences, 6, 0, 1, 0, 6, 6, searches={s: s // 2 for s in range(6)})
    assert sample.unit_differences == {0: 2.0, 1: 2.0, 2: 5.0}


@pytest.mark.parametrize(("searches", "verdict"), [(2, Verdict.NO_VERDICT), (3, Verdict.BETTER_BY_MORE)])
def test_three_searches_may_carry_a_verdict_and_two_may_not(searches: int, verdict: Verdict) -> None:
    differences = np.array([[2.0, 2.1], [2.2, 1.9], [2.1, 2.1]])[:searches]
    judgements = judge({"one": searched(differences)}, BUDGET)
    assert judgements["one"].verdict is verdict
    assert judge_without_each_unit({"one": searched(differences)}, judgements, BUDGET).get("one", {}) == {}


def test_a_verdict_is_checked_without_each_search() -> None:
    differences = np.array([[2.0, 2.1], [2.2, 1.9], [2.1, 2.1], [0.1, 0.2]])
    samples = {"one": searched(differences)}
    left = judge_without_each_unit(samples, judge(samples, BUDGET), BUDGET)["one"]
    assert list(left) == [0, 1, 2, 3]
    assert left[3].verdict is Verdict.BETTER_BY_MORE
    assert left[3].mean == pytest.approx(differences[:3].mean())


@pytest.mark.parametrize("seeds", [1, 2, 4])
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("searches", [3, 5])
def test_the_luck_of_tuning_makes_no_wrong_words(searches: int, seeds: int, *, pooled: bool) -> None:
    """Four variants are the same as the reference, each tuned by itself: .2 points from search to search, .3 from seed to seed."""
    generator, budget = np.random.default_rng(3), Budget(alpha=0.05, margin=0.5, num_comparisons=4)
    wrong, by_seed = 0, 0
    for _ in range(400):
        accuracies = generator.normal(90, 0.2, (5, searches, 1)) + generator.normal(0, 0.3, (5, searches, seeds))
        for by_search in (True, False):
            samples = {
                str(place): searched(each - accuracies[0], by_search=by_search)
                for place, each in enumerate(accuracies[1:])
            }
            pooling = dict.fromkeys(samples, "two") if pooled and by_search else {}
            words = judge(samples, budget, pooling=pooling)
            told = any(each.verdict in DIFFERENT for each in words.values())
            wrong, by_seed = wrong + (told and by_search), by_seed + (told and not by_search)
    assert wrong / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    if seeds == 4:
        assert by_seed / 400 > 0.08, "seeds of one search are not independent of each other"


def test_one_search_is_wrong_about_variants_and_that_is_why_its_scope_is_narrower() -> None:
    generator, budget = np.random.default_rng(4), Budget(alpha=0.05, margin=0.5, num_comparisons=4)
    wrong = 0
    for _ in range(400):
        accuracies = generator.normal(90, 0.2, (5, 1)) + generator.normal(0, 0.3, (5, 10))
        samples = {
            str(k): searched((each - accuracies[0])[:, None], by_search=False) for k, each in enumerate(accuracies[1:])
        }
        wrong += any(each.verdict in DIFFERENT for each in judge(samples, budget).values())
    assert wrong / 400 > 0.25
