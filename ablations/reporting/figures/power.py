"""Detectable difference against the number of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from ablations.analysis.summary import Contrast, Detectable, StudySummary
from ablations.reporting import words
from ablations.reporting.figures.frame import (
    FigureSpec,
    grid_of,
    head_panel,
    key,
    legend,
    new_figure,
    not_drawn,
    panel_title,
    tidy,
    units_of,
)
from ablations.reporting.svg import mark
from ablations.reporting.theme import BAND, BLUE, INK, MUTED, ORANGE, SURFACE, Sheet

_Shown = Sequence[tuple[Contrast, Detectable]]
_MARGIN: dict[str, Any] = {"color": MUTED, "linewidth": 1.2, "linestyle": (0, (4, 2))}
_LIMIT: dict[str, Any] = {"color": ORANGE, "linewidth": 1.4, "linestyle": (0, (1, 1.2))}
_HERE: dict[str, Any] = {"color": INK, "markersize": 7, "markeredgecolor": SURFACE, "markeredgewidth": 0.8, "zorder": 5}


def seeds_needed(summary: StudySummary) -> FigureSpec | None:
    """The detectable true difference of each contrast by number of seeds; None if no spread is known."""
    shown = [(contrast, contrast.detectable) for contrast in summary.contrasts if contrast.detectable]
    if not shown:
        return None
    margin, units = summary.decision.margin, units_of(summary)
    without = [contrast.variant for contrast in summary.contrasts if not contrast.detectable]
    has_limit = any(detectable.limit is not None for _, detectable in shown)
    limit = f" More {units} cannot go below the dotted line; only more test images can." if has_limit else ""
    return FigureSpec(
        name="seeds_needed",
        title=f"{units.capitalize()} needed",
        alt_text=f"True difference found with 80 % power against the number of {units}; the margin is {margin:g} "
        f"points. {' '.join(_alt_text(*each) for each in shown)}",
        caption=f"The curve is the true difference found with 80 % power, at the observed spread between {units}. "
        "Shading reaches to the 80 % upper limit of that spread; the diamond is the study. "
        "Above the dashed line, the margin, the study can miss a difference that matters; "
        f"equivalence takes a few more {units}.{limit}" + not_drawn(without, f"no spread between {units}"),
        paint=lambda sheet: _draw(sheet, shown, margin, units),
    )


def _alt_text(contrast: Contrast, detectable: Detectable) -> str:
    text = (
        f"{contrast.variant} minus {contrast.versus}: {words.points(detectable.now)} points with "
        f"{words.units(contrast)}, {words.points(detectable.difference[-1])} with "
        f"{detectable.num_seeds[-1]}"
    )
    return text + ("." if detectable.limit is None else f", never under {words.points(detectable.limit)}.")


def _draw(sheet: Sheet, shown: _Shown, margin: float, units: str) -> Figure:
    rows, columns = grid_of(len(shown), sheet)
    height = 0.7 + (2.25 if sheet.has_margin else 1.7) * rows
    figure, cells = new_figure(sheet, height, rows, columns, width=None if columns > 2 else 7.4)
    for axes in cells[len(shown) :]:
        axes.set_visible(False)
    lowest = min([margin, *(detectable.limit or detectable.difference[-1] for _, detectable in shown)])
    highest = max([margin, *(detectable.difference[0] for _, detectable in shown)])
    for index, (axes, (contrast, detectable)) in enumerate(zip(cells, shown, strict=False)):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(detectable.num_seeds[0], detectable.num_seeds[-1])
        axes.set_ylim(lowest / 1.35, highest * 1.2)
        _draw_curve(axes, contrast.judgement.num_pairs, detectable)
        axes.axhline(margin, zorder=1, **_MARGIN)
        axes.xaxis.set_major_locator(
            FixedLocator([3, 5, 10, 20, 50, 100, 200] if sheet.has_margin else [3, 10, 30, 100])
        )
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        now = f"{words.points(detectable.now)} points, {words.units(contrast)}"
        head_panel(axes, sheet, panel_title(contrast.variant, sheet, columns), now)
        mark(axes, variant=contrast.variant)
        tidy(axes)
        if index % columns:
            axes.tick_params(axis="y", labelleft=False)
        else:
            axes.set_ylabel("true difference found\n(points, log scale)")
        if index >= len(shown) - columns:
            axes.set_xlabel(f"{units} (log scale)")
    keys = [
        Line2D([], [], color=BLUE, linewidth=2, label="found with 80 % power"),
        Patch(color=BLUE, alpha=0.15, linewidth=0, label="if the spread is larger"),
        key("D", f"{units} so far", **_HERE),
        Line2D([], [], label="margin", **_MARGIN),
    ]
    if any(detectable.limit is not None for _, detectable in shown):
        keys.append(Line2D([], [], label="limit of the test images", **_LIMIT))
    legend(figure, *keys)
    return figure


def _draw_curve(axes: Axes, num_pairs: int, detectable: Detectable) -> None:
    counts = detectable.num_seeds
    axes.fill_between(
        counts, detectable.difference, detectable.difference_at_most, color=BLUE, alpha=0.15, linewidth=0, zorder=2
    )
    axes.plot(counts, detectable.difference, color=BLUE, linewidth=2, zorder=3)
    (here,) = axes.plot(num_pairs, detectable.now, "D", **_HERE)
    mark(here, tips=[f"{words.points(detectable.now)} points with {num_pairs}"])
    if detectable.limit is not None:
        axes.axhline(detectable.limit, zorder=2, **_LIMIT)
        axes.axhspan(axes.get_ylim()[0], detectable.limit, color=BAND, zorder=0, linewidth=0)
