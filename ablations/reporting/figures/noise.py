"""Figures that show only noise at a study's scale: the report leaves them out and says why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablations.analysis.summary import StudySummary
from ablations.analysis.variants import MIN_DRAWS
from ablations.reporting import words
from ablations.reporting.figures.curve_differences import bands
from ablations.reporting.figures.frame import units_of
from ablations.stats.intervals import MIN_PAIRS_TO_LOOK


@dataclass(frozen=True)
class LeftOut:
    """A figure that the report leaves out."""

    title: str
    reason: str
    """One sentence."""


def class_differences(summary: StudySummary) -> LeftOut | None:
    """Left out if no class differs after correction; untested classes must not differ at all."""
    classes = [each for contrast in summary.contrasts for each in contrast.class_differences]
    tests = [each.p_adjusted for each in classes if each.p_adjusted is not None]
    untested = any(each.p_adjusted is None and each.mean for each in classes)
    if not tests or untested or min(tests) <= summary.decision.alpha:
        return None
    return LeftOut("Class differences", f"No class differs after correction for {words.plural(len(tests), 'test')}.")


def difference_curves(summary: StudySummary) -> LeftOut | None:
    """Left out if no interval leaves 0 at any epoch."""
    found = bands(summary).values()
    if not found or any(np.any((band.lower > 0) | (band.upper < 0)) for band in found):
        return None
    return LeftOut("Differences while training", "No difference has a 95 % interval without 0 at any epoch.")


def disagreement(summary: StudySummary) -> LeftOut | None:
    """Left out if each contrast has too few pairs for an interval."""
    most = max((len(contrast.disagreement_percent) for contrast in summary.contrasts), default=0)
    if not 0 < most < MIN_PAIRS_TO_LOOK:
        return None
    return LeftOut("Disagreement on single images", f"No contrast has {MIN_PAIRS_TO_LOOK} pairs with known images.")


def seeds_needed(summary: StudySummary) -> LeftOut | None:
    """Left out if each contrast has a verdict."""
    if not summary.contrasts or any(words.tone(contrast) == "open" for contrast in summary.contrasts):
        return None
    return LeftOut(f"{units_of(summary).capitalize()} needed", "Every contrast has a verdict.")


def best_of_n(summary: StudySummary) -> LeftOut | None:
    """Left out if each variant has too few draws for an expectation, or for a search to have a course."""
    if summary.independent_draws:
        counts = [sum(point.role == "draw" for point in variant.tuning) for variant in summary.variants]
    else:
        counts = [sum(point.number is not None for point in variant.tuning) for variant in summary.variants]
    if not 0 < max(counts, default=0) < MIN_DRAWS:
        return None
    title, what = ("Best of n draws", "draws") if summary.independent_draws else ("Best trial so far", "trials")
    return LeftOut(title, f"No variant has {MIN_DRAWS} {what}.")
