"""What the store holds comes back as it went in, and what is damaged is an error in words; on a real database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
import tiny
from looked import ledger_of, look_of
from mlflow import MlflowClient
from stored import address, awkward, parents, record_trial, trials
from waiting import Recorder

from ablations.analysis.summarize import summarize
from ablations.errors import TrackingError
from ablations.tracking import runs
from ablations.tracking.ledgers import record_looks
from ablations.tracking.reader import read_progress, read_study, recorded_studies
from ablations.tracking.store import Address, Store
from ablations.trial import EpochRecord

PLAN = tiny.plan()


@pytest.fixture
def uri(new_store: Callable[[], str]) -> str:
    return new_store()


# What comes back


def test_a_study_reads_back_exactly_as_it_was_recorded(uri: str) -> None:
    recorder = Recorder(Store(uri), PLAN, "text")
    values = {"train.lr": (0.1 + 0.2) / 3}
    confirm = PLAN.trial("two", "confirm", 0, values)
    tune = PLAN.trial("one", "tune", 1, {"train.lr": 1 / 7}, 5)
    record_trial(recorder, confirm, awkward(confirm))
    record_trial(recorder, tune, tiny.result(tune, 100 / 7))
    recorder.close(True)
    stored = read_study(address(uri))
    assert stored.plan == PLAN
    assert stored.provenance["plan_id"] == PLAN.id
    tuned, confirmed = stored.trials
    assert confirmed.result == awkward(confirm)
    assert (confirmed.variant, confirmed.phase, confirmed.seed, confirmed.number) == ("two", "confirm", 0, None)
    assert confirmed.hyperparameters == values
    assert (tuned.variant, tuned.phase, tuned.seed, tuned.number) == ("one", "tune", 1, 5)
    assert tuned.hyperparameters == {"train.lr": 1 / 7}
    assert tuned.result.last is not None
    assert tuned.result.last.validation_accuracy_percent == 100 / 7


def test_a_trial_that_diverged_at_once_reads_back(uri: str) -> None:
    recorder = Recorder(Store(uri), PLAN, "text")
    results = []
    for phase in ("tune", "confirm"):
        spec = PLAN.trial("two", phase, 0, {})
        results.append(tiny.result(spec, status="diverged"))
        record_trial(recorder, spec, results[-1])
    read = {trial.phase: trial.result for trial in read_study(address(uri)).trials}
    assert [read["tune"], read["confirm"]] == results


def test_what_another_plan_left_behind_is_not_read(uri: str) -> None:
    spec = PLAN.trial("one", "confirm", 0, {})
    record_trial(Recorder(Store(uri), PLAN, "text"), spec, tiny.result(spec))
    Recorder(Store(uri), tiny.plan(variants={"two": {}, "one": {"set": {"model.mixers": 0}}}), "text")
    assert read_study(address(uri)).trials == ()


def test_what_trained_is_told_of_every_run_that_did(uri: str) -> None:
    """A clean run after one with uncommitted changes does not make its trials clean."""
    first = {"commit": "a", "uncommitted_changes": True, "versions": {"torch": "2", "numpy": "2"}, "command": "run"}
    second = {**first, "commit": "b", "uncommitted_changes": False, "versions": {"torch": "3", "numpy": "2"}}
    for seeds, session in (((0, 1), first), ((2,), second), ((), {"commit": "trained nothing"})):
        recorder = Recorder(Store(uri), tiny.plan(seeds=3), "text", session=session)
        for seed in seeds:
            spec = PLAN.trial("two", "confirm", seed, {})
            record_trial(recorder, spec, tiny.result(spec))
        recorder.close(True)
    stored = read_study(address(uri))
    assert {key: stored.provenance[key] for key in first} == {
        "commit": ["a (2 trials)", "b (1 trial)"],
        "uncommitted_changes": True,
        "versions": {"torch": ["2 (2 trials)", "3 (1 trial)"], "numpy": "2"},
        "command": "run",
    }
    warnings = summarize(stored.plan, stored.trials, stored.provenance, {}).warnings
    assert "Trials were trained by runs that differ in commit. See Provenance." in warnings
    assert any("uncommitted changes" in warning for warning in warnings)


def test_the_code_that_trained_is_told_by_package(uri: str) -> None:
    """Between two sessions the code of a package changed; a session of an earlier version of the suite recorded none."""
    plan = tiny.plan_of_registered("own", "own-package 1.0", seeds=3)
    for seed, session in enumerate(
        [{}, {"package_code": {"own-package 1.0": "a"}}, {"package_code": {"own-package 1.0": "b"}}]
    ):
        recorder = Recorder(Store(uri), plan, "text", session={**session, "command": "run"})
        spec = plan.trial("two", "confirm", seed, {})
        record_trial(recorder, spec, tiny.result(spec))
        recorder.close(True)
    stored = read_study(address(uri))
    assert stored.provenance["package_code"] == {"own-package 1.0": ["a (1 trial)", "b (1 trial)"]}
    warnings = summarize(stored.plan, stored.trials, stored.provenance, {}).warnings
    assert sum("own-package 1.0: its code changed" in warning for warning in warnings) == 1
    assert read_progress(address(uri)).code == {"own-package 1.0": {"a": 1, "b": 1}}


def test_every_field_of_a_record_is_a_metric_or_the_metrics_time(uri: str) -> None:
    spec = PLAN.trial("two", "tune", 0, {})
    record_trial(Recorder(Store(uri), PLAN, "text"), spec, tiny.result(spec))
    (run,) = trials(uri)
    fields = set(EpochRecord.__dataclass_fields__) - {"timestamp_ms"}
    assert fields <= set(run.data.metrics)
    stamps = MlflowClient(uri).get_metric_history(run.info.run_id, "epoch")
    assert [point.timestamp for point in stamps] == [tiny.record(epoch).timestamp_ms for epoch in (1, 2, 3)]


def test_recorded_studies_are_the_suite_s_own(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert recorded_studies(Store(uri)) == []
    Recorder(Store(uri), PLAN, "text")
    Recorder(Store(uri), tiny.plan(study="another"), "text")
    client = MlflowClient(uri)
    client.create_run(client.create_experiment("other/program"))
    for name in ("../escape", "a/b/c", "unplanned/starter"):
        tags = {"ablations.kind": "study"} | ({} if name == "unplanned/starter" else {"ablations.plan_id": "x"})
        client.create_run(client.create_experiment(name), tags=tags)
    monkeypatch.setattr(runs, "PAGE", 1)
    assert recorded_studies(Store(uri)) == [Address(name, "starter", Store(uri)) for name in ("another", "tiny")]


def test_a_settled_study_is_read_without_the_trials_of_an_earlier_tuning(uri: str) -> None:
    recorder = Recorder(Store(uri), PLAN, "text")
    old, new = (PLAN.trial("two", "confirm", 0, {"train.lr": lr}) for lr in (0.02, 0.05))
    for spec in (old, new):
        record_trial(recorder, spec, tiny.result(spec))
    assert len(read_study(address(uri)).trials) == 2
    recorder.settled([new.id])
    assert [trial.id for trial in read_study(address(uri)).trials] == [new.id]
    # What is settled is settled for a plan; a longer one has trials that are not in the list yet.
    longer = tiny.plan(seeds=3)
    Recorder(Store(uri), longer, "text")
    assert len(read_study(address(uri)).trials) == 2


def test_a_trial_that_two_drivers_recorded_counts_once(uri: str) -> None:
    spec = PLAN.trial("two", "confirm", 0, {})
    first, second = (Recorder(Store(uri), PLAN, "text") for _ in "ab")
    for recorder in (first, second):
        record_trial(recorder, spec, tiny.result(spec))
    assert len(trials(uri)) == 2
    assert len(read_study(address(uri)).trials) == 1


# Looks


def test_looks_come_back_in_order(uri: str) -> None:
    Recorder(Store(uri), PLAN, "text").close(True)
    stored = read_study(address(uri))
    assert stored.ledgers[0].looks == ()
    looks = (look_of(PLAN), look_of(tiny.plan(seeds=3)))
    record_looks(Store(uri), stored.provenance["parent_run_id"], ledger_of(PLAN, *looks))
    assert read_study(address(uri)).ledgers[0].looks == looks


def test_looks_at_hundreds_of_variants_come_back_whole(uri: str) -> None:
    Recorder(Store(uri), PLAN, "text").close(True)
    parent_run_id = read_study(address(uri)).provenance["parent_run_id"]
    wide = look_of(PLAN, contrasts=look_of(PLAN).contrasts * 500)
    for looks in ((wide,), (wide, replace(wide, seeds=(0, 1, 2)))):
        record_looks(Store(uri), parent_run_id, ledger_of(PLAN, *looks))
        assert read_study(address(uri)).ledgers[0].looks == looks


def test_looks_of_another_version_are_an_error_in_words(uri: str) -> None:
    Recorder(Store(uri), PLAN, "text").close(True)
    (parent,) = parents(uri)
    MlflowClient(uri).set_tag(parent.info.run_id, "ablations.looks", '[{"x": 1}]')
    with pytest.raises(TrackingError, match=r"the tag ablations\.looks of run .* another version"):
        read_study(address(uri))


# What goes wrong


def test_reading_creates_no_database(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'nothing' / 'mlflow.db'}"
    assert recorded_studies(Store(uri)) == []
    with pytest.raises(TrackingError, match=r"holds no study 'tiny' at profile 'starter'\. Run it first"):
        read_study(address(uri))
    assert not list(tmp_path.iterdir())


def test_a_store_without_the_study_says_so(uri: str) -> None:
    with pytest.raises(TrackingError, match="holds no study"):
        read_study(address(uri))


def test_the_plan_of_another_version_is_an_error_for_people(uri: str) -> None:
    Recorder(Store(uri), PLAN, "text")
    (parent,) = parents(uri)
    MlflowClient(uri).log_text(parent.info.run_id, '{"study": "tiny", "shape": "of the future"}', "plan.json")
    with pytest.raises(TrackingError, match="recorded by another version of the suite"):
        read_study(address(uri))


@pytest.mark.parametrize("damage", [None, "", '{"spec": {}, "resu', '{"result": {"epochs": 1}}'])
def test_a_damaged_trial_file_is_an_error_in_words(damage: str | None, uri: str) -> None:
    recorder = Recorder(Store(uri), PLAN, "text")
    spec = PLAN.trial("two", "confirm", 0, {})
    record_trial(recorder, spec, tiny.result(spec))
    (run,) = trials(uri)
    file = Path(url2pathname(urlsplit(run.info.artifact_uri).path), "trial.json")
    file.unlink() if damage is None else file.write_text(damage)
    with pytest.raises(
        TrackingError,
        match=r"trial\.json of run \w+ \(two, confirm, seed 0\) is (damaged .*|missing)\. Delete the run in MLflow, and run the study",
    ):
        read_study(address(uri))


def test_tags_that_were_edited_are_an_error_in_words(uri: str) -> None:
    recorder = Recorder(Store(uri), PLAN, "text")
    spec = PLAN.trial("two", "confirm", 0, {})
    record_trial(recorder, spec, tiny.result(spec))
    (run,) = trials(uri)
    MlflowClient(uri).set_tag(run.info.run_id, "ablations.seed", "nought")
    with pytest.raises(TrackingError, match=rf"the tags of run {run.info.run_id} .* are not as recorded"):
        read_study(address(uri))
