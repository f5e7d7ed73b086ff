"""StudySummary: all numbers and words of a report, as records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ablations.costs import Measurement, Workload
from ablations.stats.bands import Band
from ablations.stats.intervals import Interval, clopper_pearson
from ablations.stats.judgement import Judgement
from ablations.studyfile.distributions import SearchSpace
from ablations.studyfile.spec import Decision, Expectation
from ablations.trial import EpochRecord, Status
from nin.memory import Memory

Role = Literal["start point", "draw", "re-run"]
"""Of a tuning trial: given beforehand, drawn by the sampler, or one of the best again on a fresh seed."""


@dataclass(frozen=True)
class TuningPoint:
    """One tuning trial: accuracies are of validation images, and selected for; never a result."""

    number: int | None
    seed: int
    role: Role
    hyperparameters: dict[str, Any]
    status: Status
    validation_accuracy_percent: float | None
    """At the last epoch; None where the trial diverged or failed."""


@dataclass(frozen=True)
class Curve:
    """One confirmation trial, epoch by epoch."""

    seed: int
    learned: bool
    epochs: tuple[EpochRecord, ...]


@dataclass(frozen=True)
class VariantSummary:
    """What became of one variant. Accuracies are of the test split after the last epoch, in percent."""

    name: str
    description: str
    changes: dict[str, Any]
    expect: Expectation | None
    family: str | None
    params: int
    macs: int
    activations: int
    workload: Workload
    """What memory and speed are counted and measured for."""
    memory: Memory | None
    """In closed form; None for a registered network, which has none."""
    measured: Measurement | None
    """Of this architecture, once; None where it has not been measured."""
    tuned: dict[str, Any]
    """Values that tuning chose; empty where there was nothing to tune or tuning is not done."""
    at_edge: tuple[str, ...]
    """Searched keys whose chosen value lies at the edge of the search space."""
    accuracy_percent: dict[int, float]
    """By seed; every confirmation trial that reached its last epoch, whether it learned or not."""
    failed_seeds: tuple[int, ...]
    """Seeds that ran and did not learn: diverged, or final validation accuracy under twice chance."""
    missing_seeds: tuple[int, ...]
    """Planned seeds with no outcome: not run yet, or crashed."""
    mean_accuracy_percent: float | None
    """Over the seeds that learned."""
    sd_accuracy_percent: float | None
    """Standard deviation over the seeds that learned; None under two."""
    reseed_disagreement_percent: float | None
    """Share of test images that one seed gets right and another wrong, over all pairs that learned; None under two."""
    learning_onset_steps: dict[int, int | None]
    """By seed: first step with the smoothed loss under the onset threshold; None: it never was."""
    dead_classes: dict[int, int]
    """By seed: classes with zero recall on validation images after the last epoch."""
    train_images_per_second: float | None
    """Median over confirmation trials, each in its own process beside the others."""
    trial_seconds: float | None
    """Median over confirmation trials."""
    num_tune_planned: int
    num_tune_done: int
    """Tuning trials with an outcome, re-runs included."""
    num_tune_epochs: int
    tuning: tuple[TuningPoint, ...]
    best_of_n: Band | None = field(compare=False)
    """Best validation accuracy to expect of 1, 2, … draws of `tuning`, from which it follows; None: see `best_of_n`."""
    curves: tuple[Curve, ...]
    run_ids: dict[int, str]
    """MLflow run behind each seed's accuracy."""

    @property
    def ran_seeds(self) -> frozenset[int]:
        """Seeds that have an outcome, whether they learned or not."""
        return frozenset(self.accuracy_percent) | frozenset(self.failed_seeds)

    @property
    def failure_rate(self) -> Interval | None:
        """95 % interval for the chance that a fresh seed does not learn, in [0, 1]; None where none ran."""
        return clopper_pearson(len(self.failed_seeds), len(self.ran_seeds)) if self.ran_seeds else None


@dataclass(frozen=True)
class Detectable:
    """The true difference that a contrast finds with 80 % power, against its number of paired seeds; points.

    At the first step of the step-down, alpha / K, and never from the difference that was seen.
    """

    num_seeds: tuple[int, ...]
    """From `MIN_PAIRS_TO_LOOK` to `MAX_SEEDS`, evenly on a log scale, and the pairs there are."""
    difference: tuple[float, ...]
    """At the spread that was seen."""
    difference_at_most: tuple[float, ...]
    """At the 80 % upper limit of that spread."""
    now: float
    """With the pairs there are."""
    limit: float | None
    """What infinitely many seeds would leave; None where the images set no limit that is known."""


