"""Plan + recorded trials -> StudySummary: all numbers and words of a report, before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ablations.analysis.contrasts import judged_contrasts
from ablations.analysis.looks import changed_expectations, why_unplanned
from ablations.analysis.summary import AACheck, StudySummary, VariantSummary
from ablations.analysis.variants import chance_percent, has_independent_draws, learned, variant_summary
from ablations.analysis.warnings import in_parts, incomplete_aa, seeds_only, troubles_of, variant_warnings
from ablations.costs import Measurement
from ablations.datasets import DATASETS
from ablations.planning.plan import Look, Plan
from ablations.stats.intervals import identical, paired_interval
from ablations.trial import RecordedTrial


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
    variants = tuple(
        variant_summary(plan, variant, by_variant[variant.name], measurements) for variant in plan.variants
    )
    scope = (
        f"for the tuned configurations, on {DATASETS[plan.data.name].title}"
        if plan.tuned
        else f"for these fixed configurations, on {DATASETS[plan.data.name].title}"
    )
    looks = [look for look in looks if look.is_of(plan.this_look)]
    # What was planned when the results were first looked at: nobody can plan for results that he knows.
    planned = (looks or [plan.this_look])[0].contrasts
    overspent = why_unplanned(plan, looks)
    contrasts = judged_contrasts(plan, variants, by_variant, scope, overspent, planned)
    ended = [trial for each in by_variant.values() for trial in each]
    troubles = tuple(troubles_of(ended))
    return StudySummary(
        study=plan.study,
        question=plan.question,
        source=plan.source,
        profile=plan.profile,
        profile_description=plan.profile_description,
        dataset=DATASETS[plan.data.name].title,
        chance_percent=chance_percent(plan),
        baseline=plan.baseline,
        variants=variants,
        contrasts=contrasts,
        decision=plan.decision,
        scope=scope,
        search_space=plan.search_space,
        independent_draws=has_independent_draws(plan),
        num_seeds=len(plan.seeds),
        seeds=plan.seeds,
        looks=plan.looks,
        num_planned=len(planned),
        unplanned=overspent,
        aa=_aa(plan, variants[0], by_variant[plan.baseline]),
        warnings=(
            *changed_expectations(plan, planned),
            *incomplete_aa(plan, by_variant[plan.baseline]),
            *seeds_only(contrasts),
            *variant_warnings(plan, variants, provenance),
            *(trouble.sentence for trouble in troubles),
            *in_parts(ended),
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
