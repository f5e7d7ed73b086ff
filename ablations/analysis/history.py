"""What was looked at before: the same comparisons on other seeds, with other settings, or in other studies of the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ablations.analysis.standing import Standing
from ablations.analysis.summary import Contrast
from ablations.planning.frozen import Finding, Ledger, Look, PlannedContrast
from ablations.planning.plan import Plan


def history(plan: Plan, standing: Standing, contrasts: Sequence[Contrast], ledgers: Sequence[Ledger]) -> Iterator[str]:
    """Sentences on each comparison that was looked at before, with the estimate over all of its seeds.

    Fresh seeds and other settings have a separate error budget. Moving to others until a verdict appears is wrong more often than
    alpha, so a report names all of them.

    Args:
        plan: of this report.
        standing: of the plan, with the ids of its contrasts.
        contrasts: as they are judged now.
        ledgers: of the studies in the store, this one among them.
    """
    if standing.raised_by is not None:
        study, profile = standing.raised_by
        yield (
            f"Study {study}, profile {profile}, planned {standing.num_comparisons} comparisons for these trials, more than this study. "
            "Verdicts here are corrected for the same number."
        )
    now = {contrast.variant: contrast for contrast in contrasts}
    for each in standing.contrasts:
        earlier = list(_earlier(plan, each, ledgers))
        if not earlier:
            continue
        told = "; ".join(_told(plan, before) for before in earlier)
        yield f"`{each.variant}` against `{each.versus}` was looked at before: {told}.{_pooled(now[each.variant], plan, earlier)}"


@dataclass(frozen=True)
class Earlier:
    """An earlier look at a comparison."""

    ledger: Ledger
    look: Look
    finding: Finding | None
    """None in looks of older versions."""
    is_turned: bool
    """Whether variant and reference were the other way round."""
    is_same: bool
    """Whether both sides were trained with the same values as now; else only their names are the same."""

    @property
    def is_by_search(self) -> bool:
        """Whether its findings may count searches instead of seeds."""
        return any(frozen.num_searches > 1 for frozen in self.ledger.frozen)


def _earlier(plan: Plan, contrast: PlannedContrast, ledgers: Sequence[Ledger]) -> Iterator[Earlier]:
    """The last look at each set of seeds, except for the looks of this plan itself."""
    for ledger in ledgers:
        is_own = (ledger.study, ledger.profile) == (plan.study, plan.profile)
        last: dict[object, Earlier] = {}
        for look in ledger.looks:
            same = next((each for each in look.contrasts if each.is_same(contrast)), None)
            named = same or next((each for each in look.contrasts if is_own and each.has_names_of(contrast)), None)
            if named is None or (same is not None and is_own and look.seeds[:1] == plan.seeds[:1]):
                continue
            finding = next((each for each in look.findings if each.variant == named.variant), None)
            is_turned = same is not None and (same.variant_id, same.variant_key) == (
                contrast.versus_id,
                contrast.versus_key,
            )
            if finding is not None or not look.findings:
                last[look.seeds[0], named.sides] = Earlier(ledger, look, finding, is_turned, same is not None)
        yield from last.values()


def _told(plan: Plan, earlier: Earlier) -> str:
    ledger, finding, seeds = earlier.ledger, earlier.finding, earlier.look.seeds
    where = "" if ledger.study == plan.study else f" in study {ledger.study}"
    where += "" if ledger.profile == plan.profile else f" at profile {ledger.profile}"
    where += "" if earlier.is_same else " with other settings or tuned values"
    word = "no numbers recorded" if finding is None else finding.verdict
    if earlier.is_turned and finding is not None:
        word = f"{word}, the other way round"
    return f"seeds {seeds[0]} to {seeds[-1]}{where} ({word})"


def _pooled(contrast: Contrast, plan: Plan, earlier: Sequence[Earlier]) -> str:
    """The mean difference over all disjoint seeds, weighted by their pairs; empty without any."""
    if contrast.judgement.unit != "seed":
        # Findings count pairs by seed, and a mean over searches weighs them otherwise.
        return ""
    seen = set(plan.seeds[: contrast.num_seeds])
    parts = [(contrast.judgement.mean, contrast.judgement.num_pairs)]
    for each in earlier:
        finding, seeds = each.finding, set(each.look.seeds)
        if finding is None or finding.mean is None or seen & seeds or not each.is_same or each.is_by_search:
            continue
        seen |= seeds
        parts.append((-finding.mean if each.is_turned else finding.mean, finding.num_pairs))
    known = [(mean, count) for mean, count in parts if mean is not None and count]
    if len(known) < 2:
        return ""
    total = sum(count for _, count in known)
    mean = sum(mean * count for mean, count in known) / total
    size = f"{mean:+.2f}".replace("-", "\N{MINUS SIGN}")
    return f" Over all {total} pairs, the mean difference is {size} points: an estimate, without a verdict."
