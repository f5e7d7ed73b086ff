"""The spread from seed to seed and from search to search, beside each difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablations.analysis.summary import StudySummary
from ablations.reporting import luck, words
from ablations.reporting.figures.frame import NAME_WIDTH, FigureSpec, key, legend, new_figure, tidy
from ablations.reporting.theme import BAND, BLUE, INK, MUTED, ORANGE, SURFACE
from ablations.stats.components import Spread

_KINDS = (("reseed", BLUE, 0.1), ("retune", ORANGE, 0.3))
"""Kind of luck, its colour, and its place below the difference's."""


@dataclass(frozen=True)
class _Row:
    """A contrast in the figure; points."""

    name: str
    difference: float
    spreads: dict[str, Spread | None]
    simulated: float | None
    """Simulated spread of the search, if no other searches were made."""


def two_kinds_of_luck(summary: StudySummary) -> FigureSpec | None:
    """Each difference with the spread of its seeds and of its searches; None without a spread or a search."""
    rows = [
        _Row(
            contrast.variant
            if contrast.versus == summary.baseline
            else f"{contrast.variant} {words.MINUS} {contrast.versus}",
            abs(contrast.judgement.mean or 0.0),
            {"reseed": contrast.noise.reseed, "retune": contrast.noise.retune},
            luck.simulated_retune_sd(summary, contrast),
        )
        for contrast in summary.contrasts
        if contrast.judgement.mean is not None and contrast.noise.reseed is not None
    ]
    if not rows or not summary.search_space:
        return None
    searches = (
        "from search to search, the part of the seeds taken out"
        if summary.searches
        else "that repeated searches would add, simulated from the only one: an open marker has no interval"
    )
    return FigureSpec(
        name="two_kinds_of_luck",
        title="Two kinds of luck",
        alt_text="Size of each difference, and its standard deviations from seed to seed and from search to search, in points. "
        + " ".join(map(_alt_text, rows)),
        caption=f"The diamond is the size of the difference. Below it are the standard deviation of one pair from seed to seed, and that {searches}. "
        "Bars are 95 % intervals. More seeds average the first away, and only more searches the second.",
        draw=lambda: _draw(rows, summary.decision.margin),
    )


def _alt_text(row: _Row) -> str:
    parts = [f"{row.name}: difference {words.points(row.difference)}"]
    for kind, one in row.spreads.items():
        if one is not None:
            parts.append(
                f"{kind} {words.points(one.sd)} ({words.points(one.interval.lower)} to {words.points(one.interval.upper)})"
            )
    if row.simulated is not None:
        parts.append(f"retune {words.points(row.simulated)}, simulated")
    return ", ".join(parts) + "."


def _draw(rows: Sequence[_Row], margin: float) -> Figure:
    figure, (axes,) = new_figure(1.15 + 0.62 * len(rows))
    axes.axvspan(0, margin, color=BAND, zorder=0, linewidth=0)
    for place, row in enumerate(rows):
        _draw_row(axes, place, row)
    seen = [margin, *(row.difference for row in rows), *(row.simulated or 0.0 for row in rows)]
    seen += [one.sd for row in rows for one in row.spreads.values() if one]
    axes.set_xlim(0, 1.6 * max(seen))
    axes.set_ylim(len(rows) - 0.4, -0.5)
    axes.set_yticks(range(len(rows)), [words.wrapped(row.name, NAME_WIDTH) for row in rows], color=INK, size=9)
    axes.set_xlabel("percentage points of test accuracy")
    tidy(axes, grid="x")
    handles = [
        key("D", "size of the difference", color=SURFACE, markeredgecolor=INK, markeredgewidth=1.6),
        key("o", "sd from seed to seed", color=BLUE),
        key("o", "sd from search to search", color=ORANGE),
    ]
    if any(row.simulated is not None for row in rows):
        handles[-1] = key("o", "sd of repeated searches, simulated", markerfacecolor="none", markeredgecolor=ORANGE)
    legend(figure, *handles, key("s", "up to the margin", color=BAND, markeredgecolor=MUTED, markeredgewidth=0.5))
    return figure


def _draw_row(axes: Axes, place: int, row: _Row) -> None:
    edge: dict[str, Any] = {"markeredgecolor": INK, "markeredgewidth": 1.6}
    axes.plot(row.difference, place - 0.15, "D", color=SURFACE, markersize=6.5, zorder=5, **edge)
    for kind, colour, below in _KINDS:
        one = row.spreads[kind]
        if one is not None:
            ends = [one.interval.lower, one.interval.upper]
            axes.plot(ends, [place + below] * 2, color=colour, linewidth=3, alpha=0.45, solid_capstyle="butt")
            axes.plot(one.sd, place + below, "o", color=colour, markersize=6, zorder=4)
        elif kind == "retune" and row.simulated is not None:
            axes.plot(row.simulated, place + below, "o", markerfacecolor="none", markeredgecolor=colour, markersize=6)
