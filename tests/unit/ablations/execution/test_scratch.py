from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ablations.execution.scratch import PREFIX, ScratchFolder

HOLDER = """
import time
from ablations.execution.scratch import ScratchFolder
folder = ScratchFolder()
(folder.path / "images.pt").write_bytes(b"a gigabyte")
print(folder.path, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_what_a_killed_run_left_is_removed_by_the_next_one_and_what_a_live_one_has_is_not() -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        left = Path(holder.stdout.readline().strip())
        make_old(left)
        ScratchFolder().close()
        assert (left / "images.pt").exists()
        holder.kill()
    make_old(left)
    mine = ScratchFolder()
    assert not left.exists()
    assert mine.path.is_dir()
    mine.close()
    assert not mine.path.exists()


def test_a_folder_that_is_only_linked_there_is_left_alone(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lock").touch()
    make_old(elsewhere)
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    (temporary / f"{PREFIX}fresh").mkdir()
    ScratchFolder().close()
    assert (elsewhere / "lock").exists()
    assert (temporary / f"{PREFIX}fresh").exists()


def test_a_folder_whose_lock_is_made_and_not_held_yet_is_left_alone(temporary: Path) -> None:
    folder = temporary / f"{PREFIX}fresh"
    folder.mkdir()
    (folder / "lock").touch()
    ScratchFolder().close()
    assert (folder / "lock").exists()
    make_old(folder)
    ScratchFolder().close()
    assert not folder.exists()


def make_old(folder: Path) -> None:
    os.utime(folder / "lock", (0, 0))
