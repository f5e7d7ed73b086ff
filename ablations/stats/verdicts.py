"""Paired runs -> words: what each contrast may be called, at one family-wise error rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from scipy.special import ndtri

from ablations.stats.intervals import (
    MIN_PAIRS_TO_LOOK,
    SMALLEST_STEP,
    Estimate,
    clopper_pearson,
    crossed_variance,
    identical,
    require_fraction,
    require_margin,
    seeds_estimate,
    wider_estimate,
)
from ablations.stats.judgement import Judgement, PairedSample, Verdict
from ablations.stats.p_values import difference_p, sign_flip_p, smallest_sign_flip_p, step_down, tost_p
from ablations.stats.power import MAX_SEEDS, seeds_needed, smallest_provable_margin
from ablations.text import _count, points

MIN_PAIRS_FOR_VERDICT = 5
"""With fewer pairs a contrast is exploratory."""


MIN_PAIRS_FOR_FRAGILE = 8
"""From here on sign flips can reach p < .01, so that their disagreement with t means something."""


MAX_PAIRS_TO_LEAVE_OUT = 30
"""Of more pairs than this none is left out in turn: one weighs little, and judging all of 500 takes minutes."""


def judge(
    samples: Mapping[str, PairedSample],
    *,
    alpha: float,
    margin: float,
    num_planned: int | None = None,
    min_pairs_for_verdict: int = MIN_PAIRS_FOR_VERDICT,
    unplanned: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Judgement]:
    """Judge all planned contrasts of a study under one error budget.

    A wrong word is "better" or "worse" at a true difference of 0 or of the other sign, "equivalent" or "by less" at one
    of the margin or more, or "by more" at one of less; the chance of any in the study is at most `alpha`. Only where true
    differences are the margin to a hair can both "equivalent" and "by more" be wrong, and the chance be 1.5 `alpha`.

    Args:
        samples: by the variant's name.
        alpha: error budget of the study, in (0, 1); halved by the caller at each of two planned looks.
        margin: the least difference that matters, points, above zero.
        num_planned: K, the contrasts that were planned, judged or not; None: as many as there are samples.
        min_pairs_for_verdict: with fewer pairs a contrast is exploratory.
        unplanned: by name, why a contrast was not planned, such as that it was thought of later; it is then exploratory
            and takes nothing of the budget.

    Returns:
        A judgement for each sample, in its order.

    Raises:
        ValueError: `alpha` or `margin` out of range, or fewer planned than sampled.
    """
    require_fraction("alpha", alpha)
    require_margin(margin)
    num_sampled = len(samples.keys() - unplanned.keys())
    num_comparisons = num_sampled if num_planned is None else num_planned
    if num_comparisons < num_sampled:
        raise ValueError(f"num_planned must be at least the {num_sampled} contrasts sampled, not {num_planned}")
    measured = {
        name: _measure(
            sample,
            alpha=alpha,
            margin=margin,
            num_comparisons=None if name in unplanned else num_comparisons,
            withheld=_withheld(sample, min_pairs_for_verdict, unplanned.get(name)),
        )
        for name, sample in samples.items()
    }
    judgements = {name: judgement for name, (judgement, _) in measured.items()}
    # Contrasts without a word do not enter, but K counts them.
    at_stake = {
        name: estimate
        for name, (judgement, estimate) in measured.items()
        if estimate is not None and judgement.verdict is Verdict.UNDECIDED_MORE_SEEDS
    }
    p_values = [difference_p(each) for each in at_stake.values()]
    p_values += [tost_p(each, margin=margin) for each in at_stake.values()]
    adjusted = step_down(np.array(p_values, dtype=np.float64), num_comparisons=num_comparisons).reshape(2, -1).tolist()
    for (name, estimate), p_difference, p_equivalence in zip(at_stake.items(), *adjusted, strict=True):
        judgements[name] = _with_word(
            judgements[name],
            estimate,
            p_difference,
            p_equivalence,
            alpha=alpha,
            margin=margin,
            num_comparisons=num_comparisons,
        )
    return judgements


def judge_without_each_seed(
    samples: Mapping[str, PairedSample],
    judgements: Mapping[str, Judgement],
    *,
    alpha: float,
    margin: float,
    num_planned: int,
) -> dict[str, dict[int, Judgement]]:
    """Judge the study again for each seed, as if that one had not been there: whether a verdict rests on a single seed.

    A check on verdicts, and never a verdict: whoever leaves out a seed after a look at it finds what he looks for. One
    pair fewer also proves less, so that a verdict may go for want of seeds where no seed stands out.

    Args:
        samples: as `judge` was given them.
        judgements: what it made of them.
        alpha: as there.
        margin: as there.
        num_planned: as there, K.

    Returns:
        By contrast and seed, for the pairs of contrasts that have a verdict; nothing for the others, nor for any where one has
        more than `MAX_PAIRS_TO_LEAVE_OUT` pairs.
    """
    judged = {name: each for name, each in samples.items() if not judgements[name].verdict.is_withheld}
    if any(len(sample.differences) > MAX_PAIRS_TO_LEAVE_OUT for sample in judged.values()):
        return {}
    found: dict[str, dict[int, Judgement]] = {name: {} for name in judged}
    for seed in sorted({seed for sample in judged.values() for seed in sample.differences}):
        without = judge(
            {name: sample.without(seed) for name, sample in judged.items()},
            alpha=alpha,
            margin=margin,
            num_planned=num_planned,
            min_pairs_for_verdict=MIN_PAIRS_FOR_VERDICT - 1,
        )
        for name, sample in judged.items():
            if seed in sample.differences:
                found[name][seed] = without[name]
    return found


def _withheld(sample: PairedSample, min_pairs: int, unplanned: str | None) -> tuple[Verdict, str] | None:
    """Why a sample may carry no word, or None."""
    values = sample.values
    num_pairs = len(values)
    if not np.isfinite(values).all():
        seeds = ", ".join(str(seed) for seed in sorted(sample.differences) if not np.isfinite(sample.differences[seed]))
        return Verdict.NO_VERDICT, f"the difference at seed {seeds} is not a finite number"
    if sample.num_missing:
        # A word now and another when the rest is in would be two looks for the price of one.
        return Verdict.NO_VERDICT, f"{sample.num_missing} of {sample.num_planned} planned pairs are missing"
    if num_pairs < MIN_PAIRS_TO_LOOK:
        return (
            Verdict.NO_VERDICT,
            f"{_count(num_pairs, 'pair')} in which both learned, where it takes {MIN_PAIRS_TO_LOOK}",
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


def _measure(
    sample: PairedSample,
    *,
    alpha: float,
    margin: float,
    num_comparisons: int | None,
    withheld: tuple[Verdict, str] | None,
) -> tuple[Judgement, Estimate | None]:
    """All that one sample shows by itself, and what its tests go by; "undecided" until the word is found."""
    verdict, *notes = withheld or (Verdict.UNDECIDED_MORE_SEEDS,)
    if sample.num_failed or sample.num_failed_reference:
        reference = f"{sample.num_failed_reference} of {sample.num_ran_reference} of the reference"
        notes.append(f"{sample.num_failed} of {sample.num_ran} runs did not learn, against {reference}")
        if sample.differences:
            notes[-1] = f"among runs that learned ({notes[-1]})"
    values = sample.values
    finite = values.size > 0 and bool(np.isfinite(values).all())
    wins, losses = (int(np.sum(sign * values > SMALLEST_STEP)) if finite else 0 for sign in (1, -1))
    judgement = Judgement(
        num_pairs=len(values),
        mean=float(values.mean()) if finite else None,
        sd=float(values.std(ddof=1)) if finite and len(values) > 1 else None,
        spread=None,
        interval=None,
        simultaneous_interval=None,
        basis=None,
        p_difference=None,
        p_equivalence=None,
        p_difference_adjusted=None,
        p_equivalence_adjusted=None,
        p_sign_flip=None,
        p_sign_flip_floor=None,
        fragile=False,
        wins=wins,
        losses=losses,
        ties=len(values) - wins - losses if finite else 0,
        probability_of_improvement=clopper_pearson(wins, wins + losses) if wins + losses else None,
        image_floor=None,
        verdict=verdict,
        seeds_needed=None,
        notes=tuple(notes),
    )
    if not finite or len(values) < 2 or identical(values):
        return judgement, None
    # An interval at less than 1 - alpha could hold 0 under a word that says otherwise.
    level = min(0.95, 1 - alpha)
    over_seeds, sd = seeds_estimate(values), float(values.std(ddof=1))
    variance = None if sample.correct is None else crossed_variance(sample.correct)
    estimate = wider_estimate(over_seeds, variance, level=level)
    p_sign_flip = sign_flip_p(values)
    # Sign flips are over seeds, so they are held against t over seeds, whichever the basis.
    fragile = len(values) >= MIN_PAIRS_FOR_FRAGILE and (difference_p(over_seeds) <= alpha) != (p_sign_flip <= alpha)
    if fragile:
        notes.append("fragile: the t test and the sign-flip check disagree")
    judgement = replace(
        judgement,
        spread=max(sd, 0.0 if variance is None else variance.spread),
        interval=estimate.interval(level),
        simultaneous_interval=estimate.interval(1 - alpha / num_comparisons) if num_comparisons else None,
        basis="seeds" if estimate is over_seeds else "seeds and images",
        p_difference=difference_p(estimate),
        p_equivalence=tost_p(estimate, margin=margin),
        p_sign_flip=p_sign_flip,
        p_sign_flip_floor=smallest_sign_flip_p(len(values)),
        fragile=fragile,
        image_floor=None if variance is None else variance.image_floor,
        notes=tuple(notes),
    )
    return judgement, estimate


def _with_word(
    judgement: Judgement,
    estimate: Estimate,
    p_difference: float,
    p_equivalence: float,
    *,
    alpha: float,
    margin: float,
    num_comparisons: int,
) -> Judgement:
    """The word that the adjusted p-values allow."""
    judgement = replace(judgement, p_difference_adjusted=p_difference, p_equivalence_adjusted=p_equivalence)
    wide = estimate.interval(1 - alpha / num_comparisons)
    better = estimate.mean > 0
    if p_difference <= alpha and p_equivalence <= alpha:
        return replace(judgement, verdict=Verdict.BETTER_BY_LESS if better else Verdict.WORSE_BY_LESS)
    if wide.lower > margin or wide.upper < -margin:
        return replace(judgement, verdict=Verdict.BETTER_BY_MORE if better else Verdict.WORSE_BY_MORE)
    if p_difference <= alpha:
        return replace(judgement, verdict=Verdict.BETTER if better else Verdict.WORSE)
    if p_equivalence <= alpha:
        return replace(judgement, verdict=Verdict.EQUIVALENT)
    image_floor = judgement.image_floor or 0.0
    budget: dict[str, Any] = {"alpha": alpha, "num_comparisons": num_comparisons}
    spread = cast("float", judgement.spread)
    needed = seeds_needed(spread, judgement.num_pairs, margin=margin, image_floor=image_floor, **budget)
    if needed is not None:
        return replace(judgement, seeds_needed=needed)
    # Endless seeds would not do: then it is the images that are too few.
    reason = (
        f"the test images alone leave ±{points(float(ndtri(0.975)) * image_floor)} points"
        if smallest_provable_margin(image_floor, **budget) > margin
        else f"it would take more than {MAX_SEEDS} to tell 0 from the margin, though a larger difference may show sooner"
    )
    return replace(judgement, verdict=Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP, notes=(reason, *judgement.notes))
