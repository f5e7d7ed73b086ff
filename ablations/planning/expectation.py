"""Plan -> the number of seeds that its looks are expected to take, before any training."""

from __future__ import annotations

import numpy as np

from ablations.planning.plan import Plan
from ablations.planning.resolution import ACCURACIES_PERCENT, look_budgets
from ablations.stats.futility import LaterLook, looks_until_word
from ablations.stats.power import expected_image_floor

TRUE_MARGINS = (0.0, 0.4, 1.0, 2.0, 3.6)
"""Assumed true differences, in margins, each as likely as the others: those of the table of designs."""

NUM_STUDIES = 1000
"""Simulated studies. They leave an expected number of seeds a standard error of under 2 %."""


def expected_seeds(plan: Plan, sd: float) -> dict[str, float]:
    """Mean number of confirmation seeds of each variant, simulated.

    Each look tests at the first step of its step-down, and futility stops nothing, so the numbers are a little too large.

    Args:
        plan: its looks, comparisons and test images count.
        sd: spread of the paired differences from seed to seed, points, above zero.
    """
    seeds = dict.fromkeys((variant.name for variant in plan.variants), np.full(NUM_STUDIES, plan.looks[0]))
    if plan.contrast_names and plan.looks[0] > 1:
        looks = [LaterLook(num_pairs, budget) for num_pairs, budget in look_budgets(plan).items()]
        floor = min(expected_image_floor(accuracy, plan.num_test) for accuracy in ACCURACIES_PERCENT)
        shape = NUM_STUDIES, len(plan.contrast_names)
        true = plan.decision.margin * np.random.default_rng(0).choice(TRUE_MARGINS, shape)
        needed = np.asarray(plan.looks)[looks_until_word(true, sd, looks, floor)]
        for name, each in zip(plan.contrast_names, needed.T, strict=True):
            for side in (name, plan[name].versus):
                seeds[side] = np.maximum(seeds[side], each)
    return {name: float(each.mean()) for name, each in seeds.items()}
