"""A study's answer in lines: each comparison with its verdict, difference, interval and seeds."""

from __future__ import annotations

from collections.abc import Iterator

from ablations.analysis.looks import TakenLook
from ablations.analysis.summary import StudySummary
from ablations.planning.frozen import Closing
from ablations.planning.plan import Plan
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
