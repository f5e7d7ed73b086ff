"""The share of the error budget that earlier looks have left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ablations.analysis.summary import StudySummary
from ablations.planning.plan import Look, Plan, PlannedContrast

ADDED = "added after the results were first looked at; fresh seeds (first_seed) give it a verdict of its own"
"""Reason why a contrast missing from the first look is exploratory."""


def why_unplanned(plan: Plan, looks: Iterable[Look]) -> str | None:
    """The reason why this look was not planned, if earlier looks at the same results left too little of the budget.

    If one adds seeds until a verdict appears, the verdict is wrong far more often than alpha. Two looks at alpha each
    are enough for it.

    Args:
        plan: of this look.
        looks: recorded reports with verdicts on the same results, the first one first.
    """
    this = plan.this_look
    spent: dict[int, float] = {}
    for look in looks:
        if look.margin != this.margin:
            return f"the margin was {look.margin:g} points when the results were first looked at"
        if look.seeds == this.seeds:
            if this.alpha > look.alpha * (1 + 1e-9):
                return f"alpha was {look.alpha:g} when the results were first looked at"
            break  # this look itself; later looks do not count
        num_seeds = len(look.seeds)
        spent[num_seeds] = max(look.alpha, spent.get(num_seeds, 0.0))
    if sum(spent.values()) + this.alpha <= plan.decision.alpha * (1 + 1e-9):
        return None
    counts = ", ".join(map(str, sorted(spent)))
    return f"looked at before with {counts} seeds, and {len(this.seeds)} were not planned then (extend_to plans them)"


def changed_expectations(plan: Plan, planned: Sequence[PlannedContrast]) -> Iterable[str]:
    """A warning for each expectation changed since the first look; the report keeps the first one.

    Args:
        plan: of this look.
        planned: contrasts of the first look.
    """
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
    """Whether a report of this summary spends some of the error budget."""
    return not all(contrast.judgement.verdict.is_withheld for contrast in summary.contrasts)
