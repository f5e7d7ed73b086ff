"""A study's answer in lines: each comparison with its verdict, difference, interval and seeds, and what comes next."""

from __future__ import annotations

from collections.abc import Iterator

from ablations.analysis.looks import TakenLook
from ablations.analysis.summary import Contrast, StudySummary
from ablations.planning.frozen import Closing
from ablations.planning.plan import Plan
from ablations.planning.planner import MAX_SEEDS
from ablations.stats.judgement import Judgement
from ablations.text import plural, points


def answer_lines(summary: StudySummary) -> Iterator[str]:
    """The verdict on each comparison, on a line of its own; nothing if no comparison has a pair."""
    if not any(contrast.judgement.num_pairs for contrast in summary.contrasts):
        return
    levels = {each.judgement.interval.level for each in summary.contrasts if each.judgement.interval}
    level = 1 - summary.decision.alpha if len(summary.looks) > 1 or not levels else levels.pop()
    over = " over all looks" if len(summary.looks) > 1 else ""
    yield f"answer, in percentage points of test accuracy with intervals of {100 * level:g} %{over}:"
    rows = [
        (f"{c.variant} against {c.versus}", c.judgement.verdict.word, *_numbers(c.judgement)) for c in summary.contrasts
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def next_step(summary: StudySummary) -> str:
    """What decides the comparisons that have no word and get no more seeds; empty if there are none.

    It never proposes to add seeds: that would take the verdicts away.
    """
    if summary.unplanned is not None:
        return f"no verdicts: {summary.unplanned}. They come back with the study file as it was, or on fresh seeds (first_seed)"
    undecided = [c for c in summary.contrasts if c.judgement.verdict.word == "undecided" and c.course.closed]
    needed = [_fresh_seeds(contrast) for contrast in undecided]
    if not undecided or not summary.seeds:
        return ""
    names = ", ".join(contrast.variant for contrast in undecided)
    most = max((each for each in needed if each is not None), default=None)
    if most is None:
        return f"undecided: {names}. More {'searches' if summary.searches else 'seeds'} would not help; the report says what limits it"
    # Whole searches, with numbers of their own.
    each = len(summary.seeds) // summary.num_searches if summary.searches else 1
    most, searches = most * each, f"tuning.searches: {most}, " if summary.searches else ""
    first = max(summary.fresh_seed, summary.seeds[-1] + 1)
    if first + most > MAX_SEEDS:
        return f"undecided: {names}. About {most} fresh seeds at one look would decide most such cases, and fewer are left below {MAX_SEEDS:,}"
    return (
        f"undecided: {names}. About {most} fresh seeds at one look would decide most such cases: plan them in a copy of the study "
        f"with another name, {searches}first_seed: {first} and seeds: {most}{' instead of looks' if len(summary.looks) > 1 else ''}"
    )


def _fresh_seeds(contrast: Contrast) -> int | None:
    needed = contrast.judgement.seeds_needed
    return None if needed is None else contrast.judgement.num_pairs + needed.num


def _numbers(judgement: Judgement) -> tuple[str, str, str]:
    """Difference, interval and seeds of a comparison."""
    mean, interval = judgement.mean, judgement.interval
    return (
        "" if mean is None else _signed(mean),
        "" if interval is None else f"[{_signed(interval.lower)}, {_signed(interval.upper)}]",
        plural(judgement.num_pairs, judgement.unit_words),
    )


def look_lines(plan: Plan, look: TakenLook) -> list[str]:
    """A look in lines: what it found on each comparison, and whether that gets more seeds."""
    lines = [f"look {look.number} of {len(plan.looks)}, at {look.num_seeds} seeds:"]
    for name, judgement in look.judgements.items():
        fate = _FATES[look.closed.get(name)]
        if look.closed.get(name) in {None, "futile"} and judgement.evidence is not None:
            fate = f"{fate} ({100 * look.chances[name]:.0f} % chance of a word by {plan.looks[-1]} seeds)"
        numbers = ", ".join(filter(None, (judgement.verdict.word, *_numbers(judgement))))
        lines.append(f"  {name} against {plan[name].versus}: {numbers}; {fate}")
    return lines


_FATES: dict[Closing | None, str] = {
    None: "gets more seeds",
    "word": "done",
    "futile": "unlikely to be decided",
    "last look": "no look is left",
    "not planned": "not planned, so without a verdict",
}


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else '-' if value < 0 else ''}{points(abs(value))}"
