"""A judgement in one sentence."""

from __future__ import annotations

from ablations.stats.budget import Budget
from ablations.stats.intervals import MIN_PAIRS_TO_LOOK
from ablations.stats.judgement import Judgement, Verdict
from ablations.stats.power import MAX_PAIRS
from ablations.text import plural, points


def sentence(
    judgement: Judgement, budget: Budget, *, variant: str, reference: str, scope: str, outlook: str = ""
) -> str:
    """Word a judgement in one sentence: the verdict with its size, interval, seeds, margin and scope.

    Args:
        judgement: of `variant` minus `reference`.
        budget: as given to `judge`.
        variant: its name.
        reference: name of the variant it is compared with.
        scope: condition of the claim, such as "for these tuned values, on CIFAR-10".
        outlook: what happens next to an undecided contrast; empty: nothing.

    Raises:
        ValueError: a verdict has no mean, no interval or too few pairs; the scope is empty.
    """
    if not scope.strip():
        raise ValueError("a verdict needs its scope")
    numbers = _numbers(judgement, budget)
    if judgement.verdict is Verdict.NO_VERDICT:
        return _without_verdict(judgement, numbers, f"{variant} against {reference}", scope)
    mean, notes = judgement.mean, list(judgement.notes)
    if mean is None or not numbers or judgement.num_pairs < MIN_PAIRS_TO_LOOK:
        raise ValueError(f"a verdict needs its mean, interval and number of pairs: {judgement}")
    limit = f"the margin of {plural(budget.margin, 'point')}"
    than = f"{variant} is {points(mean)} points {'better' if mean > 0 else 'worse'} than {reference}"
    match judgement.verdict:
        case Verdict.BETTER | Verdict.WORSE:
            claim = f"{than} ({numbers})"
            notes.insert(0, f"whether by more than {limit} is open")
        case Verdict.BETTER_BY_LESS | Verdict.WORSE_BY_LESS:
            claim = f"{than}, but by less than {limit} ({numbers})"
        case Verdict.BETTER_BY_MORE | Verdict.WORSE_BY_MORE:
            claim = f"{than}, by more than {limit} ({numbers})"
        case Verdict.EQUIVALENT:
            claim = f"{variant} is equivalent to {reference} within {limit}: {_moved(mean)} ({numbers})"
        case Verdict.UNDECIDED_MORE_SEEDS | Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP | Verdict.UNDECIDED_FUTILE:
            was = f"{variant} was {_moved(mean)} {'than' if mean else 'with'} {reference}"
            claim = f"undecided: {was} ({numbers}), which proves neither a difference nor equivalence within {limit}"
            notes = [*filter(None, [outlook]), *_needed(judgement)]
        case Verdict.EXPLORATORY:
            claim = f"exploratory, no verdict: {variant} against {reference}, {_moved(mean)} ({numbers})"
            return "; ".join([claim, f"not held against {limit}", *notes, scope]) + "."
    return "; ".join([f"{claim}, {_corrected(budget)}", *notes, scope]) + "."


def _without_verdict(judgement: Judgement, numbers: str, contrast: str, scope: str) -> str:
    is_known = judgement.mean is not None and numbers
    so_far = [f"so far {_moved(judgement.mean)} ({numbers})"] if is_known else []
    return "; ".join([f"no verdict on {contrast}: {'; '.join(judgement.notes)}", *so_far, scope]) + "."


def _corrected(budget: Budget) -> str:
    looks = " and all planned looks" if budget.share < 1 else ""
    comparisons = plural(budget.num_comparisons, "comparison")
    return f"after correcting for {comparisons}{looks} at a {100 * budget.alpha:g} % risk of any wrong word"


def _needed(judgement: Judgement) -> list[str]:
    """The notes of an undecided contrast; the first one says how it could be decided."""
    needed = judgement.seeds_needed
    if needed is None:
        units = "searches" if judgement.unit == "search" else "seeds"
        return [": ".join((f"more {units} will not help", *judgement.notes[:1])), *judgement.notes[1:]]
    low, num, high = (judgement.num_pairs + each for each in (needed.low, needed.num, needed.high))
    more = " or more" if high >= MAX_PAIRS else ""
    likely = (
        f"one look at about {num} fresh {'seeds' if judgement.unit == 'seed' else 'searches'} ({low} to {high}{more}) would find a true difference of the margin, or prove "
        "equivalence where there is none, four times in five"
    )
    return [likely, *judgement.notes]


def _numbers(judgement: Judgement, budget: Budget) -> str:
    """Interval, pairs and wins; empty without evidence."""
    evidence = judgement.evidence
    if evidence is None:
        return ""
    interval = evidence.interval
    if interval.lower < 0 < interval.upper:
        span = f"from {points(interval.lower)} lower to {points(interval.upper)} higher"
    else:
        near, far = sorted((interval.lower, interval.upper), key=abs)
        span = f"{points(near)} to {points(far)} points {'higher' if far > 0 else 'lower'}"
    counts = ((judgement.losses, "lower"), (judgement.wins, "higher"), (judgement.ties, "tied"))
    shown = [f"{count} {word}" for count, word in counts if count]
    wins = ", ".join(shown) if len(shown) > 1 else f"all {shown[0]}"
    level, over = interval.level, []
    if budget.share < 1:
        level, over = 1 - budget.alpha, ["all looks"]
    over += [evidence.basis] if evidence.basis.endswith("images") else []
    told = f" over {', '.join(over)}" if over else ""
    return f"{100 * level:g} % CI{told} {span}, {plural(judgement.num_pairs, judgement.unit_words)}, {wins}"


def _moved(mean: float | None) -> str:
    if not mean:
        return "level on average"
    return f"{points(mean)} points {'higher' if mean > 0 else 'lower'}"
