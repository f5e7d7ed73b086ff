"""Accuracy against cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log10
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ablations.analysis.summary import StudySummary, VariantSummary
from ablations.reporting import words
from ablations.reporting.figures.frame import NAME_WIDTH, FigureSpec, left_out, limits_around, new_figure, tidy
from ablations.reporting.theme import BLUE, FAINT, INK, SURFACE
from ablations.text import latency, mebibytes

MAX_NAMES = 14
"""More names than this would hide the points."""


@dataclass(frozen=True)
class _Point:
    name: str
    cost: float
    mean: float
    sd: float
    is_baseline: bool


def accuracy_against_cost(summary: StudySummary) -> FigureSpec | None:
    """Mean test accuracy against parameters, multiply-accumulates, training memory and, if measured, latency."""
    shown = [variant for variant in summary.variants if variant.mean_accuracy_percent is not None]
    if not shown:
        return None
    axes = _axes(shown)
    points = (
        f"{v.name}: {words.mean_and_sd(v)} % with {words.listed(axis.in_words(v) for axis in axes)}." for v in shown
    )
    return FigureSpec(
        name="accuracy_against_cost",
        title="Accuracy against cost",
        alt_text=f"Scatter plots of mean test accuracy against {words.listed(axis.label for axis in axes)}. "
        + " ".join(points),
        caption="Mean over the seeds that learned; whiskers are one standard deviation between seeds, not an interval "
        "of the mean. The diamond is the baseline; up and to the left is better. MACs are of one image, forward; the "
        f"note under the table of costs says how memory and latency are taken.{_unnamed(shown)}"
        + left_out([v.name for v in summary.variants if v not in shown], "no run that learned"),
        draw=lambda: _draw(summary.baseline, shown, axes),
    )


def _unnamed(shown: Sequence[VariantSummary]) -> str:
    if len(shown) <= MAX_NAMES:
        return ""
    return (
        f" Of more than {MAX_NAMES} variants, a panel names the baseline and, where there is room, those that no other one beats in "
        "both mean and cost; the tables have them all."
    )


@dataclass(frozen=True)
class _Axis:
    """A cost, on the x axis of a panel."""

    label: str
    value: Callable[[VariantSummary], float]
    in_words: Callable[[VariantSummary], str]


def _axes(shown: Sequence[VariantSummary]) -> list[_Axis]:
    """The costs known for every variant shown."""
    found = [
        _Axis("parameters", lambda v: v.params, lambda v: f"{v.params:,} params"),
        _Axis("MACs of an image", lambda v: v.macs, lambda v: f"{v.macs:,} MACs"),
    ]
    memories = {v.name: v.memory.peak_training_bytes for v in shown if v.memory}
    if len(memories) == len(shown):
        found.append(
            _Axis(
                "training memory, counted (MiB)",
                lambda v: memories[v.name] / 2**20,
                lambda v: f"{mebibytes(memories[v.name])} of training memory",
            )
        )
    latencies = {v.name: v.measured.latency_1_seconds for v in shown if v.measured}
    if len(latencies) == len(shown):
        found.append(
            _Axis(
                "latency of one image, measured (ms)",
                lambda v: 1000 * latencies[v.name],
                lambda v: f"{latency(latencies[v.name])} for one image",
            )
        )
    return found


def _draw(baseline: str, shown: Sequence[VariantSummary], costs: Sequence[_Axis]) -> Figure:
    rows, columns = ceil(len(costs) / 2), 2
    figure, cells = new_figure(rows * (4.1 if len(shown) < 8 else 5.2), rows, columns)
    for unused in cells[len(costs) :]:
        unused.remove()
    cells = cells[: len(costs)]
    panels = [_points(baseline, shown, cost) for cost in costs]
    for axes, points, label in zip(cells, panels, (cost.label for cost in costs), strict=True):
        for point in points:
            ends = [point.mean - point.sd, point.mean + point.sd]
            axes.plot([point.cost] * 2, ends, color=BLUE, linewidth=1.4, alpha=0.6, zorder=2)
            marker, colour = ("D", INK) if point.is_baseline else ("o", BLUE)
            # If points coincide, the baseline is on top.
            height = 4 if point.is_baseline else 3
            axes.plot(point.cost, point.mean, marker, color=colour, markersize=7, mec=SURFACE, mew=0.8, zorder=height)
        axes.set_ylim(*limits_around(end for point in points for end in (point.mean - point.sd, point.mean + point.sd)))
        _log_axis(axes, [point.cost for point in points])
        axes.set_xlabel(f"{label} (log scale)")
        tidy(axes, grid="both")
    for index, axes in enumerate(cells):
        if index % columns:
            axes.tick_params(axis="y", labelleft=False)
        else:
            axes.set_ylabel("mean test accuracy (%) ± sd")
    # Names go where there is room, so the layout must be final first.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, points in zip(cells, panels, strict=True):
        _write_names(figure, axes, points)
    return figure


def _points(baseline: str, shown: Sequence[VariantSummary], cost: _Axis) -> list[_Point]:
    return [
        _Point(v.name, cost.value(v), v.mean_accuracy_percent or 0.0, v.sd_accuracy_percent or 0.0, v.name == baseline)
        for v in shown
    ]


def _log_axis(axes: Axes, costs: Sequence[float]) -> None:
    """Set up a logarithmic x axis with room for names and a few ticks at round numbers."""
    axes.set_xscale("log")
    low, high = log10(min(costs)), log10(max(costs))
    middle, half = (low + high) / 2, max(0.12, 1.35 * (high - low) / 2)
    axes.set_xlim(10 ** (middle - half), 10 ** (middle + half))
    # Half a decade has too few multiples of 1, 2 and 5; evenly spaced round numbers serve better.
    powers = LogLocator(subs=(1.0,) if half > 1.2 else (1.0, 2.0, 5.0), numticks=12)
    axes.xaxis.set_major_locator(powers if half > 0.3 else MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.compact(value)))


@dataclass(frozen=True)
class _Box:
    """A rectangle on the canvas, in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: _Box) -> float:
        """Area of the intersection, in square pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    def outside(self, frame: _Box) -> float:
        """Overhang beyond the four sides of `frame`, summed, in pixels."""
        ends = (frame.left - self.left, self.right - frame.right, frame.bottom - self.bottom, self.top - frame.top)
        return sum(max(0.0, end) for end in ends)


_SIDES = (
    (1, 0, "left", "center"),
    (-1, 0, "right", "center"),
    (0.8, 0.7, "left", "bottom"),
    (-0.8, 0.7, "right", "bottom"),
    (0.8, -0.7, "left", "top"),
    (-0.8, -0.7, "right", "top"),
    (0, 1, "center", "bottom"),
    (0, -1, "center", "top"),
)
"""Directions from a point to its name, and the part of the name nearest to the point; the best first."""
_DISTANCES = (8, 16, 26, 38, 52, 68)
"""Distances from a point to its name, in typographic points; from the third on, a line joins them."""


def _write_names(figure: Figure, axes: Axes, points: Sequence[_Point]) -> None:
    """Write each point's name at the nearest place free of names, points and whiskers."""
    pixel = figure.dpi / 72
    extent = axes.get_window_extent()
    frame = _Box(extent.x0, extent.y0, extent.x1, extent.y1)
    taken = [box for point in points for box in _boxes(axes, point, 5 * pixel)]

    def in_the_way(box: _Box) -> float:
        return sum(map(box.overlap, taken)) + 1000 * box.outside(frame)

    for point in _named(points):
        name = words.wrapped(point.name, NAME_WIDTH)
        style: dict[str, Any] = {"size": 8.5, "color": INK, "linespacing": 1.0}
        probe = axes.text(0, 0, name, **style)
        size = probe.get_window_extent()
        probe.remove()
        at = axes.transData.transform((point.cost, point.mean))
        places = list(_places((at[0], at[1]), (size.width, size.height), pixel))
        # Overhang weighs more than overlap; among equally good places, `min` takes the first and so the nearest.
        box, distance, (dx, dy, ha, va) = min(places, key=lambda place: in_the_way(place[0]))
        if len(points) > MAX_NAMES and in_the_way(box):
            continue
        line = {"arrowstyle": "-", "color": FAINT, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 4}
        axes.annotate(
            name,
            (point.cost, point.mean),
            xytext=(distance * dx, distance * dy),
            textcoords="offset points",
            ha=ha,
            va=va,
            arrowprops=line if distance >= _DISTANCES[2] else None,
            **style,
        )
        taken.append(box)


