"""Colours and type of the report: one palette for figures and page, in light and dark.

Figures are drawn in the light colours. The page replaces them by CSS variables, so its figures follow the reader's
light or dark setting. The SVG and PNG files keep the light colours on a white ground.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Sheet:
    """A place for figures: its width, and the sizes that fit it."""

    width: float
    """Inches."""
    title_size: float
    """Typographic points, as the other sizes."""
    label_size: float
    text_size: float
    max_columns: int
    """Panels side by side."""
    name_width: int
    """Characters per line of a name beside a row."""
    has_margin: bool
    """Whether the texts of a row have room beside it; otherwise they are above it."""
    scale: float
    """Size of markers and lines, as a share of their size on the page."""
    dpi: float
    """Of figures as pixels, and of the parts of a drawing that are pixels."""


PAGE = Sheet(10.0, 9.5, 9.0, 8.5, max_columns=4, name_width=24, has_margin=True, scale=1.0, dpi=160.0)
"""The page of a report on a wide screen."""
COLUMN = Sheet(3.3, 7.5, 7.0, 7.0, max_columns=2, name_width=44, has_margin=False, scale=0.75, dpi=220.0)
"""A column of a paper, and a phone: its smallest text is 9.8 pixels tall on a screen of 390 pixels."""


def drawing(sheet: Sheet = PAGE) -> AbstractContextManager[None]:
    """A context with the settings of matplotlib for drawing and saving a figure; it restores the old ones."""
    seaborns: dict[Any, Any] = {**sns.plotting_context("paper"), **sns.axes_style("ticks")}
    return mpl.rc_context(
        {
            **seaborns,
            "figure.dpi": sheet.dpi,
            "figure.facecolor": SURFACE,
            "axes.facecolor": "none",
            "savefig.facecolor": SURFACE,
            "text.color": INK,
            "axes.labelcolor": MUTED,
            "axes.edgecolor": FAINT,
            "axes.titlesize": sheet.title_size,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.titlepad": 6 * sheet.scale,
            "axes.labelsize": sheet.label_size,
            "axes.labelpad": 4 * sheet.scale,
            "axes.linewidth": 0.8 * sheet.scale,
            "axes.grid": False,
            "grid.color": GRID,
            "grid.linewidth": 0.8 * sheet.scale,
            "xtick.color": FAINT,
            "ytick.color": FAINT,
            "xtick.labelcolor": MUTED,
            "ytick.labelcolor": MUTED,
            "xtick.labelsize": sheet.text_size,
            "ytick.labelsize": sheet.text_size,
            "xtick.major.size": 3 * sheet.scale,
            "ytick.major.size": 3 * sheet.scale,
            "xtick.major.width": 0.8 * sheet.scale,
            "ytick.major.width": 0.8 * sheet.scale,
            "font.family": ["DejaVu Sans"],
            "font.size": sheet.text_size,
            "legend.fontsize": sheet.text_size,
            "legend.frameon": False,
            # Names of variants and hyperparameters are text, never mathematics.
            "text.parse_math": False,
            "axes.formatter.use_mathtext": False,
            "axes.unicode_minus": True,
            # Text stays text: readers can select and search it, and it takes the font of the page.
            "svg.fonttype": "none",
            "svg.hashsalt": "ablations",
            # Publishers ask for TrueType fonts.
            "pdf.fonttype": 42,
        }
    )
