"""What a study's verdicts are about, and the price of verdicts about more."""

from __future__ import annotations

from ablations.planning.plan import Plan
from ablations.text import plural

ENOUGH_SEARCHES, SEEDS_EACH = 5, 2
"""A small design by searches; docs/statistics.md has the power of others."""


def num_trials_by_search(plan: Plan) -> int:
    """Trainings of a study with `ENOUGH_SEARCHES` searches of `SEEDS_EACH` seeds, if nothing is decided earlier."""
    again = ENOUGH_SEARCHES * SEEDS_EACH if plan.aa_seeds else 0
    return len(plan.variants) * ENOUGH_SEARCHES * (plan.tuning.num_trials + SEEDS_EACH) + again


def in_sentences(plan: Plan) -> str:
    """What the verdicts are about, in words; empty if nothing is tuned."""
    if not plan.tuned:
        return ""
    if plan.is_by_search:
        pooled = ", whose spread is pooled over the variants (an assumption)" if plan.decision.pooled else ""
        return (
            f"verdicts hold for the variants, tuned like this: each has {plan.num_searches} searches of {plural(plan.seeds_per_search, 'seed')}, and the "
            f"unit of every test is the search{pooled}"
        )
    seeds = ENOUGH_SEARCHES * SEEDS_EACH
    examined = ""
    if plan.cross_examine:
        most = 2 * len(plan.contrast_names) * len(plan.examined_seeds)
        examined = f". The cross-examination of different tuned values takes at most {plural(most, 'training')} more"
    return (
        f"verdicts hold for the tuned values of one search for each variant. Verdicts about the variants, tuned like this, take several "
        f"searches: with tuning.searches: {ENOUGH_SEARCHES} and seeds: {seeds} (instead of looks) {num_trials_by_search(plan)} trainings{examined}"
    )
