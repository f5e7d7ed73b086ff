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
from ablations.reporting import words
from ablations.reporting.figures.frame import (
    FigureSpec,
    Limits,
    Row,
    contrast_name,
    draw_dots,
    key,
    legend,
    not_drawn,
    row_figure,
    tidy,
    unit_differences,
)
from ablations.reporting.svg import mark
from ablations.reporting.theme import BAND, BLUE, GREEN, INK, MUTED, SURFACE, VERMILION, Sheet
from ablations.stats.intervals import Interval

TONES = {"better": BLUE, "worse": VERMILION, "equivalent": GREEN, "open": MUTED}
_UNIT: dict[str, Any] = {"color": INK, "markersize": 4, "alpha": 0.5, "markeredgewidth": 0}


def paired_differences(summary: StudySummary) -> FigureSpec | None:
    """Each contrast's seeds or searches, mean and intervals against the margin."""
    shown = [contrast for contrast in summary.contrasts if contrast.judgement.num_pairs]
    if not shown:
        return None
    margin, unit, planned = summary.decision.margin, shown[0].judgement.unit, summary.num_planned
    rows = (
        f"{c.variant} minus {c.versus}: {words.effect(c, margin)} points, {words.units(c)}, "
        f"{words.verdict_and_failures(summary, c)}."
        for c in shown
    )
    return FigureSpec(
        name="paired_differences",
        title="Paired differences",
        alt_text=f"Forest plot: test accuracy of each variant minus its reference, paired by {unit}; the margin is "
        f"±{margin:g} points. {' '.join(rows)}",
        caption=f"Dots are single {words.plural(2, unit)[2:]}, diamonds their means, thick bars the {words.interval_name(summary)}"
        + (f"; thin lines hold for all {planned} planned contrasts together. " if planned > 1 else ". ")
        + f"Differences inside the shaded band, ±{margin:g} points, do not matter. "
        "Verdicts follow the corrected tests, so they can differ slightly from the bars."
        + not_drawn([c.variant for c in summary.contrasts if c not in shown], "no pair in which both learned"),
        paint=lambda sheet: _draw(sheet, summary, shown),
    )


def _draw(sheet: Sheet, summary: StudySummary, shown: Sequence[Contrast]) -> Figure:
    margin = summary.decision.margin
    rows = [_row(summary, contrast) for contrast in shown]
    figure, axes, heights = row_figure(sheet, rows, row_height=0.62, foot=1.25)
    limits = _limits(shown, margin)
    axes.set_xlim(*limits)
    axes.axvspan(-margin, margin, color=BAND, zorder=0, linewidth=0)
    axes.axvline(0, color=MUTED, linewidth=1, zorder=1)
    for height, contrast in zip(heights, shown, strict=True):
        _draw_row(axes, height, summary, contrast, limits)
    axes.set_xlabel("difference in test accuracy (percentage points)")
    aside: dict[str, Any] = {"size": sheet.text_size, "color": MUTED, "weight": "normal"}
    references = {contrast.versus for contrast in shown}
    reference = references.pop() if len(references) == 1 else "reference"
    axes.set_title(f"← {words.wrapped(reference, 30 if sheet.has_margin else 20, lines=1)} better", loc="left", **aside)
    axes.set_title("variant better →", loc="right", **aside)
    tidy(axes, grid="x")
    legend(
        figure,
        key("o", f"one {shown[0].judgement.unit}", **_UNIT),
        Line2D([], [], color=MUTED, linewidth=5, solid_capstyle="butt", label=words.interval_name(summary)),
        Line2D([], [], color=MUTED, linewidth=1.2, label="interval of all contrasts together"),
        Patch(color=BAND, linewidth=0, label=f"within ±{margin:g} points"),
    )
    return figure


def _row(summary: StudySummary, contrast: Contrast) -> Row:
    numbers = f"{words.effect(contrast, summary.decision.margin)}, {words.units(contrast)}"
    verdict = words.verdict(summary, contrast)
    colour = TONES[words.tone(contrast)]
    texts = (verdict, {"color": colour, "weight": "bold"}), (numbers, {"color": MUTED})
    return Row(contrast.variant, contrast_name(summary, contrast), texts)


def _draw_row(axes: Axes, row: float, summary: StudySummary, contrast: Contrast, limits: Limits) -> None:
    judgement, colour = contrast.judgement, TONES[words.tone(contrast)]
    differences = unit_differences(summary, contrast)
    tips = [f"{contrast.variant}, {judgement.unit} {u}: {words.points(d, signed=True)}" for u, d in differences.items()]
    height = [row + 0.2] * len(differences)
    draw_dots(axes, list(differences.values()), height, tips, variant=contrast.variant, marker="o", zorder=3, **_UNIT)
    if judgement.evidence is not None:
        simultaneous, own = judgement.evidence.simultaneous_interval, judgement.evidence.interval
        _draw_interval(axes, simultaneous, row, limits, contrast.variant, color=colour, linewidth=1.2)
        _draw_interval(axes, own, row, limits, contrast.variant, color=colour, linewidth=5)
    if judgement.mean is not None:
        edge: dict[str, Any] = {"markeredgecolor": colour, "markeredgewidth": 1.6}
        (mean,) = axes.plot(judgement.mean, row, "D", color=SURFACE, markersize=6.5, zorder=5, **edge)
        effect = words.effect(contrast, summary.decision.margin)
        mark(mean, variant=contrast.variant, tips=[f"{contrast.variant}: {effect}, {words.verdict(summary, contrast)}"])


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


def _draw_interval(axes: Axes, interval: Interval | None, y: float, limits: Limits, variant: str, **line: Any) -> None:
    if interval is None:
        return
    low, high = limits
    ends = [max(interval.lower, low), min(interval.upper, high)]
    (bar,) = axes.plot(ends, [y, y], solid_capstyle="butt", zorder=4, **line)
    mark(bar, variant=variant)
    for end, is_outside, arrow in ((low, interval.lower < low, "<"), (high, interval.upper > high, ">")):
        if is_outside:
            (tip,) = axes.plot(end, y, arrow, color=line["color"], markersize=6, zorder=4, clip_on=False)
            mark(tip, variant=variant)