def _named(points: Sequence[_Point]) -> Sequence[_Point]:
    """The points to name: all, or, if there are too many, the baseline and the Pareto front of mean and cost."""
    if len(points) <= MAX_NAMES:
        return points
    front, highest = [], 0.0
    for point in sorted(points, key=lambda point: (point.cost, -point.mean)):
        if point.mean > highest and not point.is_baseline:
            front.append(point)
        highest = max(highest, point.mean)
    return [*(point for point in points if point.is_baseline), *front]


def _boxes(axes: Axes, point: _Point, pad: float) -> tuple[_Box, _Box]:
    """Rectangles of a marker and its whisker."""
    x, y = axes.transData.transform((point.cost, point.mean))
    _, bottom = axes.transData.transform((point.cost, point.mean - point.sd))
    _, top = axes.transData.transform((point.cost, point.mean + point.sd))
    return _Box(x - pad, y - pad, x + pad, y + pad), _Box(x - pad / 3, bottom, x + pad / 3, top)


def _places(
    at: tuple[float, float], size: tuple[float, float], pixel: float
) -> Iterator[tuple[_Box, float, tuple[float, float, str, str]]]:
    """Possible places for a name of `size` pixels, nearest first: box, distance, side."""
    before = {"left": 0.0, "bottom": 0.0, "center": 0.5, "right": 1.0, "top": 1.0}
    for distance in _DISTANCES:
        for side in _SIDES:
            dx, dy, ha, va = side
            left = at[0] + distance * dx * pixel - before[ha] * size[0]
            bottom = at[1] + distance * dy * pixel - before[va] * size[1]
            yield _Box(left - pixel, bottom - pixel, left + size[0] + pixel, bottom + size[1] + pixel), distance, side
