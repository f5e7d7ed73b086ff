"""`status`: of one study and of all."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import packages
import pytest
import tiny
from builders import TEXT, edited, planned
from commandline import Command, outdate
from stored import record_trial
from waiting import Recorder

from ablations import networks, registry
from ablations.planning.plan import Plan
from ablations.tracking.store import Address, Store
from ablations.trial import TrialResult, TrialSpec


@pytest.mark.usefixtures("store")
def test_status_says_what_to_do_next(command: Command) -> None:
    code, out, err = command("status", "s.yaml", "--profile", "starter")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "tiny, profile starter: Does a bar need a 1x1 convolution?"
    assert [line.split()[:3] for line in lines[2:5]] == [[name, "···", "··"] for name in ("two", "one", "wide")]
    assert lines[-1] == "nothing runs it now. Continue with: python -m ablations run s.yaml --profile starter"
    assert "run tiny --profile starter" in command("status", "tiny", "--profile", "starter")[1]


def test_hints_find_the_store_of_the_environment_without_an_option(
    command: Command, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    assert command("status", "tiny", "--profile", "short")[1].endswith("run tiny --profile short\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///another.db")
    monkeypatch.chdir(tmp_path)
    out = command("status", "tiny", "--profile", "short", "--tracking-uri", store)[1]
    assert out.endswith(f"run tiny --profile short --tracking-uri {store}\n")


def test_status_of_all_is_a_line_for_each(command: Command, store: str) -> None:
    from ablations.tracking.lock import hold

    with hold(Address("tiny", "short", Store(store))):
        code, out, err = command("status")
    assert (code, err) == (0, "")
    others, short, starter = out.splitlines()
    assert others.startswith("other, profile starter: 0 of ")
    assert short.startswith("tiny, profile short: 0 of ")
    assert (short.endswith(" trainings done, runs"), starter.endswith(" trainings done")) == (True, True)
    outdate(store, "other/starter")
    code, out, err = command("status", "--profile", "starter")
    assert (code, out) == (0, f"{starter}\n")
    assert err.startswith(
        "warning: no status of other at profile starter: the plan of other/starter was recorded by another"
    )
    outdate(store, "tiny/starter")
    code, out, err = command("status", "--profile", "starter")
    assert (code, out, err.count("recorded by another version")) == (2, "", 2)


def test_status_shows_a_question_and_does_not_obey_it(command: Command, store: str) -> None:
    from waiting import Recorder

    Recorder(Store(store), replace(planned(), question="Is it\x1b]0;owned\x07 \u202e?"), TEXT)
    code, out, _ = command("status", "tiny", "--profile", "starter")
    assert (code, out.splitlines()[0]) == (0, "tiny, profile starter: Is it\\x1b]0;owned\\x07 \\u202e?")


@pytest.mark.parametrize(("num_attempts", "option"), [(2, ""), (3, " --retry")])
def test_status_says_why_a_trial_failed_and_how_it_is_tried_again(
    num_attempts: int, option: str, command: Command, store: str
) -> None:
    import tiny
    from waiting import Recorder

    from ablations.trial import TrialResult

    search = TEXT[TEXT.index("search_space:") : TEXT.index("seeds: 2")]
    text = edited(("study: tiny", "study: sad"), (search, ""), ("seeds: 2", "seeds: 1"))
    plan = planned(text)
    recorder = Recorder(Store(store), plan, text)
    for name in ("two", "one", "wide"):
        spec = plan.trial(name, "confirm", 0, {})
        failed = TrialResult(
            spec.id, "failed", message="it says \x1b]0;owned\x07", reason="error", num_attempts=num_attempts
        )
        recorder.start(spec)
        recorder.end(spec, failed if name == "one" else tiny.result(spec))
    recorder.close(True)
    code, out, _ = command("status", "sad")
    assert code == 0
    assert "it says \\x1b]0;owned\\x07" in out
    assert "\x1b" not in out
    assert out.endswith(f"nothing runs it now. Continue with: python -m ablations run sad --profile starter{option}\n")


@pytest.mark.parametrize(
    ("recorded", "told"),
    [
        (
            "python -m ablations run 'my studies/a.yaml' --profile starter --data-dir /d",
            "python -m ablations run 'my studies/a.yaml' --profile starter --data-dir /d",
        ),
        # The store may have been moved or copied since.
        (
            "python -m ablations run a.yaml --profile starter --tracking-uri sqlite:////elsewhere/mlflow.db --extend",
            "python -m ablations run a.yaml --profile starter",
        ),
        ("python -m ablations run a.yaml; rm -rf ~", "python -m ablations run 'a.yaml;' rm -rf '~'"),
        ("rm -rf ~", "python -m ablations run sad --profile starter"),
        ("python -m ablations run 'a.yaml", "python -m ablations run sad --profile starter"),
        ("ablations.load('a.yaml').run('starter')", "python -m ablations run sad --profile starter"),
    ],
)
def test_status_knows_how_a_study_was_run_whose_file_is_elsewhere(
    recorded: str, told: str, command: Command, store: str
) -> None:
    import tiny
    from waiting import Recorder

    text = edited(("study: tiny", "study: sad"))
    plan = planned(text)
    recorder = Recorder(Store(store), plan, text, session={"command": recorded})
    spec = plan.trial("two", "confirm", 0, {"train.lr": 0.05})
    recorder.start(spec)
    recorder.end(spec, tiny.result(spec))
    recorder.close(False)
    assert command("status", "sad")[1].splitlines()[-1] == f"nothing runs it now. Continue with: {told}"
    Path("sad.yaml").write_text(text)
    assert command("status", "sad")[1].endswith("python -m ablations run sad --profile starter\n")


def test_status_names_who_runs_it(command: Command, store: str) -> None:
    from ablations.tracking.lock import hold

    with hold(Address("tiny", "short", Store(store))):
        out = command("status", "tiny", "--profile", "short")[1]
    assert out.splitlines()[-1].startswith(f"it is being run by process {os.getpid()} on ")


def test_status_warns_of_trials_of_replaced_code(command: Command, site: Path, migrated_database: Path) -> None:
    shutil.copyfile(migrated_database, "mlflow.db")
    plan = tiny.plan_of_registered("own", "own-package 1.0", search_space={})
    recorder = Recorder(Store.at(None), plan, "text", session={"package_code": {"own-package 1.0": "of old"}})
    record_trial(recorder, *finished(plan))
    recorder.close(True)
    assert command("status", "tiny")[2] == "", "the package is not installed here"
    packages.register(site, "own-package", "1.0", {networks.GROUP: {"own": "own_module:OWN"}})
    (site / "own_module.py").write_text("raise RuntimeError('imported')")
    registry._entry_points.cache_clear()
    code, _, err = command("status", "tiny")
    assert (code, err.count("\n")) == (0, 1)
    assert err.startswith(
        "warning: own-package 1.0: 1 recorded trial was trained with other code than the installed one"
    )


def finished(plan: Plan) -> tuple[TrialSpec, TrialResult]:
    spec = plan.trial("two", "confirm", 0, {})
    return spec, tiny.result(spec)
