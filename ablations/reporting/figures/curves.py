"""Learning curves of the confirmation trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ablations.analysis.summary import StudySummary, VariantSummary
from ablations.reporting import words
from ablations.reporting.figures.frame import (
    MAX_LINES,
    FigureSpec,
    Floats,
    Limits,
    bundle,
    grid_of,
    legend,
    new_figure,
    not_drawn,
    panel_title,
    tidy,
)
from ablations.reporting.svg import mark
from ablations.reporting.theme import BLUE, FAINT, MUTED, SERIES, Sheet
from ablations.stats.bands import Band, t_band

MAX_OVERLAID = len(SERIES)
"""More variants than this get separate panels."""
MIN_SEEDS_OF_BAND = 3
"""The t interval of two seeds would be wide enough to hide everything else."""
BAND_STYLE: dict[str, Any] = {"alpha": 0.15, "linewidth": 0, "zorder": 1}


@dataclass(frozen=True)
class _Metric:
    column: int
    """In the values of `_Curves`."""
    title: str
    unit: str
    log: bool


_METRICS = (
    _Metric(0, "training loss", "nats, log scale", log=True),
    _Metric(1, "validation loss", "nats, log scale", log=True),
    _Metric(2, "validation accuracy", "%, stretched at 100", log=False),
)
_ACCURACY = _METRICS[2]


@dataclass(frozen=True, eq=False)
class _Curves:
    """A variant's curves, of shape (num_seeds, num_epochs, num_metrics); NaN where there is no value to draw."""

    variant: VariantSummary
    learned: Floats
    failed: Floats


def learning_curves(summary: StudySummary) -> FigureSpec | None:
    """Mean loss and validation accuracy of the variants by epoch; None if no trial has two epochs."""
    shown = _curves(summary)
    if not shown:
        return None
    overlaid = len(shown) <= MAX_OVERLAID
    return FigureSpec(
        name="learning_curves",
        title="Learning curves",
        alt_text=f"{'Losses and validation accuracy' if overlaid else 'Validation accuracy'} by epoch, mean over the seeds "
        f"that learned. {' '.join(_alt_text(each.variant) for each in shown)}",
        caption="Lines are means over the seeds that learned. "
        f"Bands are pointwise 95 % t intervals, not intervals of the whole curve; they need {MIN_SEEDS_OF_BAND} seeds."
        + ("" if overlaid else " The baseline is grey. The curves by seed have the losses too.")
        + (" A gap is an epoch without a finite value of each seed." if any(map(_has_gap, shown)) else "")
        + _not_drawn(summary, shown),
        paint=lambda sheet: _draw_overlaid(sheet, shown) if overlaid else _draw_panels(sheet, shown, summary.baseline),
    )


def learning_curves_by_seed(summary: StudySummary) -> FigureSpec | None:
    """Loss and validation accuracy of every confirmation trial by epoch; None if no trial has two epochs."""
    shown = _curves(summary)
    if not shown:
        return None
    are_many = any(max(len(each.learned), len(each.failed)) > MAX_LINES for each in shown)
    return FigureSpec(
        name="learning_curves_by_seed",
        title="Learning curves by seed",
        alt_text="Training loss, validation loss and validation accuracy by epoch for every confirmation trial. "
        + " ".join(_alt_text(each.variant) for each in shown),
        caption="Thin lines are seeds, the thick line is the mean over the seeds that learned. "
        "Losses are in nats on a log scale, accuracies in percent, stretched at 100."
        + (f" A band from least to greatest replaces more than {MAX_LINES} lines." if are_many else "")
        + (" Dashed seeds did not learn and are not averaged." if any(len(each.failed) for each in shown) else "")
        + _not_drawn(summary, shown),
        paint=lambda sheet: _draw_seeds(sheet, shown),
    )


