"""One run of a study, put together: its descriptions and its warnings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import packages
import pytest
import tiny
from rich.console import Console

from ablations import networks, session
from ablations.execution.dry import DryExecutor
from ablations.terminal.displays import QuietProgress
from ablations.tracking.reader import read_study
from ablations.tracking.store import Store

pytestmark = pytest.mark.slow


def run(uri: str) -> str:
    """Run the tiny study of a registered network with made-up numbers; the lines for people."""
    plan = tiny.plan_of_registered("own", "own-package 1.0", search_space={})
    console = Console(record=True, quiet=False, width=1000)
    request = session.RunRequest(plan, "text", Store(uri), command="run")
    session.run(request, DryExecutor(2), QuietProgress(plan, 2, console))
    return console.export_text()


def test_a_run_warns_of_trials_of_replaced_code(new_store: Callable[[], str], site: Path) -> None:
    uri = new_store()
    packages.register(site, "own-package", "1.0", {networks.GROUP: {"own": "own_module:OWN"}})
    file = site / "own_module.py"
    file.write_text("raise RuntimeError('the first one')")
    assert "code" not in run(uri), "a new study"
    assert "code" not in run(uri), "the same code"
    file.write_text("raise RuntimeError('the second one')")
    said = run(uri)
    assert "warning: own-package 1.0: 4 recorded trials were trained with other code than the installed one" in said
    stored = read_study(session.Address("tiny", "starter", Store(uri)))
    assert list(stored.provenance["package_code"]) == ["own-package 1.0"]
