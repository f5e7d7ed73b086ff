"""Displays of a run: lines, a grid on a terminal, and JSON for programs."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
import tiny
from builders import edited, planned
from places import ROOT
from rich.console import Console

from ablations.planning.plan import Plan
from ablations.progress import Mark, Progress
from ablations.terminal.displays import JsonProgress, LiveProgress, PlainProgress, QuietProgress
from ablations.terminal.grid import grid, one_for, running_lines, sign_of_life, total
from ablations.trial import TrialSpec


def console(width: int = 150, **options: Any) -> Console:
    return Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False, **options)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def trials(plan: Plan) -> list[TrialSpec]:
    """All trials of a plan, as if no two draws coincided."""
    return [
        plan.trial(cell.variant, cell.phase, cell.seed, {"train.lr": 0.05 + number / 1e6}, cell.number)
        for number, cell in enumerate(plan.cells)
    ]


def plain(plan: Plan) -> tuple[PlainProgress, Console]:
    to = console()
    return PlainProgress(plan, 2, to), to


def test_a_line_says_which_trial_ended_and_how() -> None:
    plan = planned()
    progress, to = plain(plan)
    tune, confirm = trials(plan)[0], trials(plan)[-1]
    progress.started(tune)
    progress.ended(tune, tiny.result(tune, 81.234))
    progress.ended(confirm, tiny.result(confirm, 92.5))
    progress.ended(trials(plan)[-2], tiny.result(trials(plan)[-2], status="diverged"))
    assert text(to).splitlines() == [
        "[1/15] two, tune, seed 0 (lr 0.05): validation 81.23 % in 1 s",
        "[2/15] wide, confirm, seed 1 (lr 0.05): test 92.50 % in 1 s",
        "[3/15] one, confirm, seed 1 (lr 0.05): diverged: made up to be diverged",
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


def test_a_trial_that_failed_is_told_at_once_and_not_counted() -> None:
    plan = planned()
    progress, to = plain(plan)
    spec = trials(plan)[0]
    progress.started(spec)
    progress.retrying(spec, tiny.result(spec, status="failed"))
    assert text(to) == (
        "warning: two, tune, seed 0 (lr 0.05): failed: made up to be failed; it will be retried when nothing else runs\n"
    )
    starved = replace(tiny.result(spec, status="failed"), reason="out_of_memory")
    progress.retrying(replace(spec, accumulated_parts=4), starved)
    assert text(to).endswith(
        "out of memory: made up to be failed; it will be retried when nothing else runs, with gradients accumulated over 4 "
        "parts of each batch\n"
    )
    progress.started(spec)
    progress.ended(spec, tiny.result(spec))
    assert text(to).splitlines()[-1].startswith("[1/15] ")


def test_the_time_left_stands_behind_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    progress, to = plain(planned())
    monkeypatch.setattr(Progress, "seconds_left", 1200.0)
    spec = trials(planned())[0]
    progress.ended(spec, tiny.result(spec))
    assert text(to).endswith("; about 20 min left\n")


# The grid


def rows(plan: Plan, progress: Progress, width: int = 150, **options: Any) -> list[str]:
    """The grid's lines, without its key."""
    to = console(width=width)
    to.print(grid(progress, to, **options))
    return [line.rstrip() for line in text(to).splitlines()]


def under_way(plan: Plan) -> Progress:
    """A study of two variants: tuning is done, and four confirmation trials finished, diverged, failed or run."""
    progress = Progress(plan, num_workers=100)  # too many for a time left
    for cell in (cell for cell in plan.cells if cell.phase == "tune"):
        spec = plan.trial(cell.variant, "tune", cell.seed, {"train.lr": 0.01 * (1 + (cell.number or 0))}, cell.number)
        progress.ended(spec, tiny.result(spec, 80.0))
    for seed, status in enumerate(("finished", "diverged", "failed")):
        spec = plan.trial("two", "confirm", seed, {"train.lr": 0.05})
        progress.ended(spec, tiny.result(spec, 71.5, status))
    spec = plan.trial(plan.variants[1].name, "confirm", 0, {"train.lr": 0.05})
    progress.started(spec, 3)
    progress.epoch(spec, tiny.record(2, 87.65))
    return progress


def test_a_row_a_variant_and_a_sign_a_trial() -> None:
    plan = tiny.plan(seeds=5)
    assert rows(plan, under_way(plan)) == [
        "variant  tune  best %  confirm  mean %",
        "two      ■■■    80.00  ■!x··     71.50",
        "one      ■■■    80.00  >····",
        "■ done  > running  · to do  ! diverged  x failed",
    ]


def test_what_is_not_tuned_has_no_such_column() -> None:
    plan = tiny.plan(search_space={})
    assert rows(plan, Progress(plan, 2))[:2] == ["variant  confirm  mean %", "two      ··"]


def test_a_terminal_that_knows_ascii_only_gets_no_other_signs() -> None:
    plan = tiny.plan(seeds=5)
    to = Console(file=io.TextIOWrapper(io.BytesIO(), "ascii"), width=150)
    to.print(grid(under_way(plan), to))
    to.file.seek(0)
    assert "two      ###    80.00  #!x..     71.50" in to.file.read()


