"""The grid of a study."""

from __future__ import annotations

import io

import tiny
from rich.console import Console

from ablations.progress import Progress
from ablations.terminal.grid import print_progress


def shown(progress: Progress, width: int) -> str:
    stream = io.StringIO()
    print_progress(progress, Console(file=stream, width=width))
    return stream.getvalue()


def test_a_long_verdict_is_broken_into_lines_and_stays_at_80_columns() -> None:
    progress = Progress(tiny.plan(seeds=10), num_workers=1)
    progress.closed("one", "better, but by less than the margin")
    told = shown(progress, 80)
    assert "verdict" in told
    assert "better, but by less than the" in told
    assert told.splitlines()[-3].strip() == "margin"
    assert "verdict" not in shown(progress, 60)
