"""The error budget of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ablations.stats.intervals import require_fraction, require_margin


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Family-wise error rate and margin of a study, with the comparisons that share the rate, at one look.

    Raises:
        ValueError: a field is out of its range.
    """

    alpha: float
    """Family-wise error rate over all verdicts of the study, in (0, 1)."""
    margin: float
    """Smallest difference that matters, points, above zero."""
    num_comparisons: int
    """K, the number of planned contrasts, at least 1. A contrast counts even if it cannot be judged."""
    share: float = 1.0
    """Part of `alpha` that this look may spend, in (0, 1]; the shares of all looks add up to at most 1."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_fraction("alpha", self.alpha)
        require_margin(self.margin)
        if self.num_comparisons < 1 or not 0 < self.share <= 1:
            raise ValueError(
                f"need num_comparisons >= 1 and 0 < share <= 1, not {self.num_comparisons} and {self.share}"
            )

    @property
    def look_alpha(self) -> float:
        """Family-wise error rate of one look, in (0, 1)."""
        return self.alpha * self.share

    @property
    def step_alpha(self) -> float:
        """Level of the first step of the step-down procedure, alpha / K of one look, in (0, 1)."""
        return self.look_alpha / self.num_comparisons


def shares(looks: Sequence[int]) -> tuple[float, ...]:
    """The part of alpha that each planned look may spend: the seeds that it adds, of the seeds in all.

    The errors of the looks add up to at most alpha, however their results depend on each other.

    Args:
        looks: numbers of seeds, increasing, at least 1.
    """
    return tuple((after - before) / looks[-1] for before, after in pairwise((0, *looks)))
