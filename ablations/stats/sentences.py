"""A judgement in one sentence."""

from __future__ import annotations

from ablations.stats.intervals import MIN_PAIRS_TO_LOOK, require_fraction, require_margin
from ablations.stats.judgement import Judgement, Verdict
from ablations.stats.power import MAX_SEEDS
from ablations.text import _count, points


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
            claim = pair.format(f"{points(mean)} points {which} than") + f" ({evidence})"
            notes.insert(0, f"whether by more than {limit} is open")
        case Verdict.BETTER_BY_LESS | Verdict.WORSE_BY_LESS:
            claim = pair.format(f"{points(mean)} points {which} than") + f", but by less than {limit} ({evidence})"
        case Verdict.BETTER_BY_MORE | Verdict.WORSE_BY_MORE:
            claim = pair.format(f"{points(mean)} points {which} than") + f", by more than {limit} ({evidence})"
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
        span = f"from {points(interval.lower)} lower to {points(interval.upper)} higher"
    else:
        near, far = sorted((interval.lower, interval.upper), key=abs)
        span = f"{points(near)} to {points(far)} points {'higher' if far > 0 else 'lower'}"
    over = " over seeds and images" if judgement.basis == "seeds and images" else ""
    counts = ((judgement.losses, "lower"), (judgement.wins, "higher"), (judgement.ties, "tied"))
    shown = [f"{count} {word}" for count, word in counts if count]
    wins = ", ".join(shown) if len(shown) > 1 else f"all {shown[0]}"
    return f"{100 * interval.level:g} % CI{over} {span}, {_count(judgement.num_pairs, 'paired seed')}, {wins}"


def _moved(mean: float | None) -> str:
    if not mean:
        return "level on average"
    return f"{points(mean)} points {'higher' if mean > 0 else 'lower'}"
