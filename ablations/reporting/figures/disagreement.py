"""Share of test images on which a variant and its reference disagree."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ablations.analysis.summary import Contrast, StudySummary
from ablations.reporting import words
from ablations.reporting.figures.frame import NAME_WIDTH, FigureSpec, key, left_out, legend, new_figure, tidy
from ablations.reporting.theme import BLUE, INK, MUTED, ORANGE, SURFACE

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
        alt_text="Share of test images that one of two networks gets right and the other wrong: of a variant and what it is "
        "compared with at the same seed, and of two seeds of the latter. "
        + " ".join(_alt_text(contrast, reseeds[contrast.variant]) for contrast in shown),
        caption="Share of test images that one of two networks gets right and the other wrong. Dots are a variant and what "
        "it is compared with at one seed, the diamond is their mean; the upright bar is the mean over pairs of seeds of what "
        "it is compared with. The two of a pair share their seed and those behind the bar do not, so it is a scale and no "
        "limit: a small share says nothing of the direction or the size of a difference in accuracy."
        + left_out([c.variant for c in summary.contrasts if c not in shown], "no pair whose right images are known"),
        draw=lambda: _draw(shown, reseeds, summary.baseline),
    )


def _alt_text(contrast: Contrast, reseeds: float | None) -> str:
    values = contrast.disagreement_percent.values()
    text = f"{contrast.variant} and {contrast.versus}: {words.points(mean(values))} % on average"
    if len(values) > 1:
        text += f", {words.points(min(values))} to {words.points(max(values))} % by seed"
    return text + ("." if reseeds is None else f"; two seeds of {contrast.versus}: {words.points(reseeds)} %.")


def _draw(shown: Sequence[Contrast], reseeds: dict[str, float | None], baseline: str) -> Figure:
    figure, (axes,) = new_figure(1.15 + 0.5 * len(shown))
    for row, contrast in enumerate(shown):
        values = list(contrast.disagreement_percent.values())
        among = reseeds[contrast.variant]
        text = f"{words.points(mean(values))} %"
        if among is not None:
            axes.plot([among, mean(values)], [row, row], color=MUTED, linewidth=1.2, zorder=2)
            axes.plot(among, row, "|", **_RESEEDS)
            text += f", reseeds {words.points(among)} %"
        axes.plot(values, [row + 0.2] * len(values), "o", zorder=3, **_SEED)
        axes.plot(mean(values), row, "D", **_MEAN)
        axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center", size=8.5, color=MUTED)
    names = [c.variant if c.versus == baseline else f"{c.variant}, {c.versus}" for c in shown]
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_yticks(range(len(shown)), [words.wrapped(name, NAME_WIDTH) for name in names], color=INK, size=9)
    axes.margins(x=0.05)
    axes.set_xlabel("test images that one of two networks gets right and the other wrong (%)")
    tidy(axes, grid="x")
    legend(
        figure,
        key("o", "variant and reference, one seed", **_SEED),
        key("D", "their mean", **_MEAN),
        Line2D([], [], marker="|", linestyle="", label="two seeds of the reference", **{**_RESEEDS, "markersize": 11}),
    )
    return figure
