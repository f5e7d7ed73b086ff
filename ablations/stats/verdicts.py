"""Paired runs -> verdicts: the word for each contrast, under one family-wise error rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from scipy.special import ndtri

from ablations.stats.budget import Budget
from ablations.stats.intervals import (
    MIN_PAIRS_TO_LOOK,
    SMALLEST_STEP,
    CrossedVariance,
    Estimate,
    WiderEstimate,
    clopper_pearson,
    crossed_variance,
    identical,
    seeds_estimate,
    wider_estimate,
)
from ablations.stats.judgement import Basis, Evidence, Judgement, PairedSample, Unit, Verdict
from ablations.stats.p_values import (
    difference_p,
    images_p,
    sign_flip_p,
    smallest_sign_flip_p,
    step_down,
    tost_p,
)
from ablations.stats.pooling import pooled_estimates
from ablations.stats.power import MAX_PAIRS, seeds_needed, smallest_provable_margin
from ablations.stats.rare import BadRuns, pairs_without_bad_runs
from ablations.text import plural, points

MIN_PAIRS_FOR_VERDICT = 5
"""With fewer pairs a contrast is exploratory."""

MIN_SEARCHES_FOR_VERDICT = 3
"""With fewer searches a contrast by searches is exploratory. Each has several trainings behind it."""

MIN_PAIRS_FOR_FRAGILE = 8
"""From here on sign flips can reach p < .01, so their disagreement with the t test means something, if alpha is not below it."""

MAX_PAIRS_TO_LEAVE_OUT = 30
"""With more pairs leave-one-out is skipped: each pair weighs little, and 500 pairs take minutes."""


def judge(
    samples: Mapping[str, PairedSample],
    budget: Budget,
    *,
    num_left_out: int = 0,
    unplanned: Mapping[str, str] = MappingProxyType({}),
    pooling: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Judgement]:
    """Judge all planned contrasts of a study at one look.

    The unit of every test is the seed or, in samples with `searches`, the search: the mean difference over its seeds.

    Three kinds of verdict are wrong: "better" or "worse" at a true difference of 0 or of the other sign; "equivalent" or
    "by less" at a true difference of the margin or more; "by more" at less than the margin. The probability of any wrong
    verdict in the study is at most `budget.look_alpha`. There is one exception. If true differences equal the margin
    almost exactly, both "equivalent" and "by more" can be wrong, and the probability can reach 1.5 `budget.look_alpha`.

    Args:
        samples: by the variant's name.
        budget: of the study. Its K counts all planned contrasts, judged or not.
        num_left_out: units left out of every sample, for which a verdict needs fewer.
        unplanned: by name, the reason why a contrast was not planned, for instance that it was added later. Such a
            contrast is exploratory and takes nothing from the budget.
        pooling: by name, the variant that each is compared with, if the spread is to be pooled over all planned samples; empty
            if each has its own.

    Returns:
        A judgement for each sample, in the order of `samples`.

    Raises:
        ValueError: the budget has fewer comparisons than `samples` has planned contrasts.
    """
    num_sampled = len(samples.keys() - unplanned.keys())
    if budget.num_comparisons < num_sampled:
        raise ValueError(
            f"num_comparisons must be at least the {num_sampled} contrasts sampled, not {budget.num_comparisons}"
        )
    withheld = {name: _withheld(sample, num_left_out, unplanned.get(name)) for name, sample in samples.items()}
    pooled = (
        pooled_estimates({name: samples[name] for name in samples if not withheld[name]}, pooling) if pooling else {}
    )
    judgements = {
        name: _measured(
            sample, budget, withheld=withheld[name], is_planned=name not in unplanned, pooled=pooled.get(name)
        )
        for name, sample in samples.items()
    }
    # Contrasts without a verdict do not enter, but K counts them.
    at_stake = {
        name: judgement.evidence
        for name, judgement in judgements.items()
        if judgement.evidence is not None and judgement.verdict is Verdict.UNDECIDED_MORE_SEEDS
    }
    p_values = [each.p_difference for each in at_stake.values()] + [each.p_equivalence for each in at_stake.values()]
    adjusted = step_down(np.array(p_values, dtype=np.float64), num_comparisons=budget.num_comparisons).reshape(2, -1)
    for (name, evidence), p_difference, p_equivalence in zip(at_stake.items(), *adjusted.tolist(), strict=True):
        evidence = replace(evidence, p_difference_adjusted=p_difference, p_equivalence_adjusted=p_equivalence)
        verdict = _verdict(evidence.estimate, p_difference, p_equivalence, budget)
        judgement = replace(judgements[name], evidence=evidence, verdict=verdict)
        is_open = verdict is Verdict.UNDECIDED_MORE_SEEDS
        if verdict in {Verdict.EQUIVALENT, Verdict.BETTER_BY_LESS, Verdict.WORSE_BY_LESS}:
            judgement = _without_bad_runs(judgement, samples[name].bad)
        if is_open:
            judgement = _with_outlook(_with_bad_runs(judgement, samples[name].bad, budget), evidence, budget)
        judgements[name] = judgement
    return judgements


def judge_without_each_unit(
    samples: Mapping[str, PairedSample],
    judgements: Mapping[str, Judgement],
    budget: Budget,
    pooling: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, dict[int, Judgement]]:
    """Leave-one-out: judge the study again without each seed, or each search, to see whether a verdict rests on a single one.

    This is a check on verdicts and never a verdict: after a look at the results one can always choose a seed to leave
    out. One pair fewer also proves less, so a verdict may disappear although no seed stands out.

    Args:
        samples: as given to `judge`.
        judgements: as returned by `judge`.
        budget: as given to `judge`.
        pooling: as given to `judge`.

    Returns:
        By contrast and unit, for the units of contrasts with a verdict. It is empty if one of these contrasts has more than
        `MAX_PAIRS_TO_LEAVE_OUT` units, or too few to leave one out.
    """
    judged = {name: each for name, each in samples.items() if not judgements[name].verdict.is_withheld}
    numbers = [judgements[name].num_pairs for name in judged]
    if not numbers or max(numbers) > MAX_PAIRS_TO_LEAVE_OUT or min(numbers) <= MIN_PAIRS_TO_LOOK:
        return {}
    found: dict[str, dict[int, Judgement]] = {name: {} for name in judged}
    for unit in sorted({unit for sample in judged.values() for unit in sample.seeds_by_unit}):
        without = judge(
            {name: sample.without(unit) for name, sample in judged.items()}, budget, num_left_out=1, pooling=pooling
        )
        for name, sample in judged.items():
            if unit in sample.seeds_by_unit:
                found[name][unit] = without[name]
    return found


def _withheld(sample: PairedSample, num_left_out: int, unplanned: str | None) -> tuple[Verdict, str] | None:
    """The verdict and reason of a sample that may not be judged; None if it may."""
    by_unit = sample.unit_differences
    values, num_pairs = np.array(list(by_unit.values())), len(by_unit)
    unit, least = ("search", MIN_SEARCHES_FOR_VERDICT) if sample.searches else ("pair", MIN_PAIRS_FOR_VERDICT)
    least = max(MIN_PAIRS_TO_LOOK, least - num_left_out)
    if not np.isfinite(values).all():
        seeds = ", ".join(str(seed) for seed in sorted(sample.differences) if not np.isfinite(sample.differences[seed]))
        return Verdict.NO_VERDICT, f"the difference at seed {seeds} is not a finite number"
    if sample.num_missing:
        # A verdict now and another one with the rest would be two looks for the price of one.
        return Verdict.NO_VERDICT, f"{sample.num_missing} of {sample.num_planned} planned pairs are missing"
    if num_pairs < MIN_PAIRS_TO_LOOK:
        return (
            Verdict.NO_VERDICT,
            f"{plural(num_pairs, unit)} learned on both sides, and it takes {MIN_PAIRS_TO_LOOK}",
        )
    if sample.correct is not None and not np.any(sample.correct):
        return Verdict.NO_VERDICT, "the same test images are right at every seed: check that the change is applied"
    if identical(values):
        return (
            Verdict.NO_VERDICT,
            f"the difference is identical at every {sample.unit}: check that seeds and the change are applied",
        )
    if unplanned is not None:
        return Verdict.EXPLORATORY, unplanned
    if len(sample.differences) > sample.num_planned:
        return Verdict.EXPLORATORY, f"{len(sample.differences)} pairs exist, and {sample.num_planned} were planned"
    if num_pairs < least:
        return Verdict.EXPLORATORY, f"a verdict takes {plural(least, unit)}"
    return None


def _measured(
    sample: PairedSample,
    budget: Budget,
    *,
    withheld: tuple[Verdict, str] | None,
    is_planned: bool,
    pooled: Estimate | None,
) -> Judgement:
    """Everything that one sample shows alone, or with a pooled estimate; "undecided" until the verdict is known."""
    verdict, *notes = withheld or (Verdict.UNDECIDED_MORE_SEEDS,)
    notes += _failures(sample)
    values = np.array(list(sample.unit_differences.values()))
    is_finite = values.size > 0 and bool(np.isfinite(values).all())
    wins, losses = (int(np.sum(sign * values > SMALLEST_STEP)) if is_finite else 0 for sign in (1, -1))
    evidence = None
    if is_finite and len(values) > 1 and not identical(values):
        evidence = _evidence(sample, budget, is_planned=is_planned, pooled=pooled)
        if evidence.fragile:
            notes.append("fragile: the t test and the sign-flip check disagree")
    return Judgement(
        num_pairs=len(values),
        mean=float(values.mean()) if is_finite else None,
        sd=float(values.std(ddof=1)) if is_finite and len(values) > 1 else None,
        wins=wins,
        losses=losses,
        ties=len(values) - wins - losses if is_finite else 0,
        probability_of_improvement=clopper_pearson(wins, wins + losses) if wins + losses else None,
        evidence=evidence,
        verdict=verdict,
        notes=tuple(notes),
        unit=sample.unit,
    )


def _failures(sample: PairedSample) -> list[str]:
    """A note on runs that did not learn, if there are any."""
    if not sample.num_failed and not sample.num_failed_reference:
        return []
    reference = f"{sample.num_failed_reference} of {sample.num_ran_reference} of the reference"
    note = f"{sample.num_failed} of {sample.num_ran} runs did not learn, against {reference}"
    return [f"{note}; the numbers are among runs that learned" if sample.differences else note]


def _evidence(sample: PairedSample, budget: Budget, *, is_planned: bool, pooled: Estimate | None) -> Evidence:
    values, correct, alpha = np.array(list(sample.unit_differences.values())), sample.unit_correct, budget.look_alpha
    # At a level above 1 - alpha the interval could hold 0 although the verdict says otherwise. With several looks it is 1 - alpha of
    # the look, so that the intervals of all looks hold together.
    level = 1 - alpha if budget.share < 1 else min(0.95, 1 - alpha)
    own, sd = seeds_estimate(values), float(values.std(ddof=1))
    variance = None if correct is None else crossed_variance(correct)
    over_seeds = pooled or own
    estimate = wider_estimate(own, variance) if pooled is None else _over_images_too(pooled, variance)
    if pooled is not None:
        sd = pooled.standard_error * float(np.sqrt(len(values)))
    is_over_images = isinstance(estimate, WiderEstimate) and estimate.is_over_images(level)

    def changed(difference: float) -> float:
        if variance is None:
            return 0.0
        return images_p(difference, variance.image_floor, variance.num_images, margin=budget.margin)

    p_sign_flip, floor_p = sign_flip_p(values), smallest_sign_flip_p(len(values))
    # An early look may spend less alpha than sign flips can reach.
    can_disagree = len(values) >= MIN_PAIRS_FOR_FRAGILE and floor_p <= alpha
    return Evidence(
        estimate=estimate,
        basis=_BASES[sample.unit, is_over_images],
        interval=estimate.interval(level),
        simultaneous_interval=estimate.interval(1 - budget.step_alpha) if is_planned else None,
        spread=max(sd, 0.0 if variance is None or pooled else variance.spread),
        variance=variance,
        image_floor=None if variance is None else variance.image_floor,
        p_difference=difference_p(estimate),
        p_equivalence=1.0
        if sample.bad.may_hide(budget.margin)
        else max(tost_p(estimate, margin=budget.margin), changed(over_seeds.mean)),
        p_equivalence_floor=None if variance is None else changed(0.0),
        p_sign_flip=p_sign_flip,
        p_sign_flip_floor=floor_p,
        # Sign flips are over units, so the comparison is with t over units, on either basis.
        fragile=can_disagree and (difference_p(own) <= alpha) != (p_sign_flip <= alpha),
    )


_BASES: Mapping[tuple[Unit, bool], Basis] = {
    ("seed", False): "seeds",
    ("seed", True): "seeds and images",
    ("search", False): "searches",
    ("search", True): "searches and images",
}
"""By unit, and whether the interval is over images, too."""


def _over_images_too(pooled: Estimate, variance: CrossedVariance | None) -> Estimate | WiderEstimate:
    """A pooled estimate, or the wider of it and one that has the image floor on top of it (Satterthwaite's degrees of freedom)."""
    if variance is None or not variance.image_floor:
        return pooled
    over_units, over_images = pooled.standard_error**2, variance.image_floor**2
    parts = over_units**2 / pooled.df + over_images**2 / (variance.num_images - 1)
    total = over_units + over_images
    return WiderEstimate(pooled, replace(pooled, standard_error=float(np.sqrt(total)), df=total**2 / parts))


def _verdict(estimate: Estimate | WiderEstimate, p_difference: float, p_equivalence: float, budget: Budget) -> Verdict:
    """The verdict for an estimate and its adjusted p-values."""
    alpha, margin = budget.look_alpha, budget.margin
    wide, is_better = estimate.interval(1 - budget.step_alpha), estimate.mean > 0
    if p_difference <= alpha and p_equivalence <= alpha:
        return Verdict.BETTER_BY_LESS if is_better else Verdict.WORSE_BY_LESS
    if wide.lower > margin or wide.upper < -margin:
        return Verdict.BETTER_BY_MORE if is_better else Verdict.WORSE_BY_MORE
    if p_difference <= alpha:
        return Verdict.BETTER if is_better else Verdict.WORSE
    if p_equivalence <= alpha:
        return Verdict.EQUIVALENT
    return Verdict.UNDECIDED_MORE_SEEDS


def _without_bad_runs(judgement: Judgement, bad: BadRuns) -> Judgement:
    """A judgement that claims a small difference, with the rate of bad runs that it leaves open."""
    if not bad.num_learned or not bad.num_learned_reference:
        return judgement
    seen = f"{bad.num} of {bad.num_learned} runs, against {bad.num_reference} of {bad.num_learned_reference}"
    note = f"bad runs aside ({seen}): up to {100 * bad.highest_rate:.0f} % of runs may be bad"
    return replace(judgement, notes=(*judgement.notes, note))


def _with_bad_runs(judgement: Judgement, bad: BadRuns, budget: Budget) -> Judgement:
    """An undecided judgement, with a note if bad runs forbid "equivalent"."""
    if not bad.may_hide(budget.margin):
        return judgement
    enough = pairs_without_bad_runs(bad.size, budget.margin)
    note = (
        f"equivalence is out of reach: a run ended {points(bad.size)} points low, and up to {100 * bad.highest_rate:.0f} % of runs may; it takes "
        f"{plural(enough, 'pair')} without one"
    )
    return replace(judgement, notes=(*judgement.notes, note))


def _with_outlook(judgement: Judgement, evidence: Evidence, budget: Budget) -> Judgement:
    """An undecided judgement with the number of seeds it needs, or the reason why more seeds will not help."""
    image_floor = evidence.image_floor or 0.0
    # A study on fresh seeds may spend all of its alpha at one look.
    budget = replace(budget, share=1.0)
    has_few_images = (evidence.p_equivalence_floor or 0.0) > budget.step_alpha
    needed = seeds_needed(evidence.spread, judgement.num_pairs, budget, image_floor=image_floor)
    if needed is not None and not has_few_images:
        return replace(judgement, seeds_needed=needed)
    # If infinitely many seeds were not enough, there are too few images.
    if smallest_provable_margin(image_floor, budget) > budget.margin:
        reason = f"the test images alone leave ±{points(float(ndtri(0.975)) * image_floor)} points"
    elif has_few_images:
        reason = "the margin is too few test images to prove equivalence, though a difference may show"
    else:
        reason = (
            f"it takes more than {MAX_PAIRS} to separate 0 from the margin, though a larger difference may show sooner"
        )
    return replace(judgement, verdict=Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP, notes=(reason, *judgement.notes))
