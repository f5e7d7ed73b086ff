"""The error budget of a study."""

from __future__ import annotations

from dataclasses import dataclass

from ablations.stats.intervals import require_fraction, require_margin


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Family-wise error rate and margin of a study, with the comparisons and looks that share the rate.

    Raises:
        ValueError: a field is out of its range.
    """

    alpha: float
    """Family-wise error rate over all verdicts of the study, in (0, 1)."""
    margin: float
    """Smallest difference that matters, points, above zero."""
    num_comparisons: int
    """K, the number of planned contrasts, at least 1. A contrast counts even if it cannot be judged."""
    num_looks: int = 1
    """Planned looks at the results, at least 1."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_fraction("alpha", self.alpha)
        require_margin(self.margin)
        if self.num_comparisons < 1 or self.num_looks < 1:
            raise ValueError(
                f"need num_comparisons >= 1 and num_looks >= 1, not {self.num_comparisons} and {self.num_looks}"
            )

    @property
    def look_alpha(self) -> float:
        """Family-wise error rate of one look, in (0, 1)."""
        return self.alpha / self.num_looks

    @property
    def step_alpha(self) -> float:
        """Level of the first step of the step-down procedure, alpha / K of one look, in (0, 1)."""
        return self.look_alpha / self.num_comparisons
