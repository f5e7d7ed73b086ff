"""`run`: options, what it refuses, how it says to continue."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from builders import CPU, planned
from commandline import Command, process

from ablations import session
from ablations.commands.run import RunOptions, display_for
from ablations.errors import SetupError
from ablations.execution import environment
from ablations.ports import Executor
from ablations.session import RunRequest, Watched


def test_where_no_report_can_be_written_nothing_is_trained(command: Command) -> None:
    Path("mine").write_text("a file")
    code, out, err = command("run", "s.yaml", "--output", "mine/reports", "--quiet")
    problem = f"the report cannot be written: {Path('mine').absolute()} is no writable folder"
    assert (code, out, err) == (2, "", f"error: {problem}. Name another with --output.\n")
    assert not Path("mlflow.db").exists()


def test_quiet_and_json_lines_exclude_each_other(command: Command) -> None:
    code, out, err = command("run", "s.yaml", "--quiet", "--json-lines")
    assert (code, out) == (2, "")
    assert "--quiet and --json-lines exclude each other" in err


def test_a_dry_run_takes_no_networks_that_wait_for_the_real_store(command: Command) -> None:
    code, out, err = command("run", "s.yaml", "--dry-run", "--log-models")
    assert (code, out) == (2, "")
    assert "--dry-run and --log-models exclude each other" in err


def test_an_empty_address_is_no_way_to_say_this_machine(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from ablations import session
    from ablations.errors import SetupError

    def connect(address: str) -> None:
        raise SetupError(f"{address!r} is no address")

    monkeypatch.setattr(session, "connect", connect)
    code, out, err = command("run", "s.yaml", "--cluster", "", "--max-minutes", "0")
    assert (code, out) == (2, "")
    assert "'' is no address" in err


@pytest.mark.parametrize(
    ("is_terminal", "environment", "kind"),
    [
        (True, {"CI": "false", "TERM": "xterm"}, "LiveProgress"),
        (True, {"CI": "true", "TERM": "xterm"}, "PlainProgress"),
        (True, {"CI": "", "TERM": "dumb"}, "PlainProgress"),
        (False, {"CI": "", "TERM": "xterm", "FORCE_COLOR": "1"}, "PlainProgress"),
    ],
)
def test_a_grid_is_for_people_before_a_terminal(
    is_terminal: bool, environment: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    assert type(display_for(planned(), CPU, quiet=False, json_lines=False)).__name__ == kind


def test_a_run_that_is_interrupted_at_once_says_how_it_goes_on(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ablations.session.local_executor", lambda *given, **named: None)
    monkeypatch.setattr("ablations.session.run", interrupt)
    code, _, err = command("run", "s.yaml", "--profile", "starter")
    assert code == 130
    assert "interrupted; all records and checkpoints are kept. Continue with: python -m ablations run s.yaml" in err


@pytest.mark.slow
def test_prints_of_networks_are_not_between_the_lines_of_a_run(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ran(request: RunRequest, executor: Executor, display: Watched) -> None:
        sys.stdout.write("a network's print\n")
        display.warn("the run's own")
        raise SetupError("over")

    monkeypatch.setattr(session, "local_executor", lambda *given, **named: None)
    monkeypatch.setattr(session, "run", ran)
    code, said, warned = command("run", "s.yaml", "--json-lines")
    assert code == 2
    assert [json.loads(line)["event"] for line in said.splitlines()] == ["plan", "warning"]
    assert warned.startswith("a network's print\nerror: over")


def test_a_stopped_run_says_how_to_go_on_with_the_options_it_had() -> None:
    given = ("--tracking-uri", "sqlite:///my store.db", "--output", "else where")
    done = process(sys.executable, "-m", "ablations", "run", "s.yaml", *given, "--max-minutes", "0")
    code, out, err = done.returncode, done.stdout, done.stderr
    assert (code, err) == (3, "")
    again = (
        "python -m ablations run s.yaml --profile starter --tracking-uri 'sqlite:///my store.db' --output 'else where'"
    )
    assert f"Continue with: {again}\n" in out
    assert "MLflow: python -m ablations ui tiny --profile starter --tracking-uri 'sqlite:///my store.db'\n" in out


def test_where_checkpoints_cannot_be_kept_nothing_is_trained(command: Command) -> None:
    Path(".ablations").write_text("a file where the folder should be")
    code, out, err = command("run", "s.yaml")
    assert code == 2
    assert err == (
        "error: checkpoints cannot be kept in .ablations/checkpoints: Not a directory. Run in a folder that is writable.\n"
    )
    assert "trained" not in out
    assert not Path("mlflow.db").exists()


def test_the_command_to_continue_shows_no_password_and_stays_a_dry_run() -> None:
    flags = ("dry_run", "retry", "log_models", "quiet", "json_lines")
    uri = "postgresql://me:secret@host/db"
    options = RunOptions(
        study="s.yaml",
        profile=None,
        tracking_uri=uri,
        data_dir=Path("data"),
        output=Path("reports"),
        max_minutes=None,
        cluster=None,
        futility=True,
        **dict.fromkeys(flags, False),
    )
    command = options.command("starter")
    assert command == "python -m ablations run s.yaml --profile starter --tracking-uri 'postgresql://***@host/db'"
    assert "secret" not in repr(options)
    # Without the flag, the command of a dry run would train.
    assert replace(options, futility=False).command("starter") == f"{command} --no-futility"
    dry = replace(options, dry_run=True)
    assert dry.command("starter", "--retry") == f"{command} --dry-run --retry"


def test_a_shipped_study_is_continued_by_the_name_that_was_typed(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablations.commands.run._train", lambda prepared, started: interrupt())
    code, _, err = command("run", "one_by_one", "--profile", "starter")
    assert (code, err.partition("Continue with: ")[2]) == (
        130,
        "python -m ablations run one_by_one --profile starter\n",
    )


def test_weeks_of_work_on_a_cpu_are_said_and_start_all_the_same(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "detect", lambda: CPU)
    monkeypatch.setattr("ablations.commands.run._train", lambda prepared, started: interrupt())
    code, _, err = command("run", "one_by_one", "--profile", "book", "--output", "there")
    assert (code, err.count("warning: profile book")) == (130, 1)
    assert "at most roughly 3 min: python -m ablations run one_by_one --profile starter --output there\n" in err


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_study_from_a_pipe_is_not_run_since_a_run_must_find_it_again() -> None:
    done = process("bash", "-c", f"cat s.yaml | {sys.executable} -m ablations run -")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: /dev/stdin can be read only once, and a run must find its study again to continue. Save the study to a file; "
        "check, plan and run --dry-run take it as it is.\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_said_in_one_line() -> None:
    done = process("bash", "-c", f"{sys.executable} -m ablations costs lenet > /dev/full")
    assert (done.returncode, done.stderr) == (1, "error: the output: No space left on device\n")
