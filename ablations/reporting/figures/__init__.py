"""StudySummary -> figures. Nothing here decides anything: numbers and words come from the summary.

Each figure has a separate canvas and no pyplot state, so it always looks the same. A figure draws itself in the sizes of a
sheet: a page or a column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from matplotlib.figure import Figure

from ablations.analysis.summary import StudySummary
from ablations.reporting.figures import noise
from ablations.reporting.figures.classes import class_differences
from ablations.reporting.figures.cost import accuracy_against_cost
from ablations.reporting.figures.curve_differences import difference_curves
from ablations.reporting.figures.curves import learning_curves, learning_curves_by_seed
from ablations.reporting.figures.differences import paired_differences
from ablations.reporting.figures.disagreement import disagreement
from ablations.reporting.figures.frame import FigureSpec
from ablations.reporting.figures.looks import path_over_looks
from ablations.reporting.figures.luck import two_kinds_of_luck
from ablations.reporting.figures.noise import LeftOut
from ablations.reporting.figures.power import seeds_needed
from ablations.reporting.figures.seeds import accuracy_by_seed
from ablations.reporting.figures.tuning import best_of_n, tuning_landscape
from ablations.reporting.theme import PAGE
from ablations.text import nearest, shown

Find = Callable[[StudySummary], FigureSpec | None]

FIGURES: tuple[Find, ...] = (
    paired_differences,
    path_over_looks,
    accuracy_by_seed,
    two_kinds_of_luck,
    seeds_needed,
    disagreement,
    class_differences,
    accuracy_against_cost,
    learning_curves,
    learning_curves_by_seed,
    difference_curves,
    tuning_landscape,
    best_of_n,
)
"""All possible figures, in the order of the report; each function has the name of its figure."""

_NOISE: Mapping[Find, Callable[[StudySummary], LeftOut | None]] = MappingProxyType(
    {
        seeds_needed: noise.seeds_needed,
        disagreement: noise.disagreement,
        class_differences: noise.class_differences,
        difference_curves: noise.difference_curves,
        best_of_n: noise.best_of_n,
    }
)


def figures(summary: StudySummary) -> tuple[FigureSpec, ...]:
    """The figures with something to show, in the order of the report."""
    found = (find(summary) for find in FIGURES if not _is_noise(find, summary))
    return tuple(spec for spec in found if spec is not None)


def left_out(summary: StudySummary) -> tuple[LeftOut, ...]:
    """The figures that would show only noise, in the order of the report; the tables have their numbers."""
    found = (_NOISE[find](summary) for find in FIGURES if find in _NOISE)
    return tuple(each for each in found if each is not None)


def _is_noise(find: Find, summary: StudySummary) -> bool:
    return find in _NOISE and _NOISE[find](summary) is not None


def figure(summary: StudySummary, name: str) -> Figure:
    """Draw one figure at the page's width.

    Args:
        summary: of the study.
        name: of one of `FIGURES`.

    Raises:
        ValueError: there is no such figure, or the study has nothing to draw in it.
    """
    makers = {each.__name__: each for each in FIGURES}
    if name not in makers:
        raise ValueError(f"there is no figure {shown(name)}; {nearest(name, makers)}")
    spec = makers[name](summary)
    if spec is None:
        raise ValueError(f"this study has nothing to draw in {name}")
    return spec.draw(PAGE)
