"""Learning curves of the confirmation trials, and their paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ablations.analysis.summary import Contrast, Curve, StudySummary, VariantSummary
from ablations.reporting import words
from ablations.reporting.figures.frame import (
    MAX_COLUMNS,
    NAME_WIDTH,
    WIDTH,
    FigureSpec,
    Floats,
    bundle,
    grid_of,
    left_out,
    new_figure,
    panel_title,
    tidy,
)
from ablations.reporting.theme import BLUE, FAINT, INK, MUTED, SERIES
from ablations.stats.bands import t_band

MAX_OVERLAID = len(SERIES)
"""More variants than this get separate panels."""
MIN_SEEDS_OF_BAND = 3
"""The t interval of two seeds would be wide enough to hide everything else."""
_DASHED = (0, (4, 2))
_THIN: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.55}
_BAND: dict[str, Any] = {"alpha": 0.15, "linewidth": 0, "zorder": 1}


@dataclass(frozen=True)
class _Metric:
    field: Literal["train_loss", "validation_loss", "validation_accuracy_percent"]
    label: str
    log: bool


_METRICS = (
    _Metric("train_loss", "training loss\n(nats, log scale)", log=True),
    _Metric("validation_loss", "validation loss\n(nats, log scale)", log=True),
    _Metric("validation_accuracy_percent", "validation accuracy\n(%, stretched at 100)", log=False),
)


def learning_curves(summary: StudySummary) -> FigureSpec | None:
    """Loss and validation accuracy of every confirmation trial by epoch; None if no trial has two epochs."""
    shown = [variant for variant in summary.variants if any(curve.epochs for curve in variant.curves)]
    curves = [curve for variant in shown for curve in variant.curves]
    if max((len(curve.epochs) for curve in curves), default=0) < 2:
        return None
    overlaid = len(shown) <= MAX_OVERLAID
    return FigureSpec(
        name="learning_curves",
        title="Learning curves",
        alt_text="Training loss, validation loss and validation accuracy by epoch for every confirmation trial. "
        + " ".join(map(_alt_text, shown)),
        caption="Thin lines are seeds, thick lines the mean over the seeds that learned, bands its pointwise 95 % t interval "
        f"(from {MIN_SEEDS_OF_BAND} seeds on): of one epoch, never of the whole curve."
        + ("" if overlaid else " In grey the baseline's mean, in every panel.")
        + (
            " A gap in them is an epoch at which one of these seeds has no value that can be drawn."
            if _has_gap(curves)
            else ""
        )
        + (" Dashed: seeds that did not learn; they are not averaged." if _has_dashes(curves) else "")
        + left_out([v.name for v in summary.variants if v not in shown], "no epoch recorded"),
        draw=lambda: _draw_overlaid(shown) if overlaid else _draw_panels(summary[summary.baseline], shown),
    )


def _has_gap(curves: Sequence[Curve]) -> bool:
    return any(np.isnan(_series(curve, metric)[1]).any() for curve in curves if curve.learned for metric in _METRICS)


def _has_dashes(curves: Sequence[Curve]) -> bool:
    return any(not curve.learned and len(curve.epochs) > 1 for curve in curves)


def _alt_text(variant: VariantSummary) -> str:
    ends = [c.epochs[-1].validation_accuracy_percent for c in variant.curves if c.learned and c.epochs]
    end = (
        f"ends at {words.points(float(np.mean(ends)))} % mean validation accuracy"
        if ends
        else "has no seed that learned"
    )
    failed = sum(not curve.learned for curve in variant.curves)
    return f"{variant.name} {end}" + (f", and {words.plural(failed, 'seed')} did not learn." if failed else ".")


def _draw_overlaid(shown: Sequence[VariantSummary]) -> Figure:
    """Draw a row per metric, with all variants in each."""
    figure, cells = new_figure(0.5 + 2.05 * len(_METRICS), len(_METRICS))
    for axes, metric in zip(cells, _METRICS, strict=True):
        ends = []
        for variant, colour in zip(shown, SERIES, strict=False):
            _draw_seeds(axes, variant.curves, metric, colour)
            mean = _draw_mean(axes, variant.curves, metric, color=colour, linewidth=1.8, zorder=3)
            end = mean if mean is not None else _last_value(variant.curves, metric)
            if end is not None:
                ends.append((end, variant.name, colour))
        _set_axes(axes, metric, _frame(metric, [curve for variant in shown for curve in variant.curves]))
        axes.set_ylabel(metric.label)
        _write_names(axes, ends)
        axes.tick_params(axis="x", labelbottom=metric is _METRICS[-1])
    cells[-1].set_xlabel("epoch")
    return figure


def _draw_panels(baseline: VariantSummary, shown: Sequence[VariantSummary]) -> Figure:
    """Draw a column per variant, in several blocks of rows; a block has a row per metric."""
    num_blocks = ceil(len(shown) / MAX_COLUMNS)
    figure, cells = new_figure(
        0.4 + num_blocks * (0.35 + 1.15 * len(_METRICS)), num_blocks * len(_METRICS), MAX_COLUMNS
    )
    every = [curve for variant in shown for curve in variant.curves]
    frames = [_frame(metric, every) for metric in _METRICS]
    for index, axes in enumerate(cells):
        row, column = divmod(index, MAX_COLUMNS)
        block, line = divmod(row, len(_METRICS))
        place, metric = block * MAX_COLUMNS + column, _METRICS[line]
        if place >= len(shown):
            axes.set_visible(False)
            continue
        variant = shown[place]
        _draw_mean(axes, baseline.curves, metric, band=False, color=FAINT, linewidth=3, zorder=1)
        _draw_seeds(axes, variant.curves, metric, BLUE)
        _draw_mean(axes, variant.curves, metric, color=BLUE, linewidth=1.8, zorder=3)
        _set_axes(axes, metric, frames[line])
        axes.tick_params(labelleft=column == 0, labelbottom=metric is _METRICS[-1])
        if line == 0:
            axes.set_title(words.wrapped(variant.name, NAME_WIDTH))
        if column == 0:
            axes.set_ylabel(metric.label, size=7.5)
        if metric is _METRICS[-1]:
            axes.set_xlabel("epoch")
    figure.align_ylabels()
    return figure


def _draw_seeds(axes: Axes, curves: Sequence[Curve], metric: _Metric, colour: str) -> None:
    for learned in (True, False):
        style: dict[str, Any] = _THIN if learned else {"linewidth": 1.1, "ls": _DASHED}
        lines = [np.column_stack(_series(curve, metric)) for curve in curves if curve.learned is learned]
        axes.add_collection(bundle(lines, color=colour, **style))


def _draw_mean(axes: Axes, curves: Sequence[Curve], metric: _Metric, *, band: bool = True, **line: Any) -> float | None:
    """Draw the mean over the seeds that learned; return its last value, or None if there is no mean."""
    series = [_series(curve, metric) for curve in curves if curve.learned and curve.epochs]
    if not series:
        return None
    # Seeds still in training have fewer epochs; the mean ends with the shortest.
    num_epochs = min(len(epochs) for epochs, _ in series)
    epochs, values = series[0][0][:num_epochs], np.array([each[:num_epochs] for _, each in series])
    whole = np.isfinite(values).all(axis=0)
    if not whole.any():
        return None
    found = t_band(values[:, whole])
    # NaN leaves a gap where a seed has no value.
    mean, lower, upper = np.full((3, num_epochs), np.nan)
    mean[whole], lower[whole], upper[whole] = found.mean, found.lower, found.upper
    axes.plot(epochs, mean, **line)
    if band and len(series) >= MIN_SEEDS_OF_BAND:
        # A wide band can reach below zero, and a logarithmic axis cannot show that.
        lower = np.maximum(lower, mean / 10) if metric.log else lower
        axes.fill_between(epochs, lower, upper, color=line["color"], **_BAND)
    return float(found.mean[-1])


def _series(curve: Curve, metric: _Metric) -> tuple[Floats, Floats]:
    """Epochs and values; NaN where a value cannot be drawn."""
    epochs = np.array([record.epoch for record in curve.epochs], dtype=np.float64)
    values = np.array([getattr(record, metric.field) for record in curve.epochs], dtype=np.float64)
    can_be_drawn = np.isfinite(values) & (values > 0) if metric.log else np.isfinite(values)
    return epochs, np.where(can_be_drawn, values, np.nan)


def _last_value(curves: Sequence[Curve], metric: _Metric) -> float | None:
    values = np.concatenate([_series(curve, metric)[1] for curve in curves])
    values = values[np.isfinite(values)]
    return float(values[-1]) if values.size else None


def _frame(metric: _Metric, curves: Sequence[Curve]) -> tuple[float, float, int]:
    """Least and greatest value of all seeds, and the last epoch.

    The loss of failed seeds can have any size; it is clipped at three times the greatest of the others.
    """
    values, failed = (
        np.concatenate([np.empty(0), *(_series(curve, metric)[1] for curve in curves if curve.learned is learned)])
        for learned in (True, False)
    )
    values, failed = values[np.isfinite(values)], failed[np.isfinite(failed)]
    if metric.log and values.size:
        failed = np.clip(failed, values.min(), 3 * values.max())
    values = np.concatenate([values, failed])
    last = max((curve.epochs[-1].epoch for curve in curves if curve.epochs), default=2)
    return (float(values.min()), float(values.max()), last) if values.size else (1.0, 10.0, last)


def _set_axes(axes: Axes, metric: _Metric, frame: tuple[float, float, int]) -> None:
    low, high, last = frame
    if metric.log:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.2, high * 1.2)
        powers = LogLocator(subs=(1.0, 2.0, 5.0), numticks=8)
        axes.yaxis.set_major_locator(powers if high > 8 * low else MaxNLocator(4))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        _stretch(axes, low, high)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(1 - 0.02 * last, last)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    tidy(axes)


def _stretch(axes: Axes, low: float, high: float) -> None:
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
        far = all(abs(place(np.array(tick)) - place(np.array(other))) >= 0.14 * (top - bottom) for other in ticks)
        if low <= tick <= high and far:
            ticks.append(float(tick))
    axes.yaxis.set_major_locator(FixedLocator(ticks) if len(ticks) > 1 else MaxNLocator(4))


def _write_names(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write each line's name to the right of its end (value, name, colour); push names apart if they would overlap."""
    to_axes = axes.transData + axes.transAxes.inverted()
    placed = sorted(
        (float(np.clip(to_axes.transform((1.0, end))[1], 0, 1)), name, colour) for end, name, colour in ends
    )
    gap = 0.085
    heights: list[float] = []
    for end, _, _ in placed:
        heights.append(max(end, heights[-1] + gap) if heights else end)
    ceiling = 1.0
    for index in reversed(range(len(heights))):
        heights[index] = min(heights[index], ceiling)
        ceiling = heights[index] - gap
    for height, (end, name, colour) in zip(heights, placed, strict=True):
        leader = [end, height, height]
        axes.plot([1, 1.02, 1.035], leader, color=colour, linewidth=1.6, transform=axes.transAxes, clip_on=False)
        name = words.wrapped(name, NAME_WIDTH, lines=1)
        axes.text(1.045, height, name, transform=axes.transAxes, va="center", size=8.5, color=INK)


