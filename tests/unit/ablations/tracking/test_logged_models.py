"""Networks as MLflow models: what is loaded computes what was trained, and the worker's file is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
import tiny
import torch
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from stored import address
from waiting import Recorder

from ablations.tracking import recorder as recorder_module
from ablations.tracking.entries import Entry, TrialEntry
from ablations.tracking.recorder import sync
from ablations.tracking.spool import Spool
from ablations.tracking.store import Store
from ablations.tracking.writer import Writer
from ablations.trial import TrialResult
from nin.images import Input
from nin.model import build

PLAN = tiny.plan(search_space={})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch and MLflow, where they load
def test_a_confirmations_network_is_loaded_as_it_was_trained(
    new_store: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = new_store()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    spec, other = (PLAN.trial("two", "confirm", seed, {}) for seed in (0, 1))
    model = build(spec.config.model, Input(in_channels=1, size=16, num_classes=4)).eval()
    weights = tmp_path / f"{spec.id}.pt"
    torch.save(model.state_dict(), weights)
    recorder = Recorder(Store(uri), PLAN, "text", weights_dir=tmp_path)
    entries = []
    put = recorder._spool.append
    recorder._spool.append = lambda entry: (entries.append(entry), put(entry))[-1]  # type: ignore[method-assign]
    for each in (spec, other):
        recorder.start(each)
        recorder.end(each, tiny.result(each))
    recorder.close(True)
    assert recorder.waiting is None, recorder.trouble
    assert not weights.exists()

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tiny/starter").experiment_id
    runs = {run.data.tags.get("ablations.trial_id"): run.info.run_id for run in client.search_runs([experiment])}
    images = torch.rand(5, 1, 16, 16)
    loaded = mlflow.pytorch.load_model(f"runs:/{runs[spec.id]}/model")
    torch.testing.assert_close(loaded(images), model(images))
    with pytest.raises(MlflowException):
        mlflow.pytorch.load_model(f"runs:/{runs[other.id]}/model")

    # Killed after all of it was written, and before the spool knew: the record comes again, and its file is gone.
    spool = Spool(address(uri).spool)
    for entry in entries:
        spool.append(entry)
    assert sync(address(uri)) == len(entries)
    torch.testing.assert_close(mlflow.pytorch.load_model(f"runs:/{runs[spec.id]}/model")(images), model(images))


def test_weights_that_a_killed_run_has_left_are_no_model_of_a_trial_that_fails(
    new_store: Callable[[], str], tmp_path: Path
) -> None:
    spec = PLAN.trial("two", "confirm", 0, {})
    weights = tmp_path / f"{spec.id}.pt"
    weights.touch()
    recorder = Recorder(Store(new_store()), PLAN, "text", weights_dir=tmp_path)
    entries: list[Entry] = []
    recorder._spool.append = entries.append  # type: ignore[method-assign]
    recorder.start(spec)
    recorder.end(spec, TrialResult(spec.id, "failed", message="out of luck", reason="error"))
    assert isinstance(entries[-1], TrialEntry)
    assert entries[-1].weights is None
    recorder._spool.close()


def test_weights_that_a_killed_run_has_left_are_removed_unless_they_wait(
    new_store: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Writer, "write", lambda *given: time.sleep(600))
    uri = new_store()
    folder = address(uri).weights_folder
    folder.mkdir(parents=True)
    spec = PLAN.trial("two", "confirm", 0, {})
    for name in (f"{spec.id}.pt", "0123456789abcdef.pt", "0123456789abcdef.part"):
        (folder / name).touch()
    killed = recorder_module.Recorder(Store(uri), PLAN, "text", weights_dir=folder)
    assert list(folder.iterdir()) == []
    (folder / f"{spec.id}.pt").touch()
    (folder / "0123456789abcdef.pt").touch()
    killed.start(spec)
    killed.end(spec, tiny.result(spec))
    recorder_module.Recorder(Store(uri), PLAN, "text")
    assert [file.name for file in folder.iterdir()] == [f"{spec.id}.pt"]
    database_file = Store(uri).file
    assert database_file is not None
    link = database_file.parent.with_name("link")
    link.symlink_to(database_file.parent)
    recorder_module.Recorder(Store.in_folder(link), PLAN, "text")
    assert [file.name for file in folder.iterdir()] == [f"{spec.id}.pt"]


def test_a_network_of_which_no_model_can_be_made_costs_no_trial(new_store: Callable[[], str], tmp_path: Path) -> None:
    uri = new_store()
    spec = PLAN.trial("two", "confirm", 0, {})
    torch.save({}, tmp_path / f"{spec.id}.pt")
    recorder = Recorder(Store(uri), PLAN, "text", weights_dir=tmp_path)
    recorder.start(spec)
    recorder.end(spec, tiny.result(spec))
    recorder.close(True)
    assert recorder.waiting is None, recorder.trouble
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tiny/starter").experiment_id
    (run,) = client.search_runs([experiment], "tags.`ablations.kind` = 'trial'")
    assert run.info.status == "FINISHED"
    assert run.data.tags["ablations.model_message"].startswith("no model: RuntimeError: Error(s) in loading state_dict")
