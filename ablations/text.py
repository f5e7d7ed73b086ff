"""Quantities and foreign text, in words for people."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path


def timestamp() -> str:
    """The present minute, for a report: `2026-01-02 03:04 UTC`."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def mebibytes(num_bytes: int) -> str:
    """Memory in three digits or more: `1.5 MiB`, `1,204 MiB`."""
    value = num_bytes / 2**20
    return f"{value:,.0f} MiB" if value >= 100 else f"{value:.3g} MiB"


def latency(seconds: float) -> str:
    """A computing time in three digits: `812 µs`, `1.52 ms`, `2.04 s`."""
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= 0.9995 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def plural(number: float, noun: str) -> str:
    """`1 seed`, `5 seeds`, `0.5 points`."""
    shown = f"{number:g}" if isinstance(number, float) else str(number)
    return f"{shown} {noun}" if number == 1 else f"{shown} {noun}{'es' if noun.endswith('search') else 's'}"


def in_words(seconds: float) -> str:
    """A waiting time: `25 s`, `4 min`, `1.5 h`, `3 days`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:,.0f} days"


def printable(text: str) -> str:
    """Text of files, stores and libraries for a terminal: control characters are written out and have no effect."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def raised(error: BaseException) -> str:
    """An error of a user's code, with its innermost line outside of torch: `ValueError: too wide (resnet.py:31)`."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if "torch" not in Path(each.filename).parts]
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The `known` name closest to a name, if any is close; `lr` means `train.lr`."""
    names = sorted(known)
    suffixed = [each for each in names if each.endswith(f".{name}")]
    return next(iter(suffixed or difflib.get_close_matches(name[:100], names, n=1, cutoff=0.6)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint with the closest of the `known` names, else with all of them."""
    names = sorted(known)
    close = closest(name, names)
    return f"did you mean {close!r}?" if close else f"known here: {', '.join(names) or 'nothing'}."


def readable(part: object) -> str:
    """A key or name for a message: short, on one line, and in ASCII, to tell look-alike letters apart."""
    text = ascii(part)[1:-1] if isinstance(part, str) else str(part)
    return text if len(text) <= 80 else f"{text[:77]}..."


def shown(value: object) -> str:
    """A value for a message: in YAML's notation, short, and in ASCII, to tell look-alike letters apart."""
    words = {None: "nothing", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def percent(value: float) -> str:
    """A percentage with at most one decimal: `20 %`, `55.6 %`."""
    return f"{round(value, 1):g} %"


def points(value: float) -> str:
    """Size of a difference in percentage points, without its sign: `0.62`, `under 0.01`."""
    size = abs(value)
    return "under 0.01" if 0 < size < 0.005 else f"{size:.2f}"
