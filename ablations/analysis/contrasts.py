"""Each variant against its reference -> Contrast: samples, judgements and their words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain

import numpy as np

from ablations.analysis.examination import examination
from ablations.analysis.learning import guess_percent, recorded_labels
from ablations.analysis.looks import TakenLook, look_budgets, pooling, searches_of
from ablations.analysis.samples import in_searches, outcomes_of, right_images, sample, worst_bad_run
from ablations.analysis.standing import Standing
from ablations.analysis.summary import ClassDifference, Contrast, Course, Detectable, LookPoint, VariantSummary
from ablations.datasets import DATASETS
from ablations.planning.plan import Plan
from ablations.stats.bounds import largest_equivalent, smallest_difference
from ablations.stats.budget import Budget
from ablations.stats.components import noise
from ablations.stats.disagreement import disagreement
from ablations.stats.guessing import learned_percent
from ablations.stats.intervals import MIN_PAIRS_TO_LOOK, class_estimates
from ablations.stats.judgement import Judgement, PairedSample, Verdict
from ablations.stats.p_values import difference_p, false_discovery, mcnemar_exact
from ablations.stats.power import MAX_PAIRS, detectable_difference, smallest_detectable_difference, spread_limit
from ablations.stats.sentences import paragraph
from ablations.stats.verdicts import judge, judge_without_each_unit
from ablations.studyfile.spec import Expectation
from ablations.trial import RecordedTrial


def judged_contrasts(
    plan: Plan,
    variants: Sequence[VariantSummary],
    trials: Mapping[str, Sequence[RecordedTrial]],
    taken: Sequence[TakenLook],
    *,
    standing: Standing,
) -> tuple[Contrast, ...]:
    """Every variant against its reference, as its last look judged it.

    Args:
        plan: of the study.
        variants: baseline first.
        trials: by variant.
        taken: the looks so far.
        standing: of the plan.
    """
    if len(variants) < 2:
        return ()
    by_name = {each.name: each for each in variants}
    sides = {each.name: (each, by_name[plan[each.name].versus]) for each in variants[1:]}
    last = {name: look for look in taken for name in look.judgements}
    first = _first_look(plan, trials, [name for name in sides if name not in last], standing)
    last |= dict.fromkeys(first.judgements, first)
    samples = {name: last[name].samples[name] for name in sides}
    without_unit = {
        name: judgements
        for look in {id(each): each for each in last.values()}.values()
        for name, judgements in judge_without_each_unit(
            look.samples, look.judgements, look.budget, pooling(plan)
        ).items()
        if last[name] is look
    }
    labels = recorded_labels(plan, chain.from_iterable(trials.values()))
    classes = _class_differences(plan, samples, labels)
    bar = learned_percent(guess_percent(plan, chain.from_iterable(trials.values())))
    contrasts = []
    for name, (variant, reference) in sides.items():
        look, expect = last[name], standing.expected.get(name, variant.expect)
        judgement = look.judgements[name]
        course = Course(
            points=tuple(_point(each, name) for each in taken if name in each.judgements),
            closed=look.closed.get(name),
            chance=look.chances.get(name),
            next_seeds=_next_seeds(plan, look, name, standing),
        )
        contrasts.append(
            Contrast(
                variant=name,
                versus=reference.name,
                expect=expect,
                expectation=_outcome(expect, judgement),
                look=look.number,
                num_seeds=look.num_seeds,
                course=course,
                differences=dict(samples[name].differences),
                noise=noise([in_searches(plan, samples[name].differences)]),
                curve_differences=curve_differences(variant, reference, look.seeds),
                disagreement_percent=_disagreement(samples[name].differences, trials[name], trials[reference.name]),
                class_differences=classes.get(name, ()),
                p_failures=p_failures(variant, reference, look.seeds),
                p_bad=p_bad(variant, reference, samples[name].differences),
                judgement=judgement,
                without_unit=without_unit.get(name, {}),
                examination=examination(plan, name, trials, bar),
                detectable=detectable(judgement, look.budget),
                paragraph=paragraph(judgement, look.budget, variant=name, reference=reference.name),
            )
        )
    return tuple(contrasts)


def _first_look(
    plan: Plan, trials: Mapping[str, Sequence[RecordedTrial]], names: Sequence[str], standing: Standing
) -> TakenLook:
    """The first look at contrasts that lack trials for it: without a verdict, with what there is."""
    number, budget = next(iter(look_budgets(plan, standing).items()))
    seeds = plan.seeds[: plan.looks[number - 1]]
    bar = learned_percent(guess_percent(plan, chain.from_iterable(trials.values())))
    found = {name: outcomes_of(each, bar) for name, each in trials.items()}
    searches = searches_of(plan)
    bad_points = worst_bad_run(found.values(), seeds)
    samples = {
        name: sample(found[name], found[plan[name].versus], seeds, searches, bad_points=bad_points) for name in names
    }
    judgements = judge(samples, budget, unplanned=standing.unplanned, pooling=pooling(plan))
    return TakenLook(number, seeds, budget, samples, judgements, {}, {})


def _point(look: TakenLook, name: str) -> LookPoint:
    """A contrast at one look, with the differences that a word would have taken there."""
    judgement, budget = look.judgements[name], look.budget
    evidence = judgement.evidence
    if evidence is None:
        return LookPoint(look.number, look.num_seeds, judgement.num_pairs, judgement.verdict)
    correct = look.samples[name].correct
    return LookPoint(
        look.number,
        look.num_seeds,
        judgement.num_pairs,
        judgement.verdict,
        mean=evidence.estimate.mean,
        interval=evidence.interval,
        smallest_difference=smallest_difference(evidence, budget),
        largest_equivalent=largest_equivalent(evidence, None if correct is None else correct.shape[1], budget),
    )


def _next_seeds(plan: Plan, look: TakenLook, name: str, standing: Standing) -> int | None:
    later = [number for number in look_budgets(plan, standing) if number > look.number]
    is_open = name in look.chances and look.closed.get(name) in {None, "futile"}
    return plan.looks[later[0] - 1] if later and is_open else None


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
        and len(sample.seeds_by_unit) >= MIN_PAIRS_TO_LOOK
        for label, estimate in class_estimates(_unit_images(sample), labels).items()
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


def _unit_images(sample: PairedSample) -> np.ndarray:
    correct = sample.unit_correct
    assert correct is not None
    return correct


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


def curve_differences(
    variant: VariantSummary, reference: VariantSummary, seeds: Sequence[int]
) -> dict[int, tuple[float, ...]]:
    """By seed with both sides learned: variant minus reference in validation accuracy, over epochs trained on both sides."""
    curves, others = ({curve.seed: curve.epochs for curve in v.curves if curve.learned} for v in (variant, reference))
    return {
        seed: tuple(
            one.validation_accuracy_percent - other.validation_accuracy_percent
            for one, other in zip(curves[seed], others[seed], strict=False)
        )
        for seed in sorted(curves.keys() & others.keys() & set(seeds))
    }


def p_failures(variant: VariantSummary, reference: VariantSummary, seeds: Sequence[int]) -> float | None:
    """Exact McNemar p-value of equal failure rates over seeds with an outcome on both sides; None without such seeds."""
    both = variant.ran_seeds & reference.ran_seeds & set(seeds)
    failed, failed_reference = (both & set(each.failed_seeds) for each in (variant, reference))
    return mcnemar_exact(len(failed - failed_reference), len(failed_reference - failed)) if both else None


def p_bad(variant: VariantSummary, reference: VariantSummary, pairs: Collection[int]) -> float | None:
    """Exact McNemar p-value of equal rates of bad runs over pairs that learned; None without pairs."""
    bad, bad_reference = (set(pairs) & set(each.bad_seeds) for each in (variant, reference))
    return mcnemar_exact(len(bad - bad_reference), len(bad_reference - bad)) if pairs else None


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