@pytest.mark.parametrize("width", [20, 60, 61, 80, 200])
def test_a_big_study_fits_a_narrow_terminal(width: int) -> None:
    variants = {"two": {}, **{f"batches_of_{size}": {"set": {"train.batch_size": size}} for size in range(40, 79)}}
    plan = tiny.plan(seeds=50, variants=variants, tuning={"trials": 30, "rerun_best": 5, "rerun_seeds": 2})
    progress = under_way(plan)
    lines = rows(plan, progress, width)
    assert len(lines) == 42
    assert max(map(len, lines)) <= width
    if width == 60:
        assert lines[0] == "variant        tune        best %  confirm        mean %"
        assert lines[1] == "two            ■■■■■■■▪▪·   80.00  x············   71.50"
        assert lines[-1].startswith("4 per sign: ■ done  ▪ partly done  > running  · to do")


def test_rows_that_find_no_room_are_counted_and_those_under_way_stay() -> None:
    plan = tiny.plan(
        variants={"two": {}, **{f"v{size}": {"set": {"train.batch_size": size}} for size in range(40, 50)}}
    )
    progress = Progress(plan, 2)
    spec = plan.trial("v48", "tune", 0, {"train.lr": 0.05}, 0)
    progress.started(spec, 3)
    lines = rows(plan, progress, max_rows=3)
    assert [line.split()[0] for line in lines[1:4]] == ["two", "v40", "v48"]
    assert lines[4] == "and 8 more variants"


@pytest.mark.parametrize(
    ("marks", "sign"),
    [
        (["finished", "failed", "running"], "running"),
        (["finished", "diverged", "failed"], "failed"),
        (["finished", "waiting"], "partly"),
        (["waiting", "waiting"], "waiting"),
        (["pruned", "pruned"], "pruned"),
        (["pruned", "finished"], "finished"),
        (["paused", "waiting"], "paused"),
    ],
)
def test_a_sign_for_several_trials_says_what_needs_eyes(marks: list[Mark], sign: str) -> None:
    assert one_for(marks) == sign


def test_what_runs_is_said_in_lines_that_are_counted_where_they_are_too_many() -> None:
    plan = tiny.plan(search_space={}, seeds=5)
    progress = Progress(plan, 5)
    for seed in range(5):
        spec = plan.trial("two", "confirm", seed, {})
        progress.started(spec, 3)
    progress.epoch(plan.trial("two", "confirm", 0, {}), tiny.record(2, 87.65))
    assert [line.plain for line in running_lines(progress, 3)] == [
        "> two, confirm, seed 0: epoch 2/3, validation 87.7 %, 1,234 images/s",
        "> two, confirm, seed 1: epoch 0/3",
        "> and 3 more",
    ]
    assert len(running_lines(progress)) == 5


def test_the_sum_says_what_is_done_and_what_went_wrong() -> None:
    assert total(under_way(tiny.plan(seeds=5))).plain == "9 of 16 trainings done, 1,234 images/s, 1 failed, 1 diverged"


# On a terminal


class Screen(io.StringIO):
    """A terminal with known contents."""

    def lines(self) -> list[str]:
        """Lines on the screen; it knows the escape codes of the display."""
        lines, row = [""], 0
        for piece in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", self.getvalue()):
            if piece == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif piece.endswith("A") and piece.startswith("\x1b"):
                row -= int(piece[2:-1])
            elif piece == "\x1b[2K":
                lines[row] = ""
            elif not piece.startswith("\x1b") and piece != "\r":
                lines[row] += piece
        return [line.rstrip() for line in lines]


def live(plan: Plan, **options: Any) -> tuple[LiveProgress, Screen]:
    screen = Screen()
    to = Console(file=screen, width=100, height=24, force_terminal=True, markup=False, highlight=False, **options)
    return LiveProgress(plan, 2, to), screen


def test_the_screen_shows_what_runs_what_is_done_and_what_went_wrong() -> None:
    plan = planned()
    progress, screen = live(plan, no_color=True)
    specs = trials(plan)
    with progress:
        progress.found(specs[0], tiny.result(specs[0]))
        progress.started(specs[1])
        progress.started(specs[2])
        progress.epoch(specs[2], tiny.record(2, 87.65))
        progress.warn("the disk is full")
        progress.ended(specs[1], tiny.result(specs[1], status="diverged"))
    shown = screen.lines()
    assert shown[:2] == ["warning: the disk is full", "one, tune, seed 0 (lr 0.05): diverged: made up to be diverged"]
    assert [line.split()[:2] for line in shown[3:6]] == [["two", "■··"], ["one", "!··"], ["wide", ">··"]]
    assert shown[7:9] == [
        "> wide, tune, seed 0: epoch 2/3, validation 87.7 %, 1,234 images/s",
        "2 of 15 trainings done, 1,234 images/s, 1 diverged",
    ]


