"""How far a study is: variants by trials, what is under way, and the sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ablations.progress import Mark, Progress, Running
from ablations.text import in_words, plural
from ablations.trial import Phase

Sign = Mark | Literal["partly"]


SIGNS: Mapping[Sign, tuple[str, str, str, str]] = {
    "finished": ("■", "#", "green", "done"),
    "partly": ("▪", "+", "green", "in part"),
    "running": (">", ">", "bold cyan", "running"),
    "waiting": ("·", ".", "dim", "to do"),
    "paused": ("=", "=", "cyan", "to go on"),
    "pruned": ("-", "-", "dim", "pruned"),
    "diverged": ("!", "!", "yellow", "diverged"),
    "failed": ("x", "x", "bold red", "failed"),
}
"""What stands for a trial: its sign, the same for terminals that know ASCII only, its colour, and what it means."""


_TELLING: Sequence[Mark] = ("running", "failed", "diverged", "paused")
"""What one sign for several trials says of them first."""


SILENCE_SECONDS, SILENCE_EPOCHS = 120.0, 10
"""Beyond both together the silence of a run is a sign: what it trains is recorded epoch by epoch, every ten seconds at most."""


MIN_WIDTH = 50
"""Columns of a terminal that has room for accuracies in the grid."""


def print_progress(progress: Progress, console: Console) -> None:
    """All of the grid, what is under way, and the sum."""
    console.print(Group(grid(progress, console), *running_lines(progress), total(progress)))


def grid(progress: Progress, console: Console, max_rows: int | None = None) -> Group:
    """Variants by trials, a sign a trial, and what the signs mean; as wide as the console at most.

    Args:
        progress: of the study.
        console: that it is for.
        max_rows: variants that there is room for; those under way come first, and a line counts the rest. None: all.
    """
    plan = progress.plan
    phases: list[Phase] = ["tune", "confirm"] if plan.tuned else ["confirm"]
    shown = _most_telling([variant.name for variant in plan.variants], progress.running, max_rows)
    # Two columns lie between a column and the next.
    accuracy_width = 2 + len("mean %") if console.width >= MIN_WIDTH else 0
    lengths = {phase: max(len(progress.marks(each.name, phase)) for each in plan.variants) for phase in phases}
    beside = len(phases) * (2 + accuracy_width)
    all_signs = sum(max(len(phase), length) for phase, length in lengths.items())
    # Names are shortened to a third, or to what a sign a training leaves of the line.
    room_for_names = max(console.width // 3, console.width - beside - all_signs)
    name_width = min(max(len("variant"), *map(len, shown)), room_for_names)
    room = console.width - name_width - beside
    trials_a_sign = _trials_a_sign(lengths, room)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    table.add_column("variant", no_wrap=True)
    for phase in phases:
        table.add_column(phase, no_wrap=True, overflow="crop")
        if accuracy_width:
            table.add_column("best %" if phase == "tune" else "mean %", justify="right", no_wrap=True)
    seen: set[Sign] = set()
    for name in shown:
        cells: list[Text | str] = [name if len(name) <= name_width else f"{name[: name_width - 2]}.."]
        for phase in phases:
            signs = _grouped(progress.marks(name, phase), trials_a_sign)
            seen.update(signs)
            cells.append(_drawn(signs, console))
            if accuracy_width:
                accuracy = progress.accuracy_percent(name, phase)
                cells.append("" if accuracy is None else f"{accuracy:.2f}")
        table.add_row(*cells)
    lines: list[RenderableType] = [table]
    if len(shown) < len(plan.variants):
        lines.append(_line(f"and {plural(len(plan.variants) - len(shown), 'variant')} more"))
    key = _line("")
    if trials_a_sign > 1:
        key.append(f"a sign for {trials_a_sign}: ")
    for sign in SIGNS:
        if sign in seen:
            key.append_text(_drawn([sign], console)).append(f" {SIGNS[sign][-1]}  ")
    return Group(*lines, key)


def running_lines(progress: Progress, max_lines: int | None = None) -> list[Text]:
    """What is under way, a line a trial; of more than `max_lines` the last line counts the rest."""
    running = progress.running
    shown = running if max_lines is None or len(running) <= max_lines else running[: max_lines - 1]
    lines = []
    for each in shown:
        trial, record = each.trial, each.record
        told = [f"epoch {record.epoch if record else 0}/{each.num_epochs}"]
        if each.since_ms is not None:
            told.append(f"since {clock_time(each.since_ms)}")
        if record:
            told.append(f"validation {record.validation_accuracy_percent:.1f} %")
            told.append(f"{record.train_images_per_second:,.0f} images/s")
        lines.append(_line(f"> {trial.variant}, {trial.phase}, seed {trial.seed}: {', '.join(told)}"))
    if len(shown) < len(running):
        lines.append(_line(f"> and {len(running) - len(shown)} more"))
    return lines


def total(progress: Progress) -> Text:
    """The study in one line: what is done, how fast it goes, how long it takes."""
    rate = progress.train_images_per_second
    told = [f"{progress.num_done:,} of {progress.num_trials:,} trainings done", time_left(progress)]
    told.append(f"{rate:,.0f} images/s" if rate else "")
    told += [f"{progress.count(mark)} {mark}" if progress.count(mark) else "" for mark in ("failed", "diverged")]
    return _line(", ".join(filter(None, told)))


def time_left(progress: Progress) -> str:
    """How long the rest may take, in words; nothing while that cannot be told."""
    seconds = progress.seconds_left
    return "" if seconds is None else f"about {in_words(seconds)} left"


def sign_of_life(progress: Progress, since_ms: int, heard_ms: int, now_ms: int) -> str:
    """What is known of a run on another machine: since when it runs, for how long it has been silent, and whether that is long.

    Args:
        progress: of the study, as it was recorded.
        since_ms: wall clock at the start of the run, milliseconds since 1970.
        heard_ms: the same, of the last thing that was recorded of it.
        now_ms: the same, now.
    """
    silent_seconds = max(0, now_ms - heard_ms) / 1000
    epoch_seconds = max((each.record.epoch_seconds for each in progress.running if each.record), default=None)
    said = (
        f"it runs since {clock_time(since_ms)}, elsewhere, and was last heard of {in_words(silent_seconds)} ago, at "
        f"{clock_time(heard_ms)}"
    )
    if epoch_seconds is None:
        return f"{said}."
    said = f"{said}; an epoch of what it trains took {in_words(epoch_seconds)}"
    if silent_seconds <= SILENCE_SECONDS + SILENCE_EPOCHS * epoch_seconds:
        return f"{said}."
    return f"{said}, so it has probably been killed, or its store is away from it."


def clock_time(time_ms: int) -> str:
    """A time, milliseconds since 1970, as clocks here show it; with its date unless that is today's."""
    time = datetime.fromtimestamp(time_ms / 1000).astimezone()
    today = time.date() == datetime.now().astimezone().date()
    return time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M")


