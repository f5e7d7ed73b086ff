"""`check`: which files it takes, and its messages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from builders import edited
from commandline import Command, process

from ablations.studyfile.loading import shipped_studies


def test_check_names_what_each_profile_runs(command: Command) -> None:
    assert command("check", "s.yaml") == (0, "s.yaml: ok: 3 variants; starter 15 trainings, short 15 trainings\n", "")


def test_check_without_a_name_checks_what_is_shipped(command: Command) -> None:
    code, out, err = command("check")
    assert (code, err) == (0, "")
    assert [line.split(": ok: ")[0] for line in out.splitlines()] == [str(path) for path in shipped_studies()]


@pytest.mark.parametrize(
    "given", ["cat s.yaml | {} -", "cat s.yaml | {} /dev/stdin", "{} <(cat s.yaml)", "{} - < s.yaml"]
)
def test_check_takes_a_pipe(given: str) -> None:
    done = process("bash", "-c", given.format(f"{sys.executable} -m ablations check"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(": ok: 3 variants; starter 15 trainings, short 15 trainings\n")


def test_check_goes_on_after_a_wrong_file(command: Command) -> None:
    Path("wrong.yaml").write_text(edited(("seeds: 2", "sedes: 2")))
    code, out, err = command("check", "wrong.yaml", "missing.yaml", "s.yaml")
    assert code == 2
    assert out.startswith("s.yaml: ok: ")
    assert err.splitlines()[0] == "error: wrong.yaml:10:1: sedes: unknown key 'sedes'; did you mean 'seeds'?"
    assert err.splitlines()[1].startswith("missing.yaml: no such study file.")


def test_check_plans_every_profile(command: Command) -> None:
    Path("s.yaml").write_text(edited(("{train.epochs: 1}", "{train.epoch: 1}")))
    code, out, err = command("check", "s.yaml")
    assert (code, out) == (2, "")
    assert "s.yaml:23:11: profiles.short.set.train.epoch: unknown key" in err
