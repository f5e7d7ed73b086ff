"""Parts shared by the figures: their record, panels, rows, axes and legends."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from ablations.analysis.summary import Contrast, StudySummary, VariantSummary
from ablations.reporting import words
from ablations.reporting.svg import mark
from ablations.reporting.theme import BAND, INK, MUTED, SURFACE, VERMILION, Sheet, drawing

MAX_LINES = 100
"""A panel with more lines draws them as pixels: nobody can distinguish them, and the page stays small."""

Floats = npt.NDArray[np.float64]
Limits = tuple[float, float]


@dataclass(frozen=True)
class FigureSpec:
    """A figure, and the texts beside it on a page."""

    name: str
    """Stem of its file names."""
    title: str
    alt_text: str
    """The content of the figure with its numbers, for people who do not see it."""
    caption: str
    """How to read it."""
    paint: Callable[[Sheet], Figure]
    """Makes its artists, in the settings of `theme.drawing`."""

    def draw(self, sheet: Sheet) -> Figure:
        """The figure in the sizes of a sheet, with its final layout. Save it within `theme.drawing(sheet)`."""
        with drawing(sheet):
            figure = self.paint(sheet)
            for axes in figure.axes:
                _scale(axes.lines, sheet.scale)
            for legend in figure.legends:
                _scale(legend.get_lines(), sheet.scale)
            settle(figure)
            return figure


def settle(figure: Figure) -> None:
    """Compute the layout once; otherwise each file computes it again."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def _scale(lines: Iterable[Line2D], scale: float) -> None:
    if scale == 1:
        return
    for line in lines:
        line.set_markersize(scale * line.get_markersize())
        line.set_markeredgewidth(scale * line.get_markeredgewidth())
        line.set_linewidth(scale * line.get_linewidth())


class ShownFigure(Figure):
    """A figure that a notebook shows, without pyplot."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()


def new_figure(
    sheet: Sheet, height: float, rows: int = 1, columns: int = 1, *, width: float | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of `height` inches, and its axes, row by row; `width` is in inches, the sheet's if None or larger."""
    layout = ConstrainedLayoutEngine(w_pad=0.06 * sheet.scale, h_pad=0.06 * sheet.scale, wspace=0.03, hspace=0.04)
    figure = ShownFigure(figsize=(min(sheet.width, width or sheet.width), height), layout=layout)
    return figure, figure.subplots(rows, columns, squeeze=False).ravel().tolist()


def grid_of(num_panels: int, sheet: Sheet) -> tuple[int, int]:
    """Rows and columns for panels; if one row is too short, columns with the fewest gaps in the last row."""
    most = sheet.max_columns
    columns = min((most, max(2, most - 1)), key=lambda each: -num_panels % each)
    columns = min(columns if num_panels > most else most, num_panels)
    return ceil(num_panels / columns), columns


def panel_width(sheet: Sheet, columns: int, *, bold: bool = False) -> int:
    """Characters of text that fit over one of `columns` panels in a row."""
    # Room for the labels of the axis on the left; a letter is about 0.58 of its size wide, a bold one 0.69.
    points = 0.9 * (72 * sheet.width - 36) / columns
    return int(points / (0.69 * sheet.title_size if bold else 0.58 * sheet.text_size))


def panel_title(name: str, sheet: Sheet, columns: int) -> str:
    """A variant's name, wrapped to fit over one of `columns` panels in a row."""
    return words.wrapped(name, min(panel_width(sheet, columns, bold=True), 40))


def head_panel(axes: Axes, sheet: Sheet, title: str, text: str) -> None:
    """Write a panel's title, and a line of numbers between it and the panel."""
    axes.set_title(title, pad=2 * sheet.text_size)
    axes.text(0, 1.03, text, transform=axes.transAxes, color=MUTED, va="bottom")


def tidy(axes: Axes, *, grid: Literal["x", "y", "both"] = "y") -> None:
    """Draw grid lines behind the data, and no frame except for the line below."""
    axes.grid(axis=grid)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    sns.despine(ax=axes, left=True)


