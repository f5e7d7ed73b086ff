"""Trials of each variant's search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import ceil, log10
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ablations.analysis.summary import Role, StudySummary, TuningPoint, VariantSummary
from ablations.analysis.variants import MIN_DRAWS
from ablations.reporting import words
from ablations.reporting.figures.frame import (
    CROSS,
    FigureSpec,
    Floats,
    accuracy_axis,
    draw_dots,
    grid_of,
    head_panel,
    key,
    legend,
    limits_around,
    new_figure,
    not_drawn,
    panel_title,
    panel_width,
    tidy,
)
from ablations.reporting.svg import mark
from ablations.reporting.theme import BLUE, FAINT, GRID, INK, ORANGE, Sheet
from ablations.stats.bands import Band
from ablations.studyfile.distributions import CategoricalDistribution, Distribution, Scalar, where_clause
from ablations.text import percent

_SEARCH: dict[str, Any] = {"marker": "o", "color": BLUE, "markersize": 5.5, "mew": 0, "zorder": 3}
_START: dict[str, Any] = {
    "marker": "s",
    "color": BLUE,
    "markersize": 6.5,
    "mec": INK,
    "mew": 1.3,
    "zorder": 4,
}
_RERUN: dict[str, Any] = {
    "marker": "^",
    "mfc": "none",
    "mec": ORANGE,
    "markersize": 6,
    "mew": 1.3,
    "zorder": 5,
}
_STYLES: dict[Role, dict[str, Any]] = {"draw": _SEARCH, "start point": _START, "re-run": _RERUN}
_CHOSEN: dict[str, Any] = {"color": INK, "linewidth": 1, "linestyle": (0, (1, 1.5)), "zorder": 1}


def tuning_landscape(summary: StudySummary) -> FigureSpec | None:
    """Validation accuracy of every tuning trial against each searched hyperparameter; None if nothing was tuned."""
    shown = [variant for variant in summary.variants if variant.tuning]
    if not shown or not summary.search_space:
        return None
    return FigureSpec(
        name="tuning_landscape",
        title="Tuning landscape",
        alt_text=f"Validation accuracy of tuning trials against {words.listed(summary.search_space)}. "
        + " ".join(_alt_text(summary, variant) for variant in shown),
        caption="Dots are draws of the search, at their last validation accuracy; it is selected for, so it is never a result. "
        "Squares are start points, triangles re-runs of the best on fresh seeds, dotted lines chosen values; shading is outside the "
        f"search space. Crosses under the axis diverged, failed or ended under {percent(summary.learned_percent)}."
        + _conditions(summary),
        paint=lambda sheet: _draw(sheet, summary, shown),
    )


def _conditions(summary: StudySummary) -> str:
    return "".join(
        f" {name} is searched only{where_clause(space.when)}; its panels omit other trials."
        for name, space in summary.search_space.items()
        if space.when
    )


def _alt_text(summary: StudySummary, variant: VariantSummary) -> str:
    scores = _scores(summary, variant)
    seen = f"{words.points(min(scores))} to {words.points(max(scores))} %" if scores else "none that learned"
    chosen = f"chosen {words.tuned(variant)}" if variant.tuned else "nothing chosen yet"
    return f"{variant.name}: {words.plural(len(variant.tuning), 'trial')}, {seen}, {chosen}."


def _score(summary: StudySummary, point: TuningPoint) -> float | None:
    """Validation accuracy of a trial in percent; None if it did not learn."""
    accuracy = point.validation_accuracy_percent
    return None if accuracy is None or accuracy < summary.learned_percent else accuracy


def _scores(summary: StudySummary, variant: VariantSummary) -> list[float]:
    return [score for point in variant.tuning if (score := _score(summary, point)) is not None]


def _draw(sheet: Sheet, summary: StudySummary, shown: Sequence[VariantSummary]) -> Figure:
    names = list(summary.search_space)
    panels, columns = _panels(sheet, shown, names)
    rows = ceil(len(panels) / columns)
    height = (2.1 if len(names) == 1 else 1.8) if sheet.has_margin else 1.6
    figure, cells = new_figure(sheet, 0.7 + height * rows, rows, columns, width=None if columns > 1 else 5.2)
    limits = limits_around(score for variant in shown for score in _scores(summary, variant))
    has_gutter = any(_score(summary, point) is None for variant in shown for point in variant.tuning)
    # Panels that are above each other have the same axis if they are of the same hyperparameter.
    is_shared = len(names) in {1, columns}
    for index, (axes, panel) in enumerate(zip_longest(cells, panels)):
        if panel is None:
            axes.set_visible(False)
            continue
        variant, name = panel
        mark(axes, variant=variant.name)
        gutter = accuracy_axis(axes, limits, gutter=has_gutter, num_ticks=4)
        place = _search_axis(axes, summary.search_space[name])
        _draw_trials(
            axes,
            [
                _Trial(x, _score(summary, point), point.role, _told(variant, name, point))
                for point in variant.tuning
                if (x := place(point.hyperparameters.get(name))) is not None
            ],
            gutter,
        )
        title = panel_title(variant.name, sheet, columns) if name == names[0] else ""
        head_panel(axes, sheet, title, words.wrapped(_chosen(variant, name), panel_width(sheet, columns), lines=1))
        for chosen in _chosen_values(variant, name):
            if (x := place(chosen)) is not None:
                axes.axvline(x, **_CHOSEN)
        tidy(axes)
        if index % columns:
            axes.tick_params(axis="y", labelleft=False)
        else:
            axes.set_ylabel("validation\naccuracy (%)")
        if not is_shared or index >= len(panels) - columns:
            width = panel_width(sheet, columns)
            label, log = words.wrapped(name, width, lines=1), "(log scale)" if summary.search_space[name].log else ""
            axes.set_xlabel(f"{label}{' ' if len(label) + len(log) < width else chr(10)}{log}".rstrip())
    keys = [
        Line2D([], [], linestyle="", label="draw", **_SEARCH),
        Line2D([], [], linestyle="", label="start point", **_START),
        Line2D([], [], linestyle="", label="re-run", **_RERUN),
        Line2D([], [], label="chosen", **_CHOSEN),
    ]
    legend(figure, *keys, *([key("x", "did not learn", **CROSS)] if has_gutter else []))
    return figure


@dataclass(frozen=True)
class _Trial:
    x: float
    score: float | None
    """None if it did not learn."""
    role: Role
    tip: str


def _told(variant: VariantSummary, name: str, point: TuningPoint) -> str:
    accuracy = point.validation_accuracy_percent
    outcome = point.status if accuracy is None else f"{words.points(accuracy)} %"
    return f"{variant.name}, {name} = {words.setting(point.hyperparameters.get(name), digits=3)}: {outcome}"


def _draw_trials(axes: Axes, trials: Sequence[_Trial], gutter: float) -> None:
    """Draw trials; those without a score go into the gutter."""
    failed = [trial for trial in trials if trial.score is None]
    xs, tips = [trial.x for trial in failed], [trial.tip for trial in failed]
    draw_dots(axes, xs, [gutter] * len(failed), tips, marker="x", **CROSS)
    for role, style in _STYLES.items():
        drawn = [trial for trial in trials if trial.role == role and trial.score is not None]
        xs, tips = [trial.x for trial in drawn], [trial.tip for trial in drawn]
        draw_dots(axes, xs, [trial.score or 0.0 for trial in drawn], tips, **style)


def _panels(
    sheet: Sheet, shown: Sequence[VariantSummary], names: Sequence[str]
) -> tuple[list[tuple[VariantSummary, str] | None], int]:
    """Variant and hyperparameter of each panel, row by row, None for a gap; and the number of columns."""
    if len(names) == 1:
        # With one hyperparameter the panels flow.
        return [(variant, names[0]) for variant in shown], grid_of(len(shown), sheet)[1]
    # With several, each variant begins a row.
    columns = min(len(names), sheet.max_columns)
    gap = [None] * (-len(names) % columns)
    return [panel for variant in shown for panel in [*((variant, name) for name in names), *gap]], columns


def _chosen_values(variant: VariantSummary, name: str) -> list[Any]:
    return sorted((each[name] for each in variant.all_tuned if name in each), key=_order)


def _chosen(variant: VariantSummary, name: str) -> str:
    """The chosen value of a hyperparameter, or of several searches the first and the last."""
    values = _chosen_values(variant, name)
    if not values:
        return "chosen: without it" if variant.tuned else "nothing chosen yet"
    first, *others = dict.fromkeys(words.setting(value, digits=3) for value in values)
    return f"chosen: {first} to {others[-1]}" if others else f"chosen: {first}"


def _order(value: Scalar) -> tuple[bool, Scalar]:
    """Numbers before words."""
    return isinstance(value, str), value


def _search_axis(axes: Axes, distribution: Distribution) -> Callable[[Any], float | None]:
    """Set up the x axis for a hyperparameter.

    Returns:
        A function from a value to its place on the axis; None if it has no place there.
    """
    if isinstance(distribution, CategoricalDistribution):
        choices = list(distribution.choices)
        axes.set_xlim(-0.6, len(choices) - 0.4)
        axes.set_xticks(range(len(choices)), [words.wrapped(words.setting(each), 12, lines=2) for each in choices])
        return lambda value: float(choices.index(value)) if value in choices else None
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        axes.set_xscale("log")
        ratio = (high / low) ** 0.06
        start, end = low / ratio, high * ratio
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if log10(high / low) > 2.2 else (1.0, 3.0), numticks=8))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        start, end = low - 0.06 * (high - low), high + 0.06 * (high - low)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(start, end)
    for outside in ((start, low), (high, end)):
        axes.axvspan(*outside, color=GRID, zorder=0, linewidth=0)
    return lambda value: float(value) if isinstance(value, int | float) else None


def best_of_n(summary: StudySummary) -> FigureSpec | None:
    """Expected best validation accuracy by number of draws, a panel per variant; None without draws.

    Draws that depend on results allow no such expectation; for them the figure shows the best accuracy so far.
    """
    if not summary.independent_draws:
        return _best_so_far(summary)
    shown = [(variant, variant.best_of_n) for variant in summary.variants if variant.best_of_n]
    if not shown:
        return None
    without = [variant.name for variant in summary.variants if variant.tuning and not variant.best_of_n]
    return FigureSpec(
        name="best_of_n",
        title="Best of n draws",
        alt_text="Expected best validation accuracy against the number of draws of the search. "
        + " ".join(_alt_text_of_draws(*each) for each in shown),
        caption="Expected best validation accuracy of n draws, with a pointwise 95 % band; the baseline is grey. "
        "A curve that still rises at its end would gain from more trials. It is selected for, so it is never a result. "
        "A diverged draw counts as the best constant guess, which can put a curve's beginning under the axis."
        + not_drawn(without, f"under {MIN_DRAWS} draws, or pruned ones"),
        paint=lambda sheet: _draw_best(
            sheet,
            [
                _Best(variant, band.mean, f"best of {len(band.mean)}: {words.points(float(band.mean[-1]))} %", band)
                for variant, band in shown
            ],
            summary,
            ("draws", "expected best\nvalidation accuracy (%)"),
        ),
    )


def _best_so_far(summary: StudySummary) -> FigureSpec | None:
    shown = [
        _Best(variant, best, f"best so far: {words.points(float(best[-1]))} %")
        for variant in summary.variants
        if (best := _running_best(summary, variant)).size and np.isfinite(best[-1])
    ]
    if not shown:
        return None
    names = {best.variant.name for best in shown}
    without = [variant.name for variant in summary.variants if variant.tuning and variant.name not in names]
    return FigureSpec(
        name="best_of_n",
        title="Best trial so far",
        alt_text="Best validation accuracy of the search so far, by trial. "
        + " ".join(
            f"{best.variant.name}: {words.points(float(best.values[-1]))} % after "
            f"{words.plural(len(best.values), 'trial')}, reached with trial "
            f"{int(np.nanargmax(best.values)) + 1}."
            for best in shown
        ),
        caption="Best validation accuracy of the search after n trials, in their order; the baseline is grey. "
        "Later draws depend on the results of earlier ones, so this is no expectation and has no band. "
        "It is selected for, so it is never a result. "
        "Trials without an accuracy count too, so a line may begin under the axis."
        + not_drawn(without, "no trial that learned"),
        paint=lambda sheet: _draw_best(sheet, shown, summary, ("trials", "best validation\naccuracy so far (%)")),
    )


def _running_best(summary: StudySummary, variant: VariantSummary) -> Floats:
    """Best accuracy after each trial of the search, shape (num_trials,), percent; NaN until one has learned."""
    searched = sorted((p for p in variant.tuning if p.number is not None), key=lambda p: p.number or 0)
    scores = [_score(summary, point) for point in searched]
    return np.fmax.accumulate(np.array([np.nan if score is None else score for score in scores]))


@dataclass(frozen=True)
class _Best:
    """A variant's line of best accuracies; entry n - 1 is for n trials."""

    variant: VariantSummary
    values: Floats
    label: str
    """Text over its panel."""
    band: Band | None = None


