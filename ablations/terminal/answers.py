"""A comparison on one line: its verdict, difference, interval and seeds."""

from __future__ import annotations

from ablations.analysis.looks import TakenLook
from ablations.planning.frozen import Closing
from ablations.planning.plan import Plan
from ablations.stats.judgement import Judgement
from ablations.text import plural, points


def answer_line(variant: str, versus: str, judgement: Judgement) -> str:
    """`one against two: worse, -1.20 points, interval -1.83 to -0.57, 8 seeds`."""
    parts = [f"{variant} against {versus}: {judgement.verdict.word}"]
    if judgement.mean is not None:
        parts.append(f"{_signed(judgement.mean)} points")
    if judgement.interval is not None:
        parts.append(f"interval {_signed(judgement.interval.lower)} to {_signed(judgement.interval.upper)}")
    parts.append(plural(judgement.num_pairs, "paired seed"))
    return ", ".join(parts)


def look_lines(plan: Plan, look: TakenLook) -> list[str]:
    """A look in lines: what it found on each comparison, and whether that gets more seeds."""
    lines = [f"look {look.number} of {len(plan.looks)}, at {look.num_seeds} seeds:"]
    for name, judgement in look.judgements.items():
        fate = _FATES[look.closed.get(name)]
        if look.closed.get(name) in {None, "futile"}:
            fate = f"{fate} ({100 * look.chances[name]:.0f} % chance of a word by {plan.looks[-1]} seeds)"
        lines.append(f"  {answer_line(name, plan[name].versus, judgement)}; {fate}")
    return lines


_FATES: dict[Closing | None, str] = {
    None: "gets more seeds",
    "word": "done",
    "futile": "stopped",
    "last look": "no look is left",
    "not planned": "not planned, so without a verdict",
}


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else '-' if value < 0 else ''}{points(abs(value))}"
