"""The looks in words: which one judged a contrast, what follows, and what was planned."""

from __future__ import annotations

from ablations.analysis.summary import Contrast, StudySummary
from ablations.reporting import words


def at_look(summary: StudySummary, contrast: Contrast) -> str:
    """The look that judged a contrast last, and what follows; empty if one look is planned."""
    if len(summary.looks) == 1:
        return ""
    course = contrast.course
    if not course.points:
        return f"Look 1 of {len(summary.looks)}, at {contrast.num_seeds} seeds, is not complete."
    at = f"look {contrast.look} of {len(summary.looks)}, at {contrast.num_seeds} seeds"
    chance = f"a {100 * (course.chance or 0):.0f} % chance of a verdict by {summary.looks[-1]} seeds"
    match course.closed:
        case "word":
            return f"The verdict is from {at}."
        case "futile":
            return f"It was stopped at {at}, with {chance}."
        case "last look":
            return f"It is from {at}, the last one."
        case "not planned":
            return f"It is from {at}, without a verdict."
    return f"It is open after {at}. The next look is at {course.next_seeds} seeds, with {chance}."


def short_look(summary: StudySummary, contrast: Contrast) -> str:
    """`look 4 of 6, 18 seeds`."""
    return f"look {contrast.look} of {len(summary.looks)}, {contrast.num_seeds} seeds"


def planned(summary: StudySummary) -> str:
    """The planned looks, and the rule at each; empty if no verdict is given."""
    if summary.unplanned is not None:
        return ""
    if len(summary.looks) == 1:
        return (
            "One look was planned. Seeds that are added now are a second look, and make every contrast exploratory. Give the larger "
            "number to a new study on fresh seeds (`first_seed`), or plan looks beforehand (`looks`)."
        )
    counts = words.listed(map(str, summary.looks))
    parts = words.listed(f"{100 * share:.3g}" for share in summary.shares)
    return (
        f"Looks at {counts} seeds were planned before the first confirmation, with {parts} % of the risk. A look judges the open "
        "contrasts. A contrast with a verdict keeps it and gets no more seeds. One with less than a 10 % chance of a verdict by the last "
        "look stops. Intervals hold over all looks. An early difference is on average slightly too large. Fresh seeds give its size without "
        "this bias."
    )
