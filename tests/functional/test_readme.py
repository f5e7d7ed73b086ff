"""README.md is true: its commands are run in their order, and its tables name the exit codes and options that there are."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import tiny
import typer
from places import ROOT

from ablations import cli
from ablations.commands.messages import DONE, INTERRUPTED, STOPPED
from ablations.errors import FAILED, WRONG_INPUT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line, comments=True)[3:] for line in README.splitlines() if line.startswith("python -m ablations ")
]
NOT_HERE = ("--cluster", "--dry-run", "--measure", "ui")
"""What needs Ray, takes long, or ends with Ctrl-C only; all have tests of their own."""
SMALL = {
    "search_space": {},
    "base": tiny.base(train__epochs=1),
    "variants": {"two": {}, "one": {"set": {"train.lr": 0.1}}},  # one architecture, which is measured
    "seeds": 1,
    "profiles": {"starter": {"description": "all of it"}, "laptop": {"description": "all of it, too"}},
}


def test_someone_who_tries_every_command_of_the_readme_gets_through(
    tmp_path: Path, migrated_database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # A driver that another test has started would not look at the environment again.
    monkeypatch.setattr("ablations.execution.environment._cuda_devices", list)
    shutil.copyfile(migrated_database, "mlflow.db")
    # A file comes before the study of this name that ships, which trains for minutes.
    tiny.write_yaml(Path("one_by_one"), study="one_by_one", **SMALL)
    for words in COMMANDS:
        if not set(words) & set(NOT_HERE):
            # In this process: fifteen would import all that is heavy fifteen times.
            monkeypatch.setattr(sys, "argv", ["ablations", *words])
            with pytest.raises(SystemExit) as ended:
                cli.main()
            assert ended.value.code in {None, 0}, f"{words}: {capsys.readouterr().err}"
        if words[0] == "init":
            tiny.write_yaml(Path(words[1]), study="my_study", **SMALL)
    for path in ("reports/index.html", "reports/one_by_one/starter/report.md", "exports/one_by_one/starter/trials.csv"):
        assert Path(path).stat().st_size > 0


def test_the_readme_shows_every_command_and_every_option_of_run() -> None:
    app = typer.main.get_command(cli.app)
    commands = getattr(app, "commands")  # noqa: B009
    assert {words[0] for words in COMMANDS} == set(commands) - {"schema"}
    options = [
        max(parameter.opts, key=len) for parameter in commands["run"].params if parameter.opts[0].startswith("-")
    ]
    assert [option for option in options if option not in README] == []


def test_the_readme_names_the_exit_codes() -> None:
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)]
    assert codes == [DONE, FAILED, WRONG_INPUT, STOPPED, INTERRUPTED]
