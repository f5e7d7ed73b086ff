"""StudySummary: all numbers and words of a report, as records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ablations.costs import Measurement, Workload
from ablations.planning.frozen import Closing, Look
from ablations.stats.bands import Band
from ablations.stats.components import Noise
from ablations.stats.intervals import Interval, clopper_pearson
from ablations.stats.judgement import Judgement, Verdict
from ablations.studyfile.distributions import SearchSpace
from ablations.studyfile.spec import Decision, Expectation
from ablations.trial import EpochRecord, Status
from nin.memory import Memory

Role = Literal["start point", "draw", "re-run"]
"""Of a tuning trial: given beforehand, drawn by the sampler, or one of the best repeated on a fresh seed."""


@dataclass(frozen=True)
class TuningPoint:
    """One tuning trial. Its accuracy is of validation images and was selected for, so it is never a result."""

    number: int | None
    search: int
    """Number of its search."""
    seed: int
    role: Role
    hyperparameters: dict[str, Any]
    status: Status
    validation_accuracy_percent: float | None
    """At the last epoch; None if the trial diverged, failed or was pruned."""


@dataclass(frozen=True)
class Choice:
    """How sure a variant's search was of its chosen values."""

    runner_up: dict[str, Any]
    """Values of the configuration that came second."""
    lead_points: float
    """Validation accuracy of the chosen values minus that of the second, as they were compared, points."""
    noise_points: float
    """Standard deviation of a validation accuracy between trainings of the same values, over all variants, points."""
    other_share: float
    """Share of simulated repetitions of the search that choose other values, in [0, 1]; an underestimate."""
    retune_sd_points: float
    """Standard deviation of the chosen values' validation accuracy over these repetitions, points."""


@dataclass(frozen=True)
class Curve:
    """One confirmation trial, epoch by epoch."""

    seed: int
    learned: bool
    epochs: tuple[EpochRecord, ...]


@dataclass(frozen=True)
class VariantSummary:
    """The results of one variant. Accuracies are of the test split after the last epoch, in percent."""

    name: str
    description: str
    called: str
    """Its wording in a sentence; empty: its name."""
    changes: dict[str, Any]
    expect: Expectation | None
    family: str | None
    params: int
    macs: int
    activations: int
    workload: Workload
    """Memory and speed are counted and measured for it."""
    memory: Memory | None
    """In closed form; None for a registered network."""
    measured: Measurement | None
    """Of this architecture, once; None if it has not been measured."""
    tuned_by_search: dict[int, dict[str, Any]]
    """Values chosen by each search, by its number; empty without a search space, or until tuning is done."""
    at_edge: tuple[str, ...]
    """Searched keys with a value at the edge of the search space that some search chose."""
    noise: Noise
    """Spread of the accuracies of the seeds that learned."""
    accuracy_percent: dict[int, float]
    """By seed: every confirmation trial trained to its last epoch, even if it did not learn."""
    failed_seeds: tuple[int, ...]
    """Seeds that ran without learning: diverged, or a last validation accuracy under the study's `learned_percent`."""
    bad_seeds: tuple[int, ...]
    """Seeds that learned, but never predict some class right, or ended far below the variant's median."""
    missing_seeds: tuple[int, ...]
    """Seeds of its current look without an outcome: not run yet, or failed."""
    mean_accuracy_percent: float | None
    """Over seeds that learned; None without one."""
    sd_accuracy_percent: float | None
    """Standard deviation over seeds that learned; None under two."""
    reseed_disagreement_percent: float | None
    """Share of test images with one seed right and another wrong, over all pairs of seeds that learned; None under two."""
    learning_onset_steps: dict[int, int | None]
    """By seed: first step with the smoothed loss under the onset threshold; None if it never was."""
    dead_classes: dict[int, int]
    """By seed: classes with zero recall on validation images after the last epoch."""
    train_images_per_second: float | None
    """Median over confirmation trials, each measured in its own process while others ran in parallel."""
    trial_seconds: float | None
    """Median over confirmation trials."""
    num_tune_planned: int
    num_tune_done: int
    """Tuning trials with an outcome, re-runs included."""
    num_tune_epochs: int
    tuning: tuple[TuningPoint, ...]
    best_of_n: Band | None = field(compare=False)
    """Expected best validation accuracy of 1, 2, … draws, computed from `tuning`; None: see `variants.best_of_n`."""
    curves: tuple[Curve, ...]
    run_ids: dict[int, str]
    """By seed: MLflow run of the confirmation trial."""

    @property
    def all_tuned(self) -> tuple[dict[str, Any], ...]:
        """Values chosen by each search, in their order."""
        return tuple(self.tuned_by_search.values())

    @property
    def tuned(self) -> dict[str, Any]:
        """Values chosen by the first search; costs are counted at them. Empty if there are none."""
        return next(iter(self.all_tuned), {})

    @property
    def learned_percent_by_seed(self) -> dict[int, float]:
        """Test accuracy of each seed that learned."""
        return {seed: a for seed, a in self.accuracy_percent.items() if seed not in self.failed_seeds}

    @property
    def ran_seeds(self) -> frozenset[int]:
        """Seeds with an outcome, including seeds that did not learn."""
        return frozenset(self.accuracy_percent) | frozenset(self.failed_seeds)

    @property
    def bad_rate(self) -> Interval | None:
        """95 % interval for the chance that a run that learns is a bad one, in [0, 1]; None if none learned."""
        num_learned = len(self.learned_percent_by_seed)
        return clopper_pearson(len(self.bad_seeds), num_learned) if num_learned else None

    @property
    def failure_rate(self) -> Interval | None:
        """95 % interval for the chance that a fresh seed does not learn, in [0, 1]; None if none ran."""
        return clopper_pearson(len(self.failed_seeds), len(self.ran_seeds)) if self.ran_seeds else None


