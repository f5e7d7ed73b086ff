"""StudySummary -> figures. Nothing is computed here that decides anything: numbers and words come from the summary.

Every figure is drawn on a canvas of its own, with no pyplot state, and looks the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log10
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from ablations.analysis import Contrast, Curve, StudySummary, TuningPoint, VariantSummary
from ablations.plan import SEARCH_SEED
from ablations.reporting import words
from ablations.reporting.theme import (
    BAND,
    BLUE,
    FAINT,
    GREEN,
    GRID,
    INK,
    MUTED,
    ORANGE,
    SERIES,
    SURFACE,
    VERMILION,
    drawing,
)
from ablations.spec import CategoricalDistribution, Distribution
from ablations.stats import Interval, t_band

WIDTH = 10.0
"""Of every figure, inches; the page shows them in this size."""
MAX_OVERLAID = len(SERIES)
"""More variants than this get a panel each."""
MAX_COLUMNS = 4
TONES = {"better": BLUE, "worse": VERMILION, "equivalent": GREEN, "open": MUTED}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FigureSpec:
    """A figure and what a page needs to show it."""

    name: str
    """Stem of its files."""
    title: str
    alt_text: str
    """What the figure shows, with its numbers, for those who do not see it."""
    caption: str
    """How to read it."""
    draw: Callable[[], Figure]
    """Draws it; within `theme.drawing()`."""


NAMES = ("paired_differences", "accuracy_by_seed", "accuracy_against_cost", "learning_curves", "tuning_landscape")
"""All figures there can be, in the order of the report."""


def figures(summary: StudySummary) -> tuple[FigureSpec, ...]:
    """The figures that have something to show, in the order of the report."""
    made = (
        paired_differences(summary),
        accuracy_by_seed(summary),
        accuracy_against_cost(summary),
        learning_curves(summary),
        tuning_landscape(summary),
    )
    return tuple(figure for figure in made if figure is not None)


# Paired differences


def paired_differences(summary: StudySummary) -> FigureSpec | None:
    """Forest plot: each contrast's seeds, mean and intervals against the margin."""
    shown = [contrast for contrast in summary.contrasts if contrast.judgement.num_pairs]
    if not shown:
        return None
    margin = summary.decision.margin
    without = [contrast.variant for contrast in summary.contrasts if not contrast.judgement.num_pairs]
    return FigureSpec(
        name="paired_differences",
        title="Paired differences",
        alt_text=f"Forest plot of test accuracy, variant minus baseline, paired by seed, with a margin of ±{margin:g} points. "
        + " ".join(
            f"{c.variant} minus {c.versus}: {words.effect(c)} points, {words.plural(c.judgement.num_pairs, 'pair')}, "
            f"{c.judgement.verdict.words}."
            for c in shown
        ),
        caption=f"Each dot is the difference at one seed. The diamond is their mean, the thick bar its {words.interval_name(summary)}, "
        f"the thin line the interval of the study's {words.plural(len(summary.contrasts), 'contrast')} together. Inside the shaded "
        f"band, ±{margin:g} points, a difference does not matter."
        + _left_out(without, "no pair of seeds in which both learned"),
        draw=lambda: _draw_paired_differences(summary, shown),
    )


def _draw_paired_differences(summary: StudySummary, shown: Sequence[Contrast]) -> Figure:
    margin = summary.decision.margin
    figure, (axes,) = _figure(1.25 + 0.62 * len(shown), 1, 1)
    low, high = _difference_limits(shown, margin)
    axes.set_xlim(low, high)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.axvspan(-margin, margin, color=BAND, zorder=0, linewidth=0)
    axes.axvline(0, color=MUTED, linewidth=1, zorder=1)
    for row, contrast in enumerate(shown):
        judgement, colour = contrast.judgement, TONES[words.tone(contrast)]
        axes.plot(
            list(contrast.differences.values()),
            [row + 0.2] * len(contrast.differences),
            "o",
            color=INK,
            markersize=4,
            alpha=0.5,
            markeredgewidth=0,
            zorder=3,
        )
        _bar(axes, judgement.simultaneous_interval, row, low, high, color=colour, linewidth=1.2)
        _bar(axes, judgement.interval, row, low, high, color=colour, linewidth=5)
        if judgement.mean is not None:
            axes.plot(
                judgement.mean,
                row,
                "D",
                color=SURFACE,
                markeredgecolor=colour,
                markeredgewidth=1.6,
                markersize=6.5,
                zorder=5,
            )
        pairs = words.plural(judgement.num_pairs, "pair")
        verdict = words.wrapped(judgement.verdict.words, 20, lines=2)
        beside = {"transform": axes.get_yaxis_transform(), "clip_on": False}
        axes.text(1.02, row - 0.04, verdict, color=colour, weight="bold", va="bottom", linespacing=1.05, **beside)
        axes.text(1.02, row + 0.04, f"{words.effect(contrast)}, {pairs}", color=MUTED, va="top", size=8, **beside)
    axes.set_yticks(range(len(shown)), [words.wrapped(_versus(summary, c), 24) for c in shown], color=INK, size=9)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("difference in test accuracy (percentage points)")
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    reference = words.wrapped(summary.baseline, 30, lines=1)
    axes.set_title(f"← {reference} better", size=8.5, color=MUTED, weight="normal", loc="left")
    axes.set_title("variant better →", size=8.5, color=MUTED, weight="normal", loc="right")
    sns.despine(ax=axes, left=True)
    _legend(
        figure,
        Line2D(
            [], [], marker="o", linestyle="", color=INK, alpha=0.5, markersize=4, markeredgewidth=0, label="one seed"
        ),
        Line2D([], [], color=MUTED, linewidth=5, label=words.interval_name(summary)),
        Line2D([], [], color=MUTED, linewidth=1.2, label="interval of all contrasts together"),
        Patch(color=BAND, label=f"within ±{margin:g} points", linewidth=0),
    )
    return figure


