"""What is in MLflow after a study, and that it comes back as it went in; on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
import tiny
from mlflow import MlflowClient
from mlflow.artifacts import load_text
from mlflow.entities import Run
from waiting import Recorder

from ablations.analysis.summarize import summarize
from ablations.errors import TrackingError
from ablations.planning.plan import Plan
from ablations.tracking import recorder as recorder_module
from ablations.tracking import runs
from ablations.tracking.reader import read_study, recorded_studies
from ablations.tracking.recorder import record_looks
from ablations.tracking.store import Address, Store
from ablations.tracking.writer import Writer
from ablations.trial import EpochRecord, Phase, TrialResult, TrialSpec

PLAN = tiny.plan()


@pytest.fixture
def uri(new_store: Callable[[], str]) -> str:
    return new_store()


def record_trial(recorder: Recorder, spec: TrialSpec, result: TrialResult | None, epochs: Any = None) -> None:
    recorder.start(spec)
    for each in result.epochs if result else epochs or ():
        recorder.epoch(spec, each)
    recorder.end(spec, result)


def trials(uri: str) -> list[Run]:
    client = MlflowClient(uri)
    (experiment,) = [each for each in client.search_experiments() if each.name == "tiny/starter"]
    return [run for run in client.search_runs([experiment.experiment_id]) if "mlflow.parentRunId" in run.data.tags]


def parents(uri: str) -> list[Run]:
    client = MlflowClient(uri)
    (experiment,) = [each for each in client.search_experiments() if each.name == "tiny/starter"]
    return [run for run in client.search_runs([experiment.experiment_id]) if "mlflow.parentRunId" not in run.data.tags]


def awkward(spec: TrialSpec) -> TrialResult:
    """A result of values that a careless store would round."""
    epochs = (
        tiny.record(1, 100 / 3, train_loss=0.1 + 0.2, validation_loss=5e-324, learning_onset_step=None),
        tiny.record(2, 200 / 3, train_loss=1 / 3, validation_loss=1.7976931348623157e308, num_dead_classes=3),
        tiny.record(3, 2 / 3, train_images_per_second=123456789.123456789, epoch_seconds=1e-9),
    )
    bits = np.packbits(np.arange(1003) % 3 == 0).tobytes()
    return TrialResult(spec.id, "finished", epochs, 100 * 335 / 1003, bits, 1003)


# What is written


def test_trials_are_direct_children_of_one_parent_with_tags_to_find_them_by(uri: str) -> None:
    plan = tiny.plan(variants={"two": {}, "one": {"set": {"model.mixers": 1}, "family": "mixers"}})
    recorder = Recorder(Store(uri), plan, "text")
    for variant in ("two", "one"):
        tune = plan.trial(variant, "tune", 0, {"train.lr": 0.05}, 0)
        confirm = plan.trial(variant, "confirm", 1, {"train.lr": 0.05})
        for spec in (tune, confirm):
            record_trial(recorder, spec, tiny.result(spec))
    recorder.close(True)

    (parent,) = parents(uri)
    assert parent.info.status == "FINISHED"
    assert {parent.data.tags[key] for key in ("ablations.study", "ablations.profile")} == {"tiny", "starter"}
    children = trials(uri)
    assert len(children) == 4
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.info.status for run in children} == {"FINISHED"}
    run = next(
        r for r in children if r.data.tags["ablations.variant"] == "one" and r.data.tags["ablations.phase"] == "tune"
    )
    spec = plan.trial("one", "tune", 0, {"train.lr": 0.05}, 0)
    expected = {
        "ablations.trial_id": spec.id,
        "ablations.study": "tiny",
        "ablations.seed": "0",
        "ablations.number": "0",
        "ablations.family": "mixers",
        "ablations.status": "finished",
    }
    assert {key: run.data.tags[key] for key in expected} == expected
    assert run.data.params["train.lr"] == "0.05"
    assert run.data.params["model.mixers"] == "1"
    assert run.data.metrics["validation_accuracy_percent"] == 50.0


def test_the_studys_text_and_plan_are_attached(uri: str) -> None:
    recorder = Recorder(Store(uri), PLAN, "study: tiny  # as written\n")
    recorder.close(True)
    (parent,) = parents(uri)
    assert load_text(f"{parent.info.artifact_uri}/study.yaml") == "study: tiny  # as written\n"
    assert Plan.from_json(load_text(f"{parent.info.artifact_uri}/plan.json")) == PLAN


def test_the_data_set_is_an_input_of_the_study_once(uri: str) -> None:
    for _ in range(2):
        Recorder(Store(uri), PLAN, "text").close(True)
    (parent,) = parents(uri)
    (each,) = MlflowClient(uri).get_run(parent.info.run_id).inputs.dataset_inputs
    assert (each.dataset.name, each.dataset.digest) == ("synthetic", "1")
    assert json.loads(each.dataset.source)["checksum"] == PLAN.data_checksum == "synthetic:1"


def test_a_description_is_text_and_no_markdown(uri: str) -> None:
    plan = tiny.plan(question="Is ![this](http://away/x.png) *one* <b>shown</b>?")
    Recorder(Store(uri), plan, "text").close(True)
    (parent,) = parents(uri)
    described = parent.data.tags["mlflow.note.content"]
    assert described.startswith(r"Is \!\[this\]\(http\:\/\/away\/x\.png\) \*one\* \<b\>shown\<\/b\>\?")


@pytest.mark.parametrize(
    ("phase", "seed", "number", "name"),
    [
        ("tune", 0, 3, "two, tune 3, lr 0.0898"),
        ("tune", 1, 3, "two, tune 3, seed 1, lr 0.0898"),
        ("confirm", 0, None, "two, confirm, seed 0, lr 0.0898"),
    ],
)
def test_a_trials_run_is_called_what_a_person_would_call_it(
    phase: Phase, seed: int, number: int | None, name: str, uri: str
) -> None:
    spec = PLAN.trial("two", phase, seed, {"train.lr": 0.08976}, number)
    record_trial(Recorder(Store(uri), PLAN, "text"), spec, tiny.result(spec))
    (run,) = trials(uri)
    assert run.info.run_name == name
    assert (run.data.params["phase"], run.data.params["seed"]) == (phase, str(seed))


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
    stored = read_study(Address("tiny", "starter", Store(uri)))
    assert {key: stored.provenance[key] for key in first} == {
        "commit": ["a (2 trials)", "b (1 trial)"],
        "uncommitted_changes": True,
        "versions": {"torch": ["2 (2 trials)", "3 (1 trial)"], "numpy": "2"},
        "command": "run",
    }
    warnings = summarize(stored.plan, stored.trials, stored.provenance, {}).warnings
    assert "trials were trained by runs that differ in commit: see Provenance." in warnings
    assert any("uncommitted changes" in warning for warning in warnings)


def test_artifacts_lie_beside_the_database(uri: str) -> None:
    recorder = Recorder(Store(uri), PLAN, "text")
    spec = PLAN.trial("two", "confirm", 0, {})
    record_trial(recorder, spec, tiny.result(spec))
    folder = Path(uri.removeprefix("sqlite:///")).parent
    assert len(list((folder / "mlruns").rglob("trial.json"))) == 1


def test_no_trial_is_in_the_store_twice(uri: str) -> None:
    spec = PLAN.trial("two", "confirm", 0, {})
    for result in (tiny.result(spec, status="failed"), None, tiny.result(spec)):
        record_trial(Recorder(Store(uri), PLAN, "text"), spec, result)
    Recorder(Store(uri), PLAN, "text")
    assert len(trials(uri)) == 1
    assert len(parents(uri)) == 1


def test_a_trial_that_is_told_again_stores_nothing_twice(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "FLUSH_SECONDS", -1.0)  # each epoch is written as it comes
    spec = PLAN.trial("two", "confirm", 0, {})
    result = tiny.result(spec)
    record_trial(Recorder(Store(uri), PLAN, "text"), spec, None, result.epochs[:2])
    (run,) = trials(uri)
    assert run.info.status == "KILLED"
    record_trial(Recorder(Store(uri), PLAN, "text"), spec, result)
    (run,) = trials(uri)
    assert run.info.status == "FINISHED"
    history = MlflowClient(uri).get_metric_history(run.info.run_id, "train_loss")
    assert [(point.step, point.value) for point in history] == [(e.step, e.train_loss) for e in result.epochs]


def test_a_driver_that_died_leaves_a_run_that_the_next_one_goes_on_with(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "FLUSH_SECONDS", -1.0)
    spec = PLAN.trial("two", "confirm", 0, {})
    dead = Recorder(Store(uri), PLAN, "text")
    dead.start(spec)
    dead.epoch(spec, tiny.record(1))
    (run,) = trials(uri)
    assert run.info.status == "RUNNING"
    recorder = Recorder(Store(uri), PLAN, "text")
    assert recorder.claim(spec) is None
    record_trial(recorder, spec, tiny.result(spec))
    assert [(run.info.status, run.data.tags["ablations.status"]) for run in trials(uri)] == [("FINISHED", "finished")]


def test_a_trial_counts_once_all_of_it_is_written(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Writer._keep

    def full(writer: Writer, run_id: str, text: str, file: str) -> None:
        if file == "trial.json":
            raise OSError("no space left on device")
        keep(writer, run_id, text, file)

    spec = PLAN.trial("two", "confirm", 0, {})
    recorder = Recorder(Store(uri), PLAN, "text")
    monkeypatch.setattr(Writer, "_keep", full)
    record_trial(recorder, spec, tiny.result(spec))
    assert len(trials(uri)) == 1
    assert read_study(Address("tiny", "starter", Store(uri))).trials == ()
    recorder.close(False)
    monkeypatch.undo()
    Recorder(Store(uri), PLAN, "text")
    (trial,) = read_study(Address("tiny", "starter", Store(uri))).trials
    assert trial.result == tiny.result(spec)
    assert len(trials(uri)) == 1


def test_a_long_trial_is_written_whole(uri: str) -> None:
    spec = PLAN.trial("two", "confirm", 0, {})
    epochs = tuple(tiny.record(epoch) for epoch in range(1, 251))
    result = TrialResult(spec.id, "finished", epochs, 50.0, b"\xf0", 8)
    record_trial(Recorder(Store(uri), PLAN, "text"), spec, result)
    (trial,) = read_study(Address("tiny", "starter", Store(uri))).trials
    assert trial.result == result
    (run,) = trials(uri)
    assert len(MlflowClient(uri).get_metric_history(run.info.run_id, "train_loss")) == 250


# What comes back


def test_a_study_reads_back_exactly_as_it_was_recorded(uri: str) -> None:
    recorder = Recorder(Store(uri), PLAN, "text")
    values = {"train.lr": (0.1 + 0.2) / 3}
    confirm = PLAN.trial("two", "confirm", 0, values)
    tune = PLAN.trial("one", "tune", 1, {"train.lr": 1 / 7}, 5)
    record_trial(recorder, confirm, awkward(confirm))
    record_trial(recorder, tune, tiny.result(tune, 100 / 7))
    recorder.close(True)
    stored = read_study(Address("tiny", "starter", Store(uri)))
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
    read = {trial.phase: trial.result for trial in read_study(Address("tiny", "starter", Store(uri))).trials}
    assert [read["tune"], read["confirm"]] == results


def test_what_another_plan_left_behind_is_not_read(uri: str) -> None:
    spec = PLAN.trial("one", "confirm", 0, {})
    record_trial(Recorder(Store(uri), PLAN, "text"), spec, tiny.result(spec))
    Recorder(Store(uri), tiny.plan(variants={"two": {}, "one": {"set": {"model.mixers": 0}}}), "text")
    assert read_study(Address("tiny", "starter", Store(uri))).trials == ()


def test_a_renamed_variant_takes_its_trials_with_it(uri: str) -> None:
    spec = PLAN.trial("one", "confirm", 0, {"train.lr": 0.05})
    record_trial(Recorder(Store(uri), PLAN, "text"), spec, awkward(spec))
    renamed = tiny.plan(variants={"two": {}, "single": {"set": {"model.mixers": 1}, "family": "mixers"}})
    Recorder(Store(uri), renamed, "text").claim(renamed.trial("single", "confirm", 0, {"train.lr": 0.05}))
    (trial,) = read_study(Address("tiny", "starter", Store(uri))).trials
    assert (trial.variant, trial.variant_key) == ("single", renamed["single"].key)
    assert trial.result == awkward(spec)
    (run,) = trials(uri)
    assert run.data.tags["ablations.family"] == "mixers"


def test_a_changed_search_space_relabels_the_trials_it_shares(uri: str) -> None:
    spec = PLAN.trial("two", "confirm", 0, {"train.lr": 0.05})
    record_trial(Recorder(Store(uri), PLAN, "text"), spec, tiny.result(spec))
    wider = {**tiny.STUDY["search_space"], "train.momentum": {"type": "float", "low": 0.0, "high": 0.95}}
    plan = tiny.plan(search_space=wider)
    values = {"train.lr": 0.05, "train.momentum": 0.9}
    same = plan.trial("two", "confirm", 0, values)
    assert same.id == spec.id
    Recorder(Store(uri), plan, "text").claim(same)
    (trial,) = read_study(Address("tiny", "starter", Store(uri))).trials
    assert trial.hyperparameters == values


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


# What goes wrong


def test_reading_creates_no_database(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'nothing' / 'mlflow.db'}"
    assert recorded_studies(Store(uri)) == []
    with pytest.raises(TrackingError, match=r"holds no study 'tiny' at profile 'starter'\. Run it first"):
        read_study(Address("tiny", "starter", Store(uri)))
    assert not list(tmp_path.iterdir())


def test_a_store_without_the_study_says_so(uri: str) -> None:
    with pytest.raises(TrackingError, match="holds no study"):
        read_study(Address("tiny", "starter", Store(uri)))


def no_database(tmp_path: Path) -> str:
    (tmp_path / "file.db").write_text("not a database, " * 100)
    return f"sqlite:///{tmp_path / 'file.db'}"


@pytest.mark.parametrize(
    "make_uri",
    [
        no_database,
        lambda tmp_path: "sqlite:////proc/nowhere/mlflow.db",
        lambda tmp_path: "gopher://somewhere",
        lambda tmp_path: "postgresql://user:secret@127.0.0.1:9/db",
    ],
    ids=["no database", "no folder", "no such scheme", "no driver or server"],
)
def test_a_store_that_cannot_be_opened_is_one_clear_error(
    make_uri: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = make_uri(tmp_path)
    with pytest.raises(TrackingError, match="cannot be used") as caught:
        Recorder(Store(uri), PLAN, "text")
    assert str(Store(uri)) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_password_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    uri = "http://me:secret@127.0.0.1:9/"
    with pytest.raises(TrackingError) as caught:
        read_study(Address("tiny", "starter", Store(uri)))
    told: list[str] = []
    recorder = Recorder(Store(uri), PLAN, "text", told.append)
    recorder.close(False)
    for said in (str(caught.value), *told, str(recorder.waiting), str(recorder.trouble)):
        assert "secret" not in said
    assert "127.0.0.1:9" in told[0]
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert "secret" not in str(file) + file.read_text()


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:p%40ss@host:5000/path", "https://***@host:5000/path"),
        ("postgresql+psycopg2://me:secret@db/mlflow", "postgresql+psycopg2://***@db/mlflow"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("http://host:5000", "http://host:5000"),
    ],
)
def test_a_uri_is_shown_without_its_password(uri: str, shown: str) -> None:
    assert str(Store(uri)) == shown


def test_a_deleted_experiment_is_not_written_to(uri: str) -> None:
    Recorder(Store(uri), PLAN, "text")
    client = MlflowClient(uri)
    client.delete_experiment(client.get_experiment_by_name("tiny/starter").experiment_id)
    with pytest.raises(TrackingError, match=r"was deleted\. Restore it"):
        Recorder(Store(uri), PLAN, "text")


def test_the_plan_of_another_version_is_an_error_for_people(uri: str) -> None:
    Recorder(Store(uri), PLAN, "text")
    (parent,) = parents(uri)
    MlflowClient(uri).log_text(parent.info.run_id, '{"study": "tiny", "shape": "of the future"}', "plan.json")
    with pytest.raises(TrackingError, match="recorded by another version of the suite"):
        read_study(Address("tiny", "starter", Store(uri)))


def test_the_default_store_is_the_one_that_mlflow_ui_shows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Store.at(None).uri == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert Store.at(None).uri == "http://host:5000"


def test_every_field_of_a_record_is_a_metric_or_the_metrics_time(uri: str) -> None:
    spec = PLAN.trial("two", "tune", 0, {})
    record_trial(Recorder(Store(uri), PLAN, "text"), spec, tiny.result(spec))
    (run,) = trials(uri)
    fields = set(EpochRecord.__dataclass_fields__) - {"timestamp_ms"}
    assert fields <= set(run.data.metrics)
    stamps = MlflowClient(uri).get_metric_history(run.info.run_id, "epoch")
    assert [point.timestamp for point in stamps] == [tiny.record(epoch).timestamp_ms for epoch in (1, 2, 3)]


def test_looks_come_back_in_order(uri: str) -> None:
    Recorder(Store(uri), PLAN, "text").close(True)
    stored = read_study(Address("tiny", "starter", Store(uri)))
    assert stored.looks == ()
    looks = (PLAN.this_look, tiny.plan(seeds=3).this_look)
    record_looks(Store(uri), stored.provenance["parent_run_id"], looks)
    assert read_study(Address("tiny", "starter", Store(uri))).looks == looks


def test_looks_at_hundreds_of_variants_come_back_whole(uri: str) -> None:
    Recorder(Store(uri), PLAN, "text").close(True)
    parent_run_id = read_study(Address("tiny", "starter", Store(uri))).provenance["parent_run_id"]
    wide = replace(PLAN.this_look, contrasts=PLAN.this_look.contrasts * 500)
    for looks in ((wide,), (wide, wide)):
        record_looks(Store(uri), parent_run_id, looks)
        assert read_study(Address("tiny", "starter", Store(uri))).looks == looks


def test_looks_of_another_version_are_an_error_in_words(uri: str) -> None:
    Recorder(Store(uri), PLAN, "text").close(True)
    (parent,) = parents(uri)
    MlflowClient(uri).set_tag(parent.info.run_id, "ablations.looks", '[{"x": 1}]')
    with pytest.raises(TrackingError, match=r"the tag ablations\.looks of run .* another version"):
        read_study(Address("tiny", "starter", Store(uri)))


def test_a_settled_study_is_read_without_the_trials_of_an_earlier_tuning(uri: str) -> None:
    recorder = Recorder(Store(uri), PLAN, "text")
    old, new = (PLAN.trial("two", "confirm", 0, {"train.lr": lr}) for lr in (0.02, 0.05))
    for spec in (old, new):
        record_trial(recorder, spec, tiny.result(spec))
    assert len(read_study(Address("tiny", "starter", Store(uri))).trials) == 2
    recorder.settled([new.id])
    assert [trial.id for trial in read_study(Address("tiny", "starter", Store(uri))).trials] == [new.id]
    # What is settled is settled for a plan; a longer one has trials that are not in the list yet.
    longer = tiny.plan(seeds=3)
    Recorder(Store(uri), longer, "text")
    assert len(read_study(Address("tiny", "starter", Store(uri))).trials) == 2


def test_a_trial_that_two_drivers_recorded_counts_once(uri: str) -> None:
    spec = PLAN.trial("two", "confirm", 0, {})
    first, second = (Recorder(Store(uri), PLAN, "text") for _ in "ab")
    for recorder in (first, second):
        record_trial(recorder, spec, tiny.result(spec))
    assert len(trials(uri)) == 2
    assert len(read_study(Address("tiny", "starter", Store(uri))).trials) == 1


@pytest.mark.parametrize("damage", [None, "", '{"spec": {}, "resu', '{"result": {"epochs": 1}}'])
def test_a_damaged_trial_file_is_an_error_in_words(damage: str | None, uri: str) -> None:
    recorder = Recorder(Store(uri), PLAN, "text")
    spec = PLAN.trial("two", "confirm", 0, {})
    record_trial(recorder, spec, tiny.result(spec))
    (run,) = trials(uri)
    file = Path(url2pathname(urlsplit(run.info.artifact_uri).path), "trial.json")
    file.unlink() if damage is None else file.write_text(damage)
    with pytest.raises(
        TrackingError, match=r"trial\.json is damaged .* Delete its run in MLflow, and run the study again"
    ):
        read_study(Address("tiny", "starter", Store(uri)))


def test_tags_that_were_edited_are_an_error_in_words(uri: str) -> None:
    recorder = Recorder(Store(uri), PLAN, "text")
    spec = PLAN.trial("two", "confirm", 0, {})
    record_trial(recorder, spec, tiny.result(spec))
    (run,) = trials(uri)
    MlflowClient(uri).set_tag(run.info.run_id, "ablations.seed", "nought")
    with pytest.raises(TrackingError, match=rf"the tags of run {run.info.run_id} .* are not as recorded"):
        read_study(Address("tiny", "starter", Store(uri)))


# A store that was moved


def test_a_store_that_was_moved_is_read_and_gone_on_with_where_it_is(uri: str, tmp_path: Path) -> None:
    old = Path(uri.removeprefix("sqlite:///")).parent
    first, second = (PLAN.trial("two", "confirm", seed, {}) for seed in (0, 1))
    recorder = Recorder(Store(uri), PLAN, "text")
    record_trial(recorder, first, tiny.result(first, 61.0))
    recorder.measured({"a": tiny.measurement()})
    new = old.rename(tmp_path / "elsewhere")
    moved = f"sqlite:///{new / 'mlflow.db'}"
    stored = read_study(Address("tiny", "starter", Store(moved)))
    assert [trial.result for trial in stored.trials] == [tiny.result(first, 61.0)]
    assert set(stored.measurements) == {"a"}

    recorder = Recorder(Store(moved), PLAN, "text")
    assert recorder.claim(first) is not None
    record_trial(recorder, second, tiny.result(second, 62.0))
    assert [trial.result for trial in read_study(Address("tiny", "starter", Store(moved))).trials] == [
        tiny.result(first, 61.0),
        tiny.result(second, 62.0),
    ]
    assert not old.exists()
