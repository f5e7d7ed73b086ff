"""Parts shared by the figures: their record, sizes, panels, axes and legends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

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

from ablations.analysis.summary import VariantSummary
from ablations.reporting import words
from ablations.reporting.theme import BAND, VERMILION

WIDTH = 10.0
"""Width of a figure in inches; the page shows it in this size."""
MAX_COLUMNS = 4
NAME_WIDTH = 24
"""Characters per line of a variant's name."""
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
    draw: Callable[[], Figure]
    """Draws it; call it within `theme.drawing()`."""


def new_figure(height: float, rows: int = 1, columns: int = 1, *, width: float = WIDTH) -> tuple[Figure, list[Axes]]:
    """A figure of `width` by `height` inches, and its axes, row by row."""
    layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.04)
    figure = Figure(figsize=(width, height), layout=layout)
    return figure, figure.subplots(rows, columns, squeeze=False).ravel().tolist()


def grid_of(num_panels: int) -> tuple[int, int]:
    """Rows and columns for panels; more than four get three or four columns, with the fewest gaps in the last row."""
    columns = min((MAX_COLUMNS, MAX_COLUMNS - 1), key=lambda each: -num_panels % each)
    columns = min(columns if num_panels > MAX_COLUMNS else MAX_COLUMNS, num_panels)
    return ceil(num_panels / columns), columns


def panel_title(name: str, columns: int) -> str:
    """A variant's name, wrapped to fit over one of `columns` panels in a row."""
    return words.wrapped(name, NAME_WIDTH if columns >= MAX_COLUMNS else 30)


def tidy(axes: Axes, *, grid: Literal["x", "y", "both"] = "y") -> None:
    """Draw grid lines behind the data, and no frame except for the line below."""
    axes.grid(axis=grid)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    sns.despine(ax=axes, left=True)


def legend(figure: Figure, *handles: Artist) -> None:
    """Draw keys under a figure, on as many lines as they need."""
    # Inches per letter, and per key with the blanks around it.
    needed = sum(0.068 * len(str(handle.get_label())) + 0.5 for handle in handles)
    ncols = ceil(len(handles) / ceil(needed / figure.get_figwidth()))
    figure.legend(handles=list(handles), loc="outside lower center", ncols=ncols, handletextpad=0.5, columnspacing=1.8)


def key(marker: str, label: str, **style: Any) -> Line2D:
    """A marker for the legend."""
    return Line2D([], [], marker=marker, linestyle="", label=label, **style)


CROSS: dict[str, Any] = {"color": VERMILION, "markersize": 5, "markeredgewidth": 1.4}
"""Style of a run that did not learn."""


def learned(variant: VariantSummary) -> dict[int, float]:
    """Test accuracy in percent of each seed that learned."""
    return {seed: a for seed, a in variant.accuracy_percent.items() if seed not in variant.failed_seeds}


def bundle(lines: Sequence[Floats], **style: Any) -> LineCollection:
    """Many thin lines behind the rest, each of shape (points, 2), as one artist."""
    return LineCollection(lines, zorder=2, rasterized=len(lines) > MAX_LINES, **style)


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


def left_out(names: Sequence[str], why: str) -> str:
    """A caption's sentence with the names of variants that are not drawn; empty if there are none."""
    return f" Not drawn, for want of data ({why}): {words.listed(names)}." if names else ""
