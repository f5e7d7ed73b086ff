"""Contents of matplotlib figures."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.figure import Figure


def text_of(figure: Figure) -> str:
    """All text of a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(mpl.text.Text))
