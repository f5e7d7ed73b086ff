"""Forest plot of the paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ablations.analysis.summary import Contrast, StudySummary
from ablations.reporting import prose, words
from ablations.reporting.figures.frame import NAME_WIDTH, FigureSpec, Limits, key, left_out, legend, new_figure, tidy
from ablations.reporting.theme import BAND, BLUE, GREEN, INK, MUTED, SURFACE, VERMILION
from ablations.stats.intervals import Interval

TONES = {"better": BLUE, "worse": VERMILION, "equivalent": GREEN, "open": MUTED}
_SEED: dict[str, Any] = {"color": INK, "markersize": 4, "alpha": 0.5, "markeredgewidth": 0}


def paired_differences(summary: StudySummary) -> FigureSpec | None:
    """Each contrast's seeds, mean and intervals against the margin."""
    shown = [contrast for contrast in summary.contrasts if contrast.judgement.num_pairs]
    if not shown:
        return None
    margin = summary.decision.margin
    rows = (
        f"{c.variant} minus {c.versus}: {words.effect(c, margin)} points, {words.units(c)}, "
        f"{words.verdict_and_failures(summary, c)}."
        for c in shown
    )
    return FigureSpec(
        name="paired_differences",
        title="Paired differences",
        alt_text="Forest plot of test accuracy, variant minus what it is compared with, paired by seed, with a margin of "
        f"±{margin:g} points. {' '.join(rows)}",
        caption="Each dot is the difference at one seed. The diamond is their mean, the thick bar its "
        f"{words.interval_name(summary)}, the thin line the interval of the study's "
        f"{words.plural(summary.num_planned, 'planned contrast')} together. Inside the shaded band, ±{margin:g} points, a "
        f"difference does not matter. {prose.WORDS_AND_INTERVALS}"
        + left_out([c.variant for c in summary.contrasts if c not in shown], "no pair of seeds in which both learned"),
        draw=lambda: _draw(summary, shown),
    )


def _draw(summary: StudySummary, shown: Sequence[Contrast]) -> Figure:
    margin = summary.decision.margin
    figure, (axes,) = new_figure(1.25 + 0.62 * len(shown))
    limits = _limits(shown, margin)
    axes.set_xlim(*limits)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.axvspan(-margin, margin, color=BAND, zorder=0, linewidth=0)
    axes.axvline(0, color=MUTED, linewidth=1, zorder=1)
    for row, contrast in enumerate(shown):
        beside = words.verdict(summary, contrast), words.effect(contrast, margin)
        _draw_row(axes, row, contrast, limits, *beside)
    names = [c.variant if c.versus == summary.baseline else f"{c.variant} {words.MINUS} {c.versus}" for c in shown]
    axes.set_yticks(range(len(shown)), [words.wrapped(name, NAME_WIDTH) for name in names], color=INK, size=9)
    axes.set_xlabel("difference in test accuracy (percentage points)")
    aside: dict[str, Any] = {"size": 8.5, "color": MUTED, "weight": "normal"}
    references = {contrast.versus for contrast in shown}
    reference = references.pop() if len(references) == 1 else "reference"
    axes.set_title(f"← {words.wrapped(reference, 30, lines=1)} better", loc="left", **aside)
    axes.set_title("variant better →", loc="right", **aside)
    tidy(axes, grid="x")
    legend(
        figure,
        key("o", "one seed", **_SEED),
        Line2D([], [], color=MUTED, linewidth=5, solid_capstyle="butt", label=words.interval_name(summary)),
        Line2D([], [], color=MUTED, linewidth=1.2, label="interval of all contrasts together"),
        Patch(color=BAND, linewidth=0, label=f"within ±{margin:g} points"),
    )
    return figure


def _draw_row(axes: Axes, row: int, contrast: Contrast, limits: Limits, verdict: str, effect: str) -> None:
    judgement, colour = contrast.judgement, TONES[words.tone(contrast)]
    differences = list(contrast.differences.values())
    axes.plot(differences, [row + 0.2] * len(differences), "o", zorder=3, **_SEED)
    if judgement.evidence is not None:
        _draw_interval(axes, judgement.evidence.simultaneous_interval, row, limits, color=colour, linewidth=1.2)
        _draw_interval(axes, judgement.evidence.interval, row, limits, color=colour, linewidth=5)
    if judgement.mean is not None:
        edge: dict[str, Any] = {"markeredgecolor": colour, "markeredgewidth": 1.6}
        axes.plot(judgement.mean, row, "D", color=SURFACE, markersize=6.5, zorder=5, **edge)
    beside: dict[str, Any] = {"x": 1.02, "transform": axes.get_yaxis_transform(), "clip_on": False}
    numbers = f"{effect}, {words.units(contrast)}"
    axes.text(
        y=row - 0.04,
        s=words.wrapped(verdict, 26, lines=3),
        color=colour,
        weight="bold",
        va="bottom",
        linespacing=1.05,
        **beside,
    )
    axes.text(y=row + 0.04, s=numbers, color=MUTED, va="top", size=8, **beside)


def _limits(shown: Sequence[Contrast], margin: float) -> Limits:
    """Limits of the x axis: around all seeds, zero and the margin, with some room for intervals.

    Intervals from two or three pairs can be fifty times as wide as the data; arrows show where they go on.
    """
    seen = [-1.3 * margin, 1.3 * margin, *(d for c in shown for d in c.differences.values() if np.isfinite(d))]
    found = [contrast.judgement.evidence for contrast in shown if contrast.judgement.evidence]
    both = (interval for each in found for interval in (each.interval, each.simultaneous_interval))
    intervals = [interval for interval in both if interval is not None]
    reach = 0.6 * (max(seen) - min(seen))
    low = max(min(seen) - reach, min([*seen, *(interval.lower for interval in intervals)]))
    high = min(max(seen) + reach, max([*seen, *(interval.upper for interval in intervals)]))
    pad = 0.03 * (high - low)
    return low - pad, high + pad


def _draw_interval(axes: Axes, interval: Interval | None, y: float, limits: Limits, **line: Any) -> None:
    if interval is None:
        return
    low, high = limits
    ends = [max(interval.lower, low), min(interval.upper, high)]
    axes.plot(ends, [y, y], solid_capstyle="butt", zorder=4, **line)
    for end, is_outside, arrow in ((low, interval.lower < low, "<"), (high, interval.upper > high, ">")):
        if is_outside:
            axes.plot(end, y, arrow, color=line["color"], markersize=6, zorder=4, clip_on=False)
