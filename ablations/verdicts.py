"""Paired runs -> words: what each contrast may be called, within one error budget, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto
from types import MappingProxyType
from typing import Any, Literal, cast

import numpy as np
from scipy.special import ndtri

from ablations.power import MAX_SEEDS, SeedsNeeded, seeds_needed, smallest_provable_margin
from ablations.stats import (
    MIN_PAIRS_TO_LOOK,
    SMALLEST_STEP,
    Array,
    Estimate,
    Interval,
    clopper_pearson,
    crossed_variance,
    difference_p,
    identical,
    require_fraction,
    require_margin,
    seeds_estimate,
    sign_flip_p,
    smallest_sign_flip_p,
    step_down,
    tost_p,
    wider_estimate,
)

MIN_PAIRS_FOR_VERDICT = 5
"""With fewer pairs a contrast is exploratory."""
MIN_PAIRS_FOR_FRAGILE = 8
"""From here on sign flips can reach p < .01, so that their disagreement with t means something."""


MAX_PAIRS_TO_LEAVE_OUT = 30
"""Of more pairs than this none is left out in turn: one weighs little, and judging all of 500 takes minutes."""


class Verdict(StrEnum):
    """What a contrast may be called; better and worse are the variant's."""

    BETTER = auto()
    WORSE = auto()
    BETTER_BY_LESS = auto()
    WORSE_BY_LESS = auto()
    BETTER_BY_MORE = auto()
    WORSE_BY_MORE = auto()
    EQUIVALENT = auto()
    UNDECIDED_MORE_SEEDS = auto()
    UNDECIDED_MORE_SEEDS_WILL_NOT_HELP = auto()
    EXPLORATORY = auto()
    NO_VERDICT = auto()

    @property
    def words(self) -> str:
        """The verdict as a table shows it."""
        return _WORDS[self]

    @property
    def word(self) -> str:
        """The words without what follows from them: undecided is undecided, whether or not more seeds may decide."""
        return self.words.partition(":")[0]

    @property
    def is_withheld(self) -> bool:
        """Whether it is none: nothing is claimed, and nothing of the error budget spent."""
        return self in {Verdict.NO_VERDICT, Verdict.EXPLORATORY}


_WORDS = {
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
    Verdict.BETTER_BY_LESS: "better, but by less than the margin",
    Verdict.WORSE_BY_LESS: "worse, but by less than the margin",
    Verdict.BETTER_BY_MORE: "better by more than the margin",
    Verdict.WORSE_BY_MORE: "worse by more than the margin",
    Verdict.EQUIVALENT: "equivalent within the margin",
    Verdict.UNDECIDED_MORE_SEEDS: "undecided: more seeds may decide",
    Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP: "undecided: more seeds will not help",
    Verdict.EXPLORATORY: "exploratory",
    Verdict.NO_VERDICT: "no verdict",
}


