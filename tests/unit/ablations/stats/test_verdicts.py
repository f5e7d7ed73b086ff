"""The words: acceptance checks of the procedure, and golden cases."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paired import (
    BANNED,
    CARRIES_A_WORD,
    budget,
    evidence_of,
    images,
    judge_one,
    sample,
    spread,
    with_images,
    word,
)

from ablations.stats import verdicts
from ablations.stats.intervals import Interval, paired_interval
from ablations.stats.judgement import Judgement, PairedSample, Verdict
from ablations.stats.power import seeds_needed
from ablations.stats.verdicts import judge, judge_without_each_unit

pytestmark = pytest.mark.filterwarnings("error")


def test_import_loads_nothing_heavy() -> None:
    heavy = "{'pandas', 'statsmodels', 'torch', 'scipy.stats', 'matplotlib'}"
    code = f"import ablations.stats.verdicts, sys; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    subprocess.run([sys.executable, "-c", code], check=True)


MIRROR = {
    Verdict.BETTER: Verdict.WORSE,
    Verdict.BETTER_BY_LESS: Verdict.WORSE_BY_LESS,
    Verdict.BETTER_BY_MORE: Verdict.WORSE_BY_MORE,
}
MIRROR |= {worse: better for better, worse in MIRROR.items()}


DEGENERATE: dict[str, tuple[PairedSample, Verdict, str]] = {
    "no pairs": (sample([]), Verdict.NO_VERDICT, "0 pairs"),
    "one pair": (sample([0.3]), Verdict.NO_VERDICT, "1 pair learned"),
    "two pairs": (sample([0.3, 0.5]), Verdict.NO_VERDICT, "2 pairs"),
    "three pairs": (sample([0.3, 0.5, 0.6]), Verdict.EXPLORATORY, "takes 5 pairs"),
    "four pairs": (sample([0.3, 0.5, 0.6, 0.9]), Verdict.EXPLORATORY, "takes 5 pairs"),
    "constant": (sample([0.3] * 10), Verdict.NO_VERDICT, "difference is identical"),
    "constant up to rounding": (sample([0.1 + 0.2, 0.3, 0.3 + 1e-15, 90.3 - 90, 0.3]), Verdict.NO_VERDICT, "identical"),
    "constant, two pairs": (sample([0.3, 0.3]), Verdict.NO_VERDICT, "2 pairs"),
    "all zero": (sample([0.0] * 10), Verdict.NO_VERDICT, "difference is identical"),
    "the same images right": (
        sample([0.0] * 10, correct=np.zeros((10, 50), np.int8)),
        Verdict.NO_VERDICT,
        "the same test images are right",
    ),
    "constant, other images": (
        with_images(np.array([np.roll([1, 0, 0, -1, 1], i) for i in range(6)])),
        Verdict.NO_VERDICT,
        "difference is identical",
    ),
    "NaN": (sample([0.1, math.nan, 0.2, 0.3, 0.4, 0.5]), Verdict.NO_VERDICT, "seed 1 is not a finite number"),
    "inf": (sample([0.1, 0.2, 0.3, 0.4, 0.5, -math.inf]), Verdict.NO_VERDICT, "seed 5 is not a finite number"),
    "missing pairs": (sample(spread(1, 0.2, 8), missing=2), Verdict.NO_VERDICT, "2 of 10 planned pairs are missing"),
    "all failed": (sample([], failed=10), Verdict.NO_VERDICT, "10 of 10 runs did not learn, against 0 of 10"),
    "unplanned seeds": (
        sample(spread(1, 0.2, 12), planned=10),
        Verdict.EXPLORATORY,
        "12 pairs exist, and 10 were planned",
    ),
}


def assert_sound(judgement: Judgement) -> None:
    """No p of 0 or 1+, no zero-width interval, nothing that is not a number."""
    shown = vars(judgement) | ({} if judgement.evidence is None else vars(judgement.evidence))
    for name, value in shown.items():
        if isinstance(value, Interval):
            assert value.lower < value.upper, name
            assert math.isfinite(value.lower), name
            assert math.isfinite(value.upper), name
        elif isinstance(value, float):
            assert math.isfinite(value), name
        if name.startswith("p_") and value is not None:
            assert 0 < value <= 1, name
    assert judgement.verdict in Verdict


@pytest.mark.parametrize("case", DEGENERATE)
def test_every_degenerate_case_has_a_word_and_says_why(case: str) -> None:
    each, verdict, why = DEGENERATE[case]
    judgement = judge_one(each)
    assert_sound(judgement)
    assert judgement.verdict is verdict
    assert why in " ".join(judgement.notes)
    if judgement.evidence is not None:
        assert judgement.evidence.p_difference_adjusted is None
        assert judgement.evidence.p_equivalence_adjusted is None
    assert judgement.seeds_needed is None
    text = word(judgement)
    assert why.lower() in text.lower()
    assert not any(banned in text for banned in BANNED)


@pytest.mark.parametrize(
    "case", ["no pairs", "one pair", "constant", "all zero", "the same images right", "NaN", "inf"]
)
def test_without_a_spread_there_is_no_evidence(case: str) -> None:
    judgement = judge_one(DEGENERATE[case][0])
    assert judgement.evidence is None
    assert judgement.interval is None


def test_two_to_four_pairs_have_an_interval_and_carry_no_word() -> None:
    for num in (2, 3, 4):
        judgement = judge_one(sample(spread(5.0, 0.01, num)))
        assert judgement.interval is not None
        assert judgement.mean == pytest.approx(5.0)
        assert judgement.verdict not in CARRIES_A_WORD


def test_all_ties_but_one_leave_an_interval_and_no_improvement_beyond_it() -> None:
    judgement = judge_one(sample([0.0] * 9 + [0.4]))
    assert_sound(judgement)
    assert (judgement.wins, judgement.losses, judgement.ties) == (1, 0, 9)
    assert judge_one(sample([0.0] * 10)).probability_of_improvement is None


def test_nearly_constant_differences_give_neither_p_of_zero_nor_certainty() -> None:
    values = 50 + 1e-3 * np.arange(400)
    judgement = judge_one(sample(values))
    assert_sound(judgement)
    assert judgement.verdict is Verdict.BETTER_BY_MORE


def test_one_comparison_uses_the_whole_budget_for_both_words() -> None:
    evidence = evidence_of(judge_one(sample(spread(0.3, 0.4))))
    assert evidence.p_difference_adjusted == pytest.approx(min(evidence.p_difference, evidence.p_equivalence))
    assert evidence.simultaneous_interval == evidence.interval


TRUTHS = {
    "all zero": (0.0, 0.0, 0.0, 0.0, 0.0),
    "at the margin": (0.5, 0.5, -0.5, -0.5, 0.5),
    "mixed": (0.0, 0.5, -0.5, 0.0, 1.2),
    "mixed, mostly settled": (0.2, -0.2, 2.0, -2.0, 0.0),
}


def is_wrong(verdict: Verdict, truth: float, margin: float) -> bool:
    if verdict in MIRROR:
        wrong_side = truth <= 0 if verdict.value.startswith("better") else truth >= 0
        too_far = verdict.value.endswith("more") and abs(truth) < margin
        too_near = verdict.value.endswith("less") and abs(truth) >= margin
        return wrong_side or too_far or too_near
    return verdict is Verdict.EQUIVALENT and abs(truth) >= margin


def wrong_share(truths: tuple[float, ...], sd: float, *, num_studies: int, seed: int) -> float:
    """Share of studies, S = 10, K = 5, one shared baseline, with any wrong word."""
    rng = np.random.default_rng(seed)
    wrong = 0
    for _ in range(num_studies):
        baseline, variants = rng.normal(0, sd, 10), rng.normal(0, sd, (5, 10))
        samples = {str(k): sample(truth + variants[k] - baseline) for k, truth in enumerate(truths)}
        judged = judge(samples, budget(len(samples)))
        wrong += any(is_wrong(judged[str(k)].verdict, truth, 0.5) for k, truth in enumerate(truths))
    return wrong / num_studies


@pytest.mark.parametrize("truths", TRUTHS)
def test_any_wrong_word_keeps_to_alpha(truths: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        verdicts, "seeds_needed", lambda *_, **__: None
    )  # it decides no word, and takes most of the time
    share = wrong_share(TRUTHS[truths], 0.15, num_studies=400, seed=len(truths))
    assert share <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_real_differences_and_real_equivalences_are_found() -> None:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(100):
        baseline, variants = rng.normal(0, 0.15, 10), rng.normal(0, 0.15, (3, 10))
        samples = {str(t): sample(t + v - baseline) for t, v in zip((0.0, 0.5, -1.2), variants, strict=True)}
        found.append([each.verdict for each in judge(samples, budget(len(samples))).values()])
    none, at_margin, far = zip(*found, strict=True)
    assert none.count(Verdict.EQUIVALENT) > 85
    assert at_margin.count(Verdict.BETTER) > 85
    assert far.count(Verdict.WORSE_BY_MORE) > 85


def test_wider_of_two_holds_for_new_images_where_seeds_alone_do_not() -> None:
    rng = np.random.default_rng(2)
    wrong_over_seeds, wrong = 0, 0
    for _ in range(300):
        # Each image has its own chance of being right for either network; over all images the two are equal.
        shift, own = rng.normal(1.8, 1.5, 600), rng.normal(0, 0.8, (2, 1, 600))
        right = rng.normal(size=(2, 10, 600)) < shift + own
        judgement = judge_one(with_images(right[0].astype(np.int8) - right[1].astype(np.int8)))
        over_seeds = paired_interval(100 * (right[0].mean(axis=1) - right[1].mean(axis=1)))
        assert judgement.interval is not None
        wrong += not judgement.interval.lower < 0 < judgement.interval.upper
        wrong_over_seeds += not over_seeds.lower < 0 < over_seeds.upper
    assert wrong / 300 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    assert wrong_over_seeds / 300 > 0.12


POOL = {
    "settled": sample(spread(1.5, 0.2)),
    "near": sample(spread(0.1, 0.12)),
    "open": sample(spread(-0.3, 0.5)),
    "none": sample([0.2] * 10),
    "images": with_images(images(10, 300, fixed=0.1, flips=0.1)),
}


def test_order_of_variants_changes_nothing() -> None:
    expected = judge(POOL, budget(len(POOL)))
    for order in permutations(POOL):
        assert judge({name: POOL[name] for name in order}, budget(len(POOL))) == expected


def test_order_of_seeds_changes_nothing() -> None:
    for each in POOL.values():
        backwards = replace(each, differences=dict(sorted(each.differences.items(), reverse=True)))
        assert judge_one(backwards) == judge_one(each)


def test_which_seed_had_which_difference_changes_nothing() -> None:
    values = spread(0.35, 0.4, 16)
    first, second = judge_one(sample(values)), judge_one(sample(np.random.default_rng(0).permutation(values)))
    assert first.verdict is second.verdict
    assert evidence_of(first).p_sign_flip == evidence_of(second).p_sign_flip
    assert evidence_of(first).p_difference == pytest.approx(evidence_of(second).p_difference)


@pytest.mark.parametrize("num", [10, 16])
@pytest.mark.parametrize("mean", [0.05, 0.2, 0.35, 0.62, 1.5])
def test_swapping_variant_and_reference_flips_sign_and_word(mean: float, num: int) -> None:
    values = spread(mean, 0.3, num)
    one, other = judge_one(sample(values), num_comparisons=3), judge_one(sample(-values), num_comparisons=3)
    assert one.interval is not None
    assert other.mean == -mean or other.mean == pytest.approx(-mean)
    assert other.interval == Interval(-one.interval.upper, -one.interval.lower, one.interval.level)
    assert other.verdict is MIRROR.get(one.verdict, one.verdict)
    assert (other.wins, other.losses) == (one.losses, one.wins)
    same = ("p_difference", "p_equivalence", "p_sign_flip", "p_difference_adjusted", "p_equivalence_adjusted")
    assert all(getattr(one.evidence, name) == getattr(other.evidence, name) for name in same)
    assert one.seeds_needed == other.seeds_needed
    swap = {"better": "worse", "above": "below", "higher": "lower", "+": "−"}
    swap |= {after: before for before, after in swap.items()}
    pieces = [re.findall(r"[+−]|\d+\.\d+|\w+", word(each).lower()) for each in (one, other)]
    assert sorted(swap.get(piece, piece) for piece in pieces[0]) == sorted(pieces[1])


def test_seeds_that_agree_by_luck_do_not_promise_an_early_word() -> None:
    """Each seed has 59 or 60 of 400 images changed, all of them others: to agree so well is luck."""
    rng = np.random.default_rng(0)
    correct = np.zeros((5, 400), np.int8)
    for row, (up, down) in zip(correct, [(33, 27), (34, 26), (32, 28), (33, 26), (32, 27)], strict=True):
        chosen = rng.permutation(400)
        row[chosen[:up]], row[chosen[up : up + down]] = 1, -1
    judgement = judge_one(with_images(correct), margin=1.5)
    assert judgement.verdict is Verdict.UNDECIDED_MORE_SEEDS
    evidence = evidence_of(judgement)
    assert (judgement.sd, evidence.spread) == (pytest.approx(0.40, abs=0.05), pytest.approx(1.9, abs=0.1))
    floor = evidence.image_floor or 0.0
    assert judgement.seeds_needed == seeds_needed(evidence.spread, 5, budget(margin=1.5), image_floor=floor)
    assert evidence_of(judge_one(sample(spread(0.3, 0.4)))).spread == pytest.approx(0.4)


def test_unplanned_contrasts_are_exploratory_and_cost_nothing() -> None:
    samples = {"late": sample(spread(2.0, 0.1)), "one": sample(spread(2.0, 0.1))}
    judgement, one = judge(samples, budget(), unplanned={"late": "not in the plan"}).values()
    assert one == judge_one(samples["one"])
    assert judgement.verdict is Verdict.EXPLORATORY
    assert evidence_of(judgement).simultaneous_interval is None
    assert "Not in the plan." in word(judgement)


def test_planned_contrasts_that_cannot_be_judged_still_count() -> None:
    # p is between alpha / 5 and alpha: a word alone, none among five planned.
    each = sample(spread(0.45, 0.55))
    alone = judge_one(each)
    among = judge_one(each, num_comparisons=5)
    assert 0.01 < evidence_of(alone).p_difference < 0.05
    assert alone.verdict is Verdict.BETTER
    assert among.verdict is Verdict.UNDECIDED_MORE_SEEDS
    crowd = {"each": each} | {str(k): sample([]) for k in range(4)}
    assert judge(crowd, budget(5))["each"] == among


def test_a_settled_neighbour_pays_for_an_open_one_as_the_step_down_says() -> None:
    # Two comparisons, one with both nulls rejected: the other is tested at alpha / min(2, 4 - 3 + 1) = alpha / 2,
    # and with three rejected at alpha.
    each = sample(spread(0.40, 0.40))
    both = judge({"near": sample(spread(0.2, 0.01)), "each": each}, budget(2))["each"]
    evidence = evidence_of(both)
    assert evidence.p_difference_adjusted == pytest.approx(2 * evidence.p_difference)
    assert evidence.p_equivalence_adjusted == pytest.approx(max(evidence.p_equivalence, 2 * evidence.p_difference))


def test_a_word_that_only_the_step_down_allows() -> None:
    # The last of four nulls is tested at alpha itself, while the simultaneous interval stays at 1 - alpha / 2.
    each = judge({"near": sample(spread(0.2, 0.01)), "each": sample(spread(0.076, 0.1))}, budget(2))["each"]
    simultaneous = evidence_of(each).simultaneous_interval
    assert simultaneous is not None
    assert simultaneous.lower < 0
    assert each.verdict is Verdict.BETTER_BY_LESS
    assert judge_one(sample(spread(0.076, 0.1)), num_comparisons=2).verdict is Verdict.EQUIVALENT


def test_by_more_needs_the_simultaneous_interval_outside_the_margin() -> None:
    each = sample(spread(0.9, 0.45))
    assert judge_one(each).verdict is Verdict.BETTER_BY_MORE
    among = judge_one(each, num_comparisons=5)
    assert among.verdict is Verdict.BETTER
    evidence = evidence_of(among)
    assert evidence.simultaneous_interval is not None
    assert evidence.simultaneous_interval.level == pytest.approx(0.99)
    assert evidence.simultaneous_interval.lower < 0.5 < evidence.interval.lower


def test_the_interval_never_contradicts_the_word_at_a_large_alpha() -> None:
    judgement = judge_one(sample(spread(0.4, 0.6)), alpha=0.1)
    assert judgement.verdict is Verdict.BETTER
    assert judgement.interval is not None
    assert judgement.interval.lower > 0
    assert judgement.interval.level == pytest.approx(0.9)


def test_fragile_where_one_pair_makes_the_t_test_and_sign_flips_disagree() -> None:
    outlier = judge_one(sample([0.02] * 5 + [0.03, 0.05, 0.04, 0.03, 8.0]))
    assert evidence_of(outlier).fragile
    assert any("fragile" in note for note in outlier.notes)
    assert not evidence_of(judge_one(sample(spread(1.0, 0.3)))).fragile
    assert not evidence_of(
        judge_one(sample([0.3, 0.31, 0.32, 0.33, 0.34]))
    ).fragile  # sign flips cannot reach .05 with 5


def test_sign_flips_over_seeds_are_not_held_against_a_test_over_images() -> None:
    """Clear over seeds by either test and open over images is not fragile: nothing disagrees about the seeds."""
    correct = np.zeros((10, 400), np.int8)
    correct[:, :22], correct[:, 22:40] = 1, -1
    correct[np.arange(10), 40 + np.arange(10)] = np.arange(10) % 2
    evidence = evidence_of(judge_one(with_images(correct)))
    assert evidence.basis == "seeds and images"
    assert evidence.p_sign_flip < 0.05 < evidence.p_difference
    assert not evidence.fragile


def test_judge_refuses_what_makes_no_sense() -> None:
    each = {"one": sample(spread(0.1, 0.2))}
    with pytest.raises(ValueError, match="num_comparisons"):
        judge(each | {"two": each["one"]}, budget(1))
    assert judge({}, budget()) == {}


def test_images_balanced_to_the_last_flip_fall_back_on_seeds() -> None:
    correct = np.zeros((5, 100), np.int8)
    correct[np.r_[np.repeat(np.arange(5), [18, 19, 20, 21, 22])], np.arange(100)] = 1
    judgement = judge_one(with_images(correct))
    assert_sound(judgement)
    assert evidence_of(judgement).basis == "seeds"
    assert evidence_of(judgement).image_floor == 0


def without_each_seed(samples: dict[str, PairedSample], *, num_planned: int) -> dict[str, dict[int, Judgement]]:
    return judge_without_each_unit(samples, judge(samples, budget(num_planned)), budget(num_planned))


def test_without_a_seed_the_study_is_judged_as_if_it_had_not_been_there() -> None:
    correct = {"a": images(6, 300, fixed=0.1, flips=0.1), "b": images(6, 300, fixed=0.02, flips=0.1, seed=1)}
    samples = {name: with_images(each) for name, each in correct.items()}
    found = without_each_seed(samples, num_planned=3)
    for seed in range(6):
        left = {
            name: PairedSample(
                {other: value for other, value in samples[name].differences.items() if other != seed},
                *(5, 0, 0, 0, 5, 5),
                np.delete(each, seed, axis=0),
            )
            for name, each in correct.items()
        }
        judged = judge(left, budget(3))
        assert {name: each[seed] for name, each in found.items()} == judged


def test_of_many_pairs_none_is_left_out() -> None:
    for num, seeds in ((30, 30), (31, 0)):
        assert len(without_each_seed({"one": sample(spread(1, 0.1, num))}, num_planned=1).get("one", {})) == seeds


def test_a_seed_that_a_verdict_rests_on_is_found() -> None:
    values = [0.9, 1.0, 1.1, 0.95, 1.05, 1.0, 1.0, 1.0, 0.98, -1.0]
    judgement, found = judge_one(sample(values)), without_each_seed({"one": sample(values)}, num_planned=1)["one"]
    assert judgement.verdict is Verdict.BETTER
    assert [seed for seed, each in found.items() if each.verdict is not Verdict.BETTER] == [9]
    assert found[9].verdict is Verdict.BETTER_BY_MORE
    assert found[9].mean == pytest.approx(np.mean(values[:9]))


def test_five_pairs_without_one_still_have_a_verdict_to_compare() -> None:
    found = without_each_seed({"one": sample([1.9, 2.0, 2.1, 2.05, 1.95])}, num_planned=1)["one"]
    assert {each.verdict for each in found.values()} == {Verdict.BETTER_BY_MORE}
    assert {each.num_pairs for each in found.values()} == {4}


def test_what_has_no_verdict_is_not_judged_without_a_seed() -> None:
    samples = {
        "few": sample(spread(1, 0.1, 4)),
        "missing": sample(spread(1, 0.1, 8), missing=2),
        "fine": sample(spread(1, 0.1)),
    }
    found = without_each_seed(samples, num_planned=3)
    assert list(found) == ["fine"]
    assert list(found["fine"]) == list(range(10))
    assert without_each_seed({}, num_planned=1) == {}


def test_a_seed_with_which_one_of_the_two_failed_is_no_pair_to_leave_out() -> None:
    """But it is one of the other contrast, which is judged beside it."""
    values = dict(enumerate(spread(1, 0.1)))
    failed = PairedSample({seed: value for seed, value in values.items() if seed != 3}, 10, 0, 1, 0, 10, 10)
    found = without_each_seed({"failed": failed, "fine": sample(values.values())}, num_planned=2)
    assert set(found["fine"]) - set(found["failed"]) == {3}


accuracies = st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(accuracies, accuracies).map(lambda ab: ab[0] - ab[1]), max_size=15), min_size=1, max_size=4
    ),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_any_study_has_a_word_a_sentence_and_sound_numbers(
    studies: list[list[float]], failed: int, missing: int
) -> None:
    samples = {str(k): sample(values, failed=failed, missing=missing) for k, values in enumerate(studies)}
    for judgement in judge(samples, budget(len(samples))).values():
        assert_sound(judgement)
        text = word(judgement)
        assert not any(banned in text for banned in BANNED)
        if judgement.verdict in CARRIES_A_WORD:
            assert judgement.num_pairs >= 5
            evidence = evidence_of(judgement)
            assert evidence.simultaneous_interval is not None
            assert evidence.simultaneous_interval.lower <= evidence.interval.lower
        better, worse = (judgement.verdict.value.startswith(side) for side in ("better", "worse"))
        if better or worse:
            assert judgement.interval is not None
            assert judgement.interval.lower > 0 if better else judgement.interval.upper < 0


@settings(max_examples=100, deadline=None)
@given(st.floats(-3, 3), st.floats(0.05, 2), st.integers(5, 20), st.floats(0.2, 5), st.integers(1, 6))
def test_units_do_not_matter(mean: float, sd: float, num: int, unit: float, num_comparisons: int) -> None:
    values = spread(mean, sd, num)
    one = evidence_of(judge_one(sample(values), num_comparisons=num_comparisons))
    other = evidence_of(judge_one(sample(unit * values), margin=0.5 * unit, num_comparisons=num_comparisons))
    assert one.p_difference == pytest.approx(other.p_difference, rel=1e-6)
    assert one.p_equivalence == pytest.approx(other.p_equivalence, rel=1e-6)


def test_a_margin_of_few_images_is_not_proven_and_the_outlook_says_so() -> None:
    correct = np.zeros((10, 400), np.int8)
    correct[np.arange(10), np.arange(10)] = np.arange(10) % 2 * 2 - 1
    judgement = judge_one(with_images(correct))
    assert 0.1 < evidence_of(judgement).p_equivalence < 0.3
    assert evidence_of(judgement).p_equivalence_floor == pytest.approx(np.exp(-2), rel=0.01)
    assert judgement.verdict is Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP
    assert judgement.notes[0].startswith("the margin is too few test images to prove equivalence")
    assert judge_one(with_images(np.hstack([correct, np.zeros((10, 4000), np.int8)]))).verdict is Verdict.EQUIVALENT
