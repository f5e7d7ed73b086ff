"""What a study can decide, told before anything is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
from paired import budget

from ablations.planning.plan import Plan
from ablations.planning.resolution import Resolution, in_sentences, resolution
from ablations.stats.intervals import paired_interval
from ablations.stats.judgement import PairedSample, Verdict
from ablations.stats.verdicts import judge
from ablations.studyfile.spec import Decision

VARIANTS = {"two": {}, "one": {"set": {"model.mixers": 1}}, "none": {"set": {"model.mixers": 0}}}


def plan(num_seeds: int, margin: float = 0.5, num_test: int = 10_000) -> Plan:
    made = tiny.plan(variants=VARIANTS, seeds=num_seeds)
    return replace(made, decision=Decision(alpha=0.05, margin=margin), num_test=num_test)


def found(num_seeds: int, **changes: float) -> Resolution:
    resolved = resolution(plan(num_seeds, **changes))  # type: ignore[arg-type]
    assert resolved is not None
    return resolved


def test_nothing_to_compare_or_one_seed_has_no_resolution() -> None:
    assert resolution(tiny.plan(variants={"two": {}})) is None
    assert resolution(plan(1)) is None


@pytest.mark.parametrize(("num_seeds", "verdicts"), [(2, False), (4, False), (5, True), (10, True)])
def test_few_seeds_carry_no_verdict_as_the_report_will_say(num_seeds: int, verdicts: bool) -> None:
    resolved = found(num_seeds)
    assert resolved.carries_verdicts == verdicts
    assert ("carry no verdict" in " ".join(in_sentences(resolved))) == (not verdicts)
    assert ("seeds can find a true difference" in " ".join(in_sentences(resolved))) == verdicts


@pytest.mark.parametrize(
    ("num_seeds", "floor", "confirms"),
    [(5, 0.0625, False), (6, 0.03125, False), (7, 0.015625, True), (10, 2**-9, True)],
)
def test_the_sign_flip_floor(num_seeds: int, floor: float, confirms: bool) -> None:
    resolved = found(num_seeds)
    assert resolved.smallest_sign_flip_p == floor
    # Two comparisons share 5 %.
    assert resolved.sign_flip_can_confirm == confirms


def test_a_detectable_difference_is_found_four_times_in_five() -> None:
    resolved = found(10)
    generator = np.random.default_rng(0)
    for sd, difference in resolved.detectable.items():
        seen = [
            not paired_interval(draw, level=1 - 0.05 / 2).lower <= 0
            for draw in generator.normal(difference, sd, (2000, 10))
        ]
        assert abs(np.mean(seen) - 0.8) < 0.03


def test_the_test_set_may_be_the_limit() -> None:
    large, small = found(10), found(10, num_test=360)
    assert large.provable_margin[90.0] == pytest.approx(0.324, abs=0.001)
    assert small.provable_margin[90.0] > 1.5
    assert "can be proven" in " ".join(in_sentences(large))
    assert "cannot be proven" in " ".join(in_sentences(small))
    assert "360 test images at 90 % accuracy leave ±1.03 points however many seeds there are" in " ".join(
        in_sentences(small)
    )


def test_the_limit_is_the_one_the_report_will_meet() -> None:
    """What cannot be proven by infinitely many seeds is undecided in a report, and more seeds do not help."""
    generator = np.random.default_rng(1)
    # Reseeded networks whose errors are independent given the image, as `expected_image_floor` has it.
    chance = generator.beta(0.9 * 0.55, 0.1 * 0.55, 360)
    first, second = ((generator.random((10, 360)) < chance).astype(np.int8) for _ in "ab")
    differences = 100 * (first.mean(1) - second.mean(1))
    sample = PairedSample(
        differences=dict(enumerate(differences.tolist())),
        num_planned=10,
        num_missing=0,
        num_failed=0,
        num_failed_reference=0,
        num_ran=10,
        num_ran_reference=10,
        correct=first - second,
    )
    verdict = judge({"one": sample}, budget(2))["one"].verdict
    assert verdict in {Verdict.UNDECIDED_MORE_SEEDS, Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP}


def test_more_seeds_find_smaller_differences() -> None:
    few, many = found(5), found(20)
    assert all(many.detectable[sd] < few.detectable[sd] for sd in few.detectable)
    assert many.provable_margin == few.provable_margin


def test_the_margin_that_a_test_set_needs_is_rounded_up() -> None:
    resolved = replace(found(10), margin=0.5, provable_margin={98.0: 0.501}, image_floor={98.0: 0.14})
    assert next(each for each in in_sentences(resolved) if "98 %" in each).endswith(
        "cannot be proven (needs a margin of 0.51)"
    )
