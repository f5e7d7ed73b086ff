"""A store that others write to, too: what it says is checked, shown as text, and never run, opened or believed as a name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
from mlflow import MlflowClient
from mlflow.artifacts import load_text
from mlflow.entities import Run
from places import ROOT
from stored import address
from waiting import Recorder

from ablations.analysis.summarize import summarize
from ablations.errors import TrackingError
from ablations.reporting.render import write_report
from ablations.tracking import layout, runs
from ablations.tracking.client import Client
from ablations.tracking.lock import hold
from ablations.tracking.reader import read_progress, read_study, recorded_studies
from ablations.tracking.store import Address, Store, without_passwords
from ablations.trial import content_hash

PLAN = tiny.plan()
SESSION_FILE = layout.session_file(content_hash({}))
BAD = '"><img src=x onerror=alert(1)><script>alert(2)</script> {{ 7 * 7 }} \\input{/etc/passwd} [a](javascript:b)'


class Tampered:
    """A store with the tiny study and one of its confirmation trials, and ways to tamper with it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.client = MlflowClient(uri)
        recorder = Recorder(Store(uri), PLAN, "text")
        for variant in ("two", "one"):
            spec = PLAN.trial(variant, "confirm", 0, {"train.lr": 0.05})
            recorder.start(spec)
            recorder.end(spec, tiny.result(spec))
        self.experiment_id = self.client.get_experiment_by_name("tiny/starter").experiment_id

    def run(self, kind: str) -> Run:
        """The study's own run, or a trial's."""
        return self.client.search_runs([self.experiment_id], f"tags.`ablations.kind` = '{kind}'")[0]

    def write(self, kind: str, file: str, text: str) -> None:
        self.client.log_text(self.run(kind).info.run_id, text, file)

    def edit_plan(self, **changes: Any) -> None:
        """As one does who knows how the suite recognises its plans."""
        plan = {**PLAN.to_json(), **changes}
        self.write("study", "plan.json", json.dumps(plan))
        self.client.set_tag(self.run("study").info.run_id, "ablations.plan_id", content_hash(plan))

    def edit_trial(self, **changes: Any) -> None:
        run = self.run("trial")
        trial = json.loads(load_text(f"{run.info.artifact_uri}/trial.json"))
        self.write("trial", "trial.json", json.dumps({**trial, "result": {**trial["result"], **changes}}))

    def refusal(self) -> str:
        with pytest.raises(TrackingError) as caught:
            read_study(address(self.uri))
        return str(caught.value)


@pytest.fixture
def store(new_store: Callable[[], str]) -> Tampered:
    return Tampered(new_store())


def test_what_was_not_tampered_with_is_read(store: Tampered) -> None:
    assert len(read_study(address(store.uri)).trials) == 2
    store.edit_plan(question="Another one?")
    assert read_study(address(store.uri)).plan.question == "Another one?"


# Names and plans


def test_a_study_renamed_under_its_results_is_refused(store: Tampered) -> None:
    store.client.rename_experiment(store.experiment_id, "other/starter")
    assert recorded_studies(Store(store.uri)) == [Address("other", "starter", Store(store.uri))]
    with pytest.raises(TrackingError) as caught:
        read_study(Address("other", "starter", Store(store.uri)))
    told = (
        "the MLflow experiment 'other/starter' holds the study tiny at profile starter: it was renamed in MLflow. Rename it back "
        f"with: {Store(store.uri).mlflow} experiments rename --experiment-id {store.experiment_id} --new-name tiny/starter"
    )
    assert str(caught.value) == told
    with pytest.raises(TrackingError, match=re.escape(told)):
        read_study(address(store.uri))
    # Nor is it trained again.
    with pytest.raises(TrackingError, match=re.escape(told)):
        Recorder(Store(store.uri), PLAN, "text")
    assert [each.name for each in store.client.search_experiments()] == ["other/starter", "Default"]