@dataclass(frozen=True)
class ClassDifference:
    """A contrast on the test images of one class, percentage points. For exploration: no verdict goes by it."""

    name: str
    num_images: int
    mean: float
    interval: Interval | None
    """95 %, pointwise, the wider of seeds and seeds x images; None where there is no spread, or under three pairs."""
    p_adjusted: float | None
    """Of no difference, after Benjamini and Hochberg over all classes of all contrasts."""


@dataclass(frozen=True)
class Contrast:
    """A variant minus what it is compared with, paired by seed, in percentage points of accuracy."""

    variant: str
    versus: str
    expect: Expectation | None
    expectation: str
    """What became of it: "as expected", "not as expected", "open", or "none stated"."""
    differences: dict[int, float]
    """By seed; pairs where both learned."""
    curve_differences: dict[int, tuple[float, ...]]
    """By seed: difference in validation accuracy after each epoch, points; pairs where both learned."""
    disagreement_percent: dict[int, float]
    """By seed: share of test images that one of the two gets right and the other wrong; pairs where both learned."""
    class_differences: tuple[ClassDifference, ...]
    """In the order of the labels, among pairs where both learned; empty where the right images or the labels are unknown."""
    p_failures: float | None
    """Of equal failure rates, by the seeds on which only one of the two learned; None where none ran on both sides."""
    judgement: Judgement
    without_seed: dict[int, Judgement]
    """By seed: what would be judged without it, a check and no verdict; empty where there is no verdict to check."""
    detectable: Detectable | None
    """None where there is no spread, or too few pairs to guess it."""
    sentence: str


@dataclass(frozen=True)
class AACheck:
    """The baseline against itself on other seeds: how far apart seeds alone are. Accuracies in percentage points."""

    num_pairs: int
    """Seeds of either kind that learned, put in pairs by their order."""
    num_planned: int
    mean: float
    sd: float
    """Standard deviation of the differences; the seeds are not paired in fact, so it is sqrt(2) times the baseline's."""
    interval: Interval
    """95 %, Student's t."""
    num_failed: int
    """Runs on the A/A arm's seeds that did not learn."""


@dataclass(frozen=True)
class Trouble:
    """Trials of one kind that did not come to an end of their training."""

    outcome: str
    """`diverged`, or why they failed: `crashed`, `hung`, `out of memory`, `error`; `failed` where that is not recorded."""
    num_trials: int
    num_given_up: int
    """Those of them that have failed too often to be tried again."""
    rate: Interval
    """95 %, of their share of all trials, in [0, 1]."""
    sentence: str


@dataclass(frozen=True)
class StudySummary:
    """All that a report shows."""

    study: str
    question: str
    source: str | None
    profile: str
    profile_description: str
    dataset: str
    """Title of the data set."""
    chance_percent: float
    baseline: str
    variants: tuple[VariantSummary, ...]
    """Baseline first."""
    contrasts: tuple[Contrast, ...]
    decision: Decision
    scope: str
    """What every conclusion is conditional on, in one sentence."""
    search_space: SearchSpace
    independent_draws: bool
    """Whether tuning draws did not depend on results."""
    num_seeds: int
    seeds: tuple[int, ...]
    looks: tuple[int, ...]
    """Numbers of seeds at which looks at the results are planned; `num_seeds` is one of them."""
    num_planned: int
    """Contrasts that share the error budget: those that were planned when the results were first looked at."""
    unplanned: str | None
    """Why no contrast may have a verdict, whatever the numbers; None: they may."""
    aa: AACheck | None
    """None where there is no A/A arm, or under two pairs."""
    warnings: tuple[str, ...]
    caveats: tuple[str, ...]
    provenance: dict[str, Any] = field(default_factory=dict)
    troubles: tuple[Trouble, ...] = ()
    """How trials ended that did not finish, each way once; what was pruned is no trouble."""

    def __getitem__(self, name: str) -> VariantSummary:
        """The variant of that name.

        Raises:
            KeyError: there is none.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise KeyError(name)