def _curves(summary: StudySummary) -> list[_Curves]:
    """The variants with a curve; none if no curve has two epochs."""
    ends = [c.epochs[-1].epoch for variant in summary.variants for c in variant.curves if c.epochs]
    num_epochs = max(ends, default=0)
    if num_epochs < 2:
        return []
    found = (
        _Curves(variant, _values(variant, num_epochs, learned=True), _values(variant, num_epochs, learned=False))
        for variant in summary.variants
    )
    return [each for each in found if len(each.learned) or len(each.failed)]


def _values(variant: VariantSummary, num_epochs: int, *, learned: bool) -> Floats:
    curves = [curve for curve in variant.curves if curve.epochs and curve.learned is learned]
    values = np.full((len(curves), num_epochs, len(_METRICS)), np.nan)
    for one, curve in zip(values, curves, strict=True):
        for record in curve.epochs:
            one[record.epoch - 1] = record.train_loss, record.validation_loss, record.validation_accuracy_percent
    # A logarithmic axis has no place for 0.
    cannot_be_drawn = ~np.isfinite(values) | ((values <= 0) & np.array([metric.log for metric in _METRICS]))
    return np.where(cannot_be_drawn, np.nan, values)


def _num_epochs(shown: Sequence[_Curves]) -> int:
    return int(shown[0].learned.shape[1])


def _not_drawn(summary: StudySummary, shown: Sequence[_Curves]) -> str:
    names = {each.variant.name for each in shown}
    return not_drawn([v.name for v in summary.variants if v.name not in names], "no epoch recorded")


def _has_gap(curves: _Curves) -> bool:
    return not np.isfinite(curves.learned).all()


def _alt_text(variant: VariantSummary) -> str:
    ends = [c.epochs[-1].validation_accuracy_percent for c in variant.curves if c.learned and c.epochs]
    end = (
        f"ends at {words.points(float(np.mean(ends)))} % mean validation accuracy"
        if ends
        else "has no seed that learned"
    )
    failed = sum(not curve.learned for curve in variant.curves)
    return f"{variant.name} {end}" + (f", and {words.plural(failed, 'seed')} did not learn." if failed else ".")


def _draw_overlaid(sheet: Sheet, shown: Sequence[_Curves]) -> Figure:
    """Draw a panel per metric, with the means of all variants in each."""
    rows, columns = (1, len(_METRICS)) if sheet.has_margin else (len(_METRICS), 1)
    figure, cells = new_figure(sheet, 0.75 + rows * (2.6 if sheet.has_margin else 1.65), rows, columns)
    for axes, metric in zip(cells, _METRICS, strict=True):
        for curves, colour in zip(shown, SERIES, strict=False):
            _draw_mean(axes, curves, metric, color=colour, linewidth=1.8, zorder=3)
        _set_axes(axes, metric, _frame_of_means(metric, shown), num_epochs=_num_epochs(shown))
        axes.set_title(metric.title)
        axes.set_ylabel(metric.unit)
        if sheet.has_margin or metric is _METRICS[-1]:
            axes.set_xlabel("epoch")
    names = [words.wrapped(curves.variant.name, 44, lines=1) for curves in shown]
    keys = [Line2D([], [], color=c, linewidth=1.8, label=name) for name, c in zip(names, SERIES, strict=False)]
    legend(figure, *keys)
    for text, curves in zip(figure.legends[0].get_texts(), shown, strict=True):
        mark(text, variant=curves.variant.name)
    return figure


def _draw_panels(sheet: Sheet, shown: Sequence[_Curves], baseline: str) -> Figure:
    """Draw a panel per variant, with its mean validation accuracy before the baseline's."""
    rows, columns = grid_of(len(shown), sheet)
    figure, cells = new_figure(sheet, 0.4 + (1.75 if sheet.has_margin else 1.3) * rows, rows, columns)
    for axes in cells[len(shown) :]:
        axes.set_visible(False)
    limits = _frame_of_means(_ACCURACY, shown)
    for index, (axes, curves) in enumerate(zip(cells, shown, strict=False)):
        mark(axes, variant=curves.variant.name)
        for reference in shown:
            if reference.variant.name == baseline:
                _draw_mean(axes, reference, _ACCURACY, with_band=False, color=FAINT, linewidth=3, zorder=1)
        _draw_mean(axes, curves, _ACCURACY, color=BLUE, linewidth=1.8, zorder=3)
        _set_axes(axes, _ACCURACY, limits, num_epochs=_num_epochs(shown), is_small=True)
        axes.set_title(panel_title(curves.variant.name, sheet, columns))
        axes.tick_params(labelleft=index % columns == 0, labelbottom=index >= len(shown) - columns)
        if index % columns == 0:
            axes.set_ylabel("validation\naccuracy (%)")
        if index >= len(shown) - columns:
            axes.set_xlabel("epoch")
    return figure


