"""What is in MLflow after a study; on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from mlflow import MlflowClient
from mlflow.artifacts import load_text
from stored import address, awkward, parents, record_trial, trials
from waiting import Recorder

from ablations.errors import TrackingError
from ablations.networks import RegisteredModel
from ablations.planning.plan import Plan
from ablations.tracking import layout
from ablations.tracking import recorder as recorder_module
from ablations.tracking.reader import read_study
from ablations.tracking.store import Store
from ablations.tracking.writer import Writer
from ablations.trial import Phase, TrialResult

PLAN = tiny.plan()


@pytest.fixture
def uri(new_store: Callable[[], str]) -> str:
    return new_store()


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
    assert described.startswith(r"Is !\[this\](http://away/x.png) \*one\* &lt;b&gt;shown&lt;/b&gt;?")


def test_texts_that_are_too_long_for_mlflow_are_shortened_and_recorded(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise MLflow cuts them itself.
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")
    plan = tiny.plan(question="*" * 2000, profiles={"starter": {"description": "#" * 2000}})
    recorder = Recorder(Store(uri), plan, "text")
    spec = plan.trial("two", "confirm", 0, {"train.lr": 0.05})
    failed = replace(tiny.result(spec, status="failed"), message="no " * 4000)
    record_trial(recorder, spec, failed)
    recorder.close(True)
    assert recorder.waiting is None
    (parent,), (run,) = parents(uri), trials(uri)
    assert parent.data.tags["mlflow.note.content"] == "\\*" * 2000
    assert run.data.tags["ablations.message"] == ("no " * 4000)[:4998] + " …"
    assert json.loads(load_text(f"{run.info.artifact_uri}/trial.json"))["result"]["message"] == failed.message


def test_long_names_and_params_are_shortened() -> None:
    spec = replace(PLAN.trial("two", "confirm", 0, {}), hyperparameters={"model.widths": "x" * 9000})
    assert len(layout.run_name(spec)) == 250
    model = RegisteredModel("own", "own 1.0", (("widths", "x" * 9000),))
    params = layout.trial_params(replace(spec, config=replace(spec.config, model=model)))
    assert params["model.widths"] == "x" * 5998 + " …"


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
    assert read_study(address(uri)).trials == ()
    recorder.close(False)
    monkeypatch.undo()
    Recorder(Store(uri), PLAN, "text")
    (trial,) = read_study(address(uri)).trials
    assert trial.result == tiny.result(spec)
    assert len(trials(uri)) == 1


def test_a_long_trial_is_written_whole(uri: str) -> None:
    spec = PLAN.trial("two", "confirm", 0, {})
    epochs = tuple(tiny.record(epoch) for epoch in range(1, 251))
    result = TrialResult(spec.id, "finished", epochs, 50.0, b"\xf0", 8)
    record_trial(Recorder(Store(uri), PLAN, "text"), spec, result)
    (trial,) = read_study(address(uri)).trials
    assert trial.result == result
    (run,) = trials(uri)
    assert len(MlflowClient(uri).get_metric_history(run.info.run_id, "train_loss")) == 250


# Another plan


def test_a_renamed_variant_takes_its_trials_with_it(uri: str) -> None:
    spec = PLAN.trial("one", "confirm", 0, {"train.lr": 0.05})
    record_trial(Recorder(Store(uri), PLAN, "text"), spec, awkward(spec))
    renamed = tiny.plan(variants={"two": {}, "single": {"set": {"model.mixers": 1}, "family": "mixers"}})
    Recorder(Store(uri), renamed, "text").claim(renamed.trial("single", "confirm", 0, {"train.lr": 0.05}))
    (trial,) = read_study(address(uri)).trials
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
    (trial,) = read_study(address(uri)).trials
    assert trial.hyperparameters == values


# What goes wrong


def no_database(tmp_path: Path) -> str:
    (tmp_path / "file.db").write_text("not a database, " * 100)
    return f"sqlite:///{tmp_path / 'file.db'}"


@pytest.mark.parametrize(
    ("make_uri", "told"),
    [
        (no_database, "cannot be used: .* Repair it, or name another with --tracking-uri"),
        (lambda tmp_path: "sqlite:////proc/nowhere/mlflow.db", "cannot be used"),
        (lambda tmp_path: "htp://somewhere", "MLflow has no kind of store for .*; did you mean 'http'"),
        (lambda tmp_path: "mysql+pymysql://user:secret@127.0.0.1:9/db", "needs the Python module pymysql"),
    ],
    ids=["no database", "no folder", "no such scheme", "no driver"],
)
def test_a_store_that_cannot_be_opened_is_one_clear_error(
    make_uri: Callable[[Path], str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = make_uri(tmp_path)
    with pytest.raises(TrackingError, match=told) as caught:
        Recorder(Store(uri), PLAN, "text")
    assert str(Store(uri)) in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("port", [":9", ""])
def test_a_database_server_that_does_not_answer_is_away_at_once(
    port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow tries again for 102 s. Records are queued, as they are for an MLflow server that is away."""
    monkeypatch.chdir(tmp_path)
    asked: list[tuple[str, int]] = []

    def refuse(address: tuple[str, int], seconds: float) -> None:
        asked.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("socket.create_connection", refuse)
    uri = f"postgresql+psycopg2://user:secret@127.0.0.1{port}/db"
    told: list[str] = []
    recorder = Recorder(Store(uri), PLAN, "text", told.append)
    recorder.close(False)
    assert recorder.waiting is not None
    assert set(asked) == {("127.0.0.1", 9 if port else 5432)}
    assert "does not answer (Connection refused)" in told[0]
    assert "secret" not in told[0]


def test_a_password_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    uri = "http://me:secret@127.0.0.1:9/"
    with pytest.raises(TrackingError) as caught:
        read_study(address(uri))
    told: list[str] = []
    recorder = Recorder(Store(uri), PLAN, "text", told.append)
    recorder.close(False)
    for said in (str(caught.value), *told, str(recorder.waiting), str(recorder.trouble)):
        assert "secret" not in said
    assert "127.0.0.1:9" in told[0]
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert "secret" not in str(file) + file.read_text()


# A store that was moved


def test_a_store_that_was_moved_is_read_and_gone_on_with_where_it_is(uri: str, tmp_path: Path) -> None:
    old = Path(uri.removeprefix("sqlite:///")).parent
    first, second = (PLAN.trial("two", "confirm", seed, {}) for seed in (0, 1))
    recorder = Recorder(Store(uri), PLAN, "text")
    record_trial(recorder, first, tiny.result(first, 61.0))
    recorder.measured({"a": tiny.measurement()})
    new = old.rename(tmp_path / "elsewhere")
    moved = f"sqlite:///{new / 'mlflow.db'}"
    stored = read_study(address(moved))
    assert [trial.result for trial in stored.trials] == [tiny.result(first, 61.0)]
    assert set(stored.measurements) == {"a"}

    recorder = Recorder(Store(moved), PLAN, "text")
    assert recorder.claim(first) is not None
    record_trial(recorder, second, tiny.result(second, 62.0))
    assert [trial.result for trial in read_study(address(moved)).trials] == [
        tiny.result(first, 61.0),
        tiny.result(second, 62.0),
    ]
    assert not old.exists()
