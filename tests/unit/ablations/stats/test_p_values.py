"""p-values and their corrections, against scipy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paired import judge_one, spread, with_images
from scipy import stats as reference

from ablations.stats.intervals import Estimate, seeds_estimate
from ablations.stats.judgement import Verdict
from ablations.stats.p_values import (
    difference_p,
    false_discovery,
    images_p,
    mcnemar_exact,
    sign_flip_p,
    smallest_sign_flip_p,
    step_down,
    tost_p,
)

pytestmark = pytest.mark.filterwarnings("error")


def test_tost_is_the_larger_of_two_one_sided_tests() -> None:
    for mean in (-0.7, -0.3, 0.0, 0.2, 0.5):
        values = spread(mean, 0.4)
        above = reference.ttest_1samp(values, -0.5, alternative="greater").pvalue
        below = reference.ttest_1samp(values, 0.5, alternative="less").pvalue
        assert tost_p(seeds_estimate(values), margin=0.5) == pytest.approx(max(above, below))
    assert tost_p(Estimate(0.5, 0.1, 9), margin=0.5) == pytest.approx(0.5)


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


@given(st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=40))
def test_false_discovery_is_scipys(p_values: list[float]) -> None:
    assert false_discovery(p_values) == pytest.approx(reference.false_discovery_control(p_values))


def test_false_discovery_of_nothing_is_nothing_and_refuses_what_is_no_p() -> None:
    assert false_discovery([]) == []
    for bad in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="must lie in"):
            false_discovery([0.5, bad])


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


def test_no_image_changed_proves_as_much_as_the_margin_has_images() -> None:
    """Among 360 images half a point is 1.8: none lost of 1.8 expected is e ** -1.8."""
    for num_images in (360, 1000, 10_000):
        assert images_p(0.0, 0.0, num_images, margin=0.5) == pytest.approx(np.exp(-num_images / 200))


@pytest.mark.parametrize("sign", [1, -1])
def test_images_that_stay_changed_are_counted(sign: int) -> None:
    # A floor of .4 points among 1,000 images are 4 images: 16 that stay changed. A difference of .2 points is 2 more on one side.
    assert images_p(0.2 * sign, 0.4, 1000, margin=0.5) == pytest.approx(reference.poisson.cdf(9, 5 + 7))
    # A difference of .3 points is 3 images at least, however small the floor.
    assert images_p(0.3 * sign, 0.0, 1000, margin=0.5) == pytest.approx(reference.poisson.cdf(3, 5))


@pytest.mark.slow
@pytest.mark.parametrize("num_images", [360, 1000, 2000])
@pytest.mark.parametrize(("share", "flips"), [(1.0, 0.002), (0.5, 0.002), (0.2, 0.005)])
def test_small_test_sets_are_not_called_equivalent_too_often(num_images: int, share: float, flips: float) -> None:
    """A saturated test set, and a true loss of the margin: the images that it takes are lost by a share of the seeds each."""
    generator = np.random.default_rng(0)
    num_wrong = 0
    for _ in range(400):
        lost = generator.random(num_images) < 0.005 / share
        correct = -(lost & (generator.random((10, num_images)) < share)).astype(np.int8)
        flipped = (generator.random((10, num_images)) < flips) & (correct == 0)
        correct[flipped] = generator.choice([-1, 1], int(flipped.sum()))
        num_wrong += judge_one(with_images(correct)).verdict in {
            Verdict.EQUIVALENT,
            Verdict.WORSE_BY_LESS,
            Verdict.BETTER_BY_LESS,
        }
    assert num_wrong / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
