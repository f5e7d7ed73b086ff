"""The spread from seed to seed and from search to search, beside each difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablations.analysis.summary import StudySummary
from ablations.reporting import luck, words
from ablations.reporting.figures.frame import FigureSpec, Row, contrast_name, key, legend, row_figure, tidy
from ablations.reporting.svg import mark
from ablations.reporting.theme import BAND, BLUE, INK, MUTED, ORANGE, SURFACE, Sheet
from ablations.stats.components import Spread

_KINDS = (("reseed", BLUE, 0.1), ("retune", ORANGE, 0.3))
"""Kind of luck, its colour, and its place below the difference's."""


@dataclass(frozen=True)
class _Row:
    """A contrast in the figure; points."""

    variant: str
    name: str
    difference: float
    spreads: dict[str, Spread | None]
    simulated: float | None
    """Simulated spread of the search, if no other searches were made."""


def two_kinds_of_luck(summary: StudySummary) -> FigureSpec | None:
    """Each difference with the spread of its seeds and of its searches; None without a spread or a search."""
    rows = [
        _Row(
            contrast.variant,
            contrast_name(summary, contrast),
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
        "The second dot is the standard deviation from search to search, without the part of the seeds."
        if summary.searches
        else "The open dot is the standard deviation of repeated searches, simulated from the only one."
    )
    return FigureSpec(
        name="two_kinds_of_luck",
        title="Two kinds of luck",
        alt_text="Size of each difference, and its standard deviations from seed to seed and from search to search, in points. "
        + " ".join(map(_alt_text, rows)),
        caption="The diamond is the size of the difference, the first dot the standard deviation of a pair from seed to seed. "
        f"{searches} Bars are 95 % intervals. "
        "More seeds average the first spread away, only more searches the second.",
        paint=lambda sheet: _draw(sheet, rows, summary.decision.margin),
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


def _draw(sheet: Sheet, rows: Sequence[_Row], margin: float) -> Figure:
    figure, axes, heights = row_figure(
        sheet, [Row(row.variant, row.name) for row in rows], row_height=0.62, foot=1.15, gap=13
    )
    axes.axvspan(0, margin, color=BAND, zorder=0, linewidth=0)
    for place, row in zip(heights, rows, strict=True):
        _draw_row(axes, place, row)
    seen = [margin, *(row.difference for row in rows), *(row.simulated or 0.0 for row in rows)]
    seen += [one.sd for row in rows for one in row.spreads.values() if one]
    axes.set_xlim(0, 1.6 * max(seen))
    axes.set_xlabel("percentage points of test accuracy")
    tidy(axes, grid="x")
    handles = [
        key("D", "size of the difference", color=SURFACE, markeredgecolor=INK, markeredgewidth=1.6),
        key("o", "sd from seed to seed", color=BLUE),
    ]
    if any(row.spreads["retune"] for row in rows):
        handles.append(key("o", "sd from search to search", color=ORANGE))
    if any(row.simulated is not None for row in rows):
        handles.append(key("o", "sd of repeated searches, simulated", markerfacecolor="none", markeredgecolor=ORANGE))
    legend(figure, *handles, key("s", "up to the margin", color=BAND, markeredgecolor=MUTED, markeredgewidth=0.5))
    return figure


def _draw_row(axes: Axes, place: float, row: _Row) -> None:
    edge: dict[str, Any] = {"markeredgecolor": INK, "markeredgewidth": 1.6}
    artists = axes.plot(row.difference, place - 0.15, "D", c=SURFACE, markersize=6.5, zorder=5, clip_on=False, **edge)
    tips = [f"{row.name}: difference of {words.points(row.difference)}"]
    for kind, colour, below in _KINDS:
        one, simulated = row.spreads[kind], row.simulated if kind == "retune" else None
        if one is not None:
            ends = [one.interval.lower, one.interval.upper]
            artists += axes.plot(
                ends, [place + below] * 2, color=colour, linewidth=3, alpha=0.45, solid_capstyle="butt"
            )
            artists += axes.plot(one.sd, place + below, "o", color=colour, markersize=6, zorder=4)
            tips += [f"{row.name}, {kind}: sd {words.points(one.sd)}"] * 2
        elif simulated is not None:
            artists += axes.plot(simulated, place + below, "o", mfc="none", mec=colour, ms=6, clip_on=False)
            tips.append(f"{row.name}, {kind}: sd {words.points(simulated)}, simulated")
    for artist, tip in zip(artists, tips, strict=True):
        mark(artist, variant=row.variant, tips=[tip])