def test_no_colour_means_none_and_signs_tell_all() -> None:
    progress, screen = live(planned(), no_color=True)
    with progress:
        progress.started(trials(planned())[0])
    assert not re.search(r"\x1b\[(?:\d+;)*(?:3|4|9|10)\d(?:;\d+)*m", screen.getvalue())
    progress, screen = live(planned(), color_system="standard")
    with progress:
        progress.started(trials(planned())[0])
    assert re.search(r"\x1b\[(?:\d+;)*36m>", screen.getvalue())


def test_the_cursor_is_there_all_the_time() -> None:
    """SIGKILL leaves the terminal as it is at this moment."""
    progress, screen = live(planned())
    with progress:
        progress.started(trials(planned())[0])
        assert screen.getvalue().rfind("\x1b[?25h") > screen.getvalue().rfind("\x1b[?25l")
    assert screen.getvalue().rfind("\x1b[?25h") > screen.getvalue().rfind("\x1b[?25l")


# For programs


def events(to: Console) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text(to).splitlines()]


def test_every_event_is_an_object_on_a_line() -> None:
    plan = planned()
    to = console(width=20)
    progress = JsonProgress(plan, 2, to)
    specs = trials(plan)
    with progress:
        progress.planned()
        progress.found(specs[0], tiny.result(specs[0], 81.0))
        progress.started(specs[1])
        progress.epoch(specs[1], tiny.record(2, 87.65))
        progress.retrying(specs[1], tiny.result(specs[1], status="failed"))
        progress.warn("the disk is full:\nall of it")
        progress.ended(specs[-1], tiny.result(specs[-1], 92.5))
        progress.ended(specs[2], None)
        progress.measuring(1, 3)
        progress.tell("done", exit_code=0)
    told = events(to)
    assert [each["event"] for each in told] == [
        "plan",
        "found",
        "started",
        "epoch",
        "retrying",
        "warning",
        "ended",
        "ended",
        "measuring",
        "done",
    ]
    assert told[0]["variants"] == ["two", "one", "wide"]
    assert (told[1]["variant"], told[1]["validation_accuracy_percent"], told[1]["num_done"]) == ("two", 81.0, 1)
    assert told[2]["trial_id"] == specs[1].id
    assert told[3]["train_images_per_second"] == 1234.5
    assert told[4]["message"] == "made up to be failed"
    assert told[5]["text"] == "the disk is full:\nall of it"
    assert (told[6]["phase"], told[6]["seed"], told[6]["test_accuracy_percent"]) == ("confirm", 1, 92.5)
    assert told[7]["status"] == "paused"


def test_docs_name_every_key_of_an_event() -> None:
    plan, to = planned(), console()
    progress = JsonProgress(plan, 2, to)
    spec = trials(plan)[-1]
    progress.planned()
    progress.started(spec)
    progress.epoch(spec, tiny.record(1))
    progress.ended(spec, tiny.result(spec))
    progress.measuring(1, 1)
    progress.warn("text")
    progress.say("text")
    page = (ROOT / "docs" / "running.md").read_text()
    for event in events(to):
        assert f"| `{event['event']}` |" in page
        assert [key for key in event if f"`{key}`" not in page] == []


def test_a_quiet_run_tells_warnings_only() -> None:
    plan, to = planned(), console()
    spec = trials(plan)[0]
    with QuietProgress(plan, 2, to) as progress:
        progress.found(spec, tiny.result(spec))
        progress.started(spec)
        progress.epoch(spec, tiny.record(1))
        progress.ended(spec, tiny.result(spec))
        progress.measuring(1, 2)
        assert text(to) == ""
        progress.warn("the disk is full")
    assert text(to) == "warning: the disk is full\n"


def test_what_servers_say_is_shown_and_not_obeyed() -> None:
    to = console()
    with PlainProgress(planned(), 2, to) as progress:
        progress.warn("gone\x1b[2J")
        progress.say("two\x07")
    assert text(to) == "warning: gone\\x1b[2J\ntwo\\x07\n"


def test_a_run_elsewhere_is_judged_by_how_long_its_epochs_take() -> None:
    plan = planned()
    progress, now_ms = Progress(plan, 2), 1_000_000_000_000
    silent = sign_of_life(progress, now_ms - 7_200_000, now_ms - 1_800_000, now_ms)
    assert re.fullmatch(
        r"it has been running elsewhere since .*; its last record came 30 min ago, at [-0-9: ]+\.", silent
    )
    spec = trials(plan)[0]
    progress.started(spec, 3)
    for epoch_seconds, told in (
        (600.0, "and one of its epochs took 10 min."),
        (5.0, "took 5 s. It has probably been killed, or cannot reach the store."),
    ):
        progress.epoch(spec, replace(tiny.record(1), epoch_seconds=epoch_seconds))
        assert told in sign_of_life(progress, now_ms - 7_200_000, now_ms - 1_800_000, now_ms)


def test_a_long_name_is_whole_where_there_is_room_for_it() -> None:
    name = "a_variant_of_a_long_name"
    plan = planned(edited(("  one: {", f"  {name}: {{")))
    for width, shown in ((45, name), (30, "a_variant_of_..")):
        to = console(width)
        to.print(grid(Progress(plan, 2), to))
        lines = text(to).splitlines()
        assert lines[2].split()[0] == shown
        assert max(map(len, lines)) <= width
