"""The looks at a study's results: each judges the contrasts that are open, and closes those that need no more seeds.

The looks are a function of the plan and of the recorded trials: a run that was killed, a report and another machine come to
the same words and ask for the same seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ablations.analysis.samples import Outcomes, outcomes_of, sample, tuned_values, worst_bad_run
from ablations.analysis.standing import Standing, standing_of
from ablations.planning.frozen import Closing, Finding, Ledger, Look
from ablations.planning.plan import Plan
from ablations.stats.budget import Budget
from ablations.stats.futility import FUTILE, LaterLook, chance_of_word
from ablations.stats.judgement import Judgement, PairedSample, Verdict
from ablations.stats.verdicts import judge
from ablations.trial import RecordedTrial

_OPEN = {
    Verdict.UNDECIDED_MORE_SEEDS,
    Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP,
    Verdict.EXPLORATORY,
    Verdict.NO_VERDICT,
}
"""Verdicts that are no word."""


@dataclass(frozen=True)
class TakenLook:
    """One look, as far as its trials have outcomes. All mappings are by variant."""

    number: int
    """From 1."""
    seeds: tuple[int, ...]
    budget: Budget
    samples: Mapping[str, PairedSample] = field(repr=False)
    """Of the contrasts that were open and have all their trials."""
    judgements: Mapping[str, Judgement]
    closed: Mapping[str, Closing]
    """Contrasts that get no more seeds."""
    chances: Mapping[str, float]
    """Chance of a word by the last look, of contrasts without one."""

    @property
    def num_seeds(self) -> int:
        """Planned pairs of each contrast."""
        return len(self.seeds)

    @property
    def spent_alpha(self) -> float:
        """Error budget that the look spends: without a verdict none."""
        spends = any(not judgement.verdict.is_withheld for judgement in self.judgements.values())
        return self.budget.look_alpha if spends else 0.0


def take_looks(plan: Plan, outcomes: Mapping[str, Outcomes], standing: Standing) -> tuple[TakenLook, ...]:
    """Take all looks that the outcomes allow.

    A contrast with a word keeps it, and is never judged again. A contrast that is futile, or that may have no word, is judged again
    if it got its seeds all the same. One whose trials lack an outcome waits.

    Args:
        plan: of the study.
        outcomes: of each variant.
        standing: of the plan.
    """
    budgets = look_budgets(plan, standing)
    searches, references = searches_of(plan), pooling(plan)
    taken: list[TakenLook] = []
    remaining = list(plan.contrast_names)
    for number, budget in budgets.items():
        seeds = plan.seeds[: plan.looks[number - 1]]
        bad_points = worst_bad_run(outcomes.values(), seeds)
        samples = {
            name: sample(outcomes[name], outcomes[plan[name].versus], seeds, searches, bad_points=bad_points)
            for name in remaining
        }
        samples = {name: each for name, each in samples.items() if not each.num_missing}
        if not samples:
            break
        judgements = judge(samples, budget, unplanned=standing.unplanned, pooling=references)
        closed: dict[str, Closing] = {}
        chances: dict[str, float] = {}
        later = {count: each for count, each in budgets.items() if count > number}
        for name, judgement in list(judgements.items()):
            chances[name] = _chance(plan, samples[name], judgement, later)
            why = _closing(judgement, chances[name], is_last=not later, is_planned=name not in standing.unplanned)
            if why is not None:
                closed[name] = why
            if why == "futile" and judgement.verdict is Verdict.UNDECIDED_MORE_SEEDS:
                judgements[name] = replace(judgement, verdict=Verdict.UNDECIDED_FUTILE)
        taken.append(TakenLook(number, seeds, budget, samples, judgements, closed, chances))
        remaining = [name for name in samples if closed.get(name) in {None, "futile", "not planned"}]
    return tuple(taken)


def searches_of(plan: Plan) -> dict[int, int]:
    """Number of the search of each confirm seed, if the search is the unit of the tests; else empty."""
    return {seed: plan.search_of(seed) for seed in plan.seeds} if plan.is_by_search else {}


def pooling(plan: Plan) -> dict[str, str]:
    """The variant that each is compared with, if the plan pools the spread of searches; else empty."""
    if not (plan.is_by_search and plan.decision.pooled):
        return {}
    return {name: plan[name].versus for name in plan.contrast_names}


def look_budgets(plan: Plan, standing: Standing) -> dict[int, Budget]:
    """The error budget of each look that has one, by its number from 1."""
    decision = plan.decision
    return {
        number: Budget(
            alpha=decision.alpha, margin=decision.margin, num_comparisons=standing.num_comparisons, share=share
        )
        for number, share in enumerate(standing.shares, start=1)
        if share and standing.num_comparisons
    }


def _chance(plan: Plan, one: PairedSample, judgement: Judgement, later: Mapping[int, Budget]) -> float:
    """Chance of a word at the looks to come."""
    if not later or judgement.evidence is None or judgement.verdict not in _OPEN:
        return 0.0
    floor = judgement.evidence.p_equivalence_floor or 0.0
    # Runs that do not learn make fewer pairs.
    rate = judgement.num_pairs / plan.units_of(one.num_planned)
    looks = [
        LaterLook(
            max(judgement.num_pairs + 1, round(rate * plan.units_of(plan.looks[number - 1]))),
            budget,
            floor <= budget.step_alpha,
        )
        for number, budget in later.items()
    ]
    pooled = max(1, len(pooling(plan)))
    return chance_of_word(judgement.evidence, judgement.num_pairs, looks, pooled=pooled)


def _closing(judgement: Judgement, chance: float, *, is_last: bool, is_planned: bool) -> Closing | None:
    if judgement.verdict not in _OPEN:
        return "word"
    if not is_planned:
        return "not planned"
    if is_last:
        return "last look"
    return "futile" if chance < FUTILE else None


def needed_seeds(
    plan: Plan, taken: Sequence[TakenLook], standing: Standing, *, futility: bool = True
) -> dict[str, int]:
    """Number of seeds that each variant needs now: for the next look of an open contrast, or for the last look of a closed one.

    Args:
        plan: of the study.
        taken: its looks so far.
        standing: of the plan.
        futility: whether a futile contrast gets no more seeds.
    """
    needed = dict.fromkeys((variant.name for variant in plan.variants), 0)
    needed[plan.baseline] = plan.looks[0]
    numbers = list(look_budgets(plan, standing)) or [1]
    for name in plan.contrast_names:
        last = next((look for look in reversed(taken) if name in look.judgements), None)
        number = numbers[0]
        if last is not None:
            why = last.closed.get(name)
            goes_on = why is None or (why == "futile" and not futility)
            number = next((each for each in numbers if each > last.number), last.number) if goes_on else last.number
        for side in (name, plan[name].versus):
            needed[side] = max(needed[side], plan.looks[number - 1])
    return needed


def findings(look: TakenLook) -> tuple[Finding, ...]:
    """What a look found, to be recorded."""
    return tuple(
        Finding(name, each.verdict.word, each.num_pairs, each.mean, each.sd, look.closed.get(name))
        for name, each in look.judgements.items()
    )


def look_record(plan: Plan, look: TakenLook, standing: Standing) -> Look:
    """The record of a look."""
    return Look(
        seeds=look.seeds,
        alpha=look.spent_alpha,
        margin=plan.decision.margin,
        # A contrast that was added later is exploratory, and takes nothing from the others.
        contrasts=tuple(each for each in standing.contrasts if each.variant not in standing.unplanned),
        findings=findings(look),
    )


@dataclass(frozen=True)
class LooksNow:
    """The standing of a plan, its looks so far, and the seeds that each variant needs."""

    standing: Standing
    taken: tuple[TakenLook, ...]
    needed: Mapping[str, int]


def looks_now(
    plan: Plan,
    trials: Mapping[str, Sequence[RecordedTrial]],
    learned_percent: float,
    ledgers: Sequence[Ledger],
    *,
    tuned: Mapping[str, Mapping[str, Any]] | None = None,
    futility: bool = True,
) -> LooksNow:
    """Hold recorded trials against the store's records, and take the looks.

    Args:
        plan: of the study.
        trials: by variant.
        learned_percent: validation accuracy from which a run has learned.
        ledgers: what was planned and looked at before.
        tuned: values chosen by each variant's first search; None: those of the confirmation trials.
        futility: whether a futile contrast gets no more seeds.
    """
    if tuned is None:
        first = plan.first_search
        tuned = {name: values[first] for name, each in trials.items() if first in (values := tuned_values(plan, each))}
    standing = standing_of(plan, plan.contrasts(tuned), ledgers)
    taken = take_looks(plan, {name: outcomes_of(each, learned_percent) for name, each in trials.items()}, standing)
    return LooksNow(standing, taken, needed_seeds(plan, taken, standing, futility=futility))
