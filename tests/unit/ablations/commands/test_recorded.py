"""Studies in the store, by name and by file."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import edited
from commandline import Command


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["report", "status"])
def test_a_study_that_is_not_recorded_is_run_by_its_file(command: Command, name: str) -> None:
    Path("new.yaml").write_text(edited(("study: tiny", "study: renamed")))
    for typed, meant, run in (
        ("new.yaml", "renamed", "new.yaml"),
        ("new", "renamed", "new"),
        ("head", "head", "head"),
        ("renamed", "renamed", None),
    ):
        code, out, err = command(name, typed)
        assert (code, out) == (2, "")
        what = (
            f"Run it first: python -m ablations run {run}"
            if run
            else "No study file has this name, either; give the path"
        )
        assert f"holds no study '{meant}'; known here: other, tiny. {what}" in err
    code, _, err = command(name, "s.yaml", "--profile", "book")
    assert code == 2
    assert err.endswith(
        "holds no study 'tiny' at profile 'book'; recorded at short, starter. Run it first: python -m ablations run s.yaml --profile book\n"
    )
    code, _, err = command(name, "../../etc")
    assert (code, "holds no study '../../etc'" in err) == (2, True)


@pytest.mark.usefixtures("store")
def test_a_recorded_study_is_found_by_what_it_was_run_by(command: Command) -> None:
    Path("mine.yaml").write_text(edited())
    told = command("status", "tiny", "--profile", "starter")[1]
    code, out, err = command("status", "mine", "--profile", "starter")
    assert (code, out, err) == (0, told.replace("run tiny", "run mine"), "")
    # A recorded name comes before a file's.
    Path("other.yaml").write_text(edited())
    assert command("status", "other")[1].startswith("other, profile starter: ")


def test_a_deleted_experiment_is_named_by_every_command(command: Command, store: str) -> None:
    from mlflow import MlflowClient

    from ablations.tracking.store import Store

    client = MlflowClient(store)
    for experiment in client.search_experiments():
        if experiment.name != "Default":
            client.delete_experiment(experiment.experiment_id)
    number = client.get_experiment_by_name("other/starter").experiment_id
    told = (
        f"error: the MLflow experiment 'other/starter' of {store} was deleted. Restore it with: {Store(store).mlflow} experiments "
        f"restore --experiment-id {number}\n"
    )
    Path("other.yaml").write_text(edited(("study: tiny", "study: other")))
    for arguments in (
        ["status", "other"],
        ["report", "other"],
        ["export", "other"],
        ["ui", "other"],
        ["run", "other.yaml"],
    ):
        code, _, err = command(*arguments)
        assert (code, told in err) == (2, True), arguments
    for name in ("status", "report"):
        code, out, err = command(name)
        assert (code, out) == (2, "")
        assert "was deleted. Restore it with" in err


@pytest.mark.parametrize("name", ["report", "status"])
def test_a_hint_to_run_a_study_names_its_store(name: str, command: Command, store: str) -> None:
    Path("new.yaml").write_text(edited(("study: tiny", "study: renamed")))
    Path("elsewhere").mkdir()
    Path("mlflow.db").rename("elsewhere/mlflow.db")
    uri = "sqlite:///elsewhere/mlflow.db"
    err = command(name, "new.yaml", "--tracking-uri", uri)[2]
    assert err.endswith(f"Run it first: python -m ablations run new.yaml --tracking-uri {uri}\n")
    err = command(name, "--profile", "none_such", "--tracking-uri", uri)[2]
    assert err.endswith(f"Run one first: python -m ablations run one_by_one --tracking-uri {uri}\n")


def test_an_empty_store_has_nothing_to_report(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code, out, err = command("report")
    assert (code, out) == (2, "")
    assert err.startswith(
        f"error: no MLflow store is at {Path.cwd() / 'mlflow.db'}: nothing was run here yet. Go to the folder"
    )
    assert err.endswith("Or run one here: python -m ablations run one_by_one\n")
    assert command("status", "s.yaml")[2] == err.replace("one_by_one", "s.yaml")
    assert command("status", "nonsuch")[2] == err
    assert not Path("mlflow.db").exists()
