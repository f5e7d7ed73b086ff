"""Plan -> the number of seeds that its looks are expected to take, before any training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablations.planning.duration import Trainings, trainings
from ablations.planning.frozen import Ledger
from ablations.planning.plan import Plan
from ablations.planning.resolution import ACCURACIES_PERCENT, SPREADS, look_budgets
from ablations.stats.futility import LaterLook, looks_until_word
from ablations.stats.power import expected_image_floor

TRUE_MARGINS = (0.0, 0.4, 1.0, 2.0, 3.6)
"""Assumed true differences, in margins, each as likely as the others: those of the table of designs."""

NUM_STUDIES = 1000
"""Simulated studies. They leave an expected number of seeds a standard error of under 2 %."""


@dataclass(frozen=True)
class Expectation:
    """The trainings that a plan is expected to take."""

    by_spread: dict[float, Trainings]
    """Spread of the paired differences, points -> mean numbers of trainings."""
    is_measured: bool
    """Whether looks at the study found these spreads; else they are assumed."""


def expectation(plan: Plan, ledgers: Sequence[Ledger] = ()) -> Expectation:
    """The trainings that the looks of a plan are expected to take.

    Args:
        plan: its looks and comparisons count.
        ledgers: of studies in the store. What looks at this study found there replaces the assumed spreads: the least, the
            median and the greatest spread.
    """
    measured: dict[str, float] = {}
    for ledger in ledgers:
        if (ledger.study, ledger.profile) == (plan.study, plan.profile):
            measured |= {
                each.variant: each.sd
                for look in ledger.looks
                for each in look.findings
                if each.sd and each.num_pairs <= plan.units_of(len(look.seeds))
            }
    spreads = sorted(measured[name] for name in plan.contrast_names if name in measured)
    chosen = dict.fromkeys((spreads[0], spreads[len(spreads) // 2], spreads[-1]) if spreads else SPREADS)
    return Expectation({sd: trainings(plan, expected_seeds(plan, sd)) for sd in chosen}, bool(spreads))


def expected_seeds(plan: Plan, sd: float) -> dict[str, float]:
    """Mean number of confirmation seeds of each variant, simulated.

    Each look tests at the first step of its step-down, and futility stops nothing, so the numbers are a little too large.

    Args:
        plan: its looks, comparisons and test images count.
        sd: spread of the paired differences from seed to seed, or from search to search, points, above zero.
    """
    seeds = dict.fromkeys((variant.name for variant in plan.variants), np.full(NUM_STUDIES, plan.looks[0]))
    if plan.contrast_names and plan.looks[0] > 1:
        looks = [LaterLook(plan.units_of(num_seeds), budget) for num_seeds, budget in look_budgets(plan).items()]
        floor = min(expected_image_floor(accuracy, plan.num_test) for accuracy in ACCURACIES_PERCENT)
        shape = NUM_STUDIES, len(plan.contrast_names)
        true = plan.decision.margin * np.random.default_rng(0).choice(TRUE_MARGINS, shape)
        needed = np.asarray(plan.looks)[looks_until_word(true, sd, looks, floor)]
        for name, each in zip(plan.contrast_names, needed.T, strict=True):
            for side in (name, plan[name].versus):
                seeds[side] = np.maximum(seeds[side], each)
    return {name: float(each.mean()) for name, each in seeds.items()}
