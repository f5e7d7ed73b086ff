"""Each variant against its reference -> Contrast: samples, judgements and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import numpy as np

from ablations.analysis.learning import recorded_labels
from ablations.analysis.looks import ADDED
from ablations.analysis.summary import ClassDifference, Contrast, Detectable, VariantSummary
from ablations.analysis.variants import right_images
from ablations.datasets import DATASETS
from ablations.planning.plan import Plan, PlannedContrast
from ablations.stats.budget import Budget
from ablations.stats.disagreement import disagreement
from ablations.stats.intervals import MIN_PAIRS_TO_LOOK, class_estimates
from ablations.stats.judgement import Judgement, PairedSample, Verdict
from ablations.stats.p_values import difference_p, false_discovery, mcnemar_exact
from ablations.stats.power import MAX_PAIRS, detectable_difference, smallest_detectable_difference, spread_limit
from ablations.stats.sentences import sentence
from ablations.stats.verdicts import judge, judge_without_each_seed
from ablations.studyfile.spec import Expectation
from ablations.trial import RecordedTrial


def judged_contrasts(
    plan: Plan,
    variants: Sequence[VariantSummary],
    trials: Mapping[str, Sequence[RecordedTrial]],
    *,
    scope: str,
    overspent: str | None,
    planned: Sequence[PlannedContrast],
) -> tuple[Contrast, ...]:
    """Judge every variant against its reference, all under one error budget.

    Args:
        plan: of this look.
        variants: baseline first.
        trials: by variant.
        scope: condition of every conclusion, for the sentences.
        overspent: the reason if no contrast may have a verdict; None otherwise.
        planned: contrasts of the first look, which share the budget.
    """
    if len(variants) < 2:
        return ()
    by_name = {each.name: each for each in variants}
    sides = {each.name: (each, by_name[plan[each.name].versus]) for each in variants[1:]}
    keys = {name: (plan[name].key, plan[reference.name].key) for name, (_, reference) in sides.items()}
    expected = {(each.variant_key, each.versus_key): each.expect for each in planned}
    expects = {name: expected.get(keys[name], variant.expect) for name, (variant, _) in sides.items()}
    unplanned = {name: overspent or ADDED for name, key in keys.items() if overspent or key not in expected}
    samples = {name: _sample(plan, *pair, trials) for name, pair in sides.items()}
    budget = Budget(
        alpha=plan.decision.alpha,
        margin=plan.decision.margin,
        num_comparisons=len(planned),
        num_looks=len(plan.looks),
    )
    judgements = judge(samples, budget, unplanned=unplanned)
    without_seed = judge_without_each_seed(samples, judgements, budget)
    classes = _class_differences(plan, samples, recorded_labels(plan, chain.from_iterable(trials.values())))
    return tuple(
        Contrast(
            variant=name,
            versus=reference.name,
            expect=expects[name],
            expectation=_outcome(expects[name], judgements[name]),
            differences=dict(samples[name].differences),
            curve_differences=curve_differences(variant, reference),
            disagreement_percent=_disagreement(samples[name].differences, trials[name], trials[reference.name]),
            class_differences=classes.get(name, ()),
            p_failures=p_failures(variant, reference),
            judgement=judgements[name],
            without_seed=without_seed.get(name, {}),
            detectable=detectable(judgements[name], budget),
            sentence=sentence(judgements[name], budget, variant=name, reference=reference.name, scope=scope),
        )
        for name, (variant, reference) in sides.items()
    )


def _class_differences(
    plan: Plan, samples: Mapping[str, PairedSample], labels: np.ndarray | None
) -> dict[str, tuple[ClassDifference, ...]]:
    """By contrast. All classes form one family of tests, because a search for a differing class looks at all of them."""
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


def detectable(judgement: Judgement, budget: Budget) -> Detectable | None:
    """True difference that each number of seeds would detect, given the spread of a contrast; None without a spread."""
    num_pairs, evidence = judgement.num_pairs, judgement.evidence
    if num_pairs < MIN_PAIRS_TO_LOOK or evidence is None:
        return None
    floor, highest = evidence.image_floor, spread_limit(evidence.spread, num_pairs)
    counts = sorted({num_pairs, *np.geomspace(MIN_PAIRS_TO_LOOK, MAX_PAIRS, 20).round().astype(int).tolist()})
    found, at_most = (
        tuple(detectable_difference(each, count, budget, image_floor=floor or 0.0) for count in counts)
        for each in (evidence.spread, highest)
    )
    return Detectable(
        num_seeds=tuple(counts),
        difference=found,
        difference_at_most=at_most,
        now=found[counts.index(num_pairs)],
        limit=smallest_detectable_difference(floor, budget) if floor else None,
    )


def _sample(
    plan: Plan, variant: VariantSummary, reference: VariantSummary, trials: Mapping[str, Sequence[RecordedTrial]]
) -> PairedSample:
    ran = [v.ran_seeds for v in (variant, reference)]
    good = [set(v.accuracy_percent) - set(v.failed_seeds) for v in (variant, reference)]
    seeds = sorted(good[0] & good[1])
    bits = [right_images(trials[v.name]) for v in (variant, reference)]
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
    """By seed with both sides learned: variant minus reference in validation accuracy, over epochs trained on both sides."""
    curves, others = ({curve.seed: curve.epochs for curve in v.curves if curve.learned} for v in (variant, reference))
    return {
        seed: tuple(
            one.validation_accuracy_percent - other.validation_accuracy_percent
            for one, other in zip(curves[seed], others[seed], strict=False)
        )
        for seed in sorted(curves.keys() & others.keys())
    }


def p_failures(variant: VariantSummary, reference: VariantSummary) -> float | None:
    """Exact McNemar p-value of equal failure rates over seeds with an outcome on both sides; None without such seeds."""
    both = variant.ran_seeds & reference.ran_seeds
    failed, failed_reference = (both & set(each.failed_seeds) for each in (variant, reference))
    return mcnemar_exact(len(failed - failed_reference), len(failed_reference - failed)) if both else None


def _disagreement(
    seeds: Iterable[int], variant: Sequence[RecordedTrial], reference: Sequence[RecordedTrial]
) -> dict[int, float]:
    first, second = right_images(variant), right_images(reference)
    return {seed: disagreement(first[seed], second[seed]) for seed in seeds if seed in first and seed in second}


_FITS: Mapping[str, frozenset[Verdict]] = {
    "better": frozenset({Verdict.BETTER, Verdict.BETTER_BY_MORE, Verdict.BETTER_BY_LESS}),
    "worse": frozenset({Verdict.WORSE, Verdict.WORSE_BY_MORE, Verdict.WORSE_BY_LESS}),
    "equivalent": frozenset({Verdict.EQUIVALENT, Verdict.BETTER_BY_LESS, Verdict.WORSE_BY_LESS}),
}
"""Verdicts in line with an expectation. A real difference within the margin counts as equivalent, too."""


_DECIDED = frozenset().union(*_FITS.values())


def _outcome(expect: Expectation | None, judgement: Judgement) -> str:
    if expect is None or expect == "unsure":
        return "none stated"
    if judgement.verdict not in _DECIDED:
        return "open"
    return "as expected" if judgement.verdict in _FITS[expect] else "not as expected"
