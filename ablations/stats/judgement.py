"""The records of `verdicts`: a paired sample, the evidence in it, and the judgement on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto
from typing import Literal

import numpy as np

from ablations.stats.intervals import Array, CrossedVariance, Estimate, Interval, WiderEstimate
from ablations.stats.power import SeedsNeeded
from ablations.stats.rare import BadRuns

Unit = Literal["seed", "search"]
"""The unit of a test: independent repetitions of what its words are about."""
Basis = Literal["seeds", "seeds and images", "searches", "searches and images"]
"""What an interval is over."""
_UNIT_WORDS: Mapping[Unit, str] = {"seed": "paired seed", "search": "search"}


class Verdict(StrEnum):
    """The verdict on a contrast; better and worse refer to the variant."""

    BETTER = auto()
    WORSE = auto()
    BETTER_BY_LESS = auto()
    WORSE_BY_LESS = auto()
    BETTER_BY_MORE = auto()
    WORSE_BY_MORE = auto()
    EQUIVALENT = auto()
    UNDECIDED_MORE_SEEDS = auto()
    UNDECIDED_MORE_SEEDS_WILL_NOT_HELP = auto()
    UNDECIDED_FUTILE = auto()
    EXPLORATORY = auto()
    NO_VERDICT = auto()

    @property
    def words(self) -> str:
        """Wording of the verdict in tables."""
        return _WORDS[self]

    @property
    def word(self) -> str:
        """The words up to a colon: "undecided" is the same, whatever the reason."""
        return self.words.partition(":")[0]

    @property
    def is_withheld(self) -> bool:
        """Whether it claims nothing and spends nothing of the error budget."""
        return self in {Verdict.NO_VERDICT, Verdict.EXPLORATORY}


_WORDS = {
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
    Verdict.BETTER_BY_LESS: "better, but by less than the margin",
    Verdict.WORSE_BY_LESS: "worse, but by less than the margin",
    Verdict.BETTER_BY_MORE: "better by more than the margin",
    Verdict.WORSE_BY_MORE: "worse by more than the margin",
    Verdict.EQUIVALENT: "equivalent within the margin",
    Verdict.UNDECIDED_MORE_SEEDS: "undecided: too few seeds",
    Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP: "undecided: more seeds will not help",
    Verdict.UNDECIDED_FUTILE: "undecided: the planned looks are unlikely to decide",
    Verdict.EXPLORATORY: "exploratory",
    Verdict.NO_VERDICT: "no verdict",
}


@dataclass(frozen=True)
class PairedSample:
    """One planned contrast: outcomes of a variant and its reference by seed.

    Raises:
        ValueError: a count is negative, or more runs failed than ran. Or the shape, values or row means of `correct` do
            not agree with `differences`.
    """

    differences: Mapping[int, float]
    """Seed -> variant minus reference, points; pairs with a network that learned on both sides."""
    num_planned: int
    """Planned pairs."""
    num_missing: int
    """Planned pairs with a missing run (crash, budget)."""
    num_failed: int
    """Runs of the variant that ended without learning, of `num_ran`."""
    num_failed_reference: int
    num_ran: int
    num_ran_reference: int
    correct: Array | None = field(default=None, compare=False, repr=False)
    """Right (1) or wrong (0), variant minus reference: -1, 0 or 1; shape (num_pairs, num_images), by sorted seeds."""
    bad: BadRuns = field(default_factory=BadRuns)
    searches: Mapping[int, int] = field(default_factory=dict)
    """Seed -> number of the search behind its pair, if the search is the unit of the test; empty if the seed is."""

    def __post_init__(self) -> None:
        """Check that the fields agree."""
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
        # Half an image: rounded percentages pass, rows in the wrong order of seeds do not.
        if np.any(np.abs(100 * correct.mean(axis=1) - values) > 50 / correct.shape[1]):
            raise ValueError("correct does not average to differences: are its rows in the order of the sorted seeds?")

    @property
    def values(self) -> Array:
        """Differences in order of their seeds, shape (num_pairs,), points."""
        return np.array([self.differences[seed] for seed in sorted(self.differences)], dtype=np.float64)

    @property
    def unit(self) -> Unit:
        """The unit of the test."""
        return "search" if self.searches else "seed"

    @property
    def seeds_by_unit(self) -> Mapping[int, tuple[int, ...]]:
        """Each unit in ascending order -> the seeds of its pairs; a unit without a pair is left out."""
        found: dict[int, tuple[int, ...]] = {}
        for seed in sorted(self.differences):
            unit = self.searches.get(seed, seed)
            found[unit] = (*found.get(unit, ()), seed)
        return dict(sorted(found.items()))

    @property
    def unit_differences(self) -> Mapping[int, float]:
        """Unit -> mean difference over its pairs, points."""
        return {
            unit: float(np.mean([self.differences[seed] for seed in seeds]))
            for unit, seeds in self.seeds_by_unit.items()
        }

    @property
    def unit_correct(self) -> Array | None:
        """`correct`, averaged over the pairs of each unit, shape (num_units, num_images)."""
        if self.correct is None or not self.searches:
            return self.correct
        rows = {seed: row for row, seed in enumerate(sorted(self.differences))}
        means = [self.correct[[rows[seed] for seed in seeds]].mean(axis=0) for seeds in self.seeds_by_unit.values()]
        return np.stack(means) if means else None

    def without(self, unit: int) -> PairedSample:
        """The sample as if `unit` had been neither planned nor run. Without a pair of it, the sample stays as it is."""
        gone = self.seeds_by_unit.get(unit, ())
        if not gone:
            return self
        kept = [seed not in gone for seed in sorted(self.differences)]
        return replace(
            self,
            differences={seed: value for seed, value in self.differences.items() if seed not in gone},
            num_planned=self.num_planned - len(gone),
            num_ran=self.num_ran - len(gone),
            num_ran_reference=self.num_ran_reference - len(gone),
            correct=None if self.correct is None else self.correct[kept],
        )


@dataclass(frozen=True)
class Evidence:
    """An estimate of the mean difference and its tests. It exists if the differences vary from seed to seed."""

    estimate: Estimate | WiderEstimate
    """Over seeds, or over seeds and images: at each level the one that claims less."""
    basis: Basis
    """Scope of `interval`: new seeds or searches on these images, or with new images."""
    interval: Interval
    """Pointwise, 95 %, or 1 - alpha if lower, so that interval and verdict agree."""
    simultaneous_interval: Interval | None
    """At 1 - alpha / K: the intervals of all K planned contrasts cover together with probability 1 - alpha. None if unplanned."""
    spread: float
    """Standard deviation for the number of seeds needed, points: `sd`, or `CrossedVariance.spread` if known and larger."""
    variance: CrossedVariance | None
    """The parts of the variance over units and images. None if the right images are unknown."""
    image_floor: float | None
    """Standard error with infinitely many seeds, points: the resolution of the test set. None if the right images are unknown."""
    p_difference: float
    """Of a true difference of 0."""
    p_equivalence: float
    """Of a true difference of the margin or more, on either side: by t, or by the number of changed images if that is larger. It is
    1 if bad runs may be frequent enough to hide such a difference."""
    p_equivalence_floor: float | None
    """About its value with many seeds and no difference in all. None if the right images are unknown."""
    p_sign_flip: float
    """A check on the t test that assumes only symmetry; over seeds."""
    p_sign_flip_floor: float
    """Smallest possible `p_sign_flip` with this number of pairs."""
    fragile: bool
    """Whether the t test over seeds and the sign flips are on different sides of alpha."""
    p_difference_adjusted: float | None = None
    """Over all verdicts of the study; compare with alpha. None if no verdict was at stake."""
    p_equivalence_adjusted: float | None = None


@dataclass(frozen=True)
class Judgement:
    """The verdict on a paired sample, and the numbers behind it."""

    num_pairs: int
    """Units of the test with a pair in which both learned: paired seeds, or searches."""
    mean: float | None
    """Mean difference over the units, points. None without pairs, or if a difference is not finite."""
    sd: float | None
    """Standard deviation of the differences (never of the mean), points. None with fewer than two pairs."""
    wins: int
    """Pairs with the variant ahead."""
    losses: int
    ties: int
    probability_of_improvement: Interval | None
    """95 % interval for the chance that the variant wins a fresh pair without a tie, in [0, 1]. None if all pairs are tied."""
    evidence: Evidence | None
    """None if the differences do not vary, or there are fewer than two."""
    verdict: Verdict
    notes: tuple[str, ...]
    """Clauses that qualify the verdict or give the reason for its absence."""
    seeds_needed: SeedsNeeded | None = None
    """In units of the test. With `UNDECIDED_MORE_SEEDS` and `UNDECIDED_FUTILE` only."""
    unit: Unit = "seed"

    @property
    def unit_words(self) -> str:
        """One unit of the test, in words."""
        return _UNIT_WORDS[self.unit]

    @property
    def interval(self) -> Interval | None:
        """Pointwise interval of the mean difference; None without evidence."""
        return None if self.evidence is None else self.evidence.interval
