"""Plan -> Resolution: the questions a study can and cannot decide, before any training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

from ablations.planning.plan import Plan
from ablations.stats.budget import Budget, shares
from ablations.stats.judgement import Unit
from ablations.stats.p_values import smallest_sign_flip_p
from ablations.stats.power import (
    POWER,
    detectable_difference,
    expected_image_floor,
    smallest_margin_of_images,
    smallest_provable_margin,
)
from ablations.stats.verdicts import MIN_PAIRS_FOR_VERDICT, MIN_SEARCHES_FOR_VERDICT
from ablations.text import plural

SPREADS = (0.25, 0.5, 1.0)
"""Assumed standard deviations of paired differences, points: a steady, a usual and an unsteady training."""

ACCURACIES_PERCENT = (90.0, 98.0)
"""Assumed accuracies of the networks, for the limits of the test set."""


@dataclass(frozen=True)
class Resolution:
    """Differences that the seeds and test images of a plan can resolve, in percentage points of accuracy."""

    unit: Unit
    """Of the tests: a paired seed, or a search with its seeds."""
    num_pairs: int
    """Units of each contrast at the last look."""
    num_comparisons: int
    margin: float
    num_test: int
    carries_verdicts: bool
    """Whether there are enough pairs for a verdict; with fewer every contrast is exploratory."""
    smallest_sign_flip_p: float
    """Smallest possible p of the sign-flip check with this number of pairs."""
    sign_flip_can_confirm: bool
    """Whether this p can reach the level of the first step of the step-down."""
    detectable: dict[float, float]
    """Spread of the differences -> true difference detected at the last look with 80 % power."""
    earlier: dict[int, dict[float, float]]
    """Number of units at each look before the last -> what it detects, likewise."""
    image_floor: dict[float, float]
    """Accuracy in percent -> standard error with infinitely many seeds."""
    provable_margin: dict[float, float]
    """Accuracy in percent -> smallest margin for a proof of equivalence with infinitely many seeds."""


def resolution(plan: Plan) -> Resolution | None:
    """The resolution of a plan; None with nothing to compare, or with one seed only."""
    num_pairs = plan.units_of(len(plan.seeds))
    if len(plan.variants) < 2 or num_pairs < 2:
        return None
    budgets = look_budgets(plan)
    *before, budget = budgets.values()
    floors = {accuracy: expected_image_floor(accuracy, plan.num_test) for accuracy in ACCURACIES_PERCENT}
    floor_p = smallest_sign_flip_p(num_pairs)
    return Resolution(
        unit="search" if plan.is_by_search else "seed",
        num_pairs=num_pairs,
        num_comparisons=budget.num_comparisons,
        margin=budget.margin,
        num_test=plan.num_test,
        carries_verdicts=num_pairs >= (MIN_SEARCHES_FOR_VERDICT if plan.is_by_search else MIN_PAIRS_FOR_VERDICT),
        smallest_sign_flip_p=floor_p,
        sign_flip_can_confirm=floor_p <= budget.step_alpha,
        detectable=_detectable(num_pairs, budget),
        earlier={
            units: _detectable(units, each) for units, each in zip(map(plan.units_of, plan.looks), before, strict=False)
        },
        image_floor=floors,
        provable_margin={
            accuracy: max(smallest_provable_margin(floor, budget), smallest_margin_of_images(plan.num_test, budget))
            for accuracy, floor in floors.items()
        },
    )


def look_budgets(plan: Plan) -> dict[int, Budget]:
    """The error budget of each planned look, by its number of seeds, if no other look was taken before."""
    return {
        seeds: Budget(
            alpha=plan.decision.alpha,
            margin=plan.decision.margin,
            num_comparisons=len(plan.contrast_names),
            share=share,
        )
        for seeds, share in zip(plan.looks, shares(plan.looks), strict=True)
    }


def _detectable(num_pairs: int, budget: Budget) -> dict[float, float]:
    return {sd: detectable_difference(sd, num_pairs, budget) for sd in SPREADS}


def in_sentences(found: Resolution) -> Iterator[str]:
    """The resolution in plain sentences, one each."""
    if not found.carries_verdicts:
        yield (
            f"{plural(found.num_pairs, 'seed')} can carry no verdict: every contrast will be exploratory; a verdict takes "
            f"{MIN_PAIRS_FOR_VERDICT}"
        )
    spreads = _with_slashes(found.detectable, "g")
    units, several = ("search", "searches") if found.unit == "search" else ("paired seed", "seeds")
    comparisons = "1 comparison" if found.num_comparisons == 1 else f"each of {found.num_comparisons} comparisons"
    find = "can find" if found.carries_verdicts else "would show, if they were enough for a verdict,"
    yield (
        f"{plural(found.num_pairs, units)} {find} a true difference of {_with_slashes(found.detectable.values(), '.2f')} points "
        f"with {100 * POWER:.0f} % power in {comparisons}, if differences scatter from {found.unit} to {found.unit} by {spreads} points (standard deviation)"
    )
    if found.earlier:
        looks = "; ".join(f"{_with_slashes(each.values(), '.2f')} at {seeds}" for seeds, each in found.earlier.items())
        yield f"the looks before find larger differences: {looks} {several}"
    confirm = "" if found.sign_flip_can_confirm else f": too few {several} for it to confirm a word by itself"
    yield f"the sign-flip check cannot go below p = {found.smallest_sign_flip_p:.3g}{confirm}"
    for accuracy, margin in found.provable_margin.items():
        can = "can" if margin <= found.margin else "cannot"
        yield (
            f"{found.num_test:,} test images at {accuracy:g} % accuracy leave ±{1.96 * found.image_floor[accuracy]:.2f} points "
            f"however many {several} there are: equivalence within {plural(found.margin, 'point')} {can} be proven (needs a margin of "
            f"{ceil(100 * margin) / 100:.2f})"
        )


def _with_slashes(values: Iterable[float], form: str) -> str:
    return " / ".join(f"{value:{form}}" for value in values)
