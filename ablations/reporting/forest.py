"""The comparisons of a study as rows of a forest plot, to be drawn by the page itself: positions in percent of its width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from ablations.analysis.summary import Contrast, StudySummary
from ablations.reporting import looks, words
from ablations.stats.intervals import Interval

MAX_DOTS = 60
"""A row with more units has no dots: nobody can distinguish them, and the page stays small."""


@dataclass(frozen=True)
class Dot:
    """The difference of one seed or search."""

    x: float
    text: str


@dataclass(frozen=True)
class Bar:
    """An interval, cut at the ends of the axis."""

    start: float
    width: float
    text: str
    is_cut_left: bool
    is_cut_right: bool


@dataclass(frozen=True)
class Row:
    """A comparison."""

    name: str
    description: str
    against: str
    """The reference, if it is not the one of the whole plot; else empty."""
    mean: float | None
    """Place of the mean; None without a pair."""
    interval: Bar | None
    simultaneous: Bar | None
    dots: tuple[Dot, ...]
    effect: str
    """Mean difference, in words."""
    span: str
    """Its interval, in words; empty without one."""
    units: str
    look: str
    chip: str
    """The verdict in a word or two."""
    verdict: str
    """The verdict in full."""
    failed: str
    """Failed runs of both arms, if their numbers differ; else empty."""
    tone: str
    sort_key: float | str
    """The mean difference; empty without a pair."""


@dataclass(frozen=True)
class Tick:
    """A tick of the axis."""

    x: float
    label: str


@dataclass(frozen=True)
class Forest:
    """The plot."""

    rows: tuple[Row, ...]
    reference: str
    """Name of the only reference; `reference` if there are several."""
    margin: Bar
    zero: float
    ticks: tuple[Tick, ...]


def forest(summary: StudySummary) -> Forest | None:
    """The comparisons of a study; None if it has none."""
    if not summary.contrasts:
        return None
    low, high = _limits(summary)

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    references = {contrast.versus for contrast in summary.contrasts}
    reference = references.pop() if len(references) == 1 else ""
    margin = summary.decision.margin
    band = _bar(Interval(-margin, margin, 0.95), (low, high), f"margin: ±{words.plural(margin, 'point')}")
    ticks = [each for each in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= each <= high]
    return Forest(
        rows=tuple(_row(summary, contrast, (low, high), reference) for contrast in summary.contrasts),
        reference=reference or "reference",
        margin=band,
        zero=place(0.0),
        ticks=tuple(Tick(place(each), f"{each:+g}".replace("-", words.MINUS) if each else "0") for each in ticks),
    )


def _row(summary: StudySummary, contrast: Contrast, limits: tuple[float, float], reference: str) -> Row:
    judgement, margin = contrast.judgement, summary.decision.margin
    evidence, variant = judgement.evidence, summary[contrast.variant]
    low, high = limits
    name = words.interval_name(summary)
    wide = evidence.simultaneous_interval if evidence else None
    span = (
        ""
        if evidence is None
        else f"[{words.end(evidence.interval.lower, margin)}, {words.end(evidence.interval.upper, margin)}]"
    )
    verdict = words.verdict_and_failures(summary, contrast)
    return Row(
        name=contrast.variant,
        description=variant.description,
        against="" if contrast.versus == reference else contrast.versus,
        mean=None if judgement.mean is None else round(100 * (judgement.mean - low) / (high - low), 2),
        interval=_bar(evidence.interval, limits, f"{name}: {span}") if evidence else None,
        simultaneous=_bar(wide, limits, f"all contrasts together: {words.span(wide, margin)}") if wide else None,
        dots=_dots(summary, contrast, limits),
        effect=words.DASH if judgement.mean is None else words.points(judgement.mean, signed=True),
        span=span,
        units=words.units(contrast),
        look=looks.short_look(summary, contrast) if len(summary.looks) > 1 else "",
        chip=words.chip(contrast),
        verdict=verdict,
        failed=words.failed_runs(summary, contrast),
        tone=words.tone(contrast),
        sort_key="" if judgement.mean is None else judgement.mean,
    )


def _dots(summary: StudySummary, contrast: Contrast, limits: tuple[float, float]) -> tuple[Dot, ...]:
    """A dot per unit of the test."""
    low, high = limits
    found = {unit: value for unit, value in _units(summary, contrast).items() if low <= value <= high}
    if len(found) > MAX_DOTS:
        return ()
    unit = contrast.judgement.unit
    return tuple(
        Dot(round(100 * (value - low) / (high - low), 2), f"{unit} {number}: {words.points(value, signed=True)}")
        for number, value in found.items()
    )


def _units(summary: StudySummary, contrast: Contrast) -> dict[int, float]:
    """Difference of each seed, or the mean over the seeds of each search, points."""
    if contrast.judgement.unit == "seed":
        return dict(contrast.differences)
    by_search: dict[int, list[float]] = {}
    for seed, value in contrast.differences.items():
        by_search.setdefault(summary.searches[seed], []).append(value)
    return {search: float(np.mean(values)) for search, values in by_search.items()}


def _limits(summary: StudySummary) -> tuple[float, float]:
    """Ends of the axis: around all units, zero and the margin, with room for intervals.

    Intervals from two or three pairs can be fifty times as wide as the data; they are cut, and marked.
    """
    margin = summary.decision.margin
    units = (value for contrast in summary.contrasts for value in _units(summary, contrast).values())
    seen = [-1.3 * margin, 1.3 * margin, *filter(np.isfinite, units)]
    reach = 0.6 * (max(seen) - min(seen))
    intervals = list(_intervals(summary.contrasts))
    low = max(min(seen) - reach, min([*seen, *(each.lower for each in intervals)]))
    high = min(max(seen) + reach, max([*seen, *(each.upper for each in intervals)]))
    pad = 0.03 * (high - low)
    return low - pad, high + pad


def _intervals(contrasts: Iterable[Contrast]) -> Iterable[Interval]:
    for contrast in contrasts:
        evidence = contrast.judgement.evidence
        both: Sequence[Interval | None] = (evidence.interval, evidence.simultaneous_interval) if evidence else ()
        yield from filter(None, both)


def _bar(interval: Interval, limits: tuple[float, float], text: str) -> Bar:
    low, high = limits
    start, end = (min(max(each, low), high) for each in (interval.lower, interval.upper))
    scale = 100 / (high - low)
    return Bar(
        round(scale * (start - low), 2),
        round(scale * (end - start), 2),
        text,
        interval.lower < low,
        interval.upper > high,
    )