@dataclass(frozen=True)
class Row:
    """A row of a figure: its variant, name, and up to two texts, each with its style."""

    variant: str
    name: str
    texts: tuple[tuple[str, Mapping[str, Any]], ...] = ()


def row_figure(
    sheet: Sheet, rows: Sequence[Row], *, row_height: float, foot: float, gap: float = 8.0
) -> tuple[Figure, Axes, Sequence[float]]:
    """A figure with names and texts of rows: beside the rows if the sheet has a margin, else above them.

    Args:
        sheet: of the figure.
        rows: at least one, the first on top.
        row_height: of one in inches, if texts are beside it.
        foot: height of everything but the rows, inches.
        gap: from a row's centre to the texts above it, typographic points.

    Returns:
        The figure, its axes, and the height of each row's centre on the y axis, which points down. At the page's width the
        rows are 1 apart.
    """
    if sheet.has_margin:
        heights: Sequence[float] = range(len(rows))
        figure, (axes,) = new_figure(sheet, foot + row_height * len(rows))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        names = [words.wrapped(row.name, sheet.name_width) for row in rows]
        axes.set_yticks(heights, names, color=INK, size=sheet.label_size)
        for height, row, label in zip(heights, rows, axes.get_yticklabels(), strict=True):
            mark(label, variant=row.variant)
            _write_beside(axes, height, row)
        return figure, axes, heights
    above = [_lines_above(sheet, row) for row in rows]
    # In inches from the top: each row's centre is under its lines.
    inches = np.cumsum([0.2 + gap / 72 + 0.13 * len(lines) for lines in above])
    figure, (axes,) = new_figure(sheet, foot + float(inches[-1]))
    # Ticks that follow the width would change after the layout, and could be cut.
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    unit = 0.8 * row_height
    heights = [float(each - 0.18) / unit for each in inches]
    axes.set_ylim(float(inches[-1]) / unit, 0)
    axes.set_yticks([])
    # Lines do not pass through letters.
    ground = {"facecolor": SURFACE, "alpha": 0.7, "linewidth": 0, "pad": 0.3}
    for height, row, lines in zip(heights, rows, above, strict=True):
        for place, (text, style) in enumerate(reversed(lines)):
            offset = gap + 1.25 * sheet.text_size * place
            _write(axes, row.variant, text, (0.0, height), offset, va="bottom", bbox=ground, **style)
    return figure, axes, heights


def _lines_above(sheet: Sheet, row: Row) -> list[tuple[str, Mapping[str, Any]]]:
    """Lines of a row, name and texts, each with its style."""
    found = []
    for text, style in ((row.name, {"weight": "bold"}), *row.texts):
        characters = panel_width(sheet, 1, bold=style.get("weight") == "bold")
        found += [(line, style) for line in words.wrapped(text, characters, lines=2).splitlines()]
    return found


def _write_beside(axes: Axes, height: float, row: Row) -> None:
    # Of two texts the first ends at the row's centre, and the second begins there.
    places = [(0.0, "center")] if len(row.texts) == 1 else [(2.0, "bottom"), (-2.0, "top")]
    for (text, style), (offset, va) in zip(row.texts, places, strict=False):
        text = words.wrapped(text, 26, lines=3) if va == "bottom" else text
        _write(axes, row.variant, text, (1.02, height), offset, va=va, **style)


def _write(axes: Axes, variant: str, text: str, at: tuple[float, float], offset: float, **style: Any) -> None:
    """Write at a place, given as share of the width and height of a row, `offset` points higher."""
    written = axes.annotate(
        text,
        at,
        xycoords=axes.get_yaxis_transform(),
        xytext=(0, offset),
        textcoords="offset points",
        annotation_clip=False,
        linespacing=1.05,
        **style,
    )
    mark(written, variant=variant)


