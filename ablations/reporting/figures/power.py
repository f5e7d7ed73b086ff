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
    WIDTH,
    FigureSpec,
    grid_of,
    key,
    left_out,
    legend,
    new_figure,
    panel_title,
    tidy,
)
from ablations.reporting.theme import BAND, BLUE, INK, MUTED, ORANGE, SURFACE

_Shown = Sequence[tuple[Contrast, Detectable]]
_MARGIN: dict[str, Any] = {"color": MUTED, "linewidth": 1.2, "linestyle": (0, (4, 2))}
_LIMIT: dict[str, Any] = {"color": ORANGE, "linewidth": 1.4, "linestyle": (0, (1, 1.2))}
_HERE: dict[str, Any] = {"color": INK, "markersize": 7, "markeredgecolor": SURFACE, "markeredgewidth": 0.8, "zorder": 5}


def seeds_needed(summary: StudySummary) -> FigureSpec | None:
    """The detectable true difference of each contrast by number of seeds; None if no spread is known."""
    shown = [(contrast, contrast.detectable) for contrast in summary.contrasts if contrast.detectable]
    if not shown:
        return None
    margin, units = summary.decision.margin, words.plural(2, shown[0][0].judgement.unit_words)[2:]
    without = [contrast.variant for contrast in summary.contrasts if not contrast.detectable]
    has_limit = any(detectable.limit is not None for _, detectable in shown)
    limit = (
        " No number of seeds gets under the dotted line, for the test images are as few as they are."
        if has_limit
        else ""
    )
    return FigureSpec(
        name="seeds_needed",
        title="Seeds needed",
        alt_text=f"True difference found with 80 % power against the number of {units}, with the margin of {margin:g} "
        f"points. {' '.join(_alt_text(*each) for each in shown)}",
        caption=f"The curve is the true difference that the study finds four times in five, for so many {units}, at "
        "the spread between seeds that was seen and never at the difference that was seen; the shading reaches to the 80 % "
        "upper limit of that spread. The diamond is where the study is. Where the curve lies over the dashed line, the "
        f"margin, a difference that matters can be missed; proofs of equivalence take some more seeds.{limit}"
        + left_out(without, "no spread between seeds"),
        draw=lambda: _draw(shown, margin),
    )


def _alt_text(contrast: Contrast, detectable: Detectable) -> str:
    text = (
        f"{contrast.variant} minus {contrast.versus}: {words.points(detectable.now)} points with "
        f"{words.units(contrast)}, {words.points(detectable.difference[-1])} with "
        f"{detectable.num_seeds[-1]}"
    )
    return text + ("." if detectable.limit is None else f", never under {words.points(detectable.limit)}.")


def _draw(shown: _Shown, margin: float) -> Figure:
    rows, columns = grid_of(len(shown))
    figure, cells = new_figure(0.7 + 2.25 * rows, rows, columns, width=WIDTH if columns > 2 else 7.4)
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
        axes.xaxis.set_major_locator(FixedLocator([3, 5, 10, 20, 50, 100, 200]))
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_title(panel_title(contrast.variant, columns), pad=17)
        pairs = words.units(contrast)
        text = f"{words.points(detectable.now)} points with {pairs}"
        axes.text(0, 1.03, text, transform=axes.transAxes, size=8.5, color=MUTED, va="bottom")
        tidy(axes)
        if index % columns:
            axes.tick_params(axis="y", labelleft=False)
        else:
            axes.set_ylabel("true difference found\n(points, log scale)")
        if index >= len(shown) - columns:
            axes.set_xlabel(f"{words.plural(2, contrast.judgement.unit_words)[2:]} (log scale)")
    keys = [
        Line2D([], [], color=BLUE, linewidth=2, label="found with 80 % power"),
        Patch(color=BLUE, alpha=0.15, linewidth=0, label="if the spread is larger"),
        key("D", "seeds so far", **_HERE),
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
    axes.plot(num_pairs, detectable.now, "D", **_HERE)
    if detectable.limit is not None:
        axes.axhline(detectable.limit, zorder=2, **_LIMIT)
        axes.axhspan(axes.get_ylim()[0], detectable.limit, color=BAND, zorder=0, linewidth=0)
