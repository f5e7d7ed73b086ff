"""Progress of a study: a grid of variants by trials, a line per running trial, and the total."""

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
    "partly": ("▪", "+", "green", "partly done"),
    "running": (">", ">", "bold cyan", "running"),
    "waiting": ("·", ".", "dim", "to do"),
    "paused": ("=", "=", "cyan", "to resume"),
    "pruned": ("-", "-", "dim", "pruned"),
    "diverged": ("!", "!", "yellow", "diverged"),
    "failed": ("x", "x", "bold red", "failed"),
}
"""By state of a trial: its sign, its sign in ASCII, its colour, and its meaning."""

_URGENT: Sequence[Mark] = ("running", "failed", "diverged", "paused")
"""States with precedence when one sign stands for several trials."""

SILENCE_SECONDS, SILENCE_EPOCHS = 120.0, 10
"""A run silent for longer than both together has probably died: a live one records its epochs within ten seconds."""

MIN_WORDS_WIDTH = 22
"""Least width of the column of verdicts, in columns, with the two blanks before it."""
MIN_WIDTH = 50
"""Least width of a terminal, in columns, for accuracies in the grid."""


def print_progress(progress: Progress, console: Console) -> None:
    """Print the whole grid, the running trials, and the total."""
    console.print(Group(grid(progress, console), *running_lines(progress), total(progress)))