@dataclass(frozen=True)
class Detectable:
    """The true difference that a contrast detects with 80 % power, against its number of paired seeds; points.

    The test is at the first step of the step-down, alpha / K. The observed difference has no part in it.
    """

    num_seeds: tuple[int, ...]
    """From `MIN_PAIRS_TO_LOOK` to `MAX_PAIRS`, evenly on a log scale, and the current number of pairs."""
    difference: tuple[float, ...]
    """At the observed spread."""
    difference_at_most: tuple[float, ...]
    """At the 80 % upper limit of the observed spread."""
    now: float
    """With the current number of pairs."""
    limit: float | None
    """With infinitely many seeds; None if the right images are unknown or set no limit."""


@dataclass(frozen=True)
class ClassDifference:
    """A contrast on the test images of one class, percentage points. It is for exploration; verdicts ignore it."""

    name: str
    num_images: int
    mean: float
    interval: Interval | None
    """95 %, pointwise, the wider of seeds and seeds x images; None if the differences do not vary."""
    p_adjusted: float | None
    """Of no difference, after Benjamini and Hochberg over all classes of all contrasts."""


@dataclass(frozen=True)
class LookPoint:
    """A contrast at one look. Numbers are in percentage points; None without evidence."""

    number: int
    """Of the look, from 1."""
    num_seeds: int
    """Planned pairs."""
    num_pairs: int
    """Pairs in which both learned."""
    verdict: Verdict
    mean: float | None = None
    interval: Interval | None = None
    """At 1 - alpha of the look if several are planned: the intervals of all looks together cover with 1 - alpha or more."""
    smallest_difference: float | None = None
    """Least difference, of either sign, that would have been called better or worse, at the first step of the step-down."""
    largest_equivalent: float | None = None
    """Largest difference, of either sign, that would have been called equivalent; None if none would have."""


@dataclass(frozen=True)
class Course:
    """A contrast over the looks."""

    points: tuple[LookPoint, ...]
    """Its looks, the last one last; empty before the first is complete."""
    closed: Closing | None
    """Why it gets no more seeds; None if it does, or waits for trials."""
    chance: float | None
    """Chance of a word by the last look, in [0, 1]; 0 with a word; None before the first look."""
    next_seeds: int | None
    """Seeds of the next look that it may have; None if there is none."""


@dataclass(frozen=True)
class AtValues:
    """A difference with both sides at the same values, points. It is for exploration."""

    values: dict[str, Any]
    num_pairs: int
    mean: float
    interval: Interval | None
    """95 %, Student's t; None under three pairs, or if the differences do not vary."""


@dataclass(frozen=True)
class Examination:
    """A contrast with both sides at the tuned values of both."""

    at_variant: AtValues
    """At the values that were tuned for the variant."""
    at_reference: AtValues


