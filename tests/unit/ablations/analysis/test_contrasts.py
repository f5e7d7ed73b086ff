"""Pairs, verdicts and expectations of each contrast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
from paired import budget
from trials import CHANCE, SEEDS, confirm, confirmed, contrast, plan, summary

from ablations.datasets import DATASETS
from ablations.stats.intervals import class_estimates, clopper_pearson
from ablations.stats.judgement import Verdict
from ablations.stats.p_values import difference_p, false_discovery, mcnemar_exact
from ablations.stats.power import MAX_PAIRS, detectable_difference
from ablations.studyfile.spec import Expectation


def test_a_difference_is_variant_minus_baseline_by_seed() -> None:
    p = plan()
    c = contrast(p, confirmed(p))
    assert (c.variant, c.versus) == ("one", "two")
    assert {seed: round(d, 6) for seed, d in c.differences.items()} == {
        0: -20.5,
        1: -20.0,
        2: -19.5,
        3: -20.5,
        4: -20.0,
    }
    assert c.judgement.mean == pytest.approx(-20.1)
    assert c.judgement.verdict is Verdict.WORSE_BY_MORE
    assert c.judgement.num_pairs == 5


def test_seeds_that_one_side_lacks_are_no_pairs() -> None:
    p = plan()
    c = contrast(p, confirmed(p, one=range(4), two=range(1, 5)))
    assert set(c.differences) == {1, 2, 3}
    s = summary(p, confirmed(p, one=range(4)))
    assert s["one"].missing_seeds == (4,)
    assert s.warnings == ("`one`: 1 of 5 confirmation trials have no outcome yet.",)


def test_failures_are_compared_on_the_seeds_that_ran_on_both_sides() -> None:
    p = plan()
    failed = {("one", 0), ("one", 1), ("one", 2), ("two", 2)}
    trials = [
        confirm(p, variant, seed, validation=CHANCE if (variant, seed) in failed else 90.0)
        for variant in ("one", "two")
        for seed in range(SEEDS)
    ]
    s = summary(p, trials)
    assert s.contrasts[0].p_failures == mcnemar_exact(2, 0)
    assert s["one"].failure_rate == clopper_pearson(3, 5)
    assert s["one"].ran_seeds == set(range(SEEDS))
    without = summary(p, [t for t in trials if (t.variant, t.seed) != ("two", 0)])
    assert without.contrasts[0].p_failures == mcnemar_exact(1, 0)
    assert summary(p, trials[:SEEDS]).contrasts[0].p_failures is None
    assert summary(p, trials[:SEEDS])["two"].failure_rate is None


def test_what_a_contrast_can_find_follows_from_its_spread_and_the_images() -> None:
    p = plan()
    judgement, found = contrast(p, confirmed(p)).judgement, contrast(p, confirmed(p)).detectable
    assert found is not None
    assert judgement.sd is not None
    assert judgement.evidence is not None
    floor = judgement.evidence.image_floor or 0.0
    assert found.now == pytest.approx(detectable_difference(judgement.sd, 5, budget(), image_floor=floor))
    assert found.now == found.difference[found.num_seeds.index(5)]
    assert (found.num_seeds[0], found.num_seeds[-1]) == (3, MAX_PAIRS)
    assert list(found.difference) == sorted(found.difference, reverse=True)
    assert all(most > least for most, least in zip(found.difference_at_most, found.difference, strict=True))
    assert found.limit == pytest.approx(2.8 * floor, rel=0.01)
    assert found.difference[-1] > found.limit


@pytest.mark.parametrize("seeds", [0, 1, 2])
def test_without_a_spread_nothing_is_said_of_what_can_be_found(seeds: int) -> None:
    p = plan()
    assert contrast(p, confirmed(p, one=range(seeds))).detectable is None


def test_the_same_difference_at_every_seed_is_no_spread() -> None:
    p = plan()
    assert contrast(p, confirmed(p, spread=0.0)).detectable is None


def test_curves_differ_epoch_by_epoch_where_both_learned() -> None:
    p = plan()
    trials = [
        confirm(p, "two", 0, epochs=tuple(tiny.record(epoch, 80.0 + epoch) for epoch in (1, 2, 3))),
        confirm(p, "one", 0, epochs=tuple(tiny.record(epoch, 70.0 + 4 * epoch) for epoch in (1, 2, 3))),
        confirm(p, "two", 1),
        confirm(p, "one", 1, validation=CHANCE),
        confirm(p, "two", 2),
    ]
    assert contrast(p, trials).curve_differences == {0: (-7.0, -4.0, -1.0)}


def test_disagreement_is_counted_image_by_image_and_seed_by_seed() -> None:
    p = plan()
    s = summary(p, confirmed(p))
    # The first images are right, as many as the accuracy says: two networks differ on the images between the two.
    differences = {seed: abs(d) for seed, d in s.contrasts[0].differences.items()}
    assert s.contrasts[0].disagreement_percent == pytest.approx(differences)
    pairs = [0.1 * (second - first) for first in range(SEEDS) for second in range(first + 1, SEEDS)]
    assert s["two"].reseed_disagreement_percent == pytest.approx(np.mean(pairs))


def test_disagreement_is_among_runs_that_learned_and_whose_images_are_known() -> None:
    p = plan()
    trials = [t for t in confirmed(p) if t.variant == "two" or t.seed > 2]
    trials.append(confirm(p, "one", 0, 26.0, validation=26.0))
    trials.append(confirm(p, "one", 1, 70.0, test_correct=None, num_test_images=None))
    s = summary(p, trials)
    assert set(s.contrasts[0].differences) == {1, 3, 4}
    assert set(s.contrasts[0].disagreement_percent) == {3, 4}
    assert s["one"].reseed_disagreement_percent == pytest.approx(abs(69.8 - 70.4))
    assert summary(p, trials[:1])["two"].reseed_disagreement_percent is None


LABELS = (np.arange(1000) * 4 // 1000).astype(np.uint8)
"""Four classes of 250 images, one after the other."""


def test_differences_by_class_are_counted_image_by_image() -> None:
    p = plan()
    trials = [
        replace(t, result=replace(t.result, test_labels=LABELS.tobytes())) for t in confirmed(p, difference=-20.0)
    ]
    classes = contrast(p, trials).class_differences
    assert [each.name for each in classes] == list(DATASETS["synthetic"].classes)
    assert [each.num_images for each in classes] == [250] * 4
    # Of 1,000 images about the first 700 are right, and about the first 900 of the baseline: two classes feel it.
    right = {name: list(summary(p, trials)[name].accuracy_percent.values()) for name in ("one", "two")}
    by_class = [
        np.mean([np.clip(10 * np.array(right[n]) - 250 * k, 0, 250) / 2.5 for n in ("one", "two")], axis=1)
        for k in range(4)
    ]
    assert [each.mean for each in classes] == pytest.approx([one - two for one, two in by_class])
    assert [each.interval is None for each in classes] == [True, True, False, False]
    assert [each.p_adjusted is None for each in classes] == [True, True, False, False]
    assert all(each.interval.lower < each.mean < each.interval.upper for each in classes if each.interval)


def test_differences_by_class_want_labels_of_known_classes_and_three_pairs() -> None:
    p = plan()
    trials = confirmed(p)
    assert contrast(p, trials).class_differences == ()
    labelled = [replace(t, result=replace(t.result, test_labels=LABELS.tobytes())) for t in trials]
    assert contrast(p, [t for t in labelled if t.seed < 2]).class_differences == ()
    strange = [replace(t, result=replace(t.result, test_labels=(LABELS + 7).tobytes())) for t in trials]
    assert contrast(p, strange).class_differences == ()


@pytest.mark.parametrize(
    ("expect", "difference", "outcome"),
    [
        ("worse", -20.0, "as expected"),
        ("better", -20.0, "not as expected"),
        ("better", 9.0, "as expected"),
        ("worse", 9.0, "not as expected"),
        ("equivalent", -20.0, "not as expected"),
        ("equivalent", 0.0, "as expected"),
        ("unsure", -20.0, "none stated"),
        (None, -20.0, "none stated"),
    ],
)
def test_an_expectation_meets_its_outcome(expect: Expectation | None, difference: float, outcome: str) -> None:
    p = plan(variants={"two": {}, "one": {"set": {"model.mixers": 1}, "expect": expect}})
    c = contrast(p, confirmed(p, difference))
    assert (c.expect, c.expectation) == (expect, outcome), c.judgement.verdict


def test_an_expectation_stays_open_without_a_verdict() -> None:
    p = plan(variants={"two": {}, "one": {"set": {"model.mixers": 1}, "expect": "worse"}})
    assert contrast(p, []).expectation == "open"
    assert contrast(p, confirmed(p, one=range(2))).expectation == "open"


def test_a_study_with_trials_missing_has_no_word_however_clear_it_is() -> None:
    p = plan(seeds=8)
    (only,) = summary(p, confirmed(p)).contrasts
    assert (len(only.differences), only.judgement.verdict) == (SEEDS, Verdict.NO_VERDICT)
    assert "3 of 8 planned pairs are missing" in only.paragraph


def test_labels_that_do_not_fit_the_images_give_no_classes() -> None:
    p = plan()
    short = [replace(t, result=replace(t.result, test_labels=LABELS[:-8].tobytes())) for t in confirmed(p)]
    assert contrast(p, short).class_differences == ()


def test_p_values_of_classes_are_adjusted_over_all_of_them() -> None:
    p = plan(variants={**tiny.STUDY["variants"], "three": {"set": {"model.mixers": 3}}})
    trials = [replace(t, result=replace(t.result, test_labels=LABELS.tobytes())) for t in confirmed(p)]
    classes = [each for c in summary(p, trials).contrasts for each in c.class_differences if each.interval]
    assert len(classes) == 4
    raw = []
    for each in classes:
        assert each.interval is not None
        # Widths and p follow from one estimate; the smallest p of four is multiplied by at least one, at most four.
        assert each.p_adjusted is not None
        raw.append(each.p_adjusted)
    bits = {(t.variant, t.seed): np.unpackbits(np.frombuffer(t.result.test_correct or b"", np.uint8)) for t in trials}
    tested = []
    for name in ("one", "three"):
        correct = np.stack([bits[name, s].astype(int) - bits["two", s].astype(int) for s in range(SEEDS)])
        found = class_estimates(correct[:, :1000], LABELS).values()
        tested += [difference_p(estimate) for _, estimate in found if estimate is not None]
    assert raw == pytest.approx(false_discovery(tested), abs=0)
    assert raw != pytest.approx(tested, abs=0)


def test_a_verdict_is_held_against_leaving_each_seed_out() -> None:
    p = plan()
    clear = contrast(p, confirmed(p))
    assert [each.verdict for each in clear.without_unit.values()] == [Verdict.WORSE_BY_MORE] * SEEDS
    assert list(clear.without_unit) == list(range(SEEDS))
    assert contrast(p, confirmed(p)[:-1]).without_unit == {}
