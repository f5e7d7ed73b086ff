"""Other studies on the same test images."""

from __future__ import annotations

from dataclasses import replace

import tiny

from ablations.analysis.shared import shared_studies
from ablations.analysis.summary import SharedStudy
from ablations.planning.frozen import Ledger

PLAN = tiny.plan(search_space={}, seeds=5)
CONTRASTS = PLAN.contrasts()
FROZEN = PLAN.frozen(CONTRASTS)


def shared(*ledgers: Ledger) -> list[SharedStudy]:
    return list(shared_studies(PLAN, CONTRASTS, ledgers))


def test_the_study_itself_and_studies_without_records_are_none() -> None:
    assert shared(Ledger("tiny", "starter", (FROZEN,)), Ledger("other", "starter")) == []


def test_runs_in_common_are_counted_by_configuration_and_seed() -> None:
    fewer = replace(FROZEN, seeds=(3, 4, 5, 6))
    assert shared(Ledger("other", "starter", (FROZEN,))) == [SharedStudy("other", "starter", 10)]
    assert shared(Ledger("other", "starter", (fewer, fewer))) == [SharedStudy("other", "starter", 4)]
    baseline = replace(CONTRASTS[0], variant_id="another")
    assert shared(Ledger("other", "laptop", (replace(FROZEN, contrasts=(baseline,)),))) == [
        SharedStudy("other", "laptop", 5)
    ]


def test_the_same_data_set_is_enough_and_another_one_is_not() -> None:
    apart = replace(FROZEN, contrasts=(replace(CONTRASTS[0], variant_id="a", versus_id="b"),))
    assert shared(Ledger("other", "starter", (apart,))) == [SharedStudy("other", "starter", 0)]
    assert shared(Ledger("other", "starter", (replace(apart, data_checksum="else"),))) == []
    assert shared(Ledger("other", "starter", (replace(apart, data_checksum=""),))) == []
