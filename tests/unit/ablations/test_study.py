"""From Python: what docs/python.md shows works, loads what it says, and fails as the commands do."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

import ablations
import nin
from ablations.loading import StudyFileError
from ablations.tracking.recorder import Recorder
from nin.config import ConfigError

PAGE = Path(__file__).parents[3] / "docs" / "python.md"


def test_what_the_page_shows_works(
    new_store: Callable[[], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = new_store()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    study = ablations.load("one_by_one")
    plan = study.plan("starter")
    recorder = Recorder(uri, plan, study.file.text)
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