@pytest.mark.parametrize("name", ["../../etc", "/etc", "<b>", "\x1b[31m", "t\u0456ny", "x" * 65, ""])
@pytest.mark.parametrize("key", ["study", "profile", "baseline", "variant"])
def test_a_plan_with_names_that_are_none_is_refused(key: str, name: str, store: Tampered) -> None:
    variants = PLAN.to_json()["variants"]
    store.edit_plan(
        **({"variants": [{**variants[0], "name": name}, *variants[1:]]} if key == "variant" else {key: name})
    )
    assert "was recorded by another version of the suite, or edited" in store.refusal()


def test_a_plan_on_a_data_set_that_nobody_registers_here_is_refused(store: Tampered) -> None:
    store.edit_plan(data={**PLAN.to_json()["data"], "name": "somebodys"})
    told = "was trained on the data set 'somebodys', which no installed package registers correctly. Install the package that registered it."
    assert told in store.refusal()


def test_a_plan_that_is_not_the_recorded_one_is_refused(store: Tampered) -> None:
    plan = PLAN.to_json()
    store.write("study", "plan.json", json.dumps({**plan, "decision": {"alpha": 0.4, "margin": 0.001}}))
    assert "was recorded by another version of the suite, or edited" in store.refusal()


# Results


def test_a_trial_that_nobody_can_name_stops_the_run_in_words(store: Tampered) -> None:
    store.client.delete_tag(store.run("trial").info.run_id, layout.TRIAL_ID)
    with pytest.raises(
        TrackingError, match=r"the tags of run .* are not as recorded \(KeyError: 'ablations.trial_id'\)"
    ):
        Recorder(Store(store.uri), PLAN, "text")


@pytest.mark.parametrize("value", ["yesterday", "9" * 40, "-1"])
def test_a_time_that_is_none_is_taken_from_the_run(value: str, store: Tampered) -> None:
    run = store.run("study")
    store.client.set_tag(run.info.run_id, layout.SINCE, value)
    assert read_progress(address(store.uri)).since_ms == run.info.start_time


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("hyperparameters", "[1]"),
        ("hyperparameters", "[" * 4000),
        ("hyperparameters", '{"x": 1}'),
        ("hyperparameters", '{"model.mixers": 3}'),
        ("hyperparameters", '{"train.lr": "a"}'),
        ("hyperparameters", '{"train.lr": 5e9}'),
        ("phase", "<script>"),
        ("seed", "nought"),
        ("number", "1e9"),
        ("seed", "9" * 5000),
    ],
)
def test_edited_tags_are_refused(tag: str, value: str, store: Tampered) -> None:
    store.client.set_tag(store.run("trial").info.run_id, f"ablations.{tag}", value)
    assert "are not as recorded" in store.refusal()
    assert len(store.refusal()) < 500


def test_a_metric_that_is_no_count_is_refused(store: Tampered) -> None:
    run = store.run("trial")
    run.data.metrics["epoch"] = float("inf")  # a server may say so; a database has a largest number instead
    with pytest.raises(TrackingError, match="are not as recorded"):
        runs.recorded(Client(store.uri), run)


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": [{"epoch": "<script>"}]},
        {"epochs": [{**tiny.trial().config.train.model_dump()}]},
        {"test_accuracy_percent": "<script>"},
        {"status": "excellent"},
        {"test_correct": "sA==junk!"},
        {"test_correct": "é"},
        {"a_later_version": 1},
    ],
    ids=lambda changes: "".join(changes),
)
def test_a_trial_file_that_the_suite_did_not_write_is_refused(changes: dict[str, Any], store: Tampered) -> None:
    store.edit_trial(**changes)
    assert re.match(r"trial\.json of run \w+ \(one, confirm, seed 0, lr 0\.05\) is damaged", store.refusal())
    assert len(store.refusal()) < 500


def test_a_trial_file_that_was_edited_with_its_images_is_not_believed_against_mlflows_metric(store: Tampered) -> None:
    store.edit_trial(num_test_images=8, test_correct="/A==", test_accuracy_percent=75.0)
    assert re.fullmatch(
        r"trial\.json of run \w+ \(one, confirm, seed 0, lr 0\.05\) is damaged \(ValueError: a test accuracy of 75 %, where MLflow's "
        r"metric has 50 %\)\. Delete the run in MLflow, and run the study again\.",
        store.refusal(),
    )


