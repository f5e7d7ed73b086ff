"""Displays of a run: a grid on a terminal, lines elsewhere, JSON lines, or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live

from ablations.analysis.looks import TakenLook
from ablations.planning.plan import Plan
from ablations.progress import Progress
from ablations.terminal.answers import look_lines
from ablations.terminal.grid import grid, running_lines, time_left, total
from ablations.text import in_words, printable
from ablations.trial import EpochRecord, Phase, TrialResult, TrialSpec, in_short


class QuietProgress:
    """Shows only warnings, and counts trials."""

    def __init__(self, plan: Plan, num_workers: int, console: Console) -> None:
        """A display of a run without any event yet.

        Args:
            plan: its trials are shown.
            num_workers: number of trials in parallel.
            console: receives the output.
        """
        self._progress = Progress(plan, num_workers)
        self._console = console
        self._confirming = False

    def found(self, spec: TrialSpec, result: TrialResult) -> None:
        """A trial was already recorded."""
        self._enter(spec.phase)
        self._progress.found(spec, result)

    def started(self, spec: TrialSpec) -> None:
        """A trial starts."""
        self._enter(spec.phase)
        self._progress.started(spec, spec.config.train.epochs)

    def epoch(self, spec: TrialSpec, record: EpochRecord) -> None:
        """An epoch of a trial ended."""
        self._progress.epoch(spec, record)

    def ended(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused."""
        if result is None:
            self._progress.left(spec)
        else:
            self._progress.ended(spec, result)

    def retrying(self, spec: TrialSpec, result: TrialResult) -> None:
        """A trial failed; it will be retried as `spec`."""
        self._progress.left(spec)
        parts = spec.accumulated_parts
        how = f", with gradients accumulated over {parts} parts of each batch" if parts > 1 else ""
        self.warn(f"{outcome(spec, result)}; it will be retried when nothing else runs{how}")

    def measuring(self, number: int, total: int) -> None:
        """The costs of an architecture are being measured."""

    def warn(self, text: str) -> None:
        """Report a problem that does not stop the study; from any thread."""
        self._print(f"warning: {text}")

    def say(self, text: str) -> None:
        """Report a finding; it affects only how long the study takes."""

    def needs(self, num_seeds: Mapping[str, int], num_examinations: Mapping[str, int]) -> None:
        """Number of seeds of each variant that are needed now, and of its trials in the cross-examination."""
        self._progress.needs(num_seeds)
        self._progress.examines(num_examinations)

    def looked(self, look: TakenLook) -> None:
        """A look was taken."""
        for name in look.closed:
            self._progress.closed(name, look.judgements[name].verdict.word)

    def _print(self, text: str) -> None:
        # Control characters from servers and workers are escaped, or the terminal would obey them.
        self._console.print(printable(text), soft_wrap=True)

    def _enter(self, phase: Phase) -> None:
        # The runner starts to confirm when every search that is needed is done.
        if phase == "confirm" and not self._confirming:
            self._progress.settled()
        self._confirming = phase == "confirm"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