def _versus(summary: StudySummary, contrast: Contrast) -> str:
    return (
        contrast.variant
        if contrast.versus == summary.baseline
        else f"{contrast.variant} {words.MINUS} {contrast.versus}"
    )


def _difference_limits(shown: Sequence[Contrast], margin: float) -> tuple[float, float]:
    """What the axis shows: all seeds, zero and the margin in full, intervals up to once more that far on either side.

    Intervals from two or three pairs can be fifty times as wide as anything that was seen; they leave the frame as arrows.
    """
    seen = [0.0, -1.3 * margin, 1.3 * margin, *(d for c in shown for d in c.differences.values() if np.isfinite(d))]
    low, high = min(seen), max(seen)
    intervals = [i for c in shown for i in (c.judgement.interval, c.judgement.simultaneous_interval) if i is not None]
    reach = 0.6 * (high - low)
    low, high = (
        max(low - reach, min([low, *(i.lower for i in intervals)])),
        min(high + reach, max([high, *(i.upper for i in intervals)])),
    )
    pad = 0.03 * (high - low)
    return low - pad, high + pad


def _bar(axes: Axes, interval: Interval | None, y: float, low: float, high: float, **line: Any) -> None:
    if interval is None:
        return
    axes.plot([max(interval.lower, low), min(interval.upper, high)], [y, y], solid_capstyle="butt", zorder=4, **line)
    for end, outside, marker in ((low, interval.lower < low, "<"), (high, interval.upper > high, ">")):
        if outside:
            axes.plot(end, y, marker, color=line["color"], markersize=6, zorder=4, clip_on=False)


# Accuracy by seed


def accuracy_by_seed(summary: StudySummary) -> FigureSpec | None:
    """Each seed's way from the baseline to a variant, one panel a contrast; runs that failed stand in a gutter."""
    if not any(variant.accuracy_percent or variant.failed_seeds for variant in summary.variants):
        return None
    return FigureSpec(
        name="accuracy_by_seed",
        title="Accuracy, seed by seed",
        alt_text="Test accuracy of every confirmation trial. "
        + " ".join(
            f"{v.name}: "
            + (
                words.listed(f"{words.points(a)} %" for a in _learned(v).values())
                if _learned(v)
                else "no run that learned"
            )
            + (f"; {len(v.failed_seeds)} did not learn" if v.failed_seeds else "")
            + (f"; {len(v.missing_seeds)} missing" if v.missing_seeds else "")
            + "."
            for v in summary.variants
        ),
        caption=(
            "Each thin line is one seed, from the baseline to the variant; lines that run side by side show a difference that "
            "is steadier than the luck of the seed. The thick line joins the means over the pairs."
            if len(summary.variants) > 1
            else "Each dot is one seed; the diamond is their mean."
        )
        + (
            " Crosses under the axis are runs that did not learn, rings runs without an outcome."
            if _has_gutter(summary)
            else ""
        ),
        draw=lambda: _draw_accuracy_by_seed(summary),
    )


