"""Plan + recorded trials -> StudySummary: all numbers and words of a report, before any drawing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ablations.analysis.choices import choices, far_apart
from ablations.analysis.code import mixed_code
from ablations.analysis.contrasts import judged_contrasts
from ablations.analysis.history import history
from ablations.analysis.learning import guess_percent, learned
from ablations.analysis.looks import look_record, looks_now, searches_of
from ablations.analysis.samples import in_searches
from ablations.analysis.shared import shared_studies
from ablations.analysis.standing import fresh_seed
from ablations.analysis.summary import AACheck, StudySummary, VariantSummary
from ablations.analysis.variants import has_independent_draws, variant_summary
from ablations.analysis.warnings import (
    changed_expectations,
    in_parts,
    incomplete_aa,
    incomplete_examination,
    mixed_provenance,
    seeds_only,
    troubles_of,
    unknown_labels,
    variant_warnings,
)
from ablations.costs import Measurement
from ablations.datasets import DATASETS
from ablations.planning.frozen import Ledger
from ablations.planning.plan import Plan
from ablations.stats.components import noise
from ablations.stats.guessing import learned_percent
from ablations.stats.intervals import identical, paired_interval
from ablations.trial import RecordedTrial


def summarize(
    plan: Plan,
    trials: Iterable[RecordedTrial],
    provenance: Mapping[str, Any],
    measurements: Mapping[str, Measurement],
    ledgers: Sequence[Ledger] = (),
) -> StudySummary:
    """Turn recorded trials into numbers, intervals and words.

    Args:
        plan: of the study.
        trials: all trials in the store. Trials of other plans (another `variant_key`, or an unplanned seed) are left out.
        provenance: passed through to the report.
        measurements: of architectures, by the workload's id.
        ledgers: what was planned and looked at before, in all studies of the store. This report may be among it.
    """
    by_variant = _by_variant(plan, trials)
    ended = [trial for each in by_variant.values() for trial in each]
    guess = guess_percent(plan, ended)
    bar = learned_percent(guess)
    now = looks_now(plan, by_variant, bar, ledgers)
    variants = tuple(
        variant_summary(
            plan, variant, by_variant[variant.name], measurements, guess, plan.seeds[: now.needed[variant.name]]
        )
        for variant in plan.variants
    )
    dataset = DATASETS[plan.data.name].title
    scope = f"for {_what(plan)}, on {dataset}"
    standing = now.standing
    contrasts = judged_contrasts(plan, variants, by_variant, now.taken, standing=standing)
    troubles = tuple(troubles_of(ended))
    return StudySummary(
        study=plan.study,
        question=plan.question,
        source=plan.source,
        profile=plan.profile,
        profile_description=plan.profile_description,
        dataset=dataset,
        guess_percent=guess,
        learned_percent=bar,
        baseline=plan.baseline,
        variants=variants,
        contrasts=contrasts,
        decision=plan.decision,
        scope=scope,
        num_searches=plan.num_searches,
        searches=searches_of(plan),
        noise=noise(in_searches(plan, variant.learned_percent_by_seed) for variant in variants),
        search_space=plan.search_space,
        independent_draws=has_independent_draws(plan),
        seeds=plan.seeds,
        looks=plan.looks,
        shares=standing.shares,
        history=tuple(history(plan, standing, contrasts, ledgers)),
        shared=tuple(shared_studies(plan, standing.contrasts, ledgers)),
        taken=tuple(look_record(plan, look, standing) for look in now.taken),
        num_planned=standing.num_comparisons,
        unplanned=standing.reason,
        aa=_aa(plan.aa_seeds[: now.needed[plan.baseline]], variants[0], by_variant[plan.baseline], bar),
        warnings=(
            *changed_expectations(plan, standing),
            *incomplete_aa(plan.aa_seeds[: now.needed[plan.baseline]], by_variant[plan.baseline], bar),
            *incomplete_examination(plan, by_variant),
            *unknown_labels(plan, ended),
            *seeds_only(contrasts),
            *mixed_provenance(provenance),
            *mixed_code(plan, provenance),
            *variant_warnings(plan, variants),
            *far_apart(plan, variants),
            *(trouble.sentence for trouble in troubles),
            *in_parts(ended),
        ),
        caveats=plan.caveats,
        provenance=dict(provenance),
        troubles=troubles,
        fresh_seed=fresh_seed(plan, standing, ledgers),
        choices=choices(plan, variants),
    )


def _what(plan: Plan) -> str:
    """What the conclusions of a plan are about."""
    if not plan.tuned:
        return "these fixed configurations"
    return "the variants, tuned like this" if plan.is_by_search else "these tuned values"


def _by_variant(plan: Plan, trials: Iterable[RecordedTrial]) -> dict[str, list[RecordedTrial]]:
    """Trials of the plan by variant. The store returns them in any order; a fixed order makes reports reproducible."""
    found: dict[str, list[RecordedTrial]] = {variant.name: [] for variant in plan.variants}
    keys = {variant.name: variant.key for variant in plan.variants}
    for trial in sorted(trials, key=_order):
        if keys.get(trial.variant) == trial.variant_key:
            found[trial.variant].append(trial)
    return found


def _aa(
    aa_seeds: Sequence[int], baseline: VariantSummary, trials: Sequence[RecordedTrial], bar: float
) -> AACheck | None:
    again = {t.seed: t.result for t in trials if t.phase == "confirm" and t.seed in aa_seeds}
    ran = {seed: result for seed, result in again.items() if result.status != "failed"}
    good = [
        result.test_accuracy_percent
        for _, result in sorted(ran.items())
        if learned(result, bar) and result.test_accuracy_percent is not None
    ]
    first = [accuracy for seed, accuracy in baseline.accuracy_percent.items() if seed not in baseline.failed_seeds]
    differences = np.array([b - a for a, b in zip(first, good, strict=False)])
    if len(differences) < 2 or identical(differences):
        return None
    return AACheck(
        num_pairs=len(differences),
        num_planned=len(aa_seeds),
        mean=float(differences.mean()),
        sd=float(differences.std(ddof=1)),
        interval=paired_interval(differences),
        num_failed=sum(not learned(result, bar) for result in ran.values()),
    )


def _order(trial: RecordedTrial) -> tuple[Any, ...]:
    """Confirmation by seed, then search trials by number, then re-runs by seed."""
    number = -1 if trial.number is None else trial.number
    return (trial.phase, trial.seed, number, sorted(map(str, trial.hyperparameters.items())), trial.run_id)
