"""Contents of matplotlib figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def text_of(figure: Figure) -> str:
    """All text of a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def faults_of(figure: Figure) -> Iterator[str]:
    """Texts of a figure that are cut or overlap, and panels under 0.4 inches."""
    figure.draw_without_rendering()
    texts = [(text.get_text(), Text.get_window_extent(text)) for text in _texts(figure)]
    canvas = figure.bbox.padded(1)
    for text, box in texts:
        if not (canvas.contains(box.x0, box.y0) and canvas.contains(box.x1, box.y1)):
            yield f"{text!r} is outside of the canvas"
    for (one, box), (other, another) in combinations(texts, 2):
        shared = Bbox.intersection(box, another)
        # A box has room for the tallest letters; a tenth of a line may be shared.
        if shared is not None and min(shared.width, shared.height) > 0.1 * min(box.height, another.height):
            yield f"{one!r} overlaps {other!r}"
    for axes in figure.axes:
        extent = axes.get_window_extent()
        if axes.get_visible() and min(extent.width, extent.height) < 0.4 * figure.dpi:
            yield f"a panel has {extent.width / figure.dpi:.2f} by {extent.height / figure.dpi:.2f} inches"


def _texts(figure: Figure) -> Iterable[Text]:
    """The texts that are drawn."""
    found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        if axes.get_visible() and axes.axison:
            found += [child for child in axes.get_children() if isinstance(child, Text)]
            for axis in (axes.xaxis, axes.yaxis):
                found += [axis.label, *_tick_labels(axis)]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def _tick_labels(axis: Axis) -> list[Text]:
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