def difference_curves(summary: StudySummary) -> FigureSpec | None:
    """Paired difference in validation accuracy by epoch; None if no pair has two epochs."""
    shown = {c.variant: d for c in summary.contrasts if len(d := _by_seed_and_epoch(c)) and d.shape[1] > 1}
    if not shown:
        return None
    versus = {contrast.variant: contrast.versus for contrast in summary.contrasts}
    return FigureSpec(
        name="difference_curves",
        title="Differences while training",
        alt_text="Validation accuracy of each variant minus what it is compared with, by epoch, paired by seed. "
        + " ".join(
            f"{name} minus {versus[name]}: {words.points(float(values[:, 0].mean()), signed=True)} points after the first "
            f"epoch, {words.points(float(values[:, -1].mean()), signed=True)} after the last that both have, mean of "
            f"{words.plural(len(values), 'pair')}."
            for name, values in shown.items()
        ),
        caption="Thin lines are pairs of one seed in which both learned, the thick line is their mean, the band its pointwise "
        f"95 % t interval (from {MIN_SEEDS_OF_BAND} pairs on): of one epoch, never of the whole curve. They end with the "
        "last epoch that all pairs have. Above zero the variant is better. These are validation images; verdicts go by the test images after the last epoch."
        + left_out([name for name in versus if name not in shown], "no pair of seeds in which both learned"),
        draw=lambda: _draw_differences(shown),
    )