def _draw_seeds(sheet: Sheet, shown: Sequence[_Curves]) -> Figure:
    """Draw a row per variant with a panel per metric: its seeds, and their mean."""
    row_height = 1.45 if sheet.has_margin else 1.05
    figure, cells = new_figure(sheet, 0.5 + row_height * len(shown), len(shown), len(_METRICS))
    frames = [_frame_of_seeds(metric, shown) for metric in _METRICS]
    for index, axes in enumerate(cells):
        row, column = divmod(index, len(_METRICS))
        curves, metric = shown[row], _METRICS[column]
        mark(axes, variant=curves.variant.name)
        _draw_lines(axes, curves.learned[:, :, column], linewidth=0.6, alpha=0.4)
        _draw_lines(axes, curves.failed[:, :, column], linewidth=1.1, linestyle=(0, (4, 2)))
        _draw_mean(axes, curves, metric, with_band=False, color=BLUE, linewidth=1.8, zorder=3)
        _set_axes(axes, metric, frames[column], num_epochs=_num_epochs(shown), is_small=True)
        # The variant's name is over the first of its panels, the metrics' over the first row.
        if column == 0:
            lines = 1 if sheet.has_margin else 2
            _write_over(axes, sheet, curves.variant.name, (0.9 + 1.3 * lines) * sheet.text_size if row == 0 else 4)
        if row == 0:
            title = metric.title if sheet.has_margin else metric.title.replace(" ", "\n")
            axes.text(0, 1.04, title, transform=axes.transAxes, va="bottom", color=MUTED)
        if row < len(shown) - 1:
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel("epoch")
    return figure


def _write_over(axes: Axes, sheet: Sheet, name: str, pad: float) -> None:
    """Write a name over a panel and its neighbours, `pad` points higher; its length does not widen the panel."""
    axes.set_title(" ", pad=pad)
    style: dict[str, Any] = {"textcoords": "offset points", "weight": "bold", "size": sheet.title_size}
    written = axes.annotate(words.wrapped(name, 40, lines=1), (0, 1), (0, pad), xycoords="axes fraction", **style)
    written.set_in_layout(False)


def _draw_lines(axes: Axes, values: Floats, **style: Any) -> None:
    """Draw a line for each seed, or their range if there are too many; `values` is of shape (num_seeds, num_epochs)."""
    if not len(values):
        return
    epochs = np.arange(1, values.shape[1] + 1)
    if len(values) <= MAX_LINES:
        axes.add_collection(bundle([np.column_stack((epochs, each)) for each in values], color=BLUE, **style))
        return
    # An infinity that no seed reaches takes the place of a missing value.
    least, greatest = np.nan_to_num(values, nan=np.inf).min(axis=0), np.nan_to_num(values, nan=-np.inf).max(axis=0)
    axes.fill_between(epochs, least, greatest, where=least <= greatest, color=BLUE, alpha=0.3, linewidth=0, zorder=2)


def _mean(curves: _Curves, metric: _Metric) -> Band | None:
    """Mean over the seeds that learned, with its interval; NaN at epochs at which one has no value. None without a value."""
    values = curves.learned[:, :, metric.column]
    whole = np.asarray(np.isfinite(values).all(axis=0))
    if not len(values) or not whole.any():
        return None
    found = t_band(values[:, whole])
    # NaN leaves a gap.
    mean, lower, upper = np.full((3, len(whole)), np.nan)
    mean[whole], lower[whole], upper[whole] = found.mean, found.lower, found.upper
    if len(values) < MIN_SEEDS_OF_BAND:
        lower, upper = np.full((2, len(whole)), np.nan)
    # A wide band can reach below a loss of zero, for which a logarithmic axis has no place, and beyond 100 %.
    lower, upper = (np.maximum(lower, mean / 10), upper) if metric.log else (lower, np.minimum(upper, 100.0))
    return Band(mean, lower, upper, found.level)


