"""Rare bad runs: they learned, and ended far below the others. A mean over few seeds says little about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablations.stats.intervals import clopper_pearson


@dataclass(frozen=True)
class BadRuns:
    """Bad runs among those that learned, on both sides of a contrast."""

    num: int = 0
    """Of the variant."""
    num_learned: int = 0
    num_reference: int = 0
    num_learned_reference: int = 0
    size: float = 0.0
    """How far the worst bad run of the study, of any variant, is below its variant's median, points; 0 if the study has none."""

    @property
    def highest_rate(self) -> float:
        """95 % upper limit for the share of bad runs on either side, whichever is higher, in [0, 1]."""
        sides = ((self.num, self.num_learned), (self.num_reference, self.num_learned_reference))
        return max(clopper_pearson(bad, learned).upper if learned else 1.0 for bad, learned in sides)

    def may_hide(self, margin: float) -> bool:
        """Whether bad runs as frequent as they may be would move a mean by more than the margin, points."""
        return self.size > 0 and self.highest_rate * self.size > margin


def pairs_without_bad_runs(size: float, margin: float) -> int:
    """Least number of pairs without a bad run from which `BadRuns.may_hide` no longer holds.

    Args:
        size: of a bad run, points, above the margin.
        margin: smallest difference that matters, points, above zero.
    """
    return int(np.ceil(np.log(0.025) / np.log1p(-margin / size)))