def test_a_trial_that_was_tested_on_other_images_is_refused(store: Tampered) -> None:
    store.edit_trial(num_test_images=8, test_correct="8A==", test_accuracy_percent=50.0)
    assert re.fullmatch(
        r"run \w+ was tested on \d+ images, the others on \d+\. Delete the run in MLflow, and run the study again\.",
        store.refusal(),
    )


@pytest.mark.parametrize("file", [SESSION_FILE, "trials.json"])
@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "12", '"x"', "null"])
def test_a_damaged_file_of_the_study_is_refused(file: str, text: str, store: Tampered) -> None:
    store.client.set_tag(store.run("study").info.run_id, "ablations.settled_plan_id", PLAN.id)
    store.write("study", file, text)
    assert f"{file} in the study's run is damaged" in store.refusal()


# Texts


def test_texts_from_the_store_are_only_text_in_a_report(store: Tampered, tmp_path: Path) -> None:
    store.edit_plan(question=BAD, source=BAD, profile_description=BAD, profile_cost=BAD, caveats=[BAD])
    store.write("study", SESSION_FILE, json.dumps({BAD: BAD}))
    store.client.set_tag(store.run("trial").info.run_id, "ablations.message", BAD)
    stored = read_study(address(store.uri))
    summary = summarize(stored.plan, stored.trials, stored.provenance, stored.measurements, stored.ledgers)
    folder = write_report(summary, tmp_path / "report", created="now").parent
    html = (folder / "index.html").read_text(encoding="utf-8")
    assert html.count("<script") == 1
    assert "<img" not in html
    assert "{{ 7 * 7 }}" in html
    assert not any("<img" in path.read_text(encoding="utf-8") for path in folder.rglob("*.svg"))
    assert r"\input{/etc" not in "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.tex"))
    assert "](javascript" not in (folder / "report.md").read_text(encoding="utf-8").replace("\\]", "")


# Secrets and telemetry


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:se/c@ret@db/mlflow", "postgresql://***@db/mlflow"),
        ("https://token@host", "https://***@host"),
        ("run s.yaml --tracking-uri=http://me:secret@host:5000", "run s.yaml --tracking-uri=http://***@host:5000"),
        ("postgresql://db/mlflow?user=me&password=secret&x=1", "postgresql://db/mlflow?user=me&password=***&x=1"),
        ("mysql://db/x?ssl=1&Auth_Token=secret", "mysql://db/x?ssl=1&Auth_Token=***"),
        ("mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Dsecret%3BA%3D1", "mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3D***%3BA%3D1"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
    ],
)  # fmt: skip
def test_no_text_shows_the_password_of_a_uri(text: str, shown: str) -> None:
    assert without_passwords(text) == shown
    assert str(Store(text)) == shown
    assert repr(Store(text)) == f"Store({shown!r})"


def test_the_driver_that_holds_a_study_keeps_its_password_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = "http://me:secret@127.0.0.1:1"
    monkeypatch.setattr(sys, "argv", ["ablations", "run", "s.yaml", "--tracking-uri", uri])
    with hold(address(uri)):
        written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
        assert "--tracking-uri http://***@127.0.0.1:1" in written
        with pytest.raises(TrackingError) as caught:
            hold(address(uri)).__enter__()
    assert "secret" not in written + str(caught.value)


@pytest.mark.parametrize(("given", "kept"), [(None, "true"), ("false", "false")])
def test_nothing_is_sent_home_unless_the_user_says_so(given: str | None, kept: str) -> None:
    # MLflow decides when it is imported, and at each call.
    code = (
        "import os, sys; import ablations.tracking as tracking; assert 'mlflow' not in sys.modules; seen = []\n"
        "class Finder:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name == 'mlflow': seen.append(os.environ['MLFLOW_DISABLE_TELEMETRY'])\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from ablations.tracking.reader import read_study; assert 'mlflow' in sys.modules\n"
        "with tracking.own_settings(): seen.append(os.environ['MLFLOW_DISABLE_TELEMETRY'])\n"
        "print(*seen)"
    )
    environ = {"PYTHONPATH": str(ROOT)} | ({} if given is None else {"MLFLOW_DISABLE_TELEMETRY": given})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True)
    assert done.stdout.split() == [kept, kept]