def _by_seed_and_epoch(contrast: Contrast) -> Floats:
    curves = contrast.curve_differences.values()
    num_epochs = min(map(len, curves), default=0)
    return np.array([curve[:num_epochs] for curve in curves], dtype=np.float64)


def _draw_differences(shown: Mapping[str, Floats]) -> Figure:
    rows, columns = grid_of(len(shown))
    figure, cells = new_figure(0.4 + 2.1 * rows, rows, columns, width=WIDTH if columns > 1 else 5.2)
    for axes in cells[len(shown) :]:
        axes.set_visible(False)
    low = 1.15 * min(-0.5, *(float(values.min()) for values in shown.values()))
    high = 1.15 * max(0.5, *(float(values.max()) for values in shown.values()))
    for index, (axes, (name, values)) in enumerate(zip(cells, shown.items(), strict=False)):
        epochs = np.arange(1, values.shape[1] + 1)
        mean = t_band(values)
        axes.axhline(0, color=MUTED, linewidth=1, zorder=1)
        axes.add_collection(bundle([np.column_stack((epochs, each)) for each in values], color=BLUE, **_THIN))
        axes.plot(epochs, mean.mean, color=BLUE, linewidth=1.8, zorder=3)
        if len(values) >= MIN_SEEDS_OF_BAND:
            axes.fill_between(epochs, mean.lower, mean.upper, color=BLUE, **_BAND)
        # Differences start at tens of points and end at tenths.
        axes.set_yscale("symlog", linthresh=1.0)
        axes.set_ylim(low, high)
        ticks = (-30, -10, -3, -1, -0.5, 0, 0.5, 1, 3, 10, 30)
        axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:+g}".replace("-", words.MINUS) if value else "0")
        )
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.set_title(panel_title(name, columns))
        tidy(axes)
        if index % columns:
            axes.tick_params(axis="y", labelleft=False)
        else:
            axes.set_ylabel("difference in\nvalidation accuracy\n(points, log from ±1 on)")
        if index >= len(shown) - columns:
            axes.set_xlabel("epoch")
    return figure