@dataclass(frozen=True)
class Contrast:
    """A variant minus its reference, paired by seed, in percentage points of accuracy."""

    variant: str
    versus: str
    """Name of the reference."""
    expect: Expectation | None
    expectation: str
    """Outcome of the expectation: "as expected", "not as expected", "open", or "none stated"."""
    look: int
    """Number of the look that judged it last, from 1."""
    num_seeds: int
    """Planned pairs at that look. All that follows is of these seeds."""
    course: Course
    differences: dict[int, float]
    """By seed; pairs with both sides learned."""
    noise: Noise
    """Spread of these differences."""
    curve_differences: dict[int, tuple[float, ...]]
    """By seed: difference in validation accuracy after each epoch, points; pairs with both sides learned."""
    disagreement_percent: dict[int, float]
    """By seed: share of test images with one side right and the other wrong; pairs with both sides learned."""
    class_differences: tuple[ClassDifference, ...]
    """In the order of the labels, over pairs with both sides learned. Empty if the right images or labels are unknown, or under three pairs."""
    p_failures: float | None
    """Of equal failure rates, from seeds with only one side learned; None if no seed ran on both sides."""
    p_bad: float | None
    """Of equal rates of bad runs, from pairs with only one of them bad; None if no seed learned on both sides."""
    judgement: Judgement
    without_unit: dict[int, Judgement]
    """Leave-one-out, by seed or search: the judgement without it. A check and not a verdict; empty without a verdict to check."""
    examination: Examination | None
    """None without a cross-examination, or if both sides have the same tuned values."""
    detectable: Detectable | None
    """None if the differences do not vary, or there are too few pairs."""
    paragraph: str
    """The judgement in a few sentences; margin, correction and scope are those of the study."""


@dataclass(frozen=True)
class AACheck:
    """The baseline against itself on other seeds: how much seeds alone change. Accuracies in percentage points."""

    num_pairs: int
    """Pairs of a seed of the A/A arm and one of the study, in their order, of seeds that learned."""
    num_planned: int
    mean: float
    sd: float
    """Standard deviation of the differences. The two seeds share nothing, so it is about sqrt(2) times the baseline's."""
    interval: Interval
    """95 %, Student's t."""
    num_failed: int
    """Runs of the A/A arm without learning."""


@dataclass(frozen=True)
class Trouble:
    """Trials that ended in one way other than finished or pruned."""

    outcome: str
    """`diverged`, or the reason of the failure: `crashed`, `hung`, `out of memory`, `error`; `failed` without a recorded reason."""
    num_trials: int
    num_given_up: int
    """Trials out of attempts; only `run --retry` runs them again."""
    rate: Interval
    """95 %, of the share of all ended trials, in [0, 1]."""
    sentence: str


@dataclass(frozen=True)
class SharedStudy:
    """Another study of the store that was judged on the same test images."""

    study: str
    profile: str
    num_runs: int
    """Confirmation runs that it has in common with this study."""


@dataclass(frozen=True)
class StudySummary:
    """Everything in a report."""

    study: str
    question: str
    source: str | None
    profile: str
    profile_description: str
    dataset: str
    """Title of the data set."""
    guess_percent: float
    """Validation accuracy of the best constant guess."""
    learned_percent: float
    """Validation accuracy from which a run has learned."""
    baseline: str
    variants: tuple[VariantSummary, ...]
    """Baseline first."""
    contrasts: tuple[Contrast, ...]
    decision: Decision
    scope: str
    """The condition of every conclusion, in one sentence."""
    num_searches: int
    """Number of independent searches of each variant at the last look; 1 also if nothing is tuned."""
    noise: Noise
    """Spread of the accuracies, pooled over the variants."""
    searches: dict[int, int]
    """Confirm seed -> its search, if the search is the unit of the tests; else empty."""
    search_space: SearchSpace
    independent_draws: bool
    """Whether tuning draws were independent of results."""
    seeds: tuple[int, ...]
    """Confirm seeds of the last planned look."""
    looks: tuple[int, ...]
    """Number of seeds at each planned look."""
    shares: tuple[float, ...]
    """Part of alpha that each look may spend."""
    history: tuple[str, ...]
    """Sentences on the same comparisons on other seeds, or in other studies of the store."""
    shared: tuple[SharedStudy, ...]
    taken: tuple[Look, ...]
    """Records of the looks in this summary."""
    num_planned: int
    """Number of contrasts that share the error budget: the largest that was planned for these trials."""
    unplanned: str | None
    """The reason if no contrast may have a verdict, whatever the numbers; None otherwise."""
    aa: AACheck | None
    """None without an A/A arm, with under two pairs, or if the differences do not vary."""
    warnings: tuple[str, ...]
    caveats: tuple[str, ...]
    provenance: dict[str, Any] = field(default_factory=dict)
    troubles: tuple[Trouble, ...] = ()
    """Every way trials ended other than finished or pruned, each once."""
    fresh_seed: int = 0
    """First seed that no study of the store has for one of these variants."""
    choices: dict[str, Choice] = field(default_factory=dict)
    """By variant: how sure its search was; those whose search is not done, or had no alternative, are left out."""

    def __getitem__(self, name: str) -> VariantSummary:
        """The variant with this name.

        Raises:
            KeyError: there is no such variant.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise KeyError(name)