def _draw_accuracy_by_seed(summary: StudySummary) -> Figure:
    reference, *others = summary.variants
    panels: list[tuple[VariantSummary, ...]] = [(reference, other) for other in others] or [(reference,)]
    columns = _num_columns(len(panels))
    rows = ceil(len(panels) / columns)
    figure, cells = _figure(0.55 + 2.35 * rows, rows, columns, width=WIDTH if columns > 2 else 2.9 * columns + 0.6)
    low, high = _accuracy_limits(a for variant in summary.variants for a in _learned(variant).values())
    gutter = 0.16 * (high - low) if _has_gutter(summary) else 0.0
    for index, (axes, panel) in enumerate(_panels(cells, panels)):
        values = [_learned(variant) for variant in panel]
        pairs = sorted(set.intersection(*(set(value) for value in values)))
        places = range(len(panel))
        for seed in pairs:
            axes.plot(places, [value[seed] for value in values], color=MUTED, linewidth=0.9, alpha=0.6, zorder=2)
        for place, value in zip(places, values, strict=True):
            axes.plot(
                [place] * len(value),
                list(value.values()),
                "o",
                color=MUTED,
                markersize=4,
                alpha=0.75,
                markeredgewidth=0,
            )
        if pairs:
            means = [float(np.mean([value[seed] for seed in pairs])) for value in values]
            axes.plot(places, means, "-D", color=BLUE, linewidth=2.4, markersize=5, zorder=4)
            for place, mean, side in zip(places, means, ("right", "left"), strict=False):
                axes.annotate(
                    words.points(mean),
                    (place, mean),
                    xytext=(-8 if side == "right" else 8, 0),
                    textcoords="offset points",
                    ha=side,
                    va="center",
                    size=8.5,
                    weight="bold",
                    color=INK,
                )
        if gutter:
            axes.axhspan(low - gutter, low, color=BAND, zorder=0, linewidth=0)
            for place, variant in zip(places, panel, strict=True):
                _gutter_marks(axes, place, low - gutter / 2, variant)
        axes.set_ylim(low - gutter, high)
        axes.yaxis.set_major_locator(
            FixedLocator([t for t in MaxNLocator(5).tick_values(low, high) if low <= t <= high])
        )
        axes.set_xlim(-0.62, len(panel) - 0.38)
        axes.set_xticks(places, ["baseline", "variant"][: len(panel)])
        axes.tick_params(axis="x", length=0)
        axes.set_title(words.wrapped(panel[-1].name, 24 if columns == MAX_COLUMNS else 30))
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        if index % columns == 0:
            axes.set_ylabel("test accuracy (%)")
        else:
            axes.tick_params(axis="y", labelleft=False)
        sns.despine(ax=axes, left=True)
        axes.tick_params(axis="y", length=0)
    if gutter:
        _legend(
            figure,
            Line2D([], [], marker="x", linestyle="", color=VERMILION, markersize=5, label="ran and did not learn"),
            Line2D(
                [],
                [],
                marker="o",
                linestyle="",
                color="none",
                markeredgecolor=MUTED,
                markersize=5,
                label="no outcome yet",
            ),
        )
    return figure


def _gutter_marks(axes: Axes, x: float, y: float, variant: VariantSummary) -> None:
    marks = ["x"] * len(variant.failed_seeds) + ["o"] * len(variant.missing_seeds)
    step = min(0.1, 0.8 / max(1, len(marks)))
    for index, mark in enumerate(marks):
        at = x + step * (index - (len(marks) - 1) / 2)
        if mark == "x":
            axes.plot(at, y, "x", color=VERMILION, markersize=5, markeredgewidth=1.4)
        else:
            axes.plot(at, y, "o", markerfacecolor="none", markeredgecolor=MUTED, markersize=4.5)


def _has_gutter(summary: StudySummary) -> bool:
    return any(variant.failed_seeds or variant.missing_seeds for variant in summary.variants)


def _learned(variant: VariantSummary) -> dict[int, float]:
    return {seed: a for seed, a in variant.accuracy_percent.items() if seed not in variant.failed_seeds}


def _accuracy_limits(values: Iterable[float]) -> tuple[float, float]:
    seen = list(values) or [0.0, 100.0]
    pad = max(0.2, 0.08 * (max(seen) - min(seen)))
    return min(seen) - pad, max(seen) + pad


# Accuracy against cost


def accuracy_against_cost(summary: StudySummary) -> FigureSpec | None:
    """Mean test accuracy against parameters and against multiply-accumulates."""
    shown = [variant for variant in summary.variants if variant.mean_accuracy_percent is not None]
    if not shown:
        return None
    return FigureSpec(
        name="accuracy_against_cost",
        title="Accuracy against cost",
        alt_text="Scatter plots of mean test accuracy against parameters and against multiply-accumulate operations (MACs). "
        + " ".join(f"{v.name}: {words.mean_and_sd(v)} % with {v.params:,} params and {v.macs:,} MACs." for v in shown),
        caption="Mean over the seeds that learned; whiskers are one standard deviation between seeds, not an interval of the mean. The "
        "diamond is the baseline; up and to the left is better. MACs are of one image, forward."
        + _left_out((v.name for v in summary.variants if v not in shown), "no run that learned"),
        draw=lambda: _draw_accuracy_against_cost(summary, shown),
    )


