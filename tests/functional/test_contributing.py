"""What CONTRIBUTING.md shows is true: its diff applies, and is all that a new head needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from places import ROOT


def test_the_diff_of_a_new_head_is_all_it_needs(tmp_path: Path) -> None:
    blocks = re.findall(r"```diff\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    files = re.findall(r"^\+\+\+ b/(.*)$", blocks[0], re.MULTILINE)
    assert [Path(file).parts[0] for file in files] == ["nin", "tests"]
    for folder in ("nin", "ablations", "studies", "tests/unit/nin"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    _run(tmp_path, "git", "apply", "-", text=blocks[0])

    _run(tmp_path, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/nin/test_heads.py")
    study = tmp_path / "studies" / "head.yaml"
    study.write_text(study.read_text(encoding="utf-8").replace("{model.head: gmp}", "{model.head: dense_hidden}"))
    told = _run(tmp_path, sys.executable, "-m", "ablations", "costs", str(study), "--profile", "book", "--json")
    assert '"gmp"' in told
    assert f'"params": {1_992_166 + 251 * 128 + 129 * 10},' in told


def _run(folder: Path, *command: str, text: str | None = None) -> str:
    """Run a command in the copy, with the copy's packages."""
    done = subprocess.run(
        command,
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