def legend(figure: Figure, *handles: Artist) -> None:
    """Draw keys under a figure, on as many lines as they need."""
    size = mpl.rcParams["legend.fontsize"]
    # Inches of a key with the blanks around it, at 0.6 of the type's size per letter.
    widths = [size * (0.6 * len(str(handle.get_label())) + 4.5) / 72 for handle in handles]

    def width(num_columns: int) -> float:
        return float(sum(max(column) for column in np.array_split(widths, num_columns)))

    fitting = [number for number in range(1, len(handles) + 1) if width(number) <= figure.get_figwidth()]
    num_columns = max(fitting, default=1)
    # The same number of lines, filled evenly.
    num_columns = ceil(len(handles) / ceil(len(handles) / num_columns))
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=num_columns, handletextpad=0.5, columnspacing=1.8
    )


def key(marker: str, label: str, **style: Any) -> Line2D:
    """A marker for the legend."""
    return Line2D([], [], marker=marker, linestyle="", label=label, **style)


CROSS: dict[str, Any] = {"color": VERMILION, "markersize": 5, "markeredgewidth": 1.4}
"""Style of a run that did not learn."""


def learned(variant: VariantSummary) -> dict[int, float]:
    """Test accuracy in percent of each seed that learned."""
    return {seed: a for seed, a in variant.accuracy_percent.items() if seed not in variant.failed_seeds}


def contrast_name(summary: StudySummary, contrast: Contrast) -> str:
    """A contrast's variant, with its reference if that is not the baseline."""
    if contrast.versus == summary.baseline:
        return contrast.variant
    return f"{contrast.variant} {words.MINUS} {contrast.versus}"


def units_of(summary: StudySummary) -> str:
    """The units of the study's tests: `seeds` or `searches`."""
    return "searches" if summary.searches else "seeds"


def unit_differences(summary: StudySummary, contrast: Contrast) -> dict[int, float]:
    """Difference of each unit of a contrast's test, points: of a paired seed, or the mean over the seeds of a search."""
    found: dict[int, list[float]] = {}
    for seed, difference in contrast.differences.items():
        found.setdefault(summary.searches.get(seed, seed), []).append(difference)
    return {unit: float(np.mean(differences)) for unit, differences in found.items()}


def bundle(lines: Sequence[Floats], **style: Any) -> LineCollection:
    """Many thin lines behind the rest, each of shape (points, 2), as one artist."""
    if len(lines) <= MAX_LINES:
        return LineCollection(lines, zorder=2, **style)
    # A single path with gaps is drawn many times faster.
    gap = np.full((1, 2), np.nan)
    path = np.concatenate([part for line in lines for part in (line, gap)])
    return LineCollection([path], zorder=2, rasterized=True, **style)


def draw_dots(
    axes: Axes, x: Sequence[float], y: Sequence[float], tips: Sequence[str], *, variant: str | None = None, **style: Any
) -> None:
    """Draw a marker with a tip for each value; many become pixels without tips."""
    are_many = len(tips) > MAX_LINES
    if are_many and style["color"] == INK:
        # Pixels keep their colour on a dark page.
        style["color"] = MUTED
    (dots,) = axes.plot(x, y, linestyle="", rasterized=are_many, **style)
    mark(dots, variant=variant, tips=() if are_many else tips)


def limits_around(values: Iterable[float]) -> Limits:
    """Limits of an accuracy axis, in percent, with room around the values."""
    seen = list(values) or [0.0, 100.0]
    pad = max(0.2, 0.08 * (max(seen) - min(seen)))
    return min(seen) - pad, max(seen) + pad


def accuracy_axis(axes: Axes, limits: Limits, *, gutter: bool, num_ticks: int = 5) -> float:
    """Set up the y axis for accuracies; `gutter` adds a shaded strip below it for runs that did not learn.

    Returns:
        Height of the marks in the gutter.
    """
    low, high = limits
    bottom = low - 0.16 * (high - low) if gutter else low
    if gutter:
        axes.axhspan(bottom, low, color=BAND, zorder=0, linewidth=0)
    axes.set_ylim(bottom, high)
    ticks = MaxNLocator(num_ticks).tick_values(low, high)
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    return (bottom + low) / 2


def not_drawn(names: Sequence[str], why: str) -> str:
    """A caption's sentence with the names of variants that are not drawn; empty if there are none."""
    return f" Not drawn ({why}): {words.listed(names)}." if names else ""
