"""What studies planned and looked at: in tags and a file, either of which is enough."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tiny
from looked import ledger_of, look_of
from mlflow import MlflowClient
from mlflow.entities import Run

from ablations.errors import TrackingError
from ablations.planning.frozen import Finding, Ledger
from ablations.tracking import layout
from ablations.tracking.client import Client
from ablations.tracking.ledgers import read_ledgers, stored_ledger, write_ledger
from ablations.tracking.recorder import Recorder
from ablations.tracking.store import Address, Store

PLAN = tiny.plan(looks=[5, 8])
FINDING = Finding("one", "better", 5, 1.0 / 3, 0.1, "word")
LEDGER = Ledger(PLAN.study, PLAN.profile, (PLAN.frozen(PLAN.contrasts()),), (look_of(PLAN, findings=(FINDING,)),))


class Kept:
    """A store with one study's run."""

    def __init__(self, uri: str) -> None:
        self.address = Address(PLAN.study, PLAN.profile, Store(uri))
        self.client = Client(uri)
        Recorder(Store(uri), PLAN, "text").close(True)

    def run(self) -> Run:
        experiment = self.client.get_experiment_by_name("tiny/starter")
        return self.client.search_runs([experiment.experiment_id], "tags.`ablations.kind` = 'study'")[0]

    def read(self) -> Ledger:
        return stored_ledger(self.client, PLAN.study, PLAN.profile, [self.run()])


@pytest.fixture
def kept(new_store: Callable[[], str]) -> Kept:
    return Kept(new_store())


def test_records_read_back_exactly_and_none_is_there_twice(kept: Kept) -> None:
    for _ in range(2):
        write_ledger(kept.client, kept.run(), LEDGER)
        assert kept.read() == LEDGER
    second = ledger_of(PLAN, look_of(PLAN, 2))
    write_ledger(kept.client, kept.run(), second)
    assert kept.read().looks == (*LEDGER.looks, *second.looks)
    assert kept.read().frozen == LEDGER.frozen


def test_records_of_many_looks_take_several_tags(kept: Kept) -> None:
    looks = tuple(look_of(PLAN, margin=margin / 7, findings=(FINDING,)) for margin in range(1, 40))
    write_ledger(kept.client, kept.run(), ledger_of(PLAN, *looks))
    tags = [name for name in kept.run().data.tags if name.startswith(layout.LOOKS)]
    assert len(tags) > 2
    assert kept.read().looks == looks


@pytest.mark.parametrize("lost", ["tags", "file"])
def test_one_of_tags_and_file_is_enough(kept: Kept, lost: str) -> None:
    write_ledger(kept.client, kept.run(), LEDGER)
    run = kept.run()
    if lost == "tags":
        for name in (layout.LOOKS, layout.FROZEN):
            kept.client.delete_tag(run.info.run_id, name)
    else:
        kept.client.log_text(run.info.run_id, '{"study": "tiny", "profile": "starter"}', layout.LEDGER_FILE)
    assert kept.read() == LEDGER


@pytest.mark.parametrize("text", ["{", '[{"seeds": 1}]', "null", '{"later": 1}'])
def test_a_damaged_record_is_passed_over_beside_a_whole_one_and_else_refused_with_its_place(
    kept: Kept, text: str
) -> None:
    write_ledger(kept.client, kept.run(), LEDGER)
    run_id = kept.run().info.run_id
    kept.client.set_tag(run_id, layout.LOOKS, text)
    assert kept.read() == LEDGER
    write_ledger(kept.client, kept.run(), LEDGER)
    kept.client.log_text(run_id, text, layout.LEDGER_FILE)
    assert kept.read() == LEDGER
    kept.client.set_tag(run_id, layout.LOOKS, text)
    with pytest.raises(TrackingError, match=f"the tag ablations.looks of run {run_id} was recorded by another version"):
        kept.read()


def test_one_of_several_tags_that_is_deleted_forgets_nothing(kept: Kept) -> None:
    looks = tuple(look_of(PLAN, margin=margin / 7, findings=(FINDING,)) for margin in range(1, 40))
    write_ledger(kept.client, kept.run(), ledger_of(PLAN, *looks))
    kept.client.delete_tag(kept.run().info.run_id, f"{layout.LOOKS}.2")
    assert kept.read().looks == looks
    assert read_ledgers(Address("other", "starter", kept.address.store))[1].looks == looks


def test_a_damaged_record_of_another_study_does_not_stop_this_one(kept: Kept) -> None:
    write_ledger(kept.client, kept.run(), LEDGER)
    kept.client.set_tag(kept.run().info.run_id, layout.LOOKS, "{")
    kept.client.log_text(kept.run().info.run_id, "{", layout.LEDGER_FILE)
    other = Address("other", "starter", kept.address.store)
    assert [each.study for each in read_ledgers(other)] == ["other"]
    with pytest.raises(TrackingError):
        read_ledgers(kept.address)


def test_a_deleted_run_is_still_read(kept: Kept) -> None:
    write_ledger(kept.client, kept.run(), LEDGER)
    MlflowClient(kept.address.store.uri).delete_run(kept.run().info.run_id)
    assert read_ledgers(kept.address)[0] == LEDGER


def test_no_store_has_no_ledger(tmp_path: object) -> None:
    assert read_ledgers(Address("tiny", "starter", Store(f"sqlite:///{tmp_path}/none.db"))) == []
