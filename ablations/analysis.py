"""Plan + recorded trials -> StudySummary: all numbers and words of a report, before anything is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, median, stdev
from typing import Any, Literal

import numpy as np

from ablations.costs import Measurement, Workload
from ablations.datasets import DATASETS
from ablations.plan import SEARCH_SEED, Look, Plan, PlannedContrast, PlannedVariant
from ablations.power import MAX_SEEDS, detectable_difference, smallest_detectable_difference, spread_limit
from ablations.spec import CategoricalDistribution, Decision, Expectation, SearchSpace
from ablations.stats import (
    MIN_PAIRS_TO_LOOK,
    Band,
    Interval,
    class_estimates,
    clopper_pearson,
    difference_p,
    disagreement,
    disagreement_between_reseeds,
    expected_best_of_n,
    false_discovery,
    identical,
    mcnemar_exact,
    paired_interval,
)
from ablations.trial import EpochRecord, Phase, Status, TrialResult
from ablations.units import plural
from ablations.verdicts import Judgement, PairedSample, Verdict, judge, judge_without_each_seed, sentence
from nin.memory import Memory

ADDED = "added after the results were first looked at; fresh seeds (first_seed) give it a verdict of its own"
"""Why a contrast is exploratory that was not among those of the first look."""
DEGRADED_POINTS = 5.0
"""A run this far under its variant's median is flagged, and kept."""
MIN_DRAWS = 8
"""Under this many draws what to expect of their best is told of three at most, and with a band as wide as the axis."""


Role = Literal["start point", "draw", "re-run"]
"""Of a tuning trial: given beforehand, drawn by the sampler, or one of the best again on a fresh seed."""


@dataclass(frozen=True)
class RecordedTrial:
    """A trial as the tracking store has it: its labels, how it ended, and the run that holds it."""

    run_id: str
    variant: str
    variant_key: str
    phase: Phase
    seed: int
    number: int | None
    hyperparameters: dict[str, Any]
    result: TrialResult
    session: str | None = None
    """Which run of the study trained it."""
    count: int = 1
    """How many draws of the search it answers; draws of whole numbers or choices can coincide."""


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


def summarize(
    plan: Plan,
    trials: Iterable[RecordedTrial],
    provenance: Mapping[str, Any],
    measurements: Mapping[str, Measurement],
    looks: Iterable[Look] = (),
) -> StudySummary:
    """Turn what was recorded into numbers, intervals and words.

    Args:
        plan: what was to be done.
        trials: what the store holds; trials of other plans (another `variant_key`, or a seed not planned) are left out.
        provenance: passed through to the report.
        measurements: of architectures, by the workload's id.
        looks: reports of this study that gave verdicts, the first one first, this one or not.
    """
    by_variant: dict[str, list[RecordedTrial]] = {variant.name: [] for variant in plan.variants}
    keys = {variant.name: variant.key for variant in plan.variants}
    # The store gives trials in any order; one order makes one report.
    for trial in sorted(trials, key=_order):
        if keys.get(trial.variant) == trial.variant_key:
            by_variant[trial.variant].append(trial)
    variants = tuple(_variant(plan, variant, by_variant[variant.name], measurements) for variant in plan.variants)
    scope = (
        f"for the tuned configurations, on {DATASETS[plan.data.name].title}"
        if plan.tuned
        else f"for these fixed configurations, on {DATASETS[plan.data.name].title}"
    )
    looks = [look for look in looks if look.is_of(plan.this_look)]
    # What was planned when the results were first looked at: nobody can plan for results that he knows.
    planned = (looks or [plan.this_look])[0].contrasts
    overspent = _overspent(plan, looks)
    contrasts = _contrasts(plan, variants, by_variant, scope, overspent, planned)
    ended = [trial for each in by_variant.values() for trial in each]
    troubles = tuple(troubles_of(ended))
    return StudySummary(
        study=plan.study,
        question=plan.question,
        source=plan.source,
        profile=plan.profile,
        profile_description=plan.profile_description,
        dataset=DATASETS[plan.data.name].title,
        chance_percent=_chance_percent(plan),
        baseline=plan.baseline,
        variants=variants,
        contrasts=contrasts,
        decision=plan.decision,
        scope=scope,
        search_space=plan.search_space,
        independent_draws=_independent_draws(plan),
        num_seeds=len(plan.seeds),
        seeds=plan.seeds,
        looks=plan.looks,
        num_planned=len(planned),
        unplanned=overspent,
        aa=_aa(plan, variants[0], by_variant[plan.baseline]),
        warnings=(
            *_changed_expectations(plan, planned),
            *_incomplete_aa(plan, by_variant[plan.baseline]),
            *_seeds_only(contrasts),
            *_warnings(plan, variants, provenance),
            *(trouble.sentence for trouble in troubles),
            *_in_parts(ended),
        ),
        caveats=plan.caveats,
        provenance=dict(provenance),
        troubles=troubles,
    )


