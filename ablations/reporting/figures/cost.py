"""Accuracy against cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log10
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ablations.analysis.summary import StudySummary, VariantSummary
from ablations.reporting import words
from ablations.reporting.figures.frame import FigureSpec, limits_around, new_figure, not_drawn, settle, tidy
from ablations.reporting.svg import mark
from ablations.reporting.theme import BLUE, FAINT, INK, ORANGE, SURFACE, Sheet
from ablations.text import latency

MAX_NAMES = 14
"""More names than this would hide the points."""


@dataclass(frozen=True)
class _Point:
    name: str
    cost: float
    mean: float
    sd: float
    is_baseline: bool

    @property
    def ends(self) -> tuple[float, float]:
        """Of the whisker; an accuracy is at most 100 %."""
        return self.mean - self.sd, min(100.0, self.mean + self.sd)


def accuracy_against_cost(summary: StudySummary) -> FigureSpec | None:
    """Mean test accuracy against parameters, and against latency, or multiply-accumulates if it is not measured."""
    shown = [variant for variant in summary.variants if variant.mean_accuracy_percent is not None]
    if not shown:
        return None
    axes = _axes(shown)
    points = (
        f"{v.name}: {words.mean_and_sd(v)} % at {words.listed(axis.in_words(v) for axis in axes)}." for v in shown
    )
    return FigureSpec(
        name="accuracy_against_cost",
        title="Accuracy against cost",
        alt_text=f"Scatter plots of mean test accuracy against {words.listed(axis.label for axis in axes)}. "
        + " ".join(points),
        caption="Mean over the seeds that learned; whiskers are one standard deviation between seeds, not an interval "
        "of the mean. The line is the Pareto front: no other variant has a higher mean at a lower cost. "
        f"The diamond is the baseline; the other costs are in the table of costs.{_unnamed(shown)}"
        + not_drawn([v.name for v in summary.variants if v not in shown], "no run that learned"),
        paint=lambda sheet: _draw(sheet, summary.baseline, shown, axes),
    )


def _unnamed(shown: Sequence[VariantSummary]) -> str:
    if len(shown) <= MAX_NAMES:
        return ""
    return f" Of more than {MAX_NAMES} variants, the baseline and the front are named if there is room."


@dataclass(frozen=True)
class _Axis:
    """A cost, on the x axis of a panel."""

    label: str
    value: Callable[[VariantSummary], float]
    in_words: Callable[[VariantSummary], str]


def _axes(shown: Sequence[VariantSummary]) -> list[_Axis]:
    """Parameters, and a cost in time: latency if every variant shown has it, else MACs."""
    latencies = {v.name: v.measured.latency_1_seconds for v in shown if v.measured}
    params = _Axis("parameters", lambda v: v.params, lambda v: f"{v.params:,} params")
    if len(latencies) < len(shown):
        return [params, _Axis("MACs of an image", lambda v: v.macs, lambda v: f"{v.macs:,} MACs")]
    measured = _Axis(
        "measured latency of one image (ms)",
        lambda v: 1000 * latencies[v.name],
        lambda v: f"{latency(latencies[v.name])} for one image",
    )
    return [params, measured]


def _draw(sheet: Sheet, baseline: str, shown: Sequence[VariantSummary], costs: Sequence[_Axis]) -> Figure:
    rows, columns = (1, 2) if sheet.has_margin else (2, 1)
    height = (4.1 if len(shown) < 8 else 5.2) if sheet.has_margin else (2.5 if len(shown) < 6 else 3.2)
    figure, cells = new_figure(sheet, rows * height, rows, columns)
    panels = [_points(baseline, shown, cost) for cost in costs]
    for axes, points, cost in zip(cells, panels, costs, strict=True):
        for point, variant in zip(points, shown, strict=True):
            _draw_point(axes, point, f"{point.name}: {words.mean_and_sd(variant)} %, {cost.in_words(variant)}")
        axes.set_ylim(*limits_around(end for point in points for end in point.ends))
        _log_axis(axes, [point.cost for point in points])
        _draw_front(axes, _front(points))
        axes.set_xlabel(f"{cost.label}, log scale")
        tidy(axes, grid="both")
    for index, axes in enumerate(cells):
        if index % columns:
            axes.tick_params(axis="y", labelleft=False)
        else:
            axes.set_ylabel("mean test accuracy (%) ± sd")
    # Names go where there is room, so the layout must be final first.
    settle(figure)
    for axes, points in zip(cells, panels, strict=True):
        _write_names(figure, sheet, axes, points)
    return figure


def _draw_point(axes: Axes, point: _Point, tip: str) -> None:
    (whisker,) = axes.plot([point.cost] * 2, point.ends, color=BLUE, linewidth=1.4, alpha=0.6, zorder=2)
    marker, colour = ("D", INK) if point.is_baseline else ("o", BLUE)
    # If points coincide, the baseline is on top.
    height = 4 if point.is_baseline else 3
    style: dict[str, Any] = {"color": colour, "markersize": 7, "mec": SURFACE, "mew": 0.8, "zorder": height}
    (dot,) = axes.plot(point.cost, point.mean, marker, **style)
    mark(whisker, variant=point.name)
    mark(dot, variant=point.name, tips=[tip])


def _front(points: Sequence[_Point]) -> list[_Point]:
    """The Pareto front, by growing cost: points with a higher mean than every point that costs as much or less."""
    front: list[_Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.mean)):
        if not front or point.mean > front[-1].mean:
            front.append(point)
    return front


def _draw_front(axes: Axes, front: Sequence[_Point]) -> None:
    """Draw the front as steps up to the right edge: what can be reached at each cost."""
    costs, means = [point.cost for point in front], [point.mean for point in front]
    costs, means = [*costs, axes.get_xlim()[1]], [*means, means[-1]]
    axes.plot(costs, means, color=ORANGE, linewidth=1.6, drawstyle="steps-post", zorder=1)


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


def _write_names(figure: Figure, sheet: Sheet, axes: Axes, points: Sequence[_Point]) -> None:
    """Write each point's name at the nearest place free of names, points and whiskers."""
    pixel = figure.dpi / 72
    extent = axes.get_window_extent()
    frame = _Box(extent.x0, extent.y0, extent.x1, extent.y1)
    taken = [box for point in points for box in _boxes(axes, point, 5 * pixel)]
    taken += _steps(axes, _front(points), pixel)
    names: list[_Box] = []
    for point in _named(points):
        name = words.wrapped(point.name, 24)
        style: dict[str, Any] = {"size": sheet.text_size, "color": INK, "linespacing": 1.0}
        probe = axes.text(0, 0, name, **style)
        size = probe.get_window_extent()
        probe.remove()
        at = axes.transData.transform((point.cost, point.mean))
        # A name beside another point would seem to be that point's; a line must not cross another point or name.
        others = [_boxes(axes, each, 11 * pixel)[0] for each in points if each is not point]

        def in_the_way(place: _Place, at: Any = at, others: Sequence[_Box] = others) -> float:
            box, distance, _ = place
            line = _line(at, box, pixel) if distance >= _DISTANCES[2] else []
            crossed = sum(part.overlap(other) for part in line for other in (*others, *names))
            beside = 0.0 if line else 0.3 * sum(map(box.overlap, others))
            return sum(map(box.overlap, taken)) + beside + crossed + 1000 * box.outside(frame)

        places = _places((at[0], at[1]), (size.width, size.height), pixel)
        # Overhang weighs more than overlap, and overlap more than distance.
        best = min(places, key=lambda place: in_the_way(place) + place[1] * pixel)
        box, distance, (dx, dy, ha, va) = best
        if len(points) > MAX_NAMES and in_the_way(best):
            continue
        line = {"arrowstyle": "-", "color": FAINT, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 4}
        written = axes.annotate(
            name,
            (point.cost, point.mean),
            xytext=(distance * dx, distance * dy),
            textcoords="offset points",
            ha=ha,
            va=va,
            arrowprops=line if distance >= _DISTANCES[2] else None,
            **style,
        )
        mark(written, variant=point.name)
        taken.append(box)
        names.append(box)


