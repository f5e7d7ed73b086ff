"""Paired differences in validation accuracy while training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from ablations.analysis.summary import Contrast, StudySummary
from ablations.reporting import words
from ablations.reporting.figures.curves import BAND_STYLE, MIN_SEEDS_OF_BAND
from ablations.reporting.figures.frame import FigureSpec, Floats, grid_of, new_figure, not_drawn, panel_title, tidy
from ablations.reporting.svg import mark
from ablations.reporting.theme import BLUE, MUTED, Sheet
from ablations.stats.bands import Band, t_band


def difference_curves(summary: StudySummary) -> FigureSpec | None:
    """Paired difference in validation accuracy by epoch; None if no pair has two epochs."""
    shown = bands(summary)
    if not shown:
        return None
    versus = {contrast.variant: contrast.versus for contrast in summary.contrasts}
    num_pairs = {contrast.variant: len(contrast.curve_differences) for contrast in summary.contrasts}
    return FigureSpec(
        name="difference_curves",
        title="Differences while training",
        alt_text="Validation accuracy of each variant minus its reference, by epoch, paired by seed. "
        + " ".join(
            f"{name} minus {versus[name]}: {words.points(float(band.mean[0]), signed=True)} points after the first "
            f"epoch, {words.points(float(band.mean[-1]), signed=True)} after the last, mean of "
            f"{words.plural(num_pairs[name], 'pair')}."
            for name, band in shown.items()
        ),
        caption="Lines are means over the paired seeds in which both learned, up to their last common epoch; above zero the "
        f"variant is better. Bands are pointwise 95 % t intervals, not intervals of the whole curve; they need {MIN_SEEDS_OF_BAND} "
        "pairs. These are validation images; verdicts use the test images after the last epoch."
        + not_drawn([name for name in versus if name not in shown], "no pair in which both learned"),
        paint=lambda sheet: _draw(sheet, shown),
    )


def bands(summary: StudySummary) -> dict[str, Band]:
    """Variant -> mean difference by epoch, points; its interval is NaN under `MIN_SEEDS_OF_BAND` pairs.

    A contrast without two epochs is left out.
    """
    found = {}
    for contrast in summary.contrasts:
        values = _by_seed_and_epoch(contrast)
        if len(values) and values.shape[1] > 1:
            band = t_band(values)
            none = np.full_like(band.mean, np.nan)
            has_interval = len(values) >= MIN_SEEDS_OF_BAND
            found[contrast.variant] = band if has_interval else Band(band.mean, none, none, band.level)
    return found


def _by_seed_and_epoch(contrast: Contrast) -> Floats:
    curves = contrast.curve_differences.values()
    num_epochs = min(map(len, curves), default=0)
    return np.array([curve[:num_epochs] for curve in curves], dtype=np.float64)


def _draw(sheet: Sheet, shown: Mapping[str, Band]) -> Figure:
    rows, columns = grid_of(len(shown), sheet)
    height = 0.4 + (2.1 if sheet.has_margin else 1.45) * rows
    figure, cells = new_figure(sheet, height, rows, columns, width=None if columns > 1 else 5.2)
    for axes in cells[len(shown) :]:
        axes.set_visible(False)
    seen = np.concatenate([[-0.5, 0.5], *((band.mean, band.lower, band.upper) for band in shown.values())], axis=None)
    limits = 1.15 * float(np.nanmin(seen)), 1.15 * float(np.nanmax(seen))
    for index, (axes, (name, band)) in enumerate(zip(cells, shown.items(), strict=False)):
        mark(axes, variant=name)
        epochs = np.arange(1, len(band.mean) + 1)
        axes.axhline(0, color=MUTED, linewidth=1, zorder=1)
        (line,) = axes.plot(epochs, band.mean, color=BLUE, linewidth=1.8, zorder=3)
        mark(line, tips=[f"{name}: {words.points(float(band.mean[-1]), signed=True)} after the last epoch"])
        if np.isfinite(band.lower).any():
            axes.fill_between(epochs, band.lower, band.upper, color=BLUE, **BAND_STYLE)
        _set_axes(axes, limits)
        axes.set_title(panel_title(name, sheet, columns))
        if index % columns:
            axes.tick_params(axis="y", labelleft=False)
        else:
            axes.set_ylabel("difference (points,\nlog from ±1 on)")
        if index >= len(shown) - columns:
            axes.set_xlabel("epoch")
    return figure


def _set_axes(axes: Axes, limits: tuple[float, float]) -> None:
    low, high = limits
    # Differences start at tens of points and end at tenths.
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylim(low, high)
    ticks = (-30, -10, -3, -1, -0.5, 0, 0.5, 1, 3, 10, 30)
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:+g}".replace("-", words.MINUS) if value else "0")
    )
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    tidy(axes)