def _alt_text_of_draws(variant: VariantSummary, band: Band) -> str:
    states = Counter(point.status for point in variant.tuning if point.role == "draw")
    lost = [f"{states[status]} {status}" for status in ("diverged", "failed") if states[status]]
    first, last = (words.points(float(mean)) for mean in band.mean[[0, -1]])
    text = f"{variant.name}: {words.plural(states.total(), 'draw')}"
    text += f" ({words.listed(lost)})" if lost else ""
    return f"{text}, {first} % expected of one, {last} % of the best of {len(band.mean)}."


def _draw_best(sheet: Sheet, shown: Sequence[_Best], summary: StudySummary, labels: tuple[str, str]) -> Figure:
    rows, columns = grid_of(len(shown), sheet)
    height = 0.55 + (2.1 if sheet.has_margin else 1.55) * rows
    figure, cells = new_figure(sheet, height, rows, columns, width=None if columns > 1 else 5.2)
    for axes in cells[len(shown) :]:
        axes.set_visible(False)
    # A single diverged draw lowers the start of a curve by tens of points, and its band with it.
    ends = [float(end) for best in shown for end in best.values[[min(1, len(best.values) - 1), -1]]]
    ends += [float(best.band.lower[-1]) for best in shown if best.band]
    limits = limits_around(end for end in ends if end >= summary.learned_percent)
    reference = next((best.values for best in shown if best.variant.name == summary.baseline), None)
    for index, (axes, best) in enumerate(zip(cells, shown, strict=False)):
        counts = range(1, len(best.values) + 1)
        steps = "default" if best.band else "steps-post"
        if reference is not None and best.values is not reference:
            axes.plot(range(1, len(reference) + 1), reference, color=FAINT, linewidth=3, zorder=1, drawstyle=steps)
        if best.band:
            axes.fill_between(counts, best.band.lower, best.band.upper, color=BLUE, alpha=0.15, linewidth=0, zorder=2)
        (line,) = axes.plot(
            counts, best.values, "-o", color=BLUE, linewidth=1.8, markersize=4, zorder=3, drawstyle=steps
        )
        tips = [
            f"{best.variant.name}, {n} {labels[0]}: {words.points(v)} %"
            for n, v in enumerate(best.values, 1)
            if np.isfinite(v)
        ]
        mark(line, tips=tips)
        mark(axes, variant=best.variant.name)
        accuracy_axis(axes, limits, gutter=False, num_ticks=4)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6 if sheet.has_margin else 4, integer=True))
        head_panel(axes, sheet, panel_title(best.variant.name, sheet, columns), best.label)
        tidy(axes)
        if index % columns:
            axes.tick_params(axis="y", labelleft=False)
        else:
            axes.set_ylabel(labels[1])
        if index >= len(shown) - columns:
            axes.set_xlabel(labels[0])
    return figure
