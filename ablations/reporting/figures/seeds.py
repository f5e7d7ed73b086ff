"""Accuracy of every confirmation trial, by seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablations.analysis.summary import StudySummary, VariantSummary
from ablations.reporting import words
from ablations.reporting.figures.frame import (
    CROSS,
    FigureSpec,
    accuracy_axis,
    bundle,
    draw_dots,
    grid_of,
    key,
    learned,
    legend,
    limits_around,
    new_figure,
    panel_title,
    tidy,
)
from ablations.reporting.svg import mark
from ablations.reporting.theme import BLUE, INK, MUTED, Sheet

_RING: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": MUTED, "markersize": 4.5}


def accuracy_by_seed(summary: StudySummary) -> FigureSpec | None:
    """Each seed's line from the reference to a variant, a panel per contrast; failed runs are in a gutter."""
    if not any(variant.accuracy_percent or variant.failed_seeds for variant in summary.variants):
        return None
    lines = (
        "Each thin line is one seed, from the reference to the variant; parallel lines show a difference steadier than "
        "the luck of the seed. The thick line joins the means over the pairs."
    )
    gutter = " Crosses under the axis did not learn; rings have no outcome yet."
    return FigureSpec(
        name="accuracy_by_seed",
        title="Accuracy, seed by seed",
        alt_text=f"Test accuracy of every confirmation trial. {' '.join(map(_alt_text, summary.variants))}",
        caption=(lines if summary.contrasts else "Each dot is one seed; the diamond is their mean.")
        + (gutter if _has_gutter(summary) else ""),
        paint=lambda sheet: _draw(sheet, summary),
    )


def _alt_text(variant: VariantSummary) -> str:
    values = [f"{words.points(accuracy)} %" for accuracy in learned(variant).values()]
    parts = [words.listed(values) if values else "no run that learned"]
    if variant.failed_seeds:
        parts.append(f"{len(variant.failed_seeds)} did not learn")
    if variant.missing_seeds:
        parts.append(f"{len(variant.missing_seeds)} missing")
    return f"{variant.name}: {'; '.join(parts)}."


def _has_gutter(summary: StudySummary) -> bool:
    return any(variant.failed_seeds or variant.missing_seeds for variant in summary.variants)


def _draw(sheet: Sheet, summary: StudySummary) -> Figure:
    panels: list[tuple[VariantSummary, ...]] = [(summary[c.versus], summary[c.variant]) for c in summary.contrasts]
    panels = panels or [(summary[summary.baseline],)]
    rows, columns = grid_of(len(panels), sheet)
    figure, cells = new_figure(
        sheet, 0.55 + (2.35 if sheet.has_margin else 1.75) * rows, rows, columns, width=0.6 + 2.9 * columns
    )
    name_width = 14 if sheet.has_margin else 9
    room = 0.62 if sheet.has_margin else 0.72
    limits = limits_around(accuracy for variant in summary.variants for accuracy in learned(variant).values())
    for axes in cells[len(panels) :]:
        axes.set_visible(False)
    for index, (axes, panel) in enumerate(zip(cells, panels, strict=False)):
        gutter = accuracy_axis(axes, limits, gutter=_has_gutter(summary))
        _draw_lines(axes, sheet, panel)
        for place, variant in enumerate(panel):
            _draw_gutter(axes, place, gutter, variant)
        axes.set_xlim(-room, len(panel) - 1 + room)
        axes.set_xticks(range(len(panel)), [words.wrapped(variant.name, name_width, lines=3) for variant in panel])
        axes.set_title(panel_title(panel[-1].name, sheet, columns))
        mark(axes, variant=panel[-1].name)
        tidy(axes)
        axes.tick_params(axis="x", length=0)
        if index % columns:
            axes.tick_params(axis="y", labelleft=False)
        else:
            axes.set_ylabel("test accuracy (%)")
    if _has_gutter(summary):
        legend(figure, key("x", "ran and did not learn", **CROSS), key("o", "no outcome yet", **_RING))
    return figure


def _draw_lines(axes: Axes, sheet: Sheet, panel: Sequence[VariantSummary]) -> None:
    """Draw each run that learned as a dot, each pair of them as a line, and the mean over the pairs."""
    values = [learned(variant) for variant in panel]
    places = range(len(values))
    pairs = sorted(set.intersection(*(set(each) for each in values)))
    lines = [np.column_stack((places, [each[seed] for each in values])) for seed in pairs]
    axes.add_collection(bundle(lines, color=MUTED, linewidth=0.9, alpha=0.6))
    for place, (variant, each) in enumerate(zip(panel, values, strict=True)):
        style: dict[str, Any] = {"color": MUTED, "markersize": 4, "alpha": 0.75, "mew": 0}
        tips = [f"{variant.name}, seed {seed}: {words.points(accuracy)} %" for seed, accuracy in each.items()]
        draw_dots(axes, [place] * len(each), list(each.values()), tips, marker="o", **style)
    if not pairs:
        return
    means = [float(np.mean([each[seed] for seed in pairs])) for each in values]
    axes.plot(places, means, "-D", color=BLUE, linewidth=2.4, markersize=5, zorder=4)
    offset = 8 if sheet.has_margin else 4
    for place, mean, side, sign in zip(places, means, ("right", "left"), (-1, 1), strict=False):
        axes.annotate(
            words.points(mean),
            (place, mean),
            xytext=(sign * offset, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            weight="bold",
            color=INK,
        )


def _draw_gutter(axes: Axes, place: float, y: float, variant: VariantSummary) -> None:
    marks = "x" * len(variant.failed_seeds) + "o" * len(variant.missing_seeds)
    step = min(0.1, 0.8 / max(1, len(marks)))
    for index, shape in enumerate(marks):
        x = place + step * (index - (len(marks) - 1) / 2)
        if shape == "x":
            axes.plot(x, y, "x", **CROSS)
        else:
            axes.plot(x, y, "o", **_RING)
