"""A judgement in a few short sentences. Its common conditions (margin, correction, scope) are said once, elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from ablations.stats.budget import Budget
from ablations.stats.intervals import MIN_PAIRS_TO_LOOK
from ablations.stats.judgement import Judgement, Verdict
from ablations.stats.power import MAX_PAIRS
from ablations.text import points

_UNDECIDED = {
    Verdict.UNDECIDED_MORE_SEEDS,
    Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP,
    Verdict.UNDECIDED_FUTILE,
}


def paragraph(judgement: Judgement, budget: Budget, *, variant: str, reference: str) -> str:
    """Word a judgement: the verdict, its size with interval and wins, and everything that qualifies it.

    Args:
        judgement: of `variant` minus `reference`.
        budget: as given to `judge`.
        variant: its name.
        reference: name of the variant it is compared with.

    Returns:
        Short sentences, with names in backticks.

    Raises:
        ValueError: a verdict has no mean, no interval or too few pairs.
    """
    verdict, names = judgement.verdict, f"`{variant}` against `{reference}`"
    if verdict is Verdict.NO_VERDICT:
        return " ".join([f"No verdict on {names}.", *_sentences(judgement.notes), *_so_far(judgement, budget)])
    if judgement.mean is None or judgement.evidence is None or judgement.num_pairs < MIN_PAIRS_TO_LOOK:
        raise ValueError(f"a verdict needs its mean, interval and number of pairs: {judgement}")
    size = f"`{variant}` scored {_moved(judgement.mean, f'`{reference}`')} ({_numbers(judgement, budget)})."
    if verdict is Verdict.EXPLORATORY:
        return " ".join(
            ["Exploratory, no verdict.", size, "It is not tested against the margin.", *_sentences(judgement.notes)]
        )
    head = f"{verdict.word[0].upper()}{verdict.word[1:]}."
    return " ".join([head, size, *_qualified(judgement)])


def _qualified(judgement: Judgement) -> Iterator[str]:
    """The open questions of a verdict, and its notes."""
    if judgement.verdict in {Verdict.BETTER, Verdict.WORSE}:
        yield "Whether the difference exceeds the margin is open."
    if judgement.verdict not in _UNDECIDED:
        yield from _sentences(judgement.notes)
        return
    yield "This proves neither a difference nor equivalence."
    needed, units = judgement.seeds_needed, "searches" if judgement.unit == "search" else "seeds"
    if needed is None:
        # The first note is the reason.
        yield from _sentences([": ".join((f"more {units} will not help", *judgement.notes[:1]))])
        yield from _sentences(judgement.notes[1:])
        return
    low, num, high = (judgement.num_pairs + each for each in (needed.low, needed.num, needed.high))
    more = " or more" if high >= MAX_PAIRS else ""
    yield f"With 80 % power, one look at about {num} fresh {units} ({low} to {high}{more}) would decide it."
    yield from _sentences(judgement.notes)


def _sentences(clauses: tuple[str, ...] | list[str]) -> Iterator[str]:
    return (f"{clause[0].upper()}{clause[1:]}." for clause in clauses)


def _so_far(judgement: Judgement, budget: Budget) -> Iterator[str]:
    if judgement.mean is not None and judgement.evidence is not None:
        yield f"So far it scored {_moved(judgement.mean, 'its reference')} ({_numbers(judgement, budget)})."


def _numbers(judgement: Judgement, budget: Budget) -> str:
    """Interval and wins: `95 % CI +0.06 to +1.39; higher in 5 of 5 paired seeds`."""
    evidence = judgement.evidence
    if evidence is None:
        raise ValueError(f"no interval: {judgement}")
    level, over = evidence.interval.level, []
    if budget.share < 1:
        level, over = 1 - budget.alpha, ["all looks"]
    over += [evidence.basis] if evidence.basis.endswith("images") else []
    basis = f" over {', '.join(over)}" if over else ""
    count, word = (judgement.losses, "lower") if (judgement.mean or 0.0) < 0 else (judgement.wins, "higher")
    units = {"seed": "paired seeds", "search": "searches"}[judgement.unit]
    tied = f", {judgement.ties} tied" if judgement.ties else ""
    span = " to ".join(_signed(end, budget.margin) for end in (evidence.interval.lower, evidence.interval.upper))
    return f"{100 * level:g} % CI{basis} {span}; {word} in {count} of {judgement.num_pairs} {units}{tied}"


def _signed(value: float, margin: float) -> str:
    """An end of an interval, points: it gets enough digits to differ from 0 and from the margin."""
    limits = (0.0, margin, -margin)
    digits = next((d for d in (2, 3, 4) if all(round(value, d) != round(limit, d) for limit in limits)), 2)
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _moved(mean: float, reference: str) -> str:
    if not mean:
        return f"level with {reference} on average"
    return f"{points(mean)} points {'above' if mean > 0 else 'below'} {reference}"