def _aa(plan: Plan, baseline: VariantSummary, trials: Sequence[RecordedTrial]) -> AACheck | None:
    again = {t.seed: t.result for t in trials if t.phase == "confirm" and t.seed in plan.aa_seeds}
    ran = {seed: result for seed, result in again.items() if result.status != "failed"}
    good = [
        result.test_accuracy_percent
        for _, result in sorted(ran.items())
        if learned(plan, result) and result.test_accuracy_percent is not None
    ]
    first = [accuracy for seed, accuracy in baseline.accuracy_percent.items() if seed not in baseline.failed_seeds]
    differences = np.array([b - a for a, b in zip(first, good, strict=False)])
    if len(differences) < 2 or identical(differences):
        return None
    return AACheck(
        num_pairs=len(differences),
        num_planned=len(plan.aa_seeds),
        mean=float(differences.mean()),
        sd=float(differences.std(ddof=1)),
        interval=paired_interval(differences),
        num_failed=sum(not learned(plan, result) for result in ran.values()),
    )


def _order(trial: RecordedTrial) -> tuple[Any, ...]:
    """Search trials by number, then re-runs and confirmation by seed."""
    number = -1 if trial.number is None else trial.number
    return (trial.phase, trial.seed, number, sorted(map(str, trial.hyperparameters.items())), trial.run_id)


def learned(plan: Plan, result: TrialResult) -> bool:
    """Whether a trial learned: it finished, and its last validation accuracy is at least twice chance."""
    last = result.last
    if result.status != "finished" or last is None:
        return False
    return last.validation_accuracy_percent >= 2 * _chance_percent(plan)


def _chance_percent(plan: Plan) -> float:
    return 100 / DATASETS[plan.data.name].num_classes


def _independent_draws(plan: Plan) -> bool:
    return plan.tuning.sampler != "tpe"


def _variant(
    plan: Plan,
    variant: PlannedVariant,
    trials: Sequence[RecordedTrial],
    measurements: Mapping[str, Measurement],
) -> VariantSummary:
    confirm = {
        t.seed: t for t in trials if t.phase == "confirm" and t.seed in plan.seeds and t.result.status != "failed"
    }
    tune = [t for t in trials if t.phase == "tune"]
    good = {seed: t for seed, t in confirm.items() if learned(plan, t.result)}
    accuracy = {
        seed: t.result.test_accuracy_percent
        for seed, t in sorted(confirm.items())
        if t.result.test_accuracy_percent is not None
    }
    values = [accuracy[seed] for seed in good if seed in accuracy]
    tuned = next((t.hyperparameters for t in confirm.values()), {})
    workload = plan.workload(variant.name, tuned)
    # Counted again only where dials were tuned: a registered network cannot be counted without its package.
    costs = variant.costs if workload.model == variant.config.model else workload.costs
    tuning = tuple(_tuning_point(plan, t) for t in tune for _ in range(t.count))
    right = [bits for seed, bits in _bits(trials).items() if seed in good]
    return VariantSummary(
        name=variant.name,
        description=variant.description,
        changes=variant.changes,
        expect=variant.expect,
        family=variant.family,
        params=costs.params,
        macs=costs.macs,
        activations=costs.activations,
        workload=workload,
        memory=workload.memory,
        measured=measurements.get(workload.id),
        tuned=tuned,
        at_edge=tuple(_at_edge(plan.search_space, tuned)),
        accuracy_percent=accuracy,
        failed_seeds=tuple(sorted(set(confirm) - set(good))),
        missing_seeds=tuple(seed for seed in plan.seeds if seed not in confirm),
        mean_accuracy_percent=mean(values) if values else None,
        sd_accuracy_percent=stdev(values) if len(values) > 1 else None,
        reseed_disagreement_percent=disagreement_between_reseeds(np.stack(right)) if len(right) > 1 else None,
        learning_onset_steps={
            seed: t.result.last.learning_onset_step for seed, t in sorted(confirm.items()) if t.result.last is not None
        },
        dead_classes={
            seed: t.result.last.num_dead_classes for seed, t in sorted(confirm.items()) if t.result.last is not None
        },
        train_images_per_second=_median(e.train_images_per_second for t in confirm.values() for e in t.result.epochs),
        trial_seconds=_median(t.result.train_seconds for t in confirm.values()),
        num_tune_planned=sum(cell.phase == "tune" and cell.variant == variant.name for cell in plan.cells),
        num_tune_done=sum(t.count for t in tune if t.result.status != "failed"),
        num_tune_epochs=sum(t.result.last.epoch for t in tune if t.result.last),
        tuning=tuning,
        best_of_n=best_of_n(tuning, chance_percent=_chance_percent(plan)) if _independent_draws(plan) else None,
        curves=tuple(
            Curve(seed=seed, learned=seed in good, epochs=t.result.epochs) for seed, t in sorted(confirm.items())
        ),
        run_ids={seed: t.run_id for seed, t in sorted(confirm.items())},
    )


