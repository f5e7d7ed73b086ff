"""Sentences on the two kinds of luck: that of a seed, and that of a search."""

from __future__ import annotations

from collections.abc import Iterator

from ablations.analysis.summary import Contrast, StudySummary
from ablations.reporting import words
from ablations.stats.components import Spread


def simulated_retune_sd(summary: StudySummary, contrast: Contrast) -> float | None:
    """How far repeated searches would move a difference, simulated from the only search of each side: sd in points.

    None if a side has no simulation.
    """
    sides = [summary.choices.get(name) for name in (contrast.variant, contrast.versus)]
    if None in sides:
        return None
    return float(sum(each.retune_sd_points**2 for each in sides if each) ** 0.5)


def examined(contrast: Contrast) -> str:
    """The cross-examination of a contrast in a sentence; empty without one."""
    if contrast.examination is None:
        return ""
    each = contrast.examination.at_variant, contrast.examination.at_reference
    parts = [
        f"{words.points(at.mean, signed=True)}{'' if at.interval is None else f' [{words.points(at.interval.lower, signed=True)}, {words.points(at.interval.upper, signed=True)}]'} "
        f"with both at {words.settings(at.values, digits=3)} ({words.plural(at.num_pairs, 'pair')})"
        for at in each
    ]
    return f"Cross-examined, for exploration: {'; '.join(parts)}."


def left_out(summary: StudySummary) -> str:
    """The luck that the verdicts of a study with one search leave out, with its size; empty if there is none."""
    if not summary.search_space or summary.searches or not summary.contrasts:
        return ""
    moved = [simulated_retune_sd(summary, contrast) for contrast in summary.contrasts]
    known = sorted({words.points(each) for each in moved if each is not None}, key=float)
    size = ""
    if known:
        range_of = known[0] if len(known) == 1 else f"{known[0]} to {known[-1]}"
        size = f" Simulated from the recorded searches, it moves a difference by about {range_of} points (sd)."
    return (
        "The verdicts hold for these tuned values. They leave out the luck of tuning: another search would choose other values."
        f"{size} With `tuning.searches` they hold for the variants."
    )


def spread(summary: StudySummary) -> Iterator[str]:
    """The measured spread from seed to seed and from search to search, pooled over the variants."""
    noise = summary.noise
    if noise.reseed is not None:
        yield f"From seed to seed, accuracies have a standard deviation of {_with_interval(noise.reseed)} points, pooled over the variants."
    if noise.retune is not None:
        yield f"From search to search, they scatter by {_with_interval(noise.retune)} points beyond that."
    elif len(summary.searches) == summary.num_searches > 1:
        yield "Each search has one seed, so the luck of the search cannot be separated from the luck of the seed."


def searches(summary: StudySummary) -> str:
    """How the seeds are split between searches; empty if there is one search."""
    if not summary.searches:
        return ""
    each = len(summary.searches) // summary.num_searches
    pooled = (
        " Their spread is pooled over the variants. This assumes that the searches and seeds of all variants scatter equally."
        if summary.decision.pooled
        else ""
    )
    return (
        f" Each variant has {summary.num_searches} planned searches, each with {words.plural(each, 'confirm seed')}. Draws and training "
        "seeds differ between searches and are the same for every variant. The unit of every test is the search: the mean difference over "
        f"its seeds.{pooled}"
    )


def _with_interval(one: Spread) -> str:
    return f"{words.points(one.sd)} [{words.points(one.interval.lower)}, {words.points(one.interval.upper)}]"