def _trials_a_sign(lengths: Mapping[Phase, int], room: int) -> int:
    """How many trials a sign must stand for, for rows of these lengths to fit side by side below their titles."""
    for count in range(1, max(lengths.values()) + 1):
        if sum(max(len(phase), -(-length // count)) for phase, length in lengths.items()) <= room:
            return count
    return max(lengths.values())


def _grouped(marks: Sequence[Mark], count: int) -> list[Sign]:
    return [one_for(marks[start : start + count]) for start in range(0, len(marks), count)]


def one_for(marks: Sequence[Mark]) -> Sign:
    """What stands for several trials: what needs eyes, else what they have in common, else how far they are."""
    for mark in _TELLING:
        if mark in marks:
            return mark
    if "waiting" in marks:
        return "waiting" if set(marks) == {"waiting"} else "partly"
    return "pruned" if set(marks) == {"pruned"} else "finished"


def _drawn(signs: Sequence[Sign], console: Console) -> Text:
    index = 1 if console.options.ascii_only else 0
    return Text.assemble(*((SIGNS[sign][index], SIGNS[sign][2]) for sign in signs))


def _line(text: str) -> Text:
    # No sign for what is cut off: not every terminal has it.
    return Text(text, no_wrap=True, overflow="crop")


def _most_telling(names: Sequence[str], running: Sequence[Running], count: int | None) -> list[str]:
    """As many of the variants, in their order: those under way before others."""
    if count is None or len(names) <= count:
        return list(names)
    busy = {each.trial.variant for each in running}
    chosen = set(sorted(names, key=lambda name: name not in busy)[:count])
    return [name for name in names if name in chosen]
