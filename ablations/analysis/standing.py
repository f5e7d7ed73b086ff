"""The standing of a plan: which of its contrasts may have a word, and how much of the error budget each look may spend.

Seeds, margin, alpha, looks and contrasts are fixed with the first confirmation trial. Whoever changes them after results were
seen, and adds seeds until a word appears, is wrong far more often than alpha. So a plan is compared with everything in the
store that was planned for, or looked at on, the same trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ablations.planning.frozen import FrozenPlan, Ledger, Look, PlannedContrast
from ablations.planning.plan import Plan
from ablations.stats.budget import shares
from ablations.studyfile.spec import Expectation

FRESH = "fresh seeds (first_seed) give it a verdict"
ADDED = f"added after the results were first looked at; {FRESH}"
"""Reason why a contrast missing from the frozen plan is exploratory."""


@dataclass(frozen=True)
class Standing:
    """What a plan may still say."""

    contrasts: tuple[PlannedContrast, ...]
    """Contrasts of the plan with their ids, if the variants are tuned."""
    num_comparisons: int
    """K: the largest number of contrasts that was ever planned for these trials."""
    shares: tuple[float, ...]
    """Part of alpha that each look of the plan may spend; 0 if none is left for it."""
    reason: str | None = None
    """Why no contrast may have a verdict; None if they may."""
    unplanned: Mapping[str, str] = field(default_factory=dict)
    """By variant: why its contrast may have no verdict."""
    is_frozen: bool = False
    """Whether the study has recorded its rules for these trials."""
    expected: Mapping[str, Expectation | None] = field(default_factory=dict)
    """By variant: its expectation when the rules were recorded."""
    raised_by: tuple[str, str] | None = None
    """Study and profile that planned more contrasts for these trials, and so raised `num_comparisons`."""
    raises: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Study and profile whose correction this plan raises -> the number of contrasts that it had."""


def standing_of(plan: Plan, contrasts: Sequence[PlannedContrast], ledgers: Sequence[Ledger] = ()) -> Standing:
    """Hold a plan against everything that the store knows of its trials.

    Args:
        plan: of the study now.
        contrasts: of the plan, with ids once the variants are tuned.
        ledgers: of the studies in the store, this one among them.
    """
    related = [
        (ledger, record)
        for ledger in ledgers
        for record in ledger.records
        if _shares_trials(plan, contrasts, record, is_own=_is_own(plan, ledger))
    ]
    own = next((record for ledger, record in related if _is_own(plan, ledger)), None)
    unplanned: dict[str, str] = {}
    expected: dict[str, Expectation | None] = {}
    for contrast in contrasts:
        if own is not None:
            same = next((each for each in own.contrasts if each.is_same(contrast)), None)
            if same is None:
                unplanned[contrast.variant] = ADDED
            else:
                expected[contrast.variant] = same.expect
        for ledger, record in related:
            is_planned = any(each.is_same(contrast) for each in record.contrasts)
            if not _is_own(plan, ledger) and _is_seen(contrast, record) and not is_planned:
                unplanned.setdefault(
                    contrast.variant,
                    f"both variants were looked at in study {ledger.study}, profile {ledger.profile}, which does not compare them; {FRESH}",
                )
    spent = _spent([record for _, record in related])
    reasons = (_conflict(plan, ledger, record) for ledger, record in related)
    reason = next(filter(None, (*reasons, _unplanned_look(plan, spent))), None)
    num_own = len(contrasts) if own is None else len(own.contrasts)
    others: dict[tuple[str, str], int] = {}
    for ledger, record in related:
        if not _is_own(plan, ledger):
            key = ledger.study, ledger.profile
            others[key] = max(len(record.contrasts), others.get(key, 0))
    most = max(others, key=others.__getitem__, default=None)
    return Standing(
        contrasts=tuple(contrasts),
        num_comparisons=max([num_own, *(len(record.contrasts) for _, record in related)]),
        raised_by=most if most and others[most] > num_own else None,
        raises={key: count for key, count in others.items() if count < num_own},
        shares=shares(plan.looks) if reason else _shares(plan, spent),
        reason=reason,
        unplanned={contrast.variant: reason for contrast in contrasts} if reason else unplanned,
        expected=expected,
        is_frozen=any(isinstance(record, FrozenPlan) for ledger, record in related if _is_own(plan, ledger)),
    )


def raised_correction(plan: Plan, standing: Standing) -> str | None:
    """Which studies' verdicts are corrected for more comparisons because of this plan; None if there are none."""
    if not standing.raises:
        return None
    names = "; ".join(f"{study}, profile {profile} ({count})" for (study, profile), count in standing.raises.items())
    return (
        f"{plan.study}, profile {plan.profile}: it plans {standing.num_comparisons} comparisons for trials that other studies were judged on with "
        f"fewer: {names}. From now on their reports correct for as many, and may lose verdicts. Fresh seeds (first_seed) leave them as they are"
    )


def lost_words(plan: Plan, standing: Standing, ledgers: Sequence[Ledger]) -> str | None:
    """Which verdicts a plan cannot have, why, and what to do; None if it can have all."""
    if not standing.unplanned:
        return None
    names = ", ".join(standing.unplanned)
    why = standing.reason or next(iter(standing.unplanned.values()))
    whom = "" if standing.reason else f" on {names}"
    return (
        f"{plan.study}, profile {plan.profile}: this file can have no verdict{whom}: {why}. Restore what was there, or take fresh seeds "
        f"in a copy of the study with another name: first_seed: {fresh_seed(plan, standing, ledgers)}"
    )


