"""A study through the real command, as a person runs it: subprocesses in a folder of their own.

Each start imports torch in the workers, so the tests share one finished study.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from folder import NUM_TRIALS, Folder, accuracies, finish
from mlflow import MlflowClient
from places import ROOT

from ablations.tracking.reader import read_study
from ablations.tracking.store import Address, Store


@dataclass(frozen=True)
class Finished:
    """A study that was run once: its folder, what the command said, and what it left."""

    folder: Folder
    said: str
    summary: dict[str, Any]
    bits: dict[tuple[str, int], bytes | None]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Finished:
    folder = Folder(tmp_path_factory.mktemp("functional") / "finished", migrated_database)
    return Finished(folder, folder.call("run", "tiny.yaml"), folder.summary(), folder.bits())


def test_a_run_says_what_it_does_and_where_the_report_is(finished: Finished) -> None:
    first = finished.said.splitlines()[0]
    assert "tiny" in first
    assert "starter" in first
    assert f"trained {NUM_TRIALS} trials, found 0 done before" in finished.said
    assert "reports/tiny/starter/index.html" in finished.said
    assert "MLflow: python -m ablations ui tiny --profile starter\n" in finished.said


def test_a_run_leaves_a_whole_report(finished: Finished) -> None:
    report = finished.folder.path / "reports" / "tiny" / "starter"
    for file in ("index.html", "report.md", "summary.json"):
        assert (report / file).stat().st_size > 0
    for folder, suffix in (("figures", ".svg"), ("figures", ".png"), ("tables", ".csv")):
        assert list((report / folder).glob(f"*{suffix}"))


def test_the_summary_has_what_other_programs_read(finished: Finished) -> None:
    summary = finished.summary
    assert (summary["study"], summary["profile"], summary["baseline"]) == ("tiny", "starter", "two")
    assert set(summary["variants"]) == {"two", "one"}
    for variant in summary["variants"].values():
        assert isinstance(variant["params"], int)
        assert isinstance(variant["macs"], int)
        assert set(variant["accuracy_percent"]) == {"0", "1"}
        assert all(0 <= value <= 100 for value in variant["accuracy_percent"].values())
    (contrast,) = summary["contrasts"].values()
    assert {"difference", "interval", "num_pairs", "verdict"} <= set(contrast)
    assert contrast["num_pairs"] == 2
    assert summary["provenance"]["versions"]["torch"] != "not installed"


def test_mlflow_has_the_study_and_its_trials(finished: Finished) -> None:
    client = MlflowClient(finished.folder.uri)
    (experiment,) = [each for each in client.search_experiments() if each.name != "Default"]
    assert experiment.name == "tiny/starter"
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    kinds = [(run.data.tags["ablations.kind"], run.data.tags.get("ablations.phase")) for run in runs]
    assert kinds.count(("study", None)) == 1
    assert kinds.count(("trial", "tune")) == 6
    assert kinds.count(("trial", "confirm")) == 4


def test_no_checkpoint_is_left(finished: Finished) -> None:
    assert not list((finished.folder.path / ".ablations").rglob("*.pt"))


def test_running_again_trains_nothing_and_changes_nothing(finished: Finished) -> None:
    folder, before = finished.folder, finished.summary
    assert f"trained 0 trials, found {NUM_TRIALS} done before" in folder.call("run", "tiny.yaml")
    after = folder.summary()
    assert {key for key in after if after[key] != before[key]} <= {"created"}


def test_a_report_needs_neither_the_study_file_nor_the_old_report(finished: Finished) -> None:
    folder, before = finished.folder, finished.summary
    shutil.rmtree(folder.path / "reports")
    (folder.path / "tiny.yaml").rename(folder.path / "away")
    try:
        assert "report:" in folder.call("report", "tiny")
    finally:
        (folder.path / "away").rename(folder.path / "tiny.yaml")
    after = folder.summary()
    assert {key for key in after if after[key] != before[key]} <= {"created"}


def test_status_says_that_all_is_done(finished: Finished) -> None:
    said = finished.folder.call("status", "tiny").splitlines()
    assert [line.split()[1::2] for line in said[2:4]] == [["■■■", "■■"]] * 2
    assert said[-1] == "all is done. Write the report again with: python -m ablations report tiny --profile starter"


def test_programs_read_a_run_line_by_line(finished: Finished) -> None:
    events = [json.loads(line) for line in finished.folder.call("run", "tiny.yaml", "--json-lines").splitlines()]
    assert [event["event"] for event in events] == ["plan", *["found"] * NUM_TRIALS, "done"]
    assert (events[-1]["exit_code"], events[-1]["report"]) == (0, "reports/tiny/starter/index.html")
    assert events[-2]["num_done"] == events[-1]["num_found"] == NUM_TRIALS
    page = (ROOT / "docs" / "running.md").read_text()
    assert [key for key in events[-1] if f"`{key}`" not in page] == []


def test_a_quiet_run_says_nothing(finished: Finished) -> None:
    assert finished.folder.call("run", "tiny.yaml", "--quiet") == ""


def test_an_interrupt_leaves_the_terminal_whole(finished: Finished, tmp_path: Path, migrated_database: Path) -> None:
    folder = Folder(tmp_path / "terminal", migrated_database)
    folder.write_study(base=tiny.base(train__epochs=10_000))
    ours, theirs = pty.openpty()
    process = folder.start("run", "tiny.yaml", stdout=theirs, TERM="xterm", CI="", COLUMNS="60", LINES="20")
    os.close(theirs)
    screen = b""
    while b"epoch 2" not in screen:
        screen += os.read(ours, 4096)
    os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(OSError):  # the terminal is gone with its last process
        while block := os.read(ours, 4096):
            screen += block
    os.close(ours)
    _, err = finish(process)
    assert (process.returncode, "all records are kept" in err) == (130, True), err
    assert screen.rfind(b"\x1b[?25h") > screen.rfind(b"\x1b[?25l")
    assert b"Traceback" not in screen
    assert "=" in screen.decode().rsplit("variant", 1)[-1]


def test_a_variant_that_is_added_trains_alone(finished: Finished) -> None:
    folder, before = finished.folder, finished.summary
    folder.write_study(variants={**tiny.STUDY["variants"], "none": {"set": {"model.mixers": 0}}})
    try:
        said = folder.call("run", "tiny.yaml")
        after = folder.summary()
    finally:
        folder.write_study()
    assert f"trained {NUM_TRIALS // 2} trials, found {NUM_TRIALS} done before" in said
    assert set(after["variants"]) == {"two", "one", "none"}
    assert {name: accuracies(after)[name] for name in ("two", "one")} == accuracies(before)


def test_ten_kills_change_no_word_and_no_seed_of_a_study_with_looks(tmp_path: Path, migrated_database: Path) -> None:
    changes = {
        "search_space": {},
        "base": tiny.base(train__epochs=12),
        "variants": {"two": {}, "one": {"set": {"model.mixers": 1}}, "none": {"set": {"model.mixers": 0}}},
        "profiles": {"starter": {"description": "all of it", "looks": [5, 7, 9]}},
    }
    whole, killed = (Folder(tmp_path / name, migrated_database) for name in ("whole", "killed"))
    for folder in (whole, killed):
        folder.write_study(**changes)
    whole.call("run", "tiny.yaml")
    delays = np.random.default_rng(0).uniform(3, 8, 10)
    for seconds in delays:
        process = killed.start("run", "tiny.yaml", "--quiet", stdout=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    killed.call("run", "tiny.yaml")
    assert killed.bits() == whole.bits()
    keys = ("verdict", "look", "num_seeds", "closed", "path", "differences")
    one, other = (
        {n: {key: c[key] for key in keys} for n, c in f.summary()["contrasts"].items()} for f in (killed, whole)
    )
    assert one == other


def test_a_key_is_searched_only_where_its_condition_holds(tmp_path: Path, migrated_database: Path) -> None:
    folder = Folder(tmp_path / "conditional", migrated_database)
    tuning = {"trials": 6, "rerun_best": 1, "rerun_seeds": 1}
    folder.write_study(search_space=tiny.CONDITIONAL, tuning=tuning, seeds=1)
    assert "train.momentum 0 to 0.95 where train.optimizer is sgd" in " ".join(folder.call("plan", "tiny.yaml").split())

    said = folder.call("run", "tiny.yaml")
    trials = read_study(Address("tiny", "starter", Store(folder.uri))).trials
    assert f"trained {len(trials)} trials" in said
    assert {trial.hyperparameters["train.optimizer"] for trial in trials} == {"sgd", "adamw"}
    for trial in trials:
        assert trial.result.status == "finished"
        assert ("train.momentum" in trial.hyperparameters) is (trial.hyperparameters["train.optimizer"] == "sgd")
    report = folder.path / "reports" / "tiny" / "starter"
    assert "`train.momentum` from 0 to 0.95 where train.optimizer is sgd" in (report / "report.md").read_text()
    before = accuracies(folder.summary())
    assert "trained 0 trials" in folder.call("run", "tiny.yaml")
    assert accuracies(folder.summary()) == before


def test_a_study_stopped_twice_comes_to_the_results_of_one_that_was_not(
    finished: Finished, tmp_path: Path, migrated_database: Path
) -> None:
    folder = Folder(tmp_path / "stopped", migrated_database)

    said = folder.call("run", "tiny.yaml", "--max-minutes", "0", code=3)
    assert "trained 0 trials" in said
    assert "Continue with: python -m ablations run tiny.yaml" in said

    # Ctrl-C and a scheduler's SIGTERM go to the workers too. Two trials are done, or found; two are under way.
    for number, seen in ((signal.SIGINT, "[2/"), (signal.SIGTERM, "[5/")):
        process = folder.start("run", "tiny.yaml")
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(seen):
                os.killpg(process.pid, number)
                break
        out, err = finish(process)
        assert process.returncode == 130, f"{out}\n{err}"
        assert "all records are kept" in err
        assert "failed" not in out + err
        assert "Traceback" not in err

    said = folder.call("run", "tiny.yaml")
    assert ", found 0 done before" not in said
    assert folder.bits() == finished.bits
    assert accuracies(folder.summary()) == accuracies(finished.summary)


def test_a_dry_run_leaves_the_users_store_and_reports_alone(tmp_path: Path, migrated_database: Path) -> None:
    folder = Folder(tmp_path / "dry", migrated_database)
    before = (folder.path / "mlflow.db").read_bytes()
    out = folder.call("run", "tiny.yaml", "--dry-run")
    assert f"trained {NUM_TRIALS} trials" in out
    assert "fresh seeds" not in out, "made-up numbers need no seeds"
    assert (folder.path / "mlflow.db").read_bytes() == before
    assert not (folder.path / "reports").exists()
    page = Path(next(line for line in out.splitlines() if line.startswith("report: ")).removeprefix("report: "))
    assert "every number is made up" in page.read_text()
    shutil.rmtree(page.parents[2])