def grid(progress: Progress, console: Console, max_rows: int | None = None) -> Group:
    """A grid of variants by trials, with a sign per trial and a key to the signs; it fits the console's width.

    Args:
        progress: of the study.
        console: the one to print on.
        max_rows: most variants to show. Running ones are preferred, and a line counts the rest. None: all.
    """
    plan = progress.plan
    phases: list[Phase] = ["tune", "confirm"] if plan.tuned else ["confirm"]
    shown = _shown_names([variant.name for variant in plan.variants], progress.running, max_rows)
    # Two blanks separate columns.
    accuracy_width = 2 + len("mean %") if console.width >= MIN_WIDTH else 0
    lengths = {phase: max(len(progress.marks(each.name, phase)) for each in plan.variants) for phase in phases}
    words_width = 2 + max(map(len, ("verdict", *progress.words.values()))) if progress.words else 0
    # A long verdict is broken into lines, so that the column fits.
    words_width = min(words_width, max(MIN_WORDS_WIDTH, console.width - MIN_WIDTH))
    if console.width < MIN_WIDTH + MIN_WORDS_WIDTH:
        words_width = 0
    beside = len(phases) * (2 + accuracy_width) + words_width
    all_signs = sum(max(len(phase), length) for phase, length in lengths.items())
    # Names may take a third of the line, or more if each training still has a sign.
    room_for_names = max(console.width // 3, console.width - beside - all_signs)
    name_width = min(max(len("variant"), *map(len, shown)), room_for_names)
    room = console.width - name_width - beside
    trials_per_sign = _trials_per_sign(lengths, room)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    table.add_column("variant", no_wrap=True)
    for phase in phases:
        table.add_column(phase, no_wrap=True, overflow="crop")
        if accuracy_width:
            table.add_column("best %" if phase == "tune" else "mean %", justify="right", no_wrap=True)
    if words_width:
        table.add_column("verdict", width=words_width - 2)
    seen: set[Sign] = set()
    for name in shown:
        cells: list[Text | str] = [name if len(name) <= name_width else f"{name[: name_width - 2]}.."]
        for phase in phases:
            signs = _grouped(progress.marks(name, phase), trials_per_sign)
            seen.update(signs)
            cells.append(_drawn(signs, console))
            if accuracy_width:
                accuracy = progress.accuracy_percent(name, phase)
                cells.append("" if accuracy is None else f"{accuracy:.2f}")
        if words_width:
            cells.append(progress.words.get(name, ""))
        table.add_row(*cells)
    lines: list[RenderableType] = [table]
    if len(shown) < len(plan.variants):
        lines.append(_line(f"and {plural(len(plan.variants) - len(shown), 'more variant')}"))
    key = _line("")
    if trials_per_sign > 1:
        key.append(f"{trials_per_sign} per sign: ")
    for sign in SIGNS:
        if sign in seen:
            key.append_text(_drawn([sign], console)).append(f" {SIGNS[sign][-1]}  ")
    return Group(*lines, key)


def running_lines(progress: Progress, max_lines: int | None = None) -> list[Text]:
    """A line per running trial; if there are more than `max_lines`, the last line counts the rest."""
    running = progress.running
    shown = running if max_lines is None or len(running) <= max_lines else running[: max_lines - 1]
    lines = []
    for each in shown:
        trial, record = each.trial, each.record
        parts = [f"epoch {record.epoch if record else 0}/{each.num_epochs}"]
        if each.since_ms is not None:
            parts.append(f"since {clock_time(each.since_ms)}")
        if record:
            parts.append(f"validation {record.validation_accuracy_percent:.1f} %")
            parts.append(f"{record.train_images_per_second:,.0f} images/s")
        lines.append(_line(f"> {trial.variant}, {trial.phase}, seed {trial.seed}: {', '.join(parts)}"))
    if len(shown) < len(running):
        lines.append(_line(f"> and {len(running) - len(shown)} more"))
    return lines


def total(progress: Progress) -> Text:
    """The study on one line: trainings done, time left, speed and failures."""
    rate = progress.train_images_per_second
    parts = [
        f"{progress.num_done:,} of {progress.num_trials:,} trainings done",
        look_now(progress),
        time_left(progress),
    ]
    parts.append(f"{rate:,.0f} images/s" if rate else "")
    parts += [f"{progress.count(mark)} {mark}" if progress.count(mark) else "" for mark in ("failed", "diverged")]
    return _line(", ".join(filter(None, parts)))


def look_now(progress: Progress) -> str:
    """`look 2 of 4`, while a study with several looks has comparisons without a closing; else empty."""
    plan = progress.plan
    if len(plan.looks) == 1 or len(progress.words) == len(plan.contrast_names):
        return ""
    num_seeds = max(progress.num_seeds(variant.name) for variant in plan.variants)
    number = 1 + sum(count < num_seeds for count in plan.looks[:-1])
    return f"look {number} of {len(plan.looks)}"


def time_left(progress: Progress) -> str:
    """Estimated time for the rest, in words; empty while it is unknown."""
    seconds = progress.seconds_left
    return "" if seconds is None else f"about {in_words(seconds)} left"


def sign_of_life(progress: Progress, since_ms: int, heard_ms: int, now_ms: int) -> str:
    """State of a run on another machine: its start, the age of its last record, and whether this suggests its death.

    Args:
        progress: of the study, as recorded.
        since_ms: start of the run, milliseconds since 1970.
        heard_ms: its last record, milliseconds since 1970.
        now_ms: the current time, milliseconds since 1970.
    """
    silent_seconds = max(0, now_ms - heard_ms) / 1000
    epoch_seconds = max((each.record.epoch_seconds for each in progress.running if each.record), default=None)
    known = (
        f"it has been running elsewhere since {clock_time(since_ms)}; its last record came {in_words(silent_seconds)} ago, "
        f"at {clock_time(heard_ms)}"
    )
    if epoch_seconds is None:
        return f"{known}."
    known = f"{known}, and one of its epochs took {in_words(epoch_seconds)}"
    if silent_seconds <= SILENCE_SECONDS + SILENCE_EPOCHS * epoch_seconds:
        return f"{known}."
    return f"{known}. It has probably been killed, or cannot reach the store."


def clock_time(time_ms: int) -> str:
    """A time, given in milliseconds since 1970, in the local time zone; with its date unless it is today."""
    time = datetime.fromtimestamp(time_ms / 1000).astimezone()
    today = time.date() == datetime.now().astimezone().date()
    return time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M")


def _trials_per_sign(lengths: Mapping[Phase, int], room: int) -> int:
    """Least number of trials per sign for rows of these lengths to fit side by side in `room` columns, below their titles."""
    for count in range(1, max(lengths.values()) + 1):
        if sum(max(len(phase), -(-length // count)) for phase, length in lengths.items()) <= room:
            return count
    return max(lengths.values())


def _grouped(marks: Sequence[Mark], count: int) -> list[Sign]:
    return [one_for(marks[start : start + count]) for start in range(0, len(marks), count)]


def one_for(marks: Sequence[Mark]) -> Sign:
    """The sign for several trials: an urgent state, else their common state, else their progress."""
    for mark in _URGENT:
        if mark in marks:
            return mark
    if "waiting" in marks:
        return "waiting" if set(marks) == {"waiting"} else "partly"
    return "pruned" if set(marks) == {"pruned"} else "finished"


def _drawn(signs: Sequence[Sign], console: Console) -> Text:
    index = 1 if console.options.ascii_only else 0
    return Text.assemble(*((SIGNS[sign][index], SIGNS[sign][2]) for sign in signs))


def _line(text: str) -> Text:
    # Cropped without an ellipsis: not every terminal has one.
    return Text(text, no_wrap=True, overflow="crop")


def _shown_names(names: Sequence[str], running: Sequence[Running], count: int | None) -> list[str]:
    """At most `count` of the variants, in their order; running ones are preferred to others."""
    if count is None or len(names) <= count:
        return list(names)
    busy = {each.trial.variant for each in running}
    chosen = set(sorted(names, key=lambda name: name not in busy)[:count])
    return [name for name in names if name in chosen]
