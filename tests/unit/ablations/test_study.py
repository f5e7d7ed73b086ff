"""From Python: what docs/python.md shows works, loads what it says, and fails as the commands do."""

from __future__ import annotations

import asyncio
import gc
import locale
import logging
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
import pytest
import tiny
import torch
from places import ROOT

import ablations
import nin
from ablations import session
from ablations.errors import SetupError, StudyFileError
from ablations.execution.dry import DryExecutor
from ablations.session import Watched
from ablations.study import Study
from ablations.tracking import SETTINGS
from ablations.tracking.reader import read_study
from ablations.tracking.recorder import Recorder
from ablations.tracking.store import Address, Store
from ablations.trial import Ended, Machine, TrialResult
from nin.config import ConfigError

PAGE = ROOT / "docs" / "python.md"


def test_what_the_page_shows_works(
    new_store: Callable[[], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = new_store()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    study = ablations.load("one_by_one")
    plan = study.plan("starter")
    recorder = Recorder(Store(uri), plan, study.file.text)
    for seed in plan.seeds[:2]:
        for rank, variant in enumerate(plan.variants):
            spec = plan.trial(variant.name, "confirm", seed, {"train.lr": 0.05})
            recorder.start(spec)
            recorder.end(spec, tiny.result(spec, 90.0 + rank))
    recorder.close(False)

    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        exec(block, names)  # noqa: S102
    assert list(names["by_seed"].columns) == ["none", "none_wide", "one", "three", "two"]
    assert (names["by_seed"]["none"] - names["by_seed"]["two"]).tolist() == [1.0, 1.0]
    assert set(names["frame"]["train.lr"]) == {0.05}
    assert "torch.Size([2, 10])" in capsys.readouterr().out


def test_importing_loads_nothing() -> None:
    code = "import sys, ablations, nin; sys.exit(any(name in sys.modules for name in ('torch', 'pydantic', 'mlflow')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_both_packages_are_typed() -> None:
    assert all((Path(package.__file__ or "").parent / "py.typed").exists() for package in (ablations, nin))


def test_a_mistake_is_told_as_on_the_command_line() -> None:
    with pytest.raises(StudyFileError, match="no such study file"):
        ablations.load("one_by_on")
    with pytest.raises(StudyFileError, match=r"one_by_one.yaml:\d+:1: profiles: no profile 'start'"):
        ablations.load("one_by_one").plan("start")


def test_a_network_by_name_is_the_presets() -> None:
    assert sum(weight.numel() for weight in nin.create("nin_book").parameters()) == 1_992_166
    assert nin.create("nin_small", num_classes=3, size=24)(torch.zeros(1, 1, 24, 24)).shape == (1, 3)
    with pytest.raises(ConfigError, match="did you mean 'mixers'"):
        nin.create("nin_small", mixer=1)


# Running


class Troubled(DryExecutor):
    """Trains nothing, and meets trouble once something is under way."""

    def __init__(self, trouble: Callable[[], object]) -> None:
        super().__init__(num_workers=2)
        self.trouble = trouble

    def wait(self, *given: Any) -> Any:
        self.trouble()
        return super().wait(*given)


@pytest.fixture
def runnable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_store: Callable[[], str]) -> Study:
    """The tiny study in a folder with a store, where nothing is trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store())
    meets(monkeypatch, lambda: None)
    return ablations.load(tiny.write_yaml(tmp_path / "tiny.yaml"))


def test_the_report_is_written_and_shown_in_a_notebook(runnable: Study, tmp_path: Path) -> None:
    runnable.run("starter")
    page = runnable.report("starter", output=tmp_path / "out")
    assert page.path == tmp_path / "out" / "tiny" / "starter" / "index.html"
    assert (page.path.parent / "report.md").is_file()
    shown = page._repr_html_()
    assert shown.startswith("<iframe ")
    assert 'srcdoc="&lt;!doctype html&gt;' in shown
    assert shown.count('"') == 6, "the page is escaped"


def test_a_figure_is_drawn_by_its_name(runnable: Study) -> None:
    runnable.run("starter")
    figure = runnable.figure("learning_curves", "starter")
    assert figure.get_axes()
    assert figure._repr_png_().startswith(b"\x89PNG"), "a notebook shows it"
    with pytest.raises(ValueError, match="did you mean 'learning_curves'"):
        runnable.figure("learning_curve", "starter")
    with pytest.raises(ValueError, match="nothing to draw in best_of_n"):
        runnable.figure("best_of_n", "starter")


def meets(monkeypatch: pytest.MonkeyPatch, trouble: Callable[[], object]) -> None:
    monkeypatch.setattr(session, "local_executor", lambda *given: Troubled(trouble))


def test_a_study_runs_once(runnable: Study) -> None:
    ran = runnable.run("starter")
    assert (ran.outcome.state, ran.outcome.num_found, ran.waiting, ran.trouble) == ("complete", 0, None, None)
    assert ran.outcome.num_trained == len(runnable.plan("starter").cells)
    assert ran.summary == runnable.summary("starter")
    assert runnable.run("starter").outcome.num_trained == 0
    assert len(runnable.results("starter")) == ran.outcome.num_trained


def test_a_budget_ends_a_run(runnable: Study) -> None:
    assert runnable.run("starter", max_minutes=0).outcome.state == "budget"


@pytest.mark.slow
def test_what_is_given_up_is_tried_again_where_that_is_asked_for(
    runnable: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(DryExecutor):
        def wait(self, *given: Any) -> list[Ended]:
            ended = super().wait(*given)
            return [Ended(each.spec, TrialResult(each.spec.id, "failed", message="out of luck")) for each in ended]

    with monkeypatch.context() as patch:
        patch.setattr(session, "local_executor", lambda *given: Failing(num_workers=2))
        assert runnable.run("starter").outcome.given_up
    assert runnable.run("starter").outcome.given_up
    assert runnable.run("starter", retry=True).outcome.given_up == ()


def test_the_data_may_be_at_home(runnable: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Path] = []

    def executor(machine: Machine, data_dir: Path, display: Watched) -> DryExecutor:
        folders.append(data_dir)
        return DryExecutor(num_workers=2)

    monkeypatch.setattr(session, "local_executor", executor)
    monkeypatch.setenv("ABLATIONS_DATA", "~/elsewhere")
    runnable.run("starter", data_dir="~/data")
    runnable.run("starter")
    assert folders == [Path.home() / "data", Path.home() / "elsewhere"]


def test_an_interrupt_is_one_and_the_run_goes_on(runnable: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    meets(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match="the same call continues"):
        runnable.run("starter")
    meets(monkeypatch, lambda: None)
    assert runnable.run("starter").outcome.state == "complete"


def test_a_run_that_fails_leaves_nothing_that_writes(runnable: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_data() -> None:
        raise SetupError("no data")

    before = threading.active_count()
    meets(monkeypatch, no_data)
    with pytest.raises(SetupError, match="no data"):
        runnable.run("starter")
    assert threading.active_count() == before
    meets(monkeypatch, lambda: None)
    assert runnable.run("starter").outcome.state == "complete"


def test_a_study_at_the_end_of_a_cell_is_a_line() -> None:
    assert repr(ablations.load("head")) == "Study('head', profiles=['starter', 'laptop', 'book'])"


# In somebody else's process


def process() -> dict[str, Any]:
    """Everything that a library could change for the whole process, and whose change somebody would notice."""
    import mlflow

    names = ("", "mlflow", "alembic", "optuna", "matplotlib")
    return {
        "environment": dict(os.environ),
        "tracking URI": mlflow.get_tracking_uri(),
        "registry URI": mlflow.get_registry_uri(),
        "active run": mlflow.active_run() and mlflow.active_run().info.run_id,
        "loggers": [(name, logging.getLogger(name).level, logging.getLogger(name).handlers[:]) for name in names],
        "optuna": optuna.logging.get_verbosity(),
        "handlers": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "warnings": (list(warnings.filters), warnings.showwarning),
        "random": (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()),
        "torch": (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.get_default_dtype()),
        "matplotlib": (mpl.get_backend(), dict(mpl.rcParams)),
        "garbage": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "folder": Path.cwd(),
        "path": sys.path[:],
        "main": sys.modules["__main__"],
        "sockets": socket.getdefaulttimeout(),
        "locale": locale.setlocale(locale.LC_ALL),
        "streams": (sys.stdout, sys.stderr, sys.excepthook, threading.excepthook),
        "threads": threading.active_count(),
    }


def test_a_process_is_left_as_it_was_found(
    runnable: Study, new_store: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    from ablations.commands.report import write
    from ablations.export import write_export

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "other").mkdir()
    other = f"sqlite:///{shutil.copy(new_store().removeprefix('sqlite:///'), tmp_path / 'other')}"
    set_before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mine = f"sqlite:///{tmp_path / 'mine.db'}"
    shutil.copy(new_store().removeprefix("sqlite:///"), tmp_path / "mine.db")
    mlflow.set_tracking_uri(mine)
    try:
        with mlflow.start_run() as own:
            before = process()
            ran = runnable.run("starter", tracking_uri=other)
            assert ran.summary is not None
            write(Store(other), ran.summary, tmp_path / "report", "now")
            list(
                write_export(
                    runnable.plan("starter"), read_study(Address("tiny", "starter", Store(other))).trials, tmp_path
                )
            )
            best = runnable.results("starter", tracking_uri=other).test_accuracy_percent.max()
            assert runnable.summary("starter", tracking_uri=other) == ran.summary
            after = process()
            mlflow.log_metric("best", best)
        assert {key: value for key, value in after.items() if value != before[key]} == {}
        assert mlflow.MlflowClient(mine).get_run(own.info.run_id).data.metrics == {"best": best}
        assert Store.at(None).uri == mine
    finally:
        mlflow.set_tracking_uri(set_before)


def test_a_study_runs_in_any_thread(runnable: Study) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(runnable.run, "starter").result().outcome.state == "complete"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_study_runs_under_an_event_loop(runnable: Study) -> None:
    async def cell() -> str:
        return runnable.run("starter").outcome.state

    assert asyncio.run(cell()) == "complete"
