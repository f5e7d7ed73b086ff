"""What earlier looks leave of the error budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ablations.analysis.summary import StudySummary
from ablations.planning.plan import Look, Plan, PlannedContrast

ADDED = "added after the results were first looked at; fresh seeds (first_seed) give it a verdict of its own"
"""Why a contrast is exploratory that was not among those of the first look."""


def why_unplanned(plan: Plan, looks: Iterable[Look]) -> str | None:
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


def changed_expectations(plan: Plan, planned: Sequence[PlannedContrast]) -> Iterable[str]:
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
