"""What a paired sample holds, and what it may be called: the records of `verdicts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto
from typing import Literal

import numpy as np

from ablations.stats.intervals import Array, Interval
from ablations.stats.power import SeedsNeeded


class Verdict(StrEnum):
    """What a contrast may be called; better and worse are the variant's."""

    BETTER = auto()
    WORSE = auto()
    BETTER_BY_LESS = auto()
    WORSE_BY_LESS = auto()
    BETTER_BY_MORE = auto()
    WORSE_BY_MORE = auto()
    EQUIVALENT = auto()
    UNDECIDED_MORE_SEEDS = auto()
    UNDECIDED_MORE_SEEDS_WILL_NOT_HELP = auto()
    EXPLORATORY = auto()
    NO_VERDICT = auto()

    @property
    def words(self) -> str:
        """The verdict as a table shows it."""
        return _WORDS[self]

    @property
    def word(self) -> str:
        """The words without what follows from them: undecided is undecided, whether or not more seeds may decide."""
        return self.words.partition(":")[0]

    @property
    def is_withheld(self) -> bool:
        """Whether it is none: nothing is claimed, and nothing of the error budget spent."""
        return self in {Verdict.NO_VERDICT, Verdict.EXPLORATORY}


_WORDS = {
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
    Verdict.BETTER_BY_LESS: "better, but by less than the margin",
    Verdict.WORSE_BY_LESS: "worse, but by less than the margin",
    Verdict.BETTER_BY_MORE: "better by more than the margin",
    Verdict.WORSE_BY_MORE: "worse by more than the margin",
    Verdict.EQUIVALENT: "equivalent within the margin",
    Verdict.UNDECIDED_MORE_SEEDS: "undecided: more seeds may decide",
    Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP: "undecided: more seeds will not help",
    Verdict.EXPLORATORY: "exploratory",
    Verdict.NO_VERDICT: "no verdict",
}


@dataclass(frozen=True)
class PairedSample:
    """One planned contrast: outcomes of a variant and its reference by seed.

    Raises:
        ValueError: a count is negative or more failed than ran; `correct` does not have the shape, the values or the
            row means that `differences` call for.
    """

    differences: Mapping[int, float]
    """Seed -> variant minus reference, points; pairs where both learned."""
    num_planned: int
    """Planned pairs."""
    num_missing: int
    """Planned pairs with a missing run (crash, budget)."""
    num_failed: int
    """Runs of the variant that ran and did not learn, of `num_ran`."""
    num_failed_reference: int
    num_ran: int
    num_ran_reference: int
    correct: Array | None = field(default=None, compare=False, repr=False)
    """Right (1) or wrong (0), variant minus reference: -1, 0 or 1; shape (num_pairs, num_images), by sorted seeds."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        counts = (self.num_planned, self.num_missing, self.num_failed, self.num_failed_reference)
        if min(counts) < 0 or self.num_failed > self.num_ran or self.num_failed_reference > self.num_ran_reference:
            raise ValueError(f"counts must be at least 0 and no more may fail than ran: {self}")
        if self.correct is None:
            return
        correct, values = np.asarray(self.correct), self.values
        if (
            correct.ndim != 2
            or len(correct) != len(values)
            or correct.shape[1] < 2
            or not np.isin(correct, (-1, 0, 1)).all()
        ):
            raise ValueError(
                f"correct must hold -1, 0 or 1 in shape ({len(values)}, at least 2 images), not shape {correct.shape}"
            )
        # Half an image: rounded percentages pass, rows in another order than the seeds do not.
        if np.any(np.abs(100 * correct.mean(axis=1) - values) > 50 / correct.shape[1]):
            raise ValueError("correct does not average to differences: are its rows in the order of the sorted seeds?")

    @property
    def values(self) -> Array:
        """Differences in order of their seeds, shape (num_pairs,), points."""
        return np.array([self.differences[seed] for seed in sorted(self.differences)], dtype=np.float64)

    def without(self, seed: int) -> PairedSample:
        """The sample as if a seed had been neither planned nor run; itself where there is no pair of that seed."""
        if seed not in self.differences:
            return self
        row = sorted(self.differences).index(seed)
        return replace(
            self,
            differences={each: value for each, value in self.differences.items() if each != seed},
            num_planned=self.num_planned - 1,
            num_ran=self.num_ran - 1,
            num_ran_reference=self.num_ran_reference - 1,
            correct=None if self.correct is None else np.delete(self.correct, row, axis=0),
        )


@dataclass(frozen=True)
class Judgement:
    """What a paired sample shows, and the word for it. None wherever the sample does not carry the number."""

    num_pairs: int
    mean: float | None
    """Mean difference, points."""
    sd: float | None
    """Standard deviation of the differences (never of the mean), points."""
    spread: float | None
    """`sd`, or `CrossedVariance.spread` where the images are known and that is larger: what more seeds find goes by it."""
    interval: Interval | None
    """Pointwise, 95 % (or 1 - alpha where that is less, so that interval and word agree)."""
    simultaneous_interval: Interval | None
    """At 1 - alpha / K: all K planned contrasts together cover with probability 1 - alpha."""
    basis: Literal["seeds", "seeds and images"] | None
    """What the intervals and p-values are for: new seeds on these images, or new seeds and new images."""
    p_difference: float | None
    """Of a true difference of 0."""
    p_equivalence: float | None
    """Of a true difference of the margin or more, on either side."""
    p_difference_adjusted: float | None
    """Over all words of the study; compare with alpha. None where no word was at stake."""
    p_equivalence_adjusted: float | None
    p_sign_flip: float | None
    """A check on t that assumes symmetry only; over seeds."""
    p_sign_flip_floor: float | None
    """The least that `p_sign_flip` can be with so many pairs."""
    fragile: bool
    """The t test over seeds and the sign flips fall on different sides of alpha."""
    wins: int
    """Pairs in which the variant is better."""
    losses: int
    ties: int
    probability_of_improvement: Interval | None
    """95 % interval for the chance that the variant wins a fresh pair that is not tied, in [0, 1]."""
    image_floor: float | None
    """Standard error that infinitely many seeds would leave, points: the resolution of the test set."""
    verdict: Verdict
    seeds_needed: SeedsNeeded | None
    """With `UNDECIDED_MORE_SEEDS` only."""
    notes: tuple[str, ...]
    """Clauses that qualify the verdict or say why there is none."""
