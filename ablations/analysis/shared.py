"""Other studies of the store on the same test images, and the runs that they share with this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ablations.analysis.summary import SharedStudy
from ablations.planning.frozen import FrozenPlan, Ledger, Look, PlannedContrast
from ablations.planning.plan import Plan


def shared_studies(
    plan: Plan, contrasts: Sequence[PlannedContrast], ledgers: Sequence[Ledger]
) -> Iterator[SharedStudy]:
    """The studies that were judged on the same test images as this one.

    Records of older versions name no data set: of those only studies with a run in common are found. A study by searches has runs
    in common as far as its first search, which alone has a recorded id.

    Args:
        plan: of this study.
        contrasts: its contrasts, with ids.
        ledgers: of the studies in the store.
    """
    mine = _configurations(contrasts)
    num_seeds = len(plan.seeds) // plan.num_searches
    for ledger in ledgers:
        records: list[FrozenPlan | Look] = [*ledger.frozen, *ledger.looks]
        if (ledger.study, ledger.profile) == (plan.study, plan.profile) or not records:
            continue
        runs = {
            (side, seed)
            for record in records
            for side in mine & _configurations(record.contrasts)
            for seed in set(plan.seeds[:num_seeds]) & set(_first_search(record, ledger))
        }
        if runs or any(each.data_checksum == plan.data_checksum for each in ledger.frozen):
            yield SharedStudy(ledger.study, ledger.profile, len(runs))


def _first_search(record: FrozenPlan | Look, ledger: Ledger) -> tuple[int, ...]:
    """Seeds of a record that its ids are for: those of its first search."""
    plans = [record] if isinstance(record, FrozenPlan) else [*ledger.frozen]
    each = min((len(plan.seeds) // plan.num_searches for plan in plans), default=len(record.seeds))
    return record.seeds[:each]


def _configurations(contrasts: Sequence[PlannedContrast]) -> set[str]:
    return {side for each in contrasts for side in (each.variant_id, each.versus_id)} - {""}