def _draw_accuracy_against_cost(summary: StudySummary, shown: Sequence[VariantSummary]) -> Figure:
    figure, cells = _figure(4.1 if len(shown) < 8 else 5.2, 1, 2)
    for axes, cost, label in (
        (cells[0], [v.params for v in shown], "parameters (log scale)"),
        (cells[1], [v.macs for v in shown], "MACs an image (log scale)"),
    ):
        means = [v.mean_accuracy_percent or 0.0 for v in shown]
        spread = [v.sd_accuracy_percent or 0.0 for v in shown]
        axes.set_xscale("log")
        for x, y, sd, variant in zip(cost, means, spread, shown, strict=True):
            is_baseline = variant.name == summary.baseline
            if sd:
                axes.plot([x, x], [y - sd, y + sd], color=BLUE, linewidth=1.4, alpha=0.6, zorder=2)
            axes.plot(
                x,
                y,
                "D" if is_baseline else "o",
                color=INK if is_baseline else BLUE,
                markersize=7,
                markeredgecolor=SURFACE,
                markeredgewidth=0.8,
                zorder=3,
            )
        _log_axis(axes, cost)
        low, high = _accuracy_limits(
            [*(m - s for m, s in zip(means, spread, strict=True)), *(m + s for m, s in zip(means, spread, strict=True))]
        )
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        axes.set_xlabel(label)
        axes.grid()
        axes.set_axisbelow(True)
        sns.despine(ax=axes, left=True)
        axes.tick_params(axis="y", length=0)
    cells[0].set_ylabel("mean test accuracy (%) ± sd")
    cells[1].tick_params(axis="y", labelleft=False)
    # Labels are placed by looking where there is room, so the frame has to stand first.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, cost in ((cells[0], [v.params for v in shown]), (cells[1], [v.macs for v in shown])):
        _label_points(
            axes,
            [
                (x, v.mean_accuracy_percent or 0.0, v.sd_accuracy_percent or 0.0, v.name)
                for x, v in zip(cost, shown, strict=True)
            ],
        )
    return figure