def _tuning_point(plan: Plan, trial: RecordedTrial) -> TuningPoint:
    result = trial.result
    # The tuner tries the start points first, so that their numbers come before all others.
    is_start = trial.number is not None and trial.number < len(plan.tuning.start_points or [])
    return TuningPoint(
        number=trial.number,
        seed=trial.seed,
        role="re-run" if trial.seed != SEARCH_SEED else "start point" if is_start else "draw",
        hyperparameters=trial.hyperparameters,
        status=result.status,
        validation_accuracy_percent=(
            result.last.validation_accuracy_percent if result.status == "finished" and result.last else None
        ),
    )


def best_of_n(tuning: Sequence[TuningPoint], *, chance_percent: float) -> Band | None:
    """Best validation accuracy to expect of 1, 2, … of the sampler's draws, which must not depend on results.

    Start points were chosen and re-runs selected, so neither is a draw. A draw that diverged counts as guessing, which is
    what its network does: without it, a search space half of which diverges would look as good as one that never does.
    A draw that failed says something of the machine, and is left out.

    Returns:
        None with under `MIN_DRAWS` draws, or where one was pruned: its accuracy is that of a shorter training.
    """
    draws = [point for point in tuning if point.role == "draw" and point.status != "failed"]
    if len(draws) < MIN_DRAWS or any(point.status == "pruned" for point in draws):
        return None
    scores = (point.validation_accuracy_percent for point in draws)
    return expected_best_of_n([chance_percent if score is None else score for score in scores])


