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
    Estimate,
    WiderEstimate,
    clopper_pearson,
    crossed_variance,
    identical,
    seeds_estimate,
    wider_estimate,
)
from ablations.stats.judgement import Evidence, Judgement, PairedSample, Verdict
from ablations.stats.p_values import (
    difference_p,
    images_p,
    sign_flip_p,
    smallest_sign_flip_p,
    step_down,
    tost_p,
)
from ablations.stats.power import MAX_PAIRS, seeds_needed, smallest_provable_margin
from ablations.text import plural, points

MIN_PAIRS_FOR_VERDICT = 5
"""With fewer pairs a contrast is exploratory."""

MIN_PAIRS_FOR_FRAGILE = 8
"""From here on sign flips can reach p < .01, so their disagreement with the t test means something, if alpha is not below it."""

MAX_PAIRS_TO_LEAVE_OUT = 30
"""With more pairs leave-one-out is skipped: each pair weighs little, and 500 pairs take minutes."""


def judge(
    samples: Mapping[str, PairedSample],
    budget: Budget,
    *,
    min_pairs_for_verdict: int = MIN_PAIRS_FOR_VERDICT,
    unplanned: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Judgement]:
    """Judge all planned contrasts of a study at one look.

    Three kinds of verdict are wrong: "better" or "worse" at a true difference of 0 or of the other sign; "equivalent" or
    "by less" at a true difference of the margin or more; "by more" at less than the margin. The probability of any wrong
    verdict in the study is at most `budget.look_alpha`. There is one exception. If true differences equal the margin
    almost exactly, both "equivalent" and "by more" can be wrong, and the probability can reach 1.5 `budget.look_alpha`.

    Args:
        samples: by the variant's name.
        budget: of the study. Its K counts all planned contrasts, judged or not.
        min_pairs_for_verdict: with fewer pairs a contrast is exploratory.
        unplanned: by name, the reason why a contrast was not planned, for instance that it was added later. Such a
            contrast is exploratory and takes nothing from the budget.

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
    judgements = {
        name: _measured(
            sample,
            budget,
            withheld=_withheld(sample, min_pairs_for_verdict, unplanned.get(name)),
            is_planned=name not in unplanned,
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
        judgements[name] = _with_outlook(judgement, evidence, budget) if is_open else judgement
    return judgements


def judge_without_each_seed(
    samples: Mapping[str, PairedSample], judgements: Mapping[str, Judgement], budget: Budget
) -> dict[str, dict[int, Judgement]]:
    """Leave-one-out: judge the study again without each seed, to see whether a verdict rests on a single seed.

    This is a check on verdicts and never a verdict: after a look at the results one can always choose a seed to leave
    out. One pair fewer also proves less, so a verdict may disappear although no seed stands out.

    Args:
        samples: as given to `judge`.
        judgements: as returned by `judge`.
        budget: as given to `judge`.

    Returns:
        By contrast and seed, for the pairs of contrasts with a verdict. It is empty if one of these contrasts has more
        than `MAX_PAIRS_TO_LEAVE_OUT` pairs.
    """
    judged = {name: each for name, each in samples.items() if not judgements[name].verdict.is_withheld}
    if any(len(sample.differences) > MAX_PAIRS_TO_LEAVE_OUT for sample in judged.values()):
        return {}
    found: dict[str, dict[int, Judgement]] = {name: {} for name in judged}
    for seed in sorted({seed for sample in judged.values() for seed in sample.differences}):
        without = judge(
            {name: sample.without(seed) for name, sample in judged.items()},
            budget,
            min_pairs_for_verdict=MIN_PAIRS_FOR_VERDICT - 1,
        )
        for name, sample in judged.items():
            if seed in sample.differences:
                found[name][seed] = without[name]
    return found


def _withheld(sample: PairedSample, min_pairs: int, unplanned: str | None) -> tuple[Verdict, str] | None:
    """The verdict and reason of a sample that may not be judged; None if it may."""
    values = sample.values
    num_pairs = len(values)
    if not np.isfinite(values).all():
        seeds = ", ".join(str(seed) for seed in sorted(sample.differences) if not np.isfinite(sample.differences[seed]))
        return Verdict.NO_VERDICT, f"the difference at seed {seeds} is not a finite number"
    if sample.num_missing:
        # A verdict now and another one with the rest would be two looks for the price of one.
        return Verdict.NO_VERDICT, f"{sample.num_missing} of {sample.num_planned} planned pairs are missing"
    if num_pairs < MIN_PAIRS_TO_LOOK:
        return (
            Verdict.NO_VERDICT,
            f"{plural(num_pairs, 'pair')} in which both learned, where it takes {MIN_PAIRS_TO_LOOK}",
        )
    if sample.correct is not None and not np.any(sample.correct):
        return Verdict.NO_VERDICT, "the same test images right at every seed: check that the change is applied"
    if identical(values):
        return Verdict.NO_VERDICT, "identical difference at every seed: check that seeds and the change are applied"
    if unplanned is not None:
        return Verdict.EXPLORATORY, unplanned
    if num_pairs > sample.num_planned:
        return Verdict.EXPLORATORY, f"{num_pairs} pairs where {sample.num_planned} were planned"
    if num_pairs < min_pairs:
        return Verdict.EXPLORATORY, f"a verdict takes {min_pairs} pairs"
    return None


def _measured(
    sample: PairedSample, budget: Budget, *, withheld: tuple[Verdict, str] | None, is_planned: bool
) -> Judgement:
    """Everything that one sample shows alone; "undecided" until the verdict is known."""
    verdict, *notes = withheld or (Verdict.UNDECIDED_MORE_SEEDS,)
    notes += _failures(sample)
    values = sample.values
    is_finite = values.size > 0 and bool(np.isfinite(values).all())
    wins, losses = (int(np.sum(sign * values > SMALLEST_STEP)) if is_finite else 0 for sign in (1, -1))
    evidence = None
    if is_finite and len(values) > 1 and not identical(values):
        evidence = _evidence(sample, budget, is_planned=is_planned)
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
    )


def _failures(sample: PairedSample) -> list[str]:
    """A note on runs that did not learn, if there are any."""
    if not sample.num_failed and not sample.num_failed_reference:
        return []
    reference = f"{sample.num_failed_reference} of {sample.num_ran_reference} of the reference"
    note = f"{sample.num_failed} of {sample.num_ran} runs did not learn, against {reference}"
    return [f"among runs that learned ({note})" if sample.differences else note]


def _evidence(sample: PairedSample, budget: Budget, *, is_planned: bool) -> Evidence:
    values, alpha = sample.values, budget.look_alpha
    # At a level above 1 - alpha the interval could hold 0 although the verdict says otherwise.
    level = min(0.95, 1 - alpha)
    over_seeds, sd = seeds_estimate(values), float(values.std(ddof=1))
    variance = None if sample.correct is None else crossed_variance(sample.correct)
    estimate = wider_estimate(over_seeds, variance)
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
        basis="seeds and images" if is_over_images else "seeds",
        interval=estimate.interval(level),
        simultaneous_interval=estimate.interval(1 - budget.step_alpha) if is_planned else None,
        spread=max(sd, 0.0 if variance is None else variance.spread),
        image_floor=None if variance is None else variance.image_floor,
        p_difference=difference_p(estimate),
        p_equivalence=max(tost_p(estimate, margin=budget.margin), changed(over_seeds.mean)),
        p_equivalence_floor=None if variance is None else changed(0.0),
        p_sign_flip=p_sign_flip,
        p_sign_flip_floor=floor_p,
        # Sign flips are over seeds, so the comparison is with t over seeds, on either basis.
        fragile=can_disagree and (difference_p(over_seeds) <= alpha) != (p_sign_flip <= alpha),
    )


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
        reason = "the margin is too few of the test images to prove equivalence, though a difference may show"
    else:
        reason = (
            f"it would take more than {MAX_PAIRS} to tell 0 from the margin, though a larger difference may show sooner"
        )
    return replace(judgement, verdict=Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP, notes=(reason, *judgement.notes))
