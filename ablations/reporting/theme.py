"""Colours and type of the report: one palette for figures and page, in light and dark.

Figures are drawn in the light colours. The page replaces them by CSS variables, so its figures follow the reader's
light or dark setting. The SVG and PNG files keep the light colours on a white ground.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.colors import to_hex

INK = "#1f2933"
MUTED = "#616e7c"
FAINT = "#b8c2cc"
GRID = "#e4e8ec"
BAND = "#f0f2f5"
SURFACE = "#ffffff"

_COLORBLIND = [to_hex(colour) for colour in sns.color_palette("colorblind")]
BLUE, ORANGE, GREEN, VERMILION, PINK, _, _, _, _, SKY = _COLORBLIND
SERIES = (BLUE, ORANGE, GREEN, PINK, VERMILION, SKY)
"""Colours of variants, in this order. These six differ in every kind of colour vision; more would not."""

DARK: Mapping[str, str] = MappingProxyType(
    {
        INK: "#e8ecf1",
        MUTED: "#9fabb8",
        FAINT: "#5a6672",
        GRID: "#2a323b",
        BAND: "#232b34",
        SURFACE: "#171c22",
        BLUE: "#4ea6dc",
        ORANGE: "#eda63a",
        GREEN: "#2fbf93",
        VERMILION: "#ef7b3a",
        PINK: "#d896cb",
        SKY: "#8cccf0",
    }
)
"""The dark page's colour for each light one."""


def variable(colour: str) -> str:
    """Name of the CSS variable with a light colour, or, on a dark page, with its dark counterpart."""
    return f"--colour-{colour.removeprefix('#')}"


def drawing() -> AbstractContextManager[None]:
    """A context with the settings of matplotlib for drawing and saving a figure; it restores the old ones."""
    seaborns: dict[Any, Any] = {**sns.plotting_context("paper"), **sns.axes_style("ticks")}
    return mpl.rc_context(
        {
            **seaborns,
            "figure.facecolor": SURFACE,
            "axes.facecolor": "none",
            "savefig.facecolor": SURFACE,
            "text.color": INK,
            "axes.labelcolor": MUTED,
            "axes.edgecolor": FAINT,
            "axes.titlesize": 9.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 9,
            "axes.linewidth": 0.8,
            "axes.grid": False,
            "grid.color": GRID,
            "grid.linewidth": 0.8,
            "xtick.color": FAINT,
            "ytick.color": FAINT,
            "xtick.labelcolor": MUTED,
            "ytick.labelcolor": MUTED,
            "xtick.labelsize": 8.5,
            "ytick.labelsize": 8.5,
            "xtick.major.size": 3,
            "ytick.major.size": 3,
            "xtick.major.width": 0.8,
            "ytick.major.width": 0.8,
            "font.family": ["DejaVu Sans"],
            "font.size": 9,
            "legend.fontsize": 8.5,
            "legend.frameon": False,
            # Names of variants and hyperparameters are text, never mathematics.
            "text.parse_math": False,
            "axes.formatter.use_mathtext": False,
            "axes.unicode_minus": True,
            # Text stays text: readers can select and search it, and it takes the font of the page.
            "svg.fonttype": "none",
            "svg.hashsalt": "ablations",
        }
    )
