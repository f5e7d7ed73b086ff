"""Looks at a plan's results, as they are recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ablations.planning.frozen import Ledger, Look
from ablations.planning.plan import Plan
from ablations.stats.budget import shares


def look_of(plan: Plan, number: int = 1, **changes: Any) -> Look:
    """A look of an older version: it knows keys, and neither ids nor findings."""
    contrasts = tuple(replace(each, variant="", versus="", variant_id="", versus_id="") for each in plan.contrasts())
    seeds = plan.seeds[: plan.looks[number - 1]]
    alpha = plan.decision.alpha * shares(plan.looks)[number - 1]
    return replace(Look(seeds, alpha, plan.decision.margin, contrasts), **changes)


def ledger_of(plan: Plan, *looks: Look) -> Ledger:
    """What the study planned and looked at, as a store has it."""
    return Ledger(plan.study, plan.profile, looks=looks)