def _line(at: Sequence[float], box: _Box, pixel: float) -> list[_Box]:
    """Rectangles along the line from a point to its name, without the end at the point."""
    end = min(max(at[0], box.left), box.right), min(max(at[1], box.bottom), box.top)
    places = [(at[0] + k / 8 * (end[0] - at[0]), at[1] + k / 8 * (end[1] - at[1])) for k in range(2, 8)]
    return [_Box(x - pixel, y - pixel, x + pixel, y + pixel) for x, y in places]


def _named(points: Sequence[_Point]) -> Sequence[_Point]:
    """The points to name: all, or, if there are too many, the baseline and the Pareto front."""
    if len(points) <= MAX_NAMES:
        return points
    front = [point for point in _front(points) if not point.is_baseline]
    return [*(point for point in points if point.is_baseline), *front]


def _boxes(axes: Axes, point: _Point, pad: float) -> tuple[_Box, _Box]:
    """Rectangles of a marker and its whisker."""
    x, y = axes.transData.transform((point.cost, point.mean))
    _, bottom = axes.transData.transform((point.cost, point.ends[0]))
    _, top = axes.transData.transform((point.cost, point.ends[1]))
    return _Box(x - pad, y - pad, x + pad, y + pad), _Box(x - pad / 3, bottom, x + pad / 3, top)


def _steps(axes: Axes, front: Sequence[_Point], pad: float) -> Iterator[_Box]:
    """Rectangles of the front's line."""
    corners = [tuple(axes.transData.transform((point.cost, point.mean))) for point in front]
    corners.append((axes.get_window_extent().x1, corners[-1][1]))
    for (left, bottom), (right, top) in pairwise(corners):
        yield _Box(left, bottom - pad, right, bottom + pad)
        yield _Box(right - pad, bottom, right + pad, top)


_Place = tuple[_Box, float, tuple[float, float, str, str]]
"""Of a name: its box, its distance from the point, and the side."""


def _places(at: tuple[float, float], size: tuple[float, float], pixel: float) -> Iterator[_Place]:
    """Possible places for a name of `size` pixels, nearest first."""
    before = {"left": 0.0, "bottom": 0.0, "center": 0.5, "right": 1.0, "top": 1.0}
    for distance in _DISTANCES:
        for side in _SIDES:
            dx, dy, ha, va = side
            left = at[0] + distance * dx * pixel - before[ha] * size[0]
            bottom = at[1] + distance * dy * pixel - before[va] * size[1]
            yield _Box(left - pixel, bottom - pixel, left + size[0] + pixel, bottom + size[1] + pixel), distance, side