def _log_axis(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic x axis with room for labels and ticks at round numbers, few enough to be read."""
    low, high = min(values), max(values)
    middle, half = (log10(low) + log10(high)) / 2, max(0.12, (log10(high) - log10(low)) / 2 * 1.35)
    axes.set_xlim(10 ** (middle - half), 10 ** (middle + half))
    # Within half a decade no three powers of ten would be left; round numbers an equal distance apart serve better.
    subs = (1.0,) if half > 1.2 else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(
        LogLocator(subs=subs, numticks=12) if half > 0.3 else MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.compact(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _label_points(axes: Axes, points: Sequence[tuple[float, float, float, str]]) -> None:
    """Write each point's name beside it, at the nearest place that is free of other names, points and whiskers.

    Args:
        axes: laid out already.
        points: x, y, half height of the whisker, name.
    """
    renderer = FigureCanvasAgg(axes.figure).get_renderer() if isinstance(axes.figure, Figure) else None
    pixels = axes.figure.dpi / 72
    frame = axes.get_window_extent(renderer)
    taken = []
    for x, y, sd, _ in points:
        left, bottom = axes.transData.transform((x, y - sd))
        right, top = axes.transData.transform((x, y + sd))
        _, centre = axes.transData.transform((x, y))
        pad = 5 * pixels
        taken.append((left - pad / 3, bottom, right + pad / 3, top))
        taken.append((left - pad, centre - pad, right + pad, centre + pad))
    for x, y, _, name in points:
        best: tuple[float, Any] | None = None
        for radius in (8, 16, 26, 38, 52, 68):
            for dx, dy, ha, va in (
                (1, 0, "left", "center"),
                (-1, 0, "right", "center"),
                (0.8, 0.7, "left", "bottom"),
                (-0.8, 0.7, "right", "bottom"),
                (0.8, -0.7, "left", "top"),
                (-0.8, -0.7, "right", "top"),
                (0, 1, "center", "bottom"),
                (0, -1, "center", "top"),
            ):
                note = axes.annotate(
                    words.wrapped(name, 24),
                    (x, y),
                    xytext=(radius * dx, radius * dy),
                    textcoords="offset points",
                    ha=ha,
                    va=va,
                    size=8.5,
                    color=INK,
                    linespacing=1.0,
                    arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 4}
                    if radius > 16
                    else None,
                )
                box = note.get_window_extent(renderer) if radius <= 16 else _text_extent(note, renderer)
                cost = sum(_overlap((box.x0, box.y0, box.x1, box.y1), other) for other in taken)
                cost += 10 * (
                    max(0, frame.x0 - box.x0)
                    + max(0, box.x1 - frame.x1)
                    + max(0, frame.y0 - box.y0)
                    + max(0, box.y1 - frame.y1)
                )
                if best is None or cost < best[0]:
                    if best is not None:
                        best[1].remove()
                    best = (cost, note)
                else:
                    note.remove()
                if best[0] == 0:
                    break
            if best is not None and best[0] == 0:
                break
        if best is not None:
            box = _text_extent(best[1], renderer)
            taken.append((box.x0 - pixels, box.y0 - pixels, box.x1 + pixels, box.y1 + pixels))


def _text_extent(note: Any, renderer: Any) -> Any:
    # An annotation's own extent includes its line, which may cross things.
    from matplotlib.text import Text

    note.update_positions(renderer)
    return Text.get_window_extent(note, renderer)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


# Learning curves


@dataclass(frozen=True)
class _Metric:
    field: Literal["train_loss", "validation_loss", "validation_accuracy_percent"]
    label: str
    log: bool


METRICS = (
    _Metric("train_loss", "training loss\n(nats, log scale)", log=True),
    _Metric("validation_loss", "validation loss\n(nats, log scale)", log=True),
    _Metric("validation_accuracy_percent", "validation accuracy\n(%, stretched at 100)", log=False),
)


def learning_curves(summary: StudySummary) -> FigureSpec | None:
    """Loss and validation accuracy of every confirmation trial, epoch by epoch."""
    shown = [variant for variant in summary.variants if any(curve.epochs for curve in variant.curves)]
    if not shown:
        return None
    overlaid = len(shown) <= MAX_OVERLAID
    failed = any(not curve.learned for variant in shown for curve in variant.curves)
    return FigureSpec(
        name="learning_curves",
        title="Learning curves",
        alt_text="Training loss, validation loss and validation accuracy by epoch for every confirmation trial. "
        + " ".join(_curve_words(variant) for variant in shown),
        caption="Thin lines are seeds, thick lines the mean over the seeds that learned"
        + (
            ", bands its pointwise 95 % t interval"
            if overlaid
            else "; the baseline's mean is drawn in grey in every panel"
        )
        + "."
        + (" Dashed: seeds that did not learn; they are not averaged." if failed else "")
        + _left_out((v.name for v in summary.variants if v not in shown), "no epoch recorded"),
        draw=lambda: _draw_overlaid_curves(shown) if overlaid else _draw_curve_panels(summary, shown),
    )


def _curve_words(variant: VariantSummary) -> str:
    last = [c.epochs[-1].validation_accuracy_percent for c in variant.curves if c.learned and c.epochs]
    failed = sum(not curve.learned for curve in variant.curves)
    text = (
        f"{variant.name} ends at {words.points(float(np.mean(last)))} % mean validation accuracy"
        if last
        else f"{variant.name}: no seed learned"
    )
    return text + (f", with {words.plural(failed, 'seed')} that did not learn." if failed else ".")


def _draw_overlaid_curves(shown: Sequence[VariantSummary]) -> Figure:
    figure, cells = _figure(0.5 + 2.05 * len(METRICS), len(METRICS), 1)
    for axes, metric in zip(cells, METRICS, strict=True):
        ends = []
        for variant, colour in zip(shown, SERIES, strict=False):
            ends.append((_plot_curves(axes, variant.curves, metric, colour, band=True), variant.name, colour))
        _curve_axis(axes, metric, [c for v in shown for c in v.curves])
        axes.set_ylabel(metric.label)
        _label_ends(axes, ends)
        if metric is not METRICS[-1]:
            axes.tick_params(axis="x", labelbottom=False)
    cells[-1].set_xlabel("epoch")
    return figure


def _draw_curve_panels(summary: StudySummary, shown: Sequence[VariantSummary]) -> Figure:
    columns = MAX_COLUMNS
    blocks = ceil(len(shown) / columns)
    figure, cells = _figure(0.4 + blocks * (1.15 * len(METRICS) + 0.35), blocks * len(METRICS), columns)
    reference = summary[summary.baseline]
    every = [c for v in shown for c in v.curves]
    for row in range(blocks):
        members = shown[row * columns : (row + 1) * columns]
        for line, metric in enumerate(METRICS):
            for column in range(columns):
                axes = cells[(row * len(METRICS) + line) * columns + column]
                if column >= len(members):
                    axes.set_visible(False)
                    continue
                variant = members[column]
                _plot_mean(axes, reference.curves, metric, color=FAINT, linewidth=3)
                _plot_curves(axes, variant.curves, metric, BLUE, band=False)
                _curve_axis(axes, metric, every)
                if line == 0:
                    axes.set_title(words.wrapped(variant.name, 24))
                if column == 0:
                    axes.set_ylabel(metric.label.replace("\n(nats, log scale)", "\n(nats, log)"), size=8)
                else:
                    axes.tick_params(axis="y", labelleft=False, which="both")
                if metric is METRICS[-1]:
                    axes.set_xlabel("epoch")
                else:
                    axes.tick_params(axis="x", labelbottom=False)
    figure.align_ylabels(list(cells))
    return figure


def _plot_curves(axes: Axes, curves: Sequence[Curve], metric: _Metric, colour: str, *, band: bool) -> float | None:
    """Draw a variant's seeds and mean; where its line ends, or None where nothing can be drawn."""
    end = None
    for curve in curves:
        epochs, values = _series(curve, metric)
        drawn = values[np.isfinite(values)]
        if not drawn.size:
            continue
        style: dict[str, Any] = (
            {"linewidth": 0.7, "alpha": 0.55} if curve.learned else {"linewidth": 1.1, "linestyle": (0, (4, 2))}
        )
        marker = "o" if len(epochs) == 1 else None
        axes.plot(epochs, values, color=colour, marker=marker, markersize=4, zorder=2, **style)
        end = float(drawn[-1])
    mean = _plot_mean(axes, curves, metric, color=colour, linewidth=1.8, band=band)
    return end if mean is None else mean


def _plot_mean(
    axes: Axes, curves: Sequence[Curve], metric: _Metric, *, band: bool = False, **line: Any
) -> float | None:
    learned = [_series(curve, metric) for curve in curves if curve.learned and curve.epochs]
    if not learned:
        return None
    num_epochs = min(len(epochs) for epochs, _ in learned)
    epochs, values = learned[0][0][:num_epochs], np.array([each[:num_epochs] for _, each in learned])
    if not np.isfinite(values).all():
        return None
    summary = t_band(values)
    axes.plot(epochs, summary.mean, marker="o" if num_epochs == 1 else None, markersize=5, zorder=3, **line)
    if band:
        lower = np.maximum(summary.lower, summary.mean / 10) if metric.log else summary.lower
        axes.fill_between(epochs, lower, summary.upper, color=line["color"], alpha=0.15, linewidth=0, zorder=1)
    return float(summary.mean[-1])


def _series(curve: Curve, metric: _Metric) -> tuple[Floats, Floats]:
    epochs = np.array([record.epoch for record in curve.epochs], dtype=np.float64)
    values = np.array([getattr(record, metric.field) for record in curve.epochs], dtype=np.float64)
    return epochs, np.where(np.isfinite(values) & ((values > 0) | (not metric.log)), values, np.nan)


def _curve_axis(axes: Axes, metric: _Metric, curves: Sequence[Curve]) -> None:
    """Limits around all seeds; but losses of those that failed go to three times the others', for one of them can be any size."""
    values, failed = (
        np.concatenate([np.empty(0), *(_series(curve, metric)[1] for curve in curves if curve.learned is learned)])
        for learned in (True, False)
    )
    values, failed = values[np.isfinite(values)], failed[np.isfinite(failed)]
    if metric.log and values.size:
        failed = np.clip(failed, values.min(), 3 * values.max())
    values = np.concatenate([values, failed])
    if metric.log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        if values.size:
            axes.set_ylim(values.min() / 1.2, values.max() * 1.3)
    else:
        axes.set_yscale("function", functions=(_stretched, _unstretched))
        low, high = _stretched(np.array([values.min(), values.max()]) if values.size else np.array([0.0, 100.0]))
        pad = 0.06 * max(high - low, 0.1)
        axes.set_ylim(*_unstretched(np.array([low - pad, high + pad])))
        axes.yaxis.set_major_locator(FixedLocator(_accuracy_ticks(*_unstretched(np.array([low, high])))))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    last = max((curve.epochs[-1].epoch for curve in curves if curve.epochs), default=1)
    axes.set_xlim(1 - 0.02 * last, last if last > 1 else 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    sns.despine(ax=axes, left=True)
    axes.tick_params(axis="y", length=0)


def _stretched(accuracy: Floats) -> Floats:
    """Logarithm of the error, as good as: 98 and 99 % are as far apart as 96 and 98 %; the 1 added keeps 100 % finite."""
    return -np.log10(np.maximum(101.0 - accuracy, 0.5))


def _unstretched(place: Floats) -> Floats:
    return 101.0 - 10.0 ** -np.asarray(place)


def _accuracy_ticks(low: float, high: float) -> list[float]:
    """Round accuracies from `low` to `high`, at least a tenth of the axis apart, the highest ones first."""
    ticks: list[float] = []
    span = _stretched(np.array([low, high]))
    for tick in (
        100,
        99,
        98,
        97,
        96,
        95,
        94,
        92,
        90,
        85,
        80,
        75,
        70,
        65,
        60,
        55,
        50,
        45,
        40,
        35,
        30,
        25,
        20,
        15,
        10,
        5,
        0,
    ):
        near = [abs(float(_stretched(np.array(tick)) - _stretched(np.array(other)))) for other in ticks]
        if low <= tick <= high and min(near, default=1.0) >= 0.14 * float(span[1] - span[0]):
            ticks.append(float(tick))
    return ticks


def _label_ends(axes: Axes, ends: Sequence[tuple[float | None, str, str]]) -> None:
    """Write each line's name to the right of its end, pushed apart where they would overlap."""
    transform = axes.transData + axes.transAxes.inverted()
    right = axes.get_xlim()[1]
    placed = sorted(
        (
            (float(np.clip(transform.transform((right, y))[1], 0, 1)), name, colour)
            for y, name, colour in ends
            if y is not None
        )
    )
    height = axes.figure.get_size_inches()[1] / (len(METRICS) + 0.2) * 72  # of the axes, in points
    gap = 11.5 / height
    heights = [y for y, _, _ in placed]
    for index in range(1, len(heights)):
        heights[index] = max(heights[index], heights[index - 1] + gap)
    shift = max(0.0, (heights[-1] - 1.0)) if heights else 0.0
    heights = [y - shift for y in heights]
    for index in range(len(heights) - 2, -1, -1):
        heights[index] = min(heights[index], heights[index + 1] - gap)
    for y, (end, name, colour) in zip(heights, placed, strict=True):
        axes.plot([1.0, 1.02, 1.035], [end, y, y], color=colour, linewidth=1.6, transform=axes.transAxes, clip_on=False)
        axes.text(
            1.045, y, words.wrapped(name, 28, lines=1), transform=axes.transAxes, va="center", size=8.5, color=INK
        )


# Tuning landscape


def tuning_landscape(summary: StudySummary) -> FigureSpec | None:
    """Validation accuracy of every tuning trial against each searched hyperparameter."""
    shown = [variant for variant in summary.variants if variant.tuning]
    if not shown or not summary.search_space:
        return None
    return FigureSpec(
        name="tuning_landscape",
        title="Tuning landscape",
        alt_text=f"Validation accuracy of tuning trials against {words.listed(summary.search_space)}. "
        + " ".join(
            f"{v.name}: {words.plural(len(v.tuning), 'trial')}, {_tuning_range(summary, v)}"
            + (f", chosen {words.settings(v.tuned, digits=3)}." if v.tuned else ", nothing chosen yet.")
            for v in shown
        ),
        caption="Each dot is a search trial, at its validation accuracy after the last epoch: selected for, and so never a result. The "
        "square is the first start point, triangles are re-runs of the best on fresh seeds, the vertical line is the chosen value. "
        "Outside the search space the ground is shaded; under the axis stand trials that diverged, failed or stayed under twice chance.",
        draw=lambda: _draw_tuning_landscape(summary, shown),
    )


def _tuning_range(summary: StudySummary, variant: VariantSummary) -> str:
    good = [
        p.validation_accuracy_percent
        for p in variant.tuning
        if _tuned_well(summary, p) and p.validation_accuracy_percent
    ]
    return (
        f"from {words.points(min(good))} to {words.points(max(good))} % where they learned"
        if good
        else "none of which learned"
    )


def _tuned_well(summary: StudySummary, point: TuningPoint) -> bool:
    return (
        point.validation_accuracy_percent is not None
        and point.validation_accuracy_percent >= 2 * summary.chance_percent
    )


def _draw_tuning_landscape(summary: StudySummary, shown: Sequence[VariantSummary]) -> Figure:
    keys = list(summary.search_space)
    panels = [(variant, key) for variant in shown for key in keys]
    # One key: panels flow in rows. Several: a row a variant, a column a key.
    columns = len(keys) if len(keys) > 1 else _num_columns(len(panels))
    rows = ceil(len(panels) / columns)
    figure, cells = _figure(
        0.7 + (2.1 if len(keys) == 1 else 1.8) * rows, rows, columns, width=WIDTH if columns > 1 else 5.2
    )
    good = [
        p.validation_accuracy_percent
        for v in shown
        for p in v.tuning
        if _tuned_well(summary, p) and p.validation_accuracy_percent
    ]
    low, high = _accuracy_limits(good)
    has_bad = any(not _tuned_well(summary, p) for v in shown for p in v.tuning)
    gutter = 0.16 * (high - low) if has_bad else 0.0
    for index, (axes, (variant, key)) in enumerate(_panels(cells, panels)):
        place = _search_axis(axes, key, summary.search_space[key])
        for point in variant.tuning:
            x = place(point.hyperparameters.get(key))
            if x is None:
                continue
            if not _tuned_well(summary, point):
                axes.plot(x, low - gutter / 2, "x", color=VERMILION, markersize=5, markeredgewidth=1.4, zorder=3)
                continue
            marker, colour = "o", BLUE
            if point.seed != SEARCH_SEED:
                marker, colour = "^", ORANGE
            elif point.number == 0:
                marker = "s"
            face = "none" if marker == "^" else colour
            axes.plot(
                x,
                point.validation_accuracy_percent,
                marker,
                markerfacecolor=face,
                markeredgecolor=INK if marker == "s" else colour,
                markersize=6.5 if marker == "s" else 5.5,
                markeredgewidth=1.3,
                alpha=0.9,
                zorder=4 if marker == "s" else 3,
            )
        if gutter:
            axes.axhspan(low - gutter, low, color=BAND, zorder=0, linewidth=0)
        axes.set_ylim(low - gutter, high)
        axes.yaxis.set_major_locator(
            FixedLocator([t for t in MaxNLocator(4).tick_values(low, high) if low <= t <= high])
        )
        chosen = place(variant.tuned.get(key))
        if chosen is not None:
            axes.axvline(chosen, color=INK, linewidth=1, linestyle=(0, (1, 1.5)), zorder=1)
        title = words.wrapped(variant.name, 24 if columns == MAX_COLUMNS else 40, lines=2)
        axes.set_title(title if len(keys) == 1 or index % columns == 0 else "", pad=17)
        told = "nothing chosen yet" if chosen is None else f"chosen: {words.setting(variant.tuned[key], digits=3)}"
        axes.text(0, 1.03, told, transform=axes.transAxes, size=8.5, color=MUTED, va="bottom")
        if index % columns == 0:
            axes.set_ylabel("validation\naccuracy (%)")
        else:
            axes.tick_params(axis="y", labelleft=False)
        if index >= len(panels) - columns:
            axes.set_xlabel(
                words.wrapped(key, 30, lines=1)
                + (" (log scale)" if getattr(summary.search_space[key], "log", False) else "")
            )
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        sns.despine(ax=axes, left=True)
        axes.tick_params(axis="y", length=0)
    handles = [
        Line2D([], [], marker="o", linestyle="", color=BLUE, markersize=5.5, label="search trial"),
        Line2D([], [], marker="s", linestyle="", color=BLUE, markeredgecolor=INK, markersize=6, label="start point"),
        Line2D([], [], marker="^", linestyle="", color="none", markeredgecolor=ORANGE, markersize=5.5, label="re-run"),
        Line2D([], [], color=INK, linewidth=1, linestyle=(0, (1, 1.5)), label="chosen"),
    ]
    if has_bad:
        handles.append(Line2D([], [], marker="x", linestyle="", color=VERMILION, markersize=5, label="did not learn"))
    _legend(figure, *handles)
    return figure


def _search_axis(axes: Axes, key: str, distribution: Distribution) -> Callable[[Any], float | None]:
    """Set an x axis up for a searched key; a function that tells where on it a value lies."""
    if isinstance(distribution, CategoricalDistribution):
        choices = list(distribution.choices)
        axes.set_xlim(-0.6, len(choices) - 0.4)
        axes.set_xticks(range(len(choices)), [words.wrapped(words.setting(choice), 12, lines=2) for choice in choices])
        return lambda value: float(choices.index(value)) if value in choices else None
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        axes.set_xscale("log")
        edge = (high / low) ** 0.06
        outer = (low / edge, high * edge)
        decades = log10(high / low)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > 2.2 else (1.0, 3.0), numticks=8))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        edge = 0.06 * (high - low)
        outer = (low - edge, high + edge)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(*outer)
    for start, end in ((outer[0], low), (high, outer[1])):
        axes.axvspan(start, end, color=GRID, zorder=0, linewidth=0)
    return lambda value: float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


# Common


def _figure(height: float, rows: int, columns: int, *, width: float = WIDTH) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.04)
    cells: Sequence[Axes] = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    return figure, cells


def _num_columns(num_panels: int) -> int:
    """Three or four columns, whichever leaves fewer gaps in the last row."""
    if num_panels <= MAX_COLUMNS:
        return num_panels
    return min((MAX_COLUMNS, MAX_COLUMNS - 1), key=lambda columns: -num_panels % columns)


def _panels(cells: Sequence[Axes], panels: Sequence[Any]) -> Iterator[tuple[Axes, Any]]:
    """Axes with their panels; axes left over are hidden."""
    for axes in cells[len(panels) :]:
        axes.set_visible(False)
    return zip(cells, panels, strict=False)


def _legend(figure: Figure, *handles: Artist) -> None:
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=len(handles), handletextpad=0.5, columnspacing=1.8
    )


def _left_out(names: Iterable[str], why: str) -> str:
    left_out = list(names)
    return f" Not drawn, for want of data ({why}): {words.listed(left_out)}." if left_out else ""