class PlainProgress(QuietProgress):
    """Prints a line when a trial ends."""

    def ended(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused."""
        super().ended(spec, result)
        left = time_left(self._progress)
        done = f"[{self._progress.num_done}/{self._progress.num_trials}]"
        self._print(f"{done} {outcome(spec, result)}{left and '; '}{left}")

    def measuring(self, number: int, total: int) -> None:
        """The costs of an architecture are being measured."""
        if number == 1:
            what = "an architecture" if total == 1 else f"{total} architectures"
            self._print(f"measuring memory, speed and latency of {what}, one at a time")

    def say(self, text: str) -> None:
        """Report a finding; it affects only how long the study takes."""
        self._print(text)

    def looked(self, look: TakenLook) -> None:
        """A look was taken."""
        super().looked(look)
        for line in look_lines(self._progress.plan, look):
            self._print(line)


class LiveProgress(PlainProgress):
    """Draws a grid of variants by trials, and a line per running trial; warnings scroll by above."""

    def __init__(self, plan: Plan, num_workers: int, console: Console) -> None:
        super().__init__(plan, num_workers, console)
        self._live = Live(get_renderable=self._drawn, console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        # The cursor stays visible, because SIGKILL would leave it hidden.
        self._console.show_cursor(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def ended(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused."""
        QuietProgress.ended(self, spec, result)
        if result is not None and result.status in {"failed", "diverged"}:
            self._print(outcome(spec, result))

    def _drawn(self) -> RenderableType:
        size = self._console.size
        # Running trials get a third of the screen; title, hidden rows, key, total and cursor take a line each.
        under_way = running_lines(self._progress, max(1, size.height // 3))
        num_rows = max(1, size.height - len(under_way) - 5)
        return Group(grid(self._progress, self._console, num_rows), *under_way, total(self._progress))


class JsonProgress(QuietProgress):
    """Writes a JSON object per event, each on one line; docs/running.md explains the keys."""

    def planned(self) -> None:
        """Write the first event: the plan."""
        plan = self._progress.plan
        self.tell(
            "plan",
            study=plan.study,
            profile=plan.profile,
            question=plan.question,
            baseline=plan.baseline,
            variants=[variant.name for variant in plan.variants],
            seeds=plan.seeds,
            looks=plan.looks,
            num_trials=self._progress.num_trials,
        )

    def started(self, spec: TrialSpec) -> None:
        """A trial starts."""
        super().started(spec)
        self.tell("started", **_labels(spec))

    def found(self, spec: TrialSpec, result: TrialResult) -> None:
        """A trial was already recorded."""
        super().found(spec, result)
        self.tell("found", **_labels(spec), **_ending(result), **self._counts())

    def epoch(self, spec: TrialSpec, record: EpochRecord) -> None:
        """An epoch of a trial ended."""
        super().epoch(spec, record)
        self.tell("epoch", **_labels(spec), **asdict(record))

    def ended(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused."""
        super().ended(spec, result)
        self.tell("ended", **_labels(spec), **_ending(result), **self._counts())

    def retrying(self, spec: TrialSpec, result: TrialResult) -> None:
        """A trial failed; it will be retried as `spec`."""
        self._progress.left(spec)
        self.tell("retrying", **_labels(spec), **_ending(result))

    def measuring(self, number: int, total: int) -> None:
        """The costs of an architecture are being measured."""
        self.tell("measuring", number=number, num_architectures=total)

    def looked(self, look: TakenLook) -> None:
        """A look was taken."""
        super().looked(look)
        plan = self._progress.plan
        self.tell(
            "look",
            number=look.number,
            num_seeds=look.num_seeds,
            alpha=look.spent_alpha,
            contrasts={
                name: {
                    "versus": plan[name].versus,
                    "verdict": each.verdict.value,
                    "difference": each.mean,
                    "interval": each.interval and [each.interval.lower, each.interval.upper],
                    "num_pairs": each.num_pairs,
                    "closed": look.closed.get(name),
                    "chance": look.chances[name],
                }
                for name, each in look.judgements.items()
            },
        )

    def warn(self, text: str) -> None:
        """Report a problem that does not stop the study; from any thread."""
        self.tell("warning", text=text)

    def say(self, text: str) -> None:
        """Report a finding; it affects only how long the study takes."""
        self.tell("note", text=text)

    def tell(self, event: str, **values: Any) -> None:
        """Write an event.

        Args:
            event: its name.
            values: its other keys, with values for JSON.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"event": event, "time": now, **values}, ensure_ascii=False)
        # One write per line, because warnings come from other threads.
        self._console.file.write(f"{line}\n")
        self._console.file.flush()

    def _counts(self) -> dict[str, Any]:
        seconds = self._progress.seconds_left
        return {
            "num_done": self._progress.num_done,
            "num_trials": self._progress.num_trials,
            "seconds_left": None if seconds is None else round(seconds),
        }


def _labels(spec: TrialSpec) -> dict[str, Any]:
    return {
        "trial_id": spec.id,
        "variant": spec.variant,
        "phase": spec.phase,
        "seed": spec.seed,
        "number": spec.number,
        "hyperparameters": spec.hyperparameters,
    }


def _ending(result: TrialResult | None) -> dict[str, Any]:
    if result is None:
        return {"status": "paused"}
    return {
        "status": result.status,
        "validation_accuracy_percent": result.last.validation_accuracy_percent if result.last else None,
        "test_accuracy_percent": result.test_accuracy_percent,
        "train_seconds": result.train_seconds,
        "message": result.message,
        "reason": result.reason,
        "num_attempts": result.num_attempts,
        "accumulated_parts": result.accumulated_parts,
    }


def outcome(spec: TrialSpec, result: TrialResult | None) -> str:
    """The outcome of a trial, on one line."""
    name = f"{spec.variant}, {spec.phase}, seed {spec.seed}"
    values = ", ".join(in_short(spec.hyperparameters))
    name = f"{name} ({values})" if values else name
    if result is None:
        return f"{name}: paused, its state is saved"
    if result.status != "finished" or result.last is None:
        return f"{name}: {result.outcome}: {result.message}"
    accuracy = (
        f"test {result.test_accuracy_percent:.2f} %"
        if result.test_accuracy_percent is not None
        else f"validation {result.last.validation_accuracy_percent:.2f} %"
    )
    return f"{name}: {accuracy} in {in_words(result.train_seconds)}"