def fresh_seed(plan: Plan, standing: Standing, ledgers: Sequence[Ledger]) -> int:
    """The first seed after all that the plan has, and that any study of the store planned or looked at for one of its variants."""
    sides = {side for contrast in standing.contrasts for side in contrast.sides}
    seen = list(plan.seeds)
    for ledger in ledgers:
        records: list[FrozenPlan | Look] = [*ledger.frozen, *ledger.looks]
        for record in records:
            if _is_own(plan, ledger) or any(each.sides & sides for each in record.contrasts):
                seen += record.seeds
    return max(seen) + 1


def _is_own(plan: Plan, ledger: Ledger) -> bool:
    return (ledger.study, ledger.profile) == (plan.study, plan.profile)


def _shares_trials(
    plan: Plan, contrasts: Sequence[PlannedContrast], record: FrozenPlan | Look, *, is_own: bool
) -> bool:
    """Whether a record is about trials of the plan.

    In its own study one variant is enough: whoever adds another has seen its reference. Studies may share a baseline, so in
    another study both sides of a contrast must have been there.
    """
    if not set(plan.seeds) & set(record.seeds):
        return False
    if is_own:
        sides = frozenset().union(*(each.sides for each in record.contrasts))
        return any(contrast.sides & sides for contrast in contrasts) or _moves_searches(plan, contrasts, record)
    return any(_is_seen(contrast, record) for contrast in contrasts)


def _moves_searches(plan: Plan, contrasts: Sequence[PlannedContrast], record: FrozenPlan | Look) -> bool:
    """Whether a study by searches has other first seeds or searches than it recorded: only the first search has a recorded id."""
    if not isinstance(record, FrozenPlan) or max(plan.num_searches, record.num_searches) == 1:
        return False
    moved = (plan.num_searches, plan.seeds[0]) != (record.num_searches, record.seeds[0])
    names = {name for each in record.contrasts for name in (each.variant, each.versus)}
    return moved and any({each.variant, each.versus} & names for each in contrasts)


def _is_seen(contrast: PlannedContrast, record: FrozenPlan | Look) -> bool:
    """Whether both sides of a contrast are in a record."""
    sides = frozenset().union(*(each.sides for each in record.contrasts))
    return all({key, name} - {""} & sides for key, name in contrast.both)


def _conflict(plan: Plan, ledger: Ledger, record: FrozenPlan | Look) -> str | None:
    """The rule of a record that the plan breaks, in words."""
    when = "when the results were first looked at"
    if isinstance(record, FrozenPlan):
        when = "when the first confirmation trial began"
    if not _is_own(plan, ledger):
        when = f"{when} in study {ledger.study}, profile {ledger.profile}"
    decision = plan.decision
    if record.margin != decision.margin:
        return f"the margin was {record.margin:g} points {when}, and is {decision.margin:g} now"
    # Looks of older versions had equal parts of alpha, and no frozen plan beside them.
    parts = 1 if isinstance(record, FrozenPlan) else len(plan.looks)
    if (isinstance(record, FrozenPlan) or not record.findings) and decision.alpha > parts * record.alpha * (1 + 1e-9):
        return f"alpha was {parts * record.alpha:g} {when}, and is {decision.alpha:g} now"
    if isinstance(record, Look) and record.seeds != plan.seeds[: len(record.seeds)]:
        return f"seeds {record.seeds[0]} to {record.seeds[-1]} were looked at before, and the plan has seeds {plan.seeds[0]} to {plan.seeds[-1]} now"
    if isinstance(record, FrozenPlan) and _rules(record) != _rules(plan):
        return f"the plan was {_looks(record)} {when}, and is {_looks(plan)} now"
    return None


def _rules(plan: Plan | FrozenPlan) -> tuple[tuple[int, ...], tuple[int, ...], int, bool]:
    pooled = plan.pooled if isinstance(plan, FrozenPlan) else plan.decision.pooled and plan.is_by_search
    return plan.seeds, plan.looks, plan.num_searches, pooled


def _looks(plan: Plan | FrozenPlan) -> str:
    """Looks, first seed and searches: `looks at 5, 8 and 12 seeds from seed 0 on`."""
    *_, num_searches, pooled = _rules(plan)
    counts = ", ".join(map(str, plan.looks))
    searches = f" in {num_searches} searches" if num_searches > 1 else ""
    searches += " with pooled spread" if pooled else ""
    return f"{'looks' if len(plan.looks) > 1 else 'one look'} at {counts} seeds from seed {plan.seeds[0]} on{searches}"


def _spent(records: Sequence[FrozenPlan | Look]) -> dict[int, float]:
    """Error budget that was spent at each number of seeds."""
    spent: dict[int, float] = {}
    for record in records:
        if isinstance(record, Look):
            spent[len(record.seeds)] = max(record.alpha, spent.get(len(record.seeds), 0.0))
    return spent


def _unplanned_look(plan: Plan, spent: Mapping[int, float]) -> str | None:
    others = sorted(set(spent) - set(plan.looks))
    if not others:
        return None
    return f"looked at before with {', '.join(map(str, others))} seeds, and the plan is {_looks(plan)} now"


def _shares(plan: Plan, spent: Mapping[int, float]) -> tuple[float, ...]:
    """The part of alpha for each look: what it has spent; the others share the rest by the seeds that they add."""
    alpha, planned = plan.decision.alpha, shares(plan.looks)
    used = {count: value / alpha for count, value in spent.items()}
    scale = max(1.0, sum(used.values()))
    open_share = sum(share for count, share in zip(plan.looks, planned, strict=True) if count not in used)
    left = 1 - sum(used.values()) / scale
    return tuple(
        # Rounding must not change the share of a study whose looks all go by its plan.
        (share if abs(used[count] - share) < 1e-9 else used[count] / scale)
        if count in used
        else (share if abs(left - open_share) < 1e-9 else share / open_share * left if left > 1e-9 else 0.0)
        for count, share in zip(plan.looks, planned, strict=True)
    )
