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
    WIDTH,
    FigureSpec,
    grid_of,
    key,
    left_out,
    legend,
    new_figure,
    panel_title,
    tidy,
)
from ablations.reporting.theme import BLUE, INK, MUTED, SURFACE
from ablations.stats.verdicts import MIN_PAIRS_FOR_VERDICT

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
        title="Classes (exploratory)",
        alt_text="Accuracy on the test images of each class, each variant minus what it is compared with. "
        + " ".join(_alt_text(contrast, alpha) for contrast in shown),
        caption="Difference in accuracy on the test images of each class, with pointwise 95 % intervals for new seeds and, "
        "where that is wider, new images. Exploratory: no verdict goes by these. Filled dots are found to differ when the "
        f"share of false finds among all finds in this figure is held at {100 * alpha:g} % (Benjamini and Hochberg, over "
        f"{words.plural(num_tests, 'test')}), in contrasts of at least {MIN_PAIRS_FOR_VERDICT} pairs."
        + (
            " A plus is a class in which all pairs differ by the same; it is not tested."
            if _has_no_spread(shown)
            else ""
        )
        + (f" Of {num_classes} classes, the {len(classes)} with the largest." if len(classes) < num_classes else "")
        + left_out(
            [c.variant for c in summary.contrasts if c not in shown], "under three pairs whose images are known"
        ),
        draw=lambda: _draw(shown, classes, alpha),
    )


def _classes(shown: Sequence[Contrast]) -> list[int]:
    """Indices of the classes to draw, in the order of their labels."""
    places = range(len(shown[0].class_differences))
    largest = sorted(places, key=lambda place: -max(abs(c.class_differences[place].mean) for c in shown))
    return sorted(largest[:MAX_CLASSES])


def _has_no_spread(shown: Sequence[Contrast]) -> bool:
    return any(each.p_adjusted is None for contrast in shown for each in contrast.class_differences)


def _is_found(contrast: Contrast, each: ClassDifference, alpha: float) -> bool:
    # A contrast with too few pairs for a verdict has none on its classes either.
    enough = contrast.judgement.num_pairs >= MIN_PAIRS_FOR_VERDICT
    return enough and each.p_adjusted is not None and each.p_adjusted <= alpha


def _alt_text(contrast: Contrast, alpha: float) -> str:
    found = [
        f"{each.name} {words.points(each.mean, signed=True)}"
        for each in contrast.class_differences
        if _is_found(contrast, each, alpha)
    ]
    return (
        f"{contrast.variant} minus {contrast.versus}: {words.listed(found) if found else 'no class found to differ'}."
    )


def _draw(shown: Sequence[Contrast], classes: Sequence[int], alpha: float) -> Figure:
    rows, columns = grid_of(len(shown))
    figure, cells = new_figure(
        0.75 + rows * (0.55 + 0.22 * len(classes)), rows, columns, width=WIDTH if columns > 1 else 6.2
    )
    for axes in cells[len(shown) :]:
        axes.set_visible(False)
    low, high = _limits(shown, classes)
    for index, (axes, contrast) in enumerate(zip(cells, shown, strict=False)):
        values = [contrast.class_differences[place] for place in classes]
        axes.axvline(0, color=MUTED, linewidth=1, zorder=1)
        for height, each in enumerate(values):
            style = _FOUND if _is_found(contrast, each, alpha) else _OPEN
            _draw_class(axes, height, each, style)
        axes.set_xlim(low, high)
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.set_yticks(range(len(values)), [words.wrapped(each.name, 24, lines=1) for each in values], color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", words.MINUS)))
        axes.set_title(panel_title(contrast.variant, columns))
        tidy(axes, grid="x")
        axes.tick_params(axis="y", labelleft=index % columns == 0)
        if index >= len(shown) - columns:
            axes.set_xlabel("difference (points)")
    keys = [key("o", "found to differ", **_FOUND), key("o", "not found to differ", **_OPEN)]
    legend(figure, *keys, *([key("+", "no spread", **_NO_SPREAD)] if _has_no_spread(shown) else []))
    return figure


def _draw_class(axes: Axes, height: float, each: ClassDifference, style: Mapping[str, Any]) -> None:
    if each.interval is not None:
        axes.plot([each.interval.lower, each.interval.upper], [height] * 2, color=BLUE, linewidth=1.4, zorder=2)
    if each.p_adjusted is None:
        axes.plot(each.mean, height, "+", zorder=3, **_NO_SPREAD)
    else:
        axes.plot(each.mean, height, "o", zorder=3, **style)


def _limits(shown: Sequence[Contrast], classes: Sequence[int]) -> tuple[float, float]:
    """Limits of the x axis, around all differences; an interval many times as wide is cut off."""
    values = [contrast.class_differences[place] for contrast in shown for place in classes]
    means = [each.mean for each in values]
    reach = max(1.0, 2.5 * max(map(abs, means)))
    ends = [end for each in values if each.interval for end in (each.interval.lower, each.interval.upper)]
    low, high = min(0.0, *means, *ends), max(0.0, *means, *ends)
    return max(low, -reach) - 0.05 * reach, min(high, reach) + 0.05 * reach
