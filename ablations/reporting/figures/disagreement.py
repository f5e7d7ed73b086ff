"""Share of test images on which a variant and its reference disagree."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ablations.analysis.summary import Contrast, StudySummary
from ablations.reporting import words
from ablations.reporting.figures.frame import (
    FigureSpec,
    Row,
    draw_dots,
    key,
    legend,
    not_drawn,
    row_figure,
    tidy,
)
from ablations.reporting.svg import mark
from ablations.reporting.theme import BLUE, INK, MUTED, ORANGE, SURFACE, Sheet

_SEED: dict[str, Any] = {"color": INK, "markersize": 4, "alpha": 0.5, "markeredgewidth": 0}
_MEAN: dict[str, Any] = {
    "color": BLUE,
    "markersize": 7,
    "markeredgecolor": SURFACE,
    "markeredgewidth": 0.8,
    "zorder": 5,
}
_RESEEDS: dict[str, Any] = {"color": ORANGE, "markersize": 15, "markeredgewidth": 2.2, "zorder": 4}


def disagreement(summary: StudySummary) -> FigureSpec | None:
    """Disagreement of a variant and its reference, against two seeds of the reference; None if it is unknown."""
    shown = [contrast for contrast in summary.contrasts if contrast.disagreement_percent]
    if not shown:
        return None
    reseeds = {contrast.variant: summary[contrast.versus].reseed_disagreement_percent for contrast in shown}
    return FigureSpec(
        name="disagreement",
        title="Disagreement on single images",
        alt_text="Share of test images that one of two networks gets right and the other wrong. "
        + " ".join(_alt_text(contrast, reseeds[contrast.variant]) for contrast in shown),
        caption="Share of test images that one of two networks gets right and the other wrong. "
        "Dots compare a variant with its reference at one seed; the diamond is their mean. "
        "The upright bar compares two seeds of the reference: a scale, not a limit. "
        "A small share tells neither direction nor size of a difference in accuracy."
        + not_drawn([c.variant for c in summary.contrasts if c not in shown], "no pair with known images"),
        paint=lambda sheet: _draw(sheet, shown, reseeds, summary.baseline),
    )


def _alt_text(contrast: Contrast, reseeds: float | None) -> str:
    values = contrast.disagreement_percent.values()
    text = f"{contrast.variant} and {contrast.versus}: {words.points(mean(values))} % on average"
    if len(values) > 1:
        text += f", {words.points(min(values))} to {words.points(max(values))} % by seed"
    return text + ("." if reseeds is None else f"; two seeds of {contrast.versus}: {words.points(reseeds)} %.")


def _draw(sheet: Sheet, shown: Sequence[Contrast], reseeds: dict[str, float | None], baseline: str) -> Figure:
    rows = [_row(contrast, reseeds[contrast.variant], baseline) for contrast in shown]
    figure, axes, heights = row_figure(sheet, rows, row_height=0.5, foot=1.15)
    for row, contrast in zip(heights, shown, strict=True):
        _draw_row(axes, row, contrast, reseeds[contrast.variant])
    axes.margins(x=0.05)
    axes.set_xlabel("test images right for one network only (%)")
    tidy(axes, grid="x")
    legend(
        figure,
        key("o", "variant and reference, one seed", **_SEED),
        key("D", "their mean", **_MEAN),
        Line2D([], [], marker="|", linestyle="", label="two seeds of the reference", **{**_RESEEDS, "markersize": 11}),
    )
    return figure


def _row(contrast: Contrast, among: float | None, baseline: str) -> Row:
    text = f"{words.points(mean(contrast.disagreement_percent.values()))} %"
    text += "" if among is None else f", reseeds {words.points(among)} %"
    name = contrast.variant if contrast.versus == baseline else f"{contrast.variant}, {contrast.versus}"
    return Row(contrast.variant, name, ((text, {"color": MUTED}),))


def _draw_row(axes: Axes, row: float, contrast: Contrast, among: float | None) -> None:
    values = contrast.disagreement_percent
    middle = mean(values.values())
    seeds = [f"{contrast.variant}, seed {seed}: {words.points(value)} %" for seed, value in values.items()]
    height = [row + 0.2] * len(values)
    draw_dots(axes, list(values.values()), height, seeds, variant=contrast.variant, marker="o", zorder=3, **_SEED)
    artists = axes.plot(middle, row, "D", **_MEAN)
    if among is not None:
        artists += axes.plot([among, middle], [row, row], color=MUTED, linewidth=1.2, zorder=2)
        artists += axes.plot(among, row, "|", **_RESEEDS)
    tips: list[Sequence[str]] = [
        [f"{contrast.variant}: {words.points(middle)} %"],
        [],
        [f"two seeds of {contrast.versus}: {words.points(among or 0)} %"],
    ]
    for artist, each in zip(artists, tips, strict=False):
        mark(artist, variant=contrast.variant, tips=each)
