"""Progress: counts, and a time left that is told once it is known."""

from __future__ import annotations

import io
from typing import Any

import pytest
import tiny
from builders import edited, planned
from rich.console import Console

from ablations import display
from ablations.display import LiveProgress, PlainProgress
from ablations.plan import Plan
from ablations.trial import TrialSpec


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the display reads; a test moves them."""
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    return now


def console(**options: Any) -> Console:
    return Console(file=io.StringIO(), width=150, markup=False, emoji=False, highlight=False, **options)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def trials(plan: Plan) -> list[TrialSpec]:
    return [
        plan.trial(
            cell.variant, cell.phase, cell.seed, {"train.lr": 0.05}, cell.number if cell.number is not None else None
        )
        for cell in plan.cells
    ]


def plain(plan: Plan) -> tuple[PlainProgress, Console]:
    to = console()
    return PlainProgress(plan, 2, to), to


def one_cost() -> Plan:
    """Six trainings of equal cost: two variants that differ in the recipe, three seeds, nothing to tune."""
    return tiny.plan(search_space={}, seeds=3, variants={"two": {}, "one": {"set": {"train.momentum": 0.0}}})


def test_a_line_says_which_trial_ended_and_how() -> None:
    plan = planned()
    progress, to = plain(plan)
    tune, confirm = trials(plan)[0], trials(plan)[-1]
    progress.started(tune)
    progress.ended(tune, tiny.result(tune, 81.234))
    progress.ended(confirm, tiny.result(confirm, 92.5))
    progress.ended(confirm, tiny.result(confirm, status="diverged"))
    assert text(to).splitlines() == [
        "[1/15] two, tune, seed 0 (lr 0.05): validation 81.23 % in 1 s",
        "[2/15] wide, confirm, seed 1 (lr 0.05): test 92.50 % in 1 s",
        "[3/15] wide, confirm, seed 1 (lr 0.05): diverged: made up to be diverged",
    ]


def test_a_paused_trial_is_not_done() -> None:
    plan = planned()
    progress, to = plain(plan)
    progress.ended(trials(plan)[0], None)
    assert text(to) == "[0/15] two, tune, seed 0 (lr 0.05): paused, its state is saved\n"


def test_trials_found_count_as_done_without_a_line() -> None:
    plan = planned()
    progress, to = plain(plan)
    for spec in trials(plan)[:4]:
        progress.found(spec, tiny.result(spec))
    assert text(to) == ""
    progress.ended(trials(plan)[4], tiny.result(trials(plan)[4]))
    assert text(to).startswith("[5/15] ")


def test_the_time_left_is_told_once_each_worker_has_ended_two_trials(clock: list[float]) -> None:
    plan = one_cost()
    progress, to = plain(plan)
    for number, spec in enumerate(trials(plan), start=1):
        progress.started(spec)
        clock[0] = 600.0 * number
        progress.ended(spec, tiny.result(spec))
    lefts = [line.partition("; ")[2] for line in text(to).splitlines()]
    assert lefts == ["", "", "", "about 20 min left", "about 10 min left", ""]


def test_trials_found_say_nothing_of_the_time_left(clock: list[float]) -> None:
    plan = tiny.plan(search_space={}, seeds=9)
    progress, to = plain(plan)
    specs = trials(plan)
    for spec in specs[:10]:
        progress.found(spec, tiny.result(spec))
    progress.started(specs[10])
    clock[0] = 60.0
    progress.ended(specs[10], tiny.result(specs[10]))
    assert "left" not in text(to)


def test_dearer_variants_take_longer(clock: list[float]) -> None:
    """The baseline's trials are done; what is left costs ten times the MACs."""
    wide = {"set": {"model.width": 1.0}}
    plan = tiny.plan(search_space={}, seeds=4, variants={"two": {}, "wide": wide})
    progress, to = plain(plan)
    cheap = [spec for spec in trials(plan) if spec.variant == "two"]
    progress.started(cheap[0])
    clock[0] = 600.0
    for spec in cheap:
        progress.ended(spec, tiny.result(spec))
    left = text(to).splitlines()[-1].partition("; about ")[2]
    assert int(left.removesuffix(" min left")) > 40


def test_the_live_display_shows_what_runs_and_what_is_done() -> None:
    plan = planned()
    to = console(force_terminal=True)
    specs = trials(plan)
    with LiveProgress(plan, 2, to) as progress:
        progress.found(specs[0], tiny.result(specs[0]))
        progress.started(specs[1])
        progress.started(specs[2])
        progress.epoch(specs[2], tiny.record(2, 87.65))
        progress.ended(specs[1], tiny.result(specs[1], status="failed"))
    last = text(to).rsplit("tune", 2)[-2:]
    drawn = "tune" + "tune".join(last)
    assert "2/9" in drawn
    assert "0/6" in drawn
    assert "epoch 2/3  loss 0.167  validation 87.7 %  1,234 images/s" in drawn
    assert "one, tune, seed 0 (lr 0.05): failed: made up to be failed" in text(to)


def test_the_live_display_drops_what_ended_and_counts_no_pause() -> None:
    plan = planned(edited(("search_space:\n  train.lr: {type: float, low: 0.01, high: 0.2, log: true}\n", "")))
    to = console(force_terminal=True)
    spec = plan.trial("two", "confirm", 0, {})
    with LiveProgress(plan, 2, to) as progress:
        progress.started(spec)
        progress.ended(spec, None)
        to.file.seek(0)
        to.file.truncate()
    assert "0/6" in text(to)
    assert "seed 0" not in text(to)