def _median(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return median(numbers) if numbers else None


def _at_edge(search_space: SearchSpace, tuned: Mapping[str, Any]) -> Iterable[str]:
    """Keys whose value lies in the outer 5 % of their range, on the scale that they were searched on."""
    for key, value in tuned.items():
        distribution = search_space.get(key)
        if distribution is None or isinstance(distribution, CategoricalDistribution):
            continue
        low, high = float(distribution.low), float(distribution.high)
        x = float(value)
        if distribution.log:
            low, high, x = (float(np.log(v)) for v in (low, high, x))
        place = (x - low) / (high - low)
        if min(place, 1 - place) < 0.05:
            yield key


def _contrasts(
    plan: Plan,
    variants: Sequence[VariantSummary],
    trials: Mapping[str, Sequence[RecordedTrial]],
    scope: str,
    overspent: str | None,
    planned: Sequence[PlannedContrast],
) -> tuple[Contrast, ...]:
    others = variants[1:]
    if not others:
        return ()
    by_name = {each.name: each for each in variants}
    references = {each.name: by_name[plan[each.name].versus] for each in others}
    samples = {each.name: _sample(plan, each, references[each.name], trials) for each in others}
    num_planned = len(planned)
    expected = {(each.variant_key, each.versus_key): each.expect for each in planned}
    pairs = {each.name: (plan[each.name].key, plan[plan[each.name].versus].key) for each in others}
    unplanned = {name: overspent or ADDED for name, pair in pairs.items() if overspent or pair not in expected}
    expects = {each.name: expected.get(pairs[each.name], each.expect) for each in others}
    budget: dict[str, Any] = {"alpha": plan.look_alpha, "margin": plan.decision.margin, "num_planned": num_planned}
    judgements = judge(samples, unplanned=unplanned, **budget)
    without_seed = judge_without_each_seed(samples, judgements, **budget)
    classes = _class_differences(plan, samples, _labels(plan, trials))
    return tuple(
        Contrast(
            variant=each.name,
            versus=references[each.name].name,
            expect=expects[each.name],
            expectation=_outcome(expects[each.name], judgements[each.name]),
            differences=dict(samples[each.name].differences),
            curve_differences=curve_differences(each, references[each.name]),
            disagreement_percent=_disagreement(
                samples[each.name].differences, trials[each.name], trials[references[each.name].name]
            ),
            class_differences=classes.get(each.name, ()),
            p_failures=p_failures(each, references[each.name]),
            judgement=judgements[each.name],
            without_seed=without_seed.get(each.name, {}),
            detectable=detectable(judgements[each.name], alpha=plan.look_alpha, num_comparisons=num_planned),
            sentence=sentence(
                judgements[each.name],
                variant=each.name,
                reference=references[each.name].name,
                alpha=plan.decision.alpha,
                num_comparisons=num_planned,
                num_looks=len(plan.looks),
                margin=plan.decision.margin,
                scope=scope,
            ),
        )
        for each in others
    )


def _class_differences(
    plan: Plan, samples: Mapping[str, PairedSample], labels: np.ndarray | None
) -> dict[str, tuple[ClassDifference, ...]]:
    """By contrast; one family of tests, since whoever looks for a class that differs looks at all of them."""
    estimates = {
        (contrast, label): estimate
        for contrast, sample in samples.items()
        if labels is not None
        and sample.correct is not None
        and sample.correct.shape[1] == len(labels)
        and len(sample.correct) >= MIN_PAIRS_TO_LOOK
        for label, estimate in class_estimates(sample.correct, labels).items()
    }
    tested = {key: difference_p(estimate) for key, (_, estimate) in estimates.items() if estimate is not None}
    adjusted = dict(zip(tested, false_discovery(list(tested.values())), strict=True))
    found: dict[str, tuple[ClassDifference, ...]] = {}
    for (contrast, label), (difference, estimate) in estimates.items():
        each = ClassDifference(
            name=DATASETS[plan.data.name].classes[label],
            num_images=int(np.sum(labels == label)),
            mean=difference,
            interval=None if estimate is None else estimate.interval(0.95),
            p_adjusted=adjusted.get((contrast, label)),
        )
        found[contrast] = (*found.get(contrast, ()), each)
    return found


def _labels(plan: Plan, trials: Mapping[str, Sequence[RecordedTrial]]) -> np.ndarray | None:
    """Classes of the test images; None where no trial has recorded them."""
    recorded = (t.result.test_labels for each in trials.values() for t in each if t.result.test_labels)
    labels = np.frombuffer(next(recorded, b""), dtype=np.uint8)
    return labels if labels.size and labels.max() < DATASETS[plan.data.name].num_classes else None


def _overspent(plan: Plan, looks: Iterable[Look]) -> str | None:
    """Why this look was not planned, if earlier ones at the same results have left too little of the budget for it.

    Adding seeds until a word comes out gives a wrong one far more often than alpha says; two looks at alpha each do.
    """
    this = plan.this_look
    spent: dict[int, float] = {}
    for look in looks:
        if look.margin != this.margin:
            return f"the margin was {look.margin:g} points when the results were first looked at"
        if look.seeds == this.seeds:
            if this.alpha > look.alpha * (1 + 1e-9):
                return f"alpha was {look.alpha:g} when the results were first looked at"
            break  # this look itself; what came after it has no say in it
        num_seeds = len(look.seeds)
        spent[num_seeds] = max(look.alpha, spent.get(num_seeds, 0.0))
    if sum(spent.values()) + this.alpha <= plan.decision.alpha * (1 + 1e-9):
        return None
    counts = ", ".join(map(str, sorted(spent)))
    return f"looked at before with {counts} seeds, and {len(this.seeds)} were not planned then (extend_to plans them)"


def _changed_expectations(plan: Plan, planned: Sequence[PlannedContrast]) -> Iterable[str]:
    """Expectations that the study file has changed since; the report goes by the first."""
    expected = {(each.variant_key, each.versus_key): each.expect for each in planned}
    for variant in plan.variants:
        contrast = plan.contrast(variant.name)
        first = expected.get((contrast.variant_key, contrast.versus_key), contrast.expect)
        if first != contrast.expect:
            yield (
                f"{variant.name}: expect was {first or 'not given'} when the results were first looked at, and is "
                f"{contrast.expect or 'not given'} now; what was first counts."
            )


def gave_verdicts(summary: StudySummary) -> bool:
    """Whether a report of this has spent some of the error budget."""
    return not all(contrast.judgement.verdict.is_withheld for contrast in summary.contrasts)


def detectable(judgement: Judgement, *, alpha: float, num_comparisons: int) -> Detectable | None:
    """What true difference so many seeds would find, given a contrast's spread; None where there is none to go by."""
    num_pairs, spread = judgement.num_pairs, judgement.spread
    if num_pairs < MIN_PAIRS_TO_LOOK or spread is None:
        return None
    budget: dict[str, Any] = {"alpha": alpha, "num_comparisons": num_comparisons}
    floor, highest = judgement.image_floor, spread_limit(spread, num_pairs)
    counts = sorted({num_pairs, *np.geomspace(MIN_PAIRS_TO_LOOK, MAX_SEEDS, 20).round().astype(int).tolist()})
    found, at_most = (
        tuple(detectable_difference(each, count, image_floor=floor or 0.0, **budget) for count in counts)
        for each in (spread, highest)
    )
    return Detectable(
        num_seeds=tuple(counts),
        difference=found,
        difference_at_most=at_most,
        now=found[counts.index(num_pairs)],
        limit=smallest_detectable_difference(floor, **budget) if floor else None,
    )


def _sample(
    plan: Plan, variant: VariantSummary, reference: VariantSummary, trials: Mapping[str, Sequence[RecordedTrial]]
) -> PairedSample:
    ran = [v.ran_seeds for v in (variant, reference)]
    good = [set(v.accuracy_percent) - set(v.failed_seeds) for v in (variant, reference)]
    seeds = sorted(good[0] & good[1])
    bits = [_bits(trials[v.name]) for v in (variant, reference)]
    has_bits = seeds and all(seed in each for each in bits for seed in seeds)
    correct = np.stack([bits[0][s].astype(np.int8) - bits[1][s].astype(np.int8) for s in seeds]) if has_bits else None
    return PairedSample(
        differences={seed: variant.accuracy_percent[seed] - reference.accuracy_percent[seed] for seed in seeds},
        num_planned=len(plan.seeds),
        num_missing=len(plan.seeds) - len(ran[0] & ran[1]),
        num_failed=len(variant.failed_seeds),
        num_failed_reference=len(reference.failed_seeds),
        num_ran=len(ran[0]),
        num_ran_reference=len(ran[1]),
        correct=correct,
    )


def curve_differences(variant: VariantSummary, reference: VariantSummary) -> dict[int, tuple[float, ...]]:
    """By seed that learned on both sides: variant minus reference in validation accuracy, as far as both were trained."""
    curves, others = ({curve.seed: curve.epochs for curve in v.curves if curve.learned} for v in (variant, reference))
    return {
        seed: tuple(
            one.validation_accuracy_percent - other.validation_accuracy_percent
            for one, other in zip(curves[seed], others[seed], strict=False)
        )
        for seed in sorted(curves.keys() & others.keys())
    }


def p_failures(variant: VariantSummary, reference: VariantSummary) -> float | None:
    """Exact McNemar p-value of equal failure rates over the seeds that ran on both sides; None where there are none."""
    both = variant.ran_seeds & reference.ran_seeds
    failed, failed_reference = (both & set(each.failed_seeds) for each in (variant, reference))
    return mcnemar_exact(len(failed - failed_reference), len(failed_reference - failed)) if both else None


def _disagreement(
    seeds: Iterable[int], variant: Sequence[RecordedTrial], reference: Sequence[RecordedTrial]
) -> dict[int, float]:
    first, second = _bits(variant), _bits(reference)
    return {seed: disagreement(first[seed], second[seed]) for seed in seeds if seed in first and seed in second}


def _bits(trials: Sequence[RecordedTrial]) -> dict[int, np.ndarray]:
    return {
        t.seed: np.unpackbits(np.frombuffer(t.result.test_correct, dtype=np.uint8), count=t.result.num_test_images)
        for t in trials
        if t.phase == "confirm" and t.result.test_correct is not None
    }


_FITS: Mapping[str, frozenset[Verdict]] = {
    "better": frozenset({Verdict.BETTER, Verdict.BETTER_BY_MORE, Verdict.BETTER_BY_LESS}),
    "worse": frozenset({Verdict.WORSE, Verdict.WORSE_BY_MORE, Verdict.WORSE_BY_LESS}),
    "equivalent": frozenset({Verdict.EQUIVALENT, Verdict.BETTER_BY_LESS, Verdict.WORSE_BY_LESS}),
}
"""Verdicts that meet an expectation; a difference that is real but within the margin is equivalent, too."""

_DECIDED = frozenset().union(*_FITS.values())


def _outcome(expect: Expectation | None, judgement: Judgement) -> str:
    if expect is None or expect == "unsure":
        return "none stated"
    if judgement.verdict not in _DECIDED:
        return "open"
    return "as expected" if judgement.verdict in _FITS[expect] else "not as expected"


def _incomplete_aa(plan: Plan, trials: Sequence[RecordedTrial]) -> Iterable[str]:
    """What is missing of the A/A arm, or did not learn in it."""
    ran = [t for t in trials if t.phase == "confirm" and t.seed in plan.aa_seeds and t.result.status != "failed"]
    if len(ran) < len(plan.aa_seeds):
        yield f"A/A arm: {len(plan.aa_seeds) - len(ran)} of {len(plan.aa_seeds)} trials have no outcome yet."
    failed = sum(not learned(plan, t.result) for t in ran)
    if failed:
        yield f"A/A arm: {failed} of {len(ran)} trials ran and did not learn."


def _seeds_only(contrasts: Sequence[Contrast]) -> Iterable[str]:
    """Contrasts whose interval cannot reckon with the choice of the test images."""
    for contrast in contrasts:
        judgement = contrast.judgement
        if judgement.interval is not None and judgement.image_floor is None:
            yield (
                f"{contrast.variant}: the interval holds for new seeds only, not for new images, since it is not recorded for "
                "every seed which test images were right."
            )


_WHAT_HAPPENED = {
    "diverged": "diverged",
    "crashed": "crashed their process",
    "hung": "hung",
    "out of memory": "ran out of memory",
    "error": "ended in an error",
    "failed": "failed",
}
MAX_NAMED = 5
"""Of more failed trials than this the rest is counted only."""


def troubles_of(trials: Sequence[RecordedTrial]) -> Iterator[Trouble]:
    """How trials ended that neither finished nor were pruned, each way that there was.

    Args:
        trials: all that have ended, in whichever way.
    """
    for outcome, what in _WHAT_HAPPENED.items():
        those = [t for t in trials if t.result.outcome == outcome]
        if not those:
            continue
        rate = clopper_pearson(len(those), len(trials))
        percent = f"95 % interval of the rate {100 * rate.lower:.1f} to {100 * rate.upper:.1f} %"
        counted = f"{len(those)} of {plural(len(trials), 'trial')} {what} ({percent})"
        num_given_up = sum(t.result.is_given_up for t in those)
        if outcome == "diverged":
            sentence = f"{counted}: an outcome, not tried again."
        else:
            left = {
                "tried again by the next run": len(those) - num_given_up,
                "given up, and tried again by run --retry only": num_given_up,
            }
            fate = " and ".join(f"{number} {words}" for words, number in left.items() if number)
            sentence = f"{counted}; {fate}: {_named(those)}."
        yield Trouble(outcome, len(those), num_given_up, rate, sentence)


def _named(failed: Sequence[RecordedTrial]) -> str:
    """Which trials failed, and why; those of a search are on one seed, and told apart by their number."""
    named = []
    for t in failed[:MAX_NAMED]:
        trial = "" if t.number is None else f"trial {t.number}, "
        attempts = plural(t.result.num_attempts, "attempt")
        named.append(f"{t.variant}, {t.phase}, {trial}seed {t.seed}, {attempts}: {t.result.message or 'no message'}")
    return "; ".join([*named, *([f"{len(failed) - MAX_NAMED} more"] if len(failed) > MAX_NAMED else [])])


def _in_parts(trials: Iterable[RecordedTrial]) -> Iterator[str]:
    """What was trained with its batches in parts."""
    those = [t for t in trials if t.result.accumulated_parts > 1 and t.result.status != "failed"]
    if those:
        which = "; ".join(
            f"{t.variant}, {t.phase}, seed {t.seed}: {t.result.accumulated_parts} parts" for t in those[:MAX_NAMED]
        )
        more = f"; {len(those) - MAX_NAMED} more" if len(those) > MAX_NAMED else ""
        yield (
            f"{plural(len(those), 'trial')} took each batch in accumulated parts for want of memory, which makes the same steps "
            f"up to rounding, but draws other numbers for dropout: {which}{more}."
        )


def _warnings(plan: Plan, variants: Sequence[VariantSummary], provenance: Mapping[str, Any]) -> Iterable[str]:
    if provenance.get("uncommitted_changes"):
        yield "trainings ran from a checkout with uncommitted changes: its commit does not name the code that ran."
    for key in ("commit", "processor", "versions"):
        value = provenance.get(key)
        if isinstance(value, list) or (isinstance(value, Mapping) and any(isinstance(v, list) for v in value.values())):
            yield f"trials were trained by runs that differ in {key}: see Provenance."
    references = {plan[v.name].versus for v in variants[1:]}
    for v in variants:
        highest = v.mean_accuracy_percent
        if highest is not None and 100 - highest < plan.decision.margin and v.name in references:
            yield (
                f"{v.name}: nothing can be better by the margin of {plural(plan.decision.margin, 'point')} than {highest:.2f} %; a harder "
                "data set would tell more."
            )
        if v.missing_seeds:
            yield f"{v.name}: {len(v.missing_seeds)} of {len(plan.seeds)} confirmation trials have no outcome yet."
        if v.failed_seeds:
            seeds = ", ".join(map(str, v.failed_seeds))
            yield f"{v.name}: {len(v.failed_seeds)} of {len(plan.seeds)} confirmation trials ran and did not learn (seed {seeds})."
        for key in v.at_edge:
            yield f"{v.name}: tuning chose {key} = {v.tuned[key]:.4g}, at the edge of its search space: widen it."
        dead = {seed: n for seed, n in v.dead_classes.items() if n}
        if dead:
            yield f"{v.name}: in {len(dead)} of {len(v.dead_classes)} confirmation trials at least one class is never predicted right."
        good = [a for seed, a in v.accuracy_percent.items() if seed not in v.failed_seeds]
        low = [a for a in good if a < median(good) - DEGRADED_POINTS]
        if low:
            lie = "1 run lies" if len(low) == 1 else f"{len(low)} runs lie"
            yield f"{v.name}: {lie} more than {DEGRADED_POINTS:g} points under the variant's median; kept, like every run that learned."
        states = Counter(point.status for point in v.tuning)
        if states["diverged"] or states["failed"]:
            yield f"{v.name}: of {len(v.tuning)} tuning trials {states['diverged']} diverged and {states['failed']} failed."
    if len({(v.num_tune_done, v.num_tune_epochs) for v in variants}) > 1:
        counts = "; ".join(
            f"{v.name} {plural(v.num_tune_done, 'trial')} in {plural(v.num_tune_epochs, 'epoch')}" for v in variants
        )
        yield f"tuning effort is unequal: {counts}."
