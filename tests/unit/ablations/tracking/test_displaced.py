"""Runs and experiments that somebody deleted, restored or renamed in MLflow: nothing that was seen is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import tiny
from looked import ledger_of, look_of
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from stored import address, parents, record_trial, trials
from waiting import Recorder

from ablations.errors import TrackingError
from ablations.tracking import recorder as recorder_module
from ablations.tracking.displaced import displaced
from ablations.tracking.ledgers import record_looks
from ablations.tracking.reader import read_progress, read_study, recorded_studies
from ablations.tracking.store import Store

PLAN = tiny.plan()
MORE = tiny.plan(seeds=3)


@pytest.fixture
def uri(new_store: Callable[[], str]) -> str:
    """A store with a study that was looked at, and one of its trials."""
    uri = new_store()
    recorder = Recorder(Store(uri), PLAN, "text", session={"commit": "abc"})
    spec = PLAN.trial("two", "confirm", 0, {})
    record_trial(recorder, spec, tiny.result(spec))
    recorder.close(True)
    (parent,) = parents(uri)
    record_looks(Store(uri), parent.info.run_id, ledger_of(PLAN, look_of(PLAN)))
    return uri


def experiment_id(uri: str) -> str:
    return str(MlflowClient(uri).get_experiment_by_name("tiny/starter").experiment_id)


def below(uri: str) -> set[str]:
    return {run.data.tags["mlflow.parentRunId"] for run in trials(uri)}


def second_run(uri: str) -> str:
    """What a version did that found no deleted runs: another run of the study, with a look and a trial of its own."""
    client = MlflowClient(uri)
    first = parents(uri)[0].info
    client.delete_run(first.run_id)
    tags = {"ablations.kind": "study", "ablations.study": "tiny", "ablations.profile": "starter"}
    second = client.create_run(first.experiment_id, tags=tags).info.run_id
    Recorder(Store(uri), MORE, "text")
    (parent,) = parents(uri)
    assert parent.info.run_id == first.run_id, "a run without a plan does not count"
    client.delete_run(first.run_id)
    client.restore_run(second)
    folder = client.get_run(first.run_id).info.artifact_uri
    plan = client.download_artifacts(first.run_id, "plan.json")
    client.log_artifact(second, plan)
    assert folder
    for key, value in {"plan_id": MORE.id, "since_ms": "9" * 13}.items():
        client.set_tag(second, f"ablations.{key}", value)
    record_looks(Store(uri), second, ledger_of(MORE, look_of(MORE)))
    return second


def test_a_deleted_run_of_a_study_is_gone_on_with_and_its_looks_count(uri: str) -> None:
    (first,) = parents(uri)
    MlflowClient(uri).delete_run(first.info.run_id)
    told: list[str] = []
    recorder = Recorder(Store(uri), MORE, "text", told.append)
    spec = MORE.trial("two", "confirm", 2, {})
    record_trial(recorder, spec, tiny.result(spec))
    recorder.close(True)
    (parent,) = parents(uri)
    assert parent.info.run_id == first.info.run_id
    assert below(uri) == {parent.info.run_id}
    assert read_study(address(uri)).ledgers[0].looks == (look_of(PLAN),)
    assert told == [
        "the run of tiny at profile starter was deleted in MLflow, and is restored: its looks at the results count"
    ]


def test_a_run_of_a_study_that_is_deleted_while_trials_run_is_restored(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "RETRY_SECONDS", 0.01)
    recorder = Recorder(Store(uri), MORE, "text")
    (first,) = parents(uri)
    MlflowClient(uri).delete_run(first.info.run_id)
    spec = MORE.trial("two", "confirm", 2, {})
    record_trial(recorder, spec, tiny.result(spec))
    recorder.close(True)
    (parent,) = parents(uri)
    assert (parent.info.run_id, parent.info.status) == (first.info.run_id, "FINISHED")
    assert len(read_study(address(uri)).trials) == 2


def test_a_study_whose_run_was_deleted_is_not_called_unknown(uri: str) -> None:
    (first,) = parents(uri)
    MlflowClient(uri).delete_run(first.info.run_id)
    told = (
        "the run of tiny at profile starter was deleted in MLflow; its trials and looks are kept. Restore it with: "
        f"{Store(uri).mlflow} runs restore --run-id {first.info.run_id}"
    )
    assert recorded_studies(Store(uri)) == []
    assert displaced(Store(uri)) == {address(uri): told}
    for read in (read_study, read_progress):
        with pytest.raises(TrackingError) as caught:
            read(address(uri))
        assert str(caught.value) == told


def test_two_runs_of_a_study_are_one_study_with_the_looks_of_both(uri: str) -> None:
    (first,) = parents(uri)
    second = second_run(uri)
    MlflowClient(uri).restore_run(first.info.run_id)
    assert len(parents(uri)) == 2
    assert recorded_studies(Store(uri)) == [address(uri)]
    stored = read_study(address(uri))
    assert stored.plan == MORE
    assert stored.ledgers[0].looks == (look_of(PLAN), look_of(MORE))
    assert stored.provenance["commit"] == "abc", "the session is described in the first run"

    for _ in range(2):
        Recorder(Store(uri), MORE, "text").close(True)
        (parent,) = parents(uri)
        assert parent.info.run_id == second
        assert below(uri) == {second}
        assert read_study(address(uri)).ledgers[0].looks == (look_of(PLAN), look_of(MORE))


def test_the_looks_of_a_deleted_run_count_beside_one_that_was_not(uri: str) -> None:
    second_run(uri)
    assert read_study(address(uri)).ledgers[0].looks == (look_of(PLAN), look_of(MORE))
    told: list[str] = []
    Recorder(Store(uri), MORE, "text", told.append)
    assert told == [
        "tiny at profile starter had several runs in MLflow; one is kept, with the looks at the results of all"
    ]
    (parent,) = parents(uri)
    assert parent.data.tags["ablations.looks"].count('"seeds"') == 2


def test_trials_of_a_run_that_is_gone_for_good_get_the_next_one(uri: str) -> None:
    (first,) = parents(uri)
    MlflowClient(uri).delete_run(first.info.run_id)
    SqlAlchemyStore(uri, "unused")._hard_delete_run(first.info.run_id)  # as `mlflow gc` does
    Recorder(Store(uri), PLAN, "text")
    (parent,) = parents(uri)
    assert below(uri) == {parent.info.run_id}


def test_a_deleted_trial_is_trained_again_and_restored_counts_once(uri: str) -> None:
    client, spec = MlflowClient(uri), PLAN.trial("two", "confirm", 0, {})
    client.delete_run(trials(uri)[0].info.run_id)
    recorder = Recorder(Store(uri), PLAN, "text")
    assert recorder.claim(spec) is None
    record_trial(recorder, spec, tiny.result(spec))
    # Restoring an experiment restores all that was ever deleted in it.
    client.delete_experiment(experiment_id(uri))
    client.restore_experiment(experiment_id(uri))
    assert len(trials(uri)) == 2
    Recorder(Store(uri), PLAN, "text")
    assert len(trials(uri)) == 1
    assert len(read_study(address(uri)).trials) == 1
    assert read_study(address(uri)).ledgers[0].looks == (look_of(PLAN),)


def test_a_deleted_experiment_is_neither_unknown_nor_written_to(uri: str) -> None:
    client, number = MlflowClient(uri), experiment_id(uri)
    client.delete_experiment(number)
    told = (
        f"the MLflow experiment 'tiny/starter' of {uri} was deleted. Restore it with: {Store(uri).mlflow} experiments restore "
        f"--experiment-id {number}\nTo train the study from the start, give it another name, or another store with "
        "--tracking-uri."
    )
    assert displaced(Store(uri)) == {address(uri): told}
    for use in (read_study, read_progress, lambda address: Recorder(address.store, PLAN, "text")):
        with pytest.raises(TrackingError) as caught:
            use(address(uri))
        assert str(caught.value) == told
    assert len(client.search_runs([number], "", ViewType.DELETED_ONLY)) == 2


@pytest.mark.parametrize("deleted_too", [False, True])
def test_a_renamed_experiment_is_not_begun_again(deleted_too: bool, uri: str) -> None:
    client, number = MlflowClient(uri), experiment_id(uri)
    client.rename_experiment(number, "mine")
    if deleted_too:
        client.delete_experiment(number)
    told = "'mine' of .* was deleted" if deleted_too else "'mine' holds the study tiny at profile starter"
    assert recorded_studies(Store(uri)) == []
    # Also not under its name, if somebody made an experiment of that name.
    for _ in range(2):
        for use in (read_study, lambda address: Recorder(address.store, replace(PLAN), "text")):
            with pytest.raises(TrackingError, match=told):
                use(address(uri))
        if client.get_experiment_by_name("tiny/starter") is None:
            client.create_experiment("tiny/starter")