def _draw_mean(axes: Axes, curves: _Curves, metric: _Metric, *, with_band: bool = True, **line: Any) -> None:
    band = _mean(curves, metric)
    if band is None:
        return
    epochs, name = np.arange(1, len(band.mean) + 1), curves.variant.name
    (drawn,) = axes.plot(epochs, band.mean, **line)
    end = float(band.mean[np.isfinite(band.mean)][-1])
    mark(drawn, variant=name, tips=[f"{name}: {metric.title} ends at {words.setting(end)}"])
    if with_band and np.isfinite(band.lower).any():
        mark(axes.fill_between(epochs, band.lower, band.upper, color=line["color"], **BAND_STYLE), variant=name)


def _frame_of_means(metric: _Metric, shown: Sequence[_Curves]) -> Limits:
    """Least and greatest value of all means and bands."""
    bands = [band for curves in shown if (band := _mean(curves, metric))]
    values = np.array([(band.mean, band.lower, band.upper) for band in bands])
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (1.0, 10.0)


def _frame_of_seeds(metric: _Metric, shown: Sequence[_Curves]) -> Limits:
    """Least and greatest value of all seeds.

    The loss of failed seeds can have any size; it is clipped at three times the greatest of the others.
    """
    values, failed = (
        np.concatenate([each[:, :, metric.column] for each in group], axis=None)
        for group in ([each.learned for each in shown], [each.failed for each in shown])
    )
    values, failed = values[np.isfinite(values)], failed[np.isfinite(failed)]
    if metric.log and values.size:
        failed = np.clip(failed, values.min(), 3 * values.max())
    values = np.concatenate([values, failed])
    return (float(values.min()), float(values.max())) if values.size else (1.0, 10.0)


def _set_axes(axes: Axes, metric: _Metric, limits: Limits, *, num_epochs: int, is_small: bool = False) -> None:
    """Set up a panel; a small one has fewer ticks."""
    low, high = limits
    if metric.log:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.2, high * 1.2)
        powers = LogLocator(subs=(1.0,) if is_small and high > 30 * low else (1.0, 2.0, 5.0), numticks=8)
        axes.yaxis.set_major_locator(powers if high > 8 * low else MaxNLocator(4))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        _stretch(axes, low, high, gap=0.2 if is_small else 0.14)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(1 - 0.02 * num_epochs, num_epochs)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4 if is_small else 6, integer=True))
    tidy(axes)


def _stretch(axes: Axes, low: float, high: float, *, gap: float) -> None:
    """Scale accuracies by almost the logarithm of the error: 98 to 99 % takes as much room as 96 to 98 %."""

    def place(accuracy: Floats) -> Floats:
        # 101 rather than 100 keeps the place of 100 % finite.
        return -np.log10(np.maximum(101.0 - accuracy, 0.5))

    def accuracy(place: Floats) -> Floats:
        return 101.0 - 10.0 ** -np.asarray(place)

    axes.set_yscale("function", functions=(place, accuracy))
    bottom, top = place(np.array([low, high]))
    pad = 0.06 * max(top - bottom, 0.1)
    axes.set_ylim(*accuracy(np.array([bottom - pad, top + pad])))
    ticks: list[float] = []
    for tick in (100, *range(99, 93, -1), 92, *range(90, -1, -5)):
        far = all(abs(place(np.array(tick)) - place(np.array(other))) >= gap * (top - bottom) for other in ticks)
        if low <= tick <= high and far:
            ticks.append(float(tick))
    axes.yaxis.set_major_locator(FixedLocator(ticks) if len(ticks) > 1 else MaxNLocator(4))
