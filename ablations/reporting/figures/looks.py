"""Each contrast over the looks: its estimate, its interval, and what would have given a word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from ablations.analysis.summary import Contrast, LookPoint, StudySummary
from ablations.reporting import looks, words
from ablations.reporting.figures.differences import TONES
from ablations.reporting.figures.frame import (
    FigureSpec,
    contrast_name,
    grid_of,
    legend,
    new_figure,
    not_drawn,
    panel_title,
    panel_width,
    tidy,
)
from ablations.reporting.svg import mark
from ablations.reporting.theme import BAND, GREEN, INK, MUTED, SURFACE, Sheet

_BEYOND: dict[str, Any] = {"marker": "_", "linestyle": "", "color": MUTED, "markersize": 13, "markeredgewidth": 1.4}
_WITHIN: dict[str, Any] = {"color": GREEN, "linewidth": 7, "alpha": 0.28, "solid_capstyle": "butt"}


def path_over_looks(summary: StudySummary) -> FigureSpec | None:
    """The looks at each contrast; None if only one is planned, or none is complete."""
    shown = [contrast for contrast in summary.contrasts if _drawn(contrast)]
    if len(summary.looks) == 1 or not shown:
        return None
    margin = summary.decision.margin
    paths = (
        f"{c.variant} minus {c.versus}: "
        + "; ".join(
            f"{words.points(p.mean, signed=True)} [{words.span(p.interval, margin)}] at {p.num_seeds} seeds, {p.verdict.word}"
            for p in _drawn(c)
            if p.mean is not None and p.interval is not None
        )
        + "."
        for c in shown
    )
    return FigureSpec(
        name="path_over_looks",
        title="Path over the looks",
        alt_text="For each contrast, the mean difference in test accuracy with its interval at each look, against the number of "
        f"seeds, with a margin of ±{margin:g} points. {' '.join(paths)}",
        caption="Diamonds are the mean difference at each look, bars its interval; the intervals hold together over all looks. "
        "A mean beyond the dashes is enough for better or worse at that look, one within the green bar for equivalent. "
        f"Differences inside the shaded band, ±{margin:g} points, do not matter. A contrast with a verdict gets no more seeds."
        + not_drawn([c.variant for c in summary.contrasts if c not in shown], "no complete look at seeds that differ"),
        paint=lambda sheet: _draw(sheet, summary, shown),
    )


def _drawn(contrast: Contrast) -> list[LookPoint]:
    return [point for point in contrast.course.points if point.mean is not None]


def _draw(sheet: Sheet, summary: StudySummary, shown: Sequence[Contrast]) -> Figure:
    rows, columns = grid_of(len(shown), sheet)
    figure, panels = new_figure(sheet, 0.7 + (2.5 if sheet.has_margin else 2.0) * rows, rows, columns)
    margin, seeds = summary.decision.margin, summary.looks
    reach = _reach(shown, margin)
    for place, axes in enumerate(panels):
        if place >= len(shown):
            axes.set_axis_off()
            continue
        contrast = shown[place]
        axes.set_ylim(-reach, reach)
        axes.set_xlim(0, seeds[-1] + 0.06 * seeds[-1])
        axes.axhspan(-margin, margin, color=BAND, zorder=0, linewidth=0)
        axes.axhline(0, color=MUTED, linewidth=1, zorder=1)
        _draw_path(axes, contrast, reach)
        axes.xaxis.set_major_locator(FixedLocator(list(seeds)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(5))
        if place % columns:
            axes.tick_params(labelleft=False)
        axes.set_title(panel_title(contrast_name(summary, contrast), sheet, columns), loc="left")
        mark(axes, variant=contrast.variant)
        tidy(axes)
        verdict = f"{contrast.judgement.verdict.word}, {looks.short_look(summary, contrast)}"
        verdict = words.wrapped(verdict, min(26, panel_width(sheet, columns, bold=True)))
        style: dict[str, Any] = {"color": TONES[words.tone(contrast)], "weight": "bold", "size": sheet.text_size}
        axes.set_xlabel(verdict, loc="left", **style)
    figure.supylabel("difference (percentage points)", size=sheet.label_size, color=MUTED)
    legend(
        figure,
        Line2D(
            [], [], marker="D", color=INK, markerfacecolor=SURFACE, markersize=6, label="mean and interval at a look"
        ),
        Line2D([], [], **_BEYOND, label="better or worse beyond"),
        Line2D([], [], **_WITHIN, label="equivalent within"),
        Patch(color=BAND, linewidth=0, label=f"within ±{margin:g} points"),
    )
    return figure


def _draw_path(axes: Axes, contrast: Contrast, reach: float) -> None:
    colour, points = TONES[words.tone(contrast)], _drawn(contrast)
    means = [float(point.mean or 0.0) for point in points]
    axes.plot([point.num_seeds for point in points], means, color=colour, linewidth=1, zorder=3)
    for point, mean in zip(points, means, strict=True):
        if point.largest_equivalent is not None:
            ends = [-point.largest_equivalent, point.largest_equivalent]
            axes.plot([point.num_seeds] * 2, ends, zorder=2, **_WITHIN)
        if point.smallest_difference is not None:
            for bound in (-point.smallest_difference, point.smallest_difference):
                if abs(bound) < reach:
                    axes.plot(point.num_seeds, bound, zorder=2, **_BEYOND)
        if point.interval is not None:
            ends = [max(point.interval.lower, -reach), min(point.interval.upper, reach)]
            axes.plot([point.num_seeds] * 2, ends, color=colour, linewidth=2, zorder=4, solid_capstyle="butt")
        edge: dict[str, Any] = {"markeredgecolor": colour, "markeredgewidth": 1.5}
        (diamond,) = axes.plot(point.num_seeds, mean, "D", color=SURFACE, markersize=5.5, zorder=5, **edge)
        told = f"{contrast.variant}, {point.num_seeds} seeds: {words.points(mean, signed=True)}, {point.verdict.word}"
        mark(diamond, tips=[told])


def _reach(shown: Sequence[Contrast], margin: float) -> float:
    """Half of the y axis: around all means, each contrast's last interval and the margin, and most intervals before."""
    means = [abs(p.mean) for c in shown for p in _drawn(c) if p.mean is not None]
    ends = sorted(_end(point) for contrast in shown for point in _drawn(contrast))
    last = [_end(_drawn(contrast)[-1]) for contrast in shown]
    return 1.08 * max([1.3 * margin, *means, *last, ends[int(0.8 * (len(ends) - 1))]])


def _end(point: LookPoint) -> float:
    return 0.0 if point.interval is None else max(abs(point.interval.lower), abs(point.interval.upper))
