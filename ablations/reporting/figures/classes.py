"""Origin of a difference: the contrasts on the test images of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ablations.analysis.summary import ClassDifference, Contrast, StudySummary
from ablations.reporting import words
from ablations.reporting.figures.frame import (
    FigureSpec,
    grid_of,
    key,
    legend,
    new_figure,
    not_drawn,
    panel_title,
    tidy,
    units_of,
)
from ablations.reporting.svg import mark
from ablations.reporting.theme import BLUE, INK, MUTED, SURFACE, Sheet
from ablations.stats.verdicts import MIN_PAIRS_FOR_VERDICT, MIN_SEARCHES_FOR_VERDICT

_FOUND: dict[str, Any] = {"color": BLUE, "markersize": 6, "markeredgewidth": 1.4}
_OPEN: dict[str, Any] = {**_FOUND, "markerfacecolor": SURFACE}
_NO_SPREAD: dict[str, Any] = {"color": MUTED, "markersize": 6, "markeredgewidth": 1.4}
MAX_CLASSES = 20
"""If there are more classes, only the ones with the largest differences are drawn; the table has all."""


def class_differences(summary: StudySummary) -> FigureSpec | None:
    """Paired differences by class, with their intervals; None if the classes of the images are unknown."""
    shown = [contrast for contrast in summary.contrasts if contrast.class_differences]
    if not shown:
        return None
    classes = _classes(shown)
    num_classes = len(shown[0].class_differences)
    num_tests = sum(each.p_adjusted is not None for contrast in shown for each in contrast.class_differences)
    alpha = summary.decision.alpha
    return FigureSpec(
        name="class_differences",
        title="Class differences (exploratory)",
        alt_text="Accuracy on the test images of each class, variant minus reference. "
        + " ".join(_alt_text(contrast, alpha) for contrast in shown),
        caption=f"Differences by class of the test images; bars are pointwise 95 % intervals over {units_of(summary)}, or over "
        "images too if that is wider. "
        f"Filled dots differ at a false discovery rate of {100 * alpha:g} % (Benjamini and Hochberg, "
        f"{words.plural(num_tests, 'test')}, contrasts of at least {_least(shown[0])} {words.plural(2, shown[0].judgement.unit)[2:]}). "
        "Exploratory: no verdict uses them."
        + (" A plus is an untested class: all its pairs differ equally." if _has_no_spread(shown) else "")
        + (f" Drawn: the {len(classes)} largest of {num_classes} classes." if len(classes) < num_classes else "")
        + not_drawn([c.variant for c in summary.contrasts if c not in shown], "under three pairs with known images"),
        paint=lambda sheet: _draw(sheet, shown, classes, alpha),
    )


def _classes(shown: Sequence[Contrast]) -> list[int]:
    """Indices of the classes to draw, in the order of their labels."""
    places = range(len(shown[0].class_differences))
    largest = sorted(places, key=lambda place: -max(abs(c.class_differences[place].mean) for c in shown))
    return sorted(largest[:MAX_CLASSES])


def _has_no_spread(shown: Sequence[Contrast]) -> bool:
    return any(each.p_adjusted is None for contrast in shown for each in contrast.class_differences)


def _least(contrast: Contrast) -> int:
    """Units that a verdict needs; with fewer, none of a contrast's classes is found to differ either."""
    return MIN_SEARCHES_FOR_VERDICT if contrast.judgement.unit == "search" else MIN_PAIRS_FOR_VERDICT


def _is_found(contrast: Contrast, each: ClassDifference, alpha: float) -> bool:
    enough = contrast.judgement.num_pairs >= _least(contrast)
    return enough and each.p_adjusted is not None and each.p_adjusted <= alpha


def _alt_text(contrast: Contrast, alpha: float) -> str:
    found = [
        f"{each.name} {words.points(each.mean, signed=True)}"
        for each in contrast.class_differences
        if _is_found(contrast, each, alpha)
    ]
    return f"{contrast.variant} minus {contrast.versus}: {words.listed(found) if found else 'no class differs'}."


def _draw(sheet: Sheet, shown: Sequence[Contrast], classes: Sequence[int], alpha: float) -> Figure:
    rows, columns = grid_of(len(shown), sheet)
    line_height = 0.22 if sheet.has_margin else 0.15
    figure, cells = new_figure(
        sheet,
        0.75 + rows * (0.55 * sheet.scale + line_height * len(classes)),
        rows,
        columns,
        width=None if columns > 1 else 6.2,
    )
    for axes in cells[len(shown) :]:
        axes.set_visible(False)
    low, high = _limits(shown, classes)
    for index, (axes, contrast) in enumerate(zip(cells, shown, strict=False)):
        values = [contrast.class_differences[place] for place in classes]
        axes.axvline(0, color=MUTED, linewidth=1, zorder=1)
        for height, each in enumerate(values):
            style = _FOUND if _is_found(contrast, each, alpha) else _OPEN
            _draw_class(axes, height, contrast.variant, each, style)
        axes.set_xlim(low, high)
        axes.set_ylim(len(values) - 0.5, -0.5)
        names = [words.wrapped(each.name, 24 if sheet.has_margin else 16, lines=1) for each in values]
        axes.set_yticks(range(len(values)), names, color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(5 if sheet.has_margin else 3))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", words.MINUS)))
        axes.set_title(panel_title(contrast.variant, sheet, columns))
        mark(axes, variant=contrast.variant)
        tidy(axes, grid="x")
        axes.tick_params(axis="y", labelleft=index % columns == 0)
        if index >= len(shown) - columns:
            axes.set_xlabel("difference (points)")
    keys = [key("o", "differs", **_FOUND), key("o", "not found to differ", **_OPEN)]
    legend(figure, *keys, *([key("+", "no spread", **_NO_SPREAD)] if _has_no_spread(shown) else []))
    return figure


def _draw_class(axes: Axes, height: float, variant: str, each: ClassDifference, style: Mapping[str, Any]) -> None:
    if each.interval is not None:
        axes.plot([each.interval.lower, each.interval.upper], [height] * 2, color=BLUE, linewidth=1.4, zorder=2)
    is_tested = each.p_adjusted is not None
    (dot,) = axes.plot(each.mean, height, "o" if is_tested else "+", zorder=3, **(style if is_tested else _NO_SPREAD))
    mark(dot, tips=[f"{variant}, {each.name}: {words.points(each.mean, signed=True)}"])


def _limits(shown: Sequence[Contrast], classes: Sequence[int]) -> tuple[float, float]:
    """Limits of the x axis, around all differences; an interval many times as wide is cut off."""
    values = [contrast.class_differences[place] for contrast in shown for place in classes]
    means = [each.mean for each in values]
    reach = max(1.0, 2.5 * max(map(abs, means)))
    ends = [end for each in values if each.interval for end in (each.interval.lower, each.interval.upper)]
    low, high = min(0.0, *means, *ends), max(0.0, *means, *ends)
    return max(low, -reach) - 0.05 * reach, min(high, reach) + 0.05 * reach