@dataclass(frozen=True)
class PairedSample:
    """One planned contrast: outcomes of a variant and its reference by seed.

    Raises:
        ValueError: a count is negative or more failed than ran; `correct` does not have the shape, the values or the
            row means that `differences` call for.
    """

    differences: Mapping[int, float]
    """Seed -> variant minus reference, points; pairs where both learned."""
    num_planned: int
    """Planned pairs."""
    num_missing: int
    """Planned pairs with a missing run (crash, budget)."""
    num_failed: int
    """Runs of the variant that ran and did not learn, of `num_ran`."""
    num_failed_reference: int
    num_ran: int
    num_ran_reference: int
    correct: Array | None = field(default=None, compare=False, repr=False)
    """Right (1) or wrong (0), variant minus reference: -1, 0 or 1; shape (num_pairs, num_images), by sorted seeds."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        counts = (self.num_planned, self.num_missing, self.num_failed, self.num_failed_reference)
        if min(counts) < 0 or self.num_failed > self.num_ran or self.num_failed_reference > self.num_ran_reference:
            raise ValueError(f"counts must be at least 0 and no more may fail than ran: {self}")
        if self.correct is None:
            return
        correct, values = np.asarray(self.correct), self.values
        if (
            correct.ndim != 2
            or len(correct) != len(values)
            or correct.shape[1] < 2
            or not np.isin(correct, (-1, 0, 1)).all()
        ):
            raise ValueError(
                f"correct must hold -1, 0 or 1 in shape ({len(values)}, at least 2 images), not shape {correct.shape}"
            )
        # Half an image: rounded percentages pass, rows in another order than the seeds do not.
        if np.any(np.abs(100 * correct.mean(axis=1) - values) > 50 / correct.shape[1]):
            raise ValueError("correct does not average to differences: are its rows in the order of the sorted seeds?")

    @property
    def values(self) -> Array:
        """Differences in order of their seeds, shape (num_pairs,), points."""
        return np.array([self.differences[seed] for seed in sorted(self.differences)], dtype=np.float64)

    def without(self, seed: int) -> PairedSample:
        """The sample as if a seed had been neither planned nor run; itself where there is no pair of that seed."""
        if seed not in self.differences:
            return self
        row = sorted(self.differences).index(seed)
        return replace(
            self,
            differences={each: value for each, value in self.differences.items() if each != seed},
            num_planned=self.num_planned - 1,
            num_ran=self.num_ran - 1,
            num_ran_reference=self.num_ran_reference - 1,
            correct=None if self.correct is None else np.delete(self.correct, row, axis=0),
        )


@dataclass(frozen=True)
class Judgement:
    """What a paired sample shows, and the word for it. None wherever the sample does not carry the number."""

    num_pairs: int
    mean: float | None
    """Mean difference, points."""
    sd: float | None
    """Standard deviation of the differences (never of the mean), points."""
    spread: float | None
    """`sd`, or `CrossedVariance.spread` where the images are known and that is larger: what more seeds find goes by it."""
    interval: Interval | None
    """Pointwise, 95 % (or 1 - alpha where that is less, so that interval and word agree)."""
    simultaneous_interval: Interval | None
    """At 1 - alpha / K: all K planned contrasts together cover with probability 1 - alpha."""
    basis: Literal["seeds", "seeds and images"] | None
    """What the intervals and p-values are for: new seeds on these images, or new seeds and new images."""
    p_difference: float | None
    """Of a true difference of 0."""
    p_equivalence: float | None
    """Of a true difference of the margin or more, on either side."""
    p_difference_adjusted: float | None
    """Over all words of the study; compare with alpha. None where no word was at stake."""
    p_equivalence_adjusted: float | None
    p_sign_flip: float | None
    """A check on t that assumes symmetry only; over seeds."""
    p_sign_flip_floor: float | None
    """The least that `p_sign_flip` can be with so many pairs."""
    fragile: bool
    """The t test over seeds and the sign flips fall on different sides of alpha."""
    wins: int
    """Pairs in which the variant is better."""
    losses: int
    ties: int
    probability_of_improvement: Interval | None
    """95 % interval for the chance that the variant wins a fresh pair that is not tied, in [0, 1]."""
    image_floor: float | None
    """Standard error that infinitely many seeds would leave, points: the resolution of the test set."""
    verdict: Verdict
    seeds_needed: SeedsNeeded | None
    """With `UNDECIDED_MORE_SEEDS` only."""
    notes: tuple[str, ...]
    """Clauses that qualify the verdict or say why there is none."""


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
        f"the test images alone leave ±{_points(float(ndtri(0.975)) * image_floor)} points"
        if smallest_provable_margin(image_floor, **budget) > margin
        else f"it would take more than {MAX_SEEDS} to tell 0 from the margin, though a larger difference may show sooner"
    )
    return replace(judgement, verdict=Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP, notes=(reason, *judgement.notes))


def sentence(
    judgement: Judgement,
    *,
    variant: str,
    reference: str,
    alpha: float,
    num_comparisons: int,
    margin: float,
    scope: str,
    num_looks: int = 1,
) -> str:
    """Word a judgement in one sentence: with the verdict its size, interval, seeds, margin and scope.

    Args:
        judgement: of `variant` minus `reference`.
        variant: its name.
        reference: the name of what it is compared with.
        alpha: error budget of the study; the judgement was made with this over `num_looks`.
        num_comparisons: K that share it.
        margin: points.
        scope: what the claim is conditional on, such as "for the tuned configurations, on CIFAR-10".
        num_looks: planned looks at the results that share `alpha`.

    Raises:
        ValueError: a verdict has no pairs, mean or interval; the margin is not above zero; the scope is empty.
    """
    require_margin(margin)
    require_fraction("alpha", alpha)
    if not scope.strip():
        raise ValueError("a verdict needs its scope")
    evidence = _evidence(judgement)
    notes = list(judgement.notes)
    if judgement.verdict is Verdict.NO_VERDICT:
        so_far = [f"so far {_moved(judgement.mean)} ({evidence})"] if judgement.mean is not None and evidence else []
        return "; ".join([f"no verdict on {variant} against {reference}: " + "; ".join(notes), *so_far, scope]) + "."
    mean = judgement.mean
    if mean is None or not evidence or judgement.num_pairs < MIN_PAIRS_TO_LOOK:
        raise ValueError(f"a verdict needs its mean, interval and number of pairs: {judgement}")
    limit = f"the margin of {_count(margin, 'point')}"
    pair, which = f"{variant} is {{}} {reference}", "better" if mean > 0 else "worse"
    match judgement.verdict:
        case Verdict.BETTER | Verdict.WORSE:
            claim = pair.format(f"{_points(mean)} points {which} than") + f" ({evidence})"
            notes.insert(0, f"whether by more than {limit} is open")
        case Verdict.BETTER_BY_LESS | Verdict.WORSE_BY_LESS:
            claim = pair.format(f"{_points(mean)} points {which} than") + f", but by less than {limit} ({evidence})"
        case Verdict.BETTER_BY_MORE | Verdict.WORSE_BY_MORE:
            claim = pair.format(f"{_points(mean)} points {which} than") + f", by more than {limit} ({evidence})"
        case Verdict.EQUIVALENT:
            claim = pair.format("equivalent to") + f" within {limit}: {_moved(mean)} ({evidence})"
        case Verdict.UNDECIDED_MORE_SEEDS | Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP:
            than = f"was {_moved(mean)} than" if mean else f"was {_moved(mean)} with"
            claim = f"undecided: {variant} {than} {reference} ({evidence}), which proves neither a difference nor "
            claim += f"equivalence within {limit}"
            notes = _outlook(judgement)
        case Verdict.EXPLORATORY:
            claim = f"exploratory, no verdict: {variant} against {reference}, {_moved(mean)} ({evidence})"
            notes.insert(0, f"not held against {limit}")
            return "; ".join([claim, *notes, scope]) + "."
    looks = f" and {num_looks} planned looks" if num_looks > 1 else ""
    corrected = f"after correcting for {_count(num_comparisons, 'comparison')}{looks} at a {100 * alpha:g} % risk of any wrong word"
    return "; ".join([f"{claim}, {corrected}", *notes, scope]) + "."


def _outlook(judgement: Judgement) -> list[str]:
    """The notes of an undecided contrast, beginning with what would decide it."""
    needed = judgement.seeds_needed
    if needed is None:
        return [": ".join(("more seeds will not help", *judgement.notes[:1])), *judgement.notes[1:]]
    more = " or more" if judgement.num_pairs + needed.high >= MAX_SEEDS else ""
    likely = (
        f"about {_count(needed.num, 'more seed')} ({needed.low} to {needed.high}{more}) would find a true difference of the "
        "margin, or prove equivalence where there is none, four times in five"
    )
    return [likely, *judgement.notes]


def _evidence(judgement: Judgement) -> str:
    """Interval, pairs and wins; empty where there is no interval."""
    interval = judgement.interval
    if interval is None:
        return ""
    if interval.lower < 0 < interval.upper:
        span = f"from {_points(interval.lower)} lower to {_points(interval.upper)} higher"
    else:
        near, far = sorted((interval.lower, interval.upper), key=abs)
        span = f"{_points(near)} to {_points(far)} points {'higher' if far > 0 else 'lower'}"
    over = " over seeds and images" if judgement.basis == "seeds and images" else ""
    counts = ((judgement.losses, "lower"), (judgement.wins, "higher"), (judgement.ties, "tied"))
    shown = [f"{count} {word}" for count, word in counts if count]
    wins = ", ".join(shown) if len(shown) > 1 else f"all {shown[0]}"
    return f"{100 * interval.level:g} % CI{over} {span}, {_count(judgement.num_pairs, 'paired seed')}, {wins}"


def _moved(mean: float | None) -> str:
    if not mean:
        return "level on average"
    return f"{_points(mean)} points {'higher' if mean > 0 else 'lower'}"


def _points(value: float) -> str:
    size = abs(value)
    return "under 0.01" if 0 < size < 0.005 else f"{size:.2f}"


def _count(number: float, thing: str) -> str:
    return f"{number:g} {thing}" + ("" if number == 1 else "s")
