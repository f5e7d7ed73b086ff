"""`python -m ablations` beside files that have the names of its modules."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from builders import TEXT
from commandline import process
from places import ROOT

NAMES = ("nin", "random", "typing", "socket", "yaml", "numpy", "torch", "mlflow")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a student who names files as modules are named."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("mine = 1\n")
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "__init__.py").touch()
    (tmp_path / "tiny.yaml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_beside_a_study_stand_in_nobodys_way(folder: Path) -> None:
    done = process(sys.executable, "-m", "ablations", "check", "tiny.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tiny.yaml: ok")


def test_nor_in_the_way_of_the_processes_that_a_command_starts(folder: Path) -> None:
    child = "import socket, random; print(socket.__file__, random.__file__)"
    code = (
        "import subprocess, sys; from ablations import __main__; __main__._look_past_this_folder(); "
        f"subprocess.run([sys.executable, '-c', {child!r}])"
    )
    done = process(sys.executable, "-c", code)
    assert done.stdout
    assert str(folder) not in done.stdout


def test_a_folder_that_somebody_deleted_is_no_obstacle(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = process("bash", "-c", f"cd '{gone}' && rmdir '{gone}' && {sys.executable} -m ablations check one_by_one")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_of_pythonpath_that_stands_in_the_way_is_named(folder: Path) -> None:
    for name in set(NAMES) - {"nin"}:
        (folder / f"{name}.py").unlink()
    done = process(
        sys.executable, "-m", "ablations", "check", "tiny.yaml", PYTHONPATH=f"{folder}:{ROOT}", PYTHONSAFEPATH="1"
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {folder / 'nin.py'} has the name of a module that the suite needs (")
    assert done.stderr.endswith("Rename it, or take its folder from PYTHONPATH.\n")
    assert "Traceback" not in done.stderr


def test_a_script_beside_another_nin_is_told(folder: Path) -> None:
    for name in set(NAMES) - {"nin"}:
        (folder / f"{name}.py").unlink()
    (folder / "script.py").write_text("import ablations\nablations.load('tiny.yaml')\n")
    done = process(sys.executable, "script.py")
    told = f"ablations.errors.UserError: {folder / 'nin.py'} has the name of a package that the suite needs, nin. Rename it.\n"
    assert done.stderr.endswith(told)
