"""Progress on a terminal: what runs, what is done, time left. Plain lines where the output is no terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from ablations.plan import Plan
from ablations.trial import EpochRecord, TrialResult, TrialSpec
from ablations.units import in_words


class Progressing:
    """Counts work and guesses the time left; the two displays differ in what they draw."""

    def __init__(self, plan: Plan, num_workers: int, console: Console) -> None:
        self._plan = plan
        self._num_workers = num_workers
        self._console = console
        self._num_cells = len(plan.cells)
        self._num_done = 0
        self._num_trained = 0
        # A trial's work is taken to be in proportion to its MACs plus a fixed share, in the unit of the baseline's trial.
        mean_macs = sum(variant.costs.macs for variant in plan.variants) / len(plan.variants)
        self._work = {variant.name: 0.3 + variant.costs.macs / mean_macs for variant in plan.variants}
        self._work_left = sum(self._work[cell.variant] for cell in plan.cells)
        self._work_trained = 0.0
        self._started_at: float | None = None

    def found(self, spec: TrialSpec, result: TrialResult) -> None:
        """A trial was recorded already."""
        self._num_done += 1
        self._work_left -= self._work[spec.variant]

    def started(self, spec: TrialSpec) -> None:
        """A trial starts."""
        if self._started_at is None:
            self._started_at = time.monotonic()

    def epoch(self, spec: TrialSpec, record: EpochRecord) -> None:
        """An epoch of a trial ended."""

    def ended(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused."""
        if result is not None:
            self._num_done += 1
            self._num_trained += 1
            self._work_left -= self._work[spec.variant]
            self._work_trained += self._work[spec.variant]

    def retrying(self, spec: TrialSpec, result: TrialResult) -> None:
        """A trial failed, and will be tried once more."""
        self.warn(f"{_outcome(spec, result)}; it is tried once more when nothing else runs")

    def measuring(self, number: int, total: int) -> None:
        """The costs of an architecture are being measured."""
        if number == 1:
            what = "an architecture" if total == 1 else f"{total} architectures"
            self._console.print(f"measuring memory, speed and latency of {what}, one after the other", soft_wrap=True)

    def warn(self, text: str) -> None:
        """Something goes wrong, and the study goes on; from any thread."""
        self._console.print(f"warning: {text}", soft_wrap=True)

    @property
    def _time_left(self) -> str:
        # The first trials of each worker say little: they include its start.
        enough = self._num_trained >= 2 * self._num_workers
        if self._started_at is None or not enough or self._num_done == self._num_cells:
            return ""
        elapsed = time.monotonic() - self._started_at
        return f"about {in_words(self._work_left * elapsed / self._work_trained)} left"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


class PlainProgress(Progressing):
    """A line for each trial that ends."""

    def ended(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused."""
        super().ended(spec, result)
        left = f"; {self._time_left}" if self._time_left else ""
        self._console.print(
            f"[{self._num_done}/{self._num_cells}] {_outcome(spec, result)}{left}",
            soft_wrap=True,
        )


class LiveProgress(Progressing):
    """A bar for the study and a line for each trial under way."""

    def __init__(self, plan: Plan, num_workers: int, console: Console) -> None:
        super().__init__(plan, num_workers, console)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        self._total = {phase: sum(cell.phase == phase for cell in plan.cells) for phase in ("tune", "confirm")}
        self._tasks = {
            phase: self._bars.add_task(phase, total=total, left="") for phase, total in self._total.items() if total
        }
        self._running: dict[str, tuple[TrialSpec, EpochRecord | None]] = {}
        self._live = Live(self._drawn(), console=console, refresh_per_second=4, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.update(self._drawn())
        self._live.stop()

    def found(self, spec: TrialSpec, result: TrialResult) -> None:
        """A trial was recorded already."""
        super().found(spec, result)
        self._bars.advance(self._tasks[spec.phase])

    def started(self, spec: TrialSpec) -> None:
        """A trial starts."""
        super().started(spec)
        self._running[spec.id] = (spec, None)
        self._live.update(self._drawn())

    def epoch(self, spec: TrialSpec, record: EpochRecord) -> None:
        """An epoch of a trial ended."""
        self._running[spec.id] = (spec, record)
        self._live.update(self._drawn())

    def retrying(self, spec: TrialSpec, result: TrialResult) -> None:
        """A trial failed, and will be tried once more."""
        super().retrying(spec, result)
        self._running.pop(spec.id, None)
        self._live.update(self._drawn())

    def ended(self, spec: TrialSpec, result: TrialResult | None) -> None:
        """A trial ended, or was paused."""
        super().ended(spec, result)
        self._running.pop(spec.id, None)
        if result is not None:
            self._bars.advance(self._tasks[spec.phase])
            if result.status in {"failed", "diverged"}:
                self._console.print(f"  {_outcome(spec, result)}")
        for phase, task in self._tasks.items():
            self._bars.update(task, left=self._time_left if phase == spec.phase else "")
        self._live.update(self._drawn())

    def _drawn(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for spec, record in self._running.values():
            epochs = spec.config.train.epochs
            shown = (
                f"epoch {record.epoch}/{epochs}  loss {record.train_loss:.3f}  "
                f"validation {record.validation_accuracy_percent:.1f} %  {record.train_images_per_second:,.0f} images/s"
                if record
                else f"epoch 0/{epochs}"
            )
            table.add_row(f"  {spec.variant}", f"{spec.phase}, seed {spec.seed}", shown)
        return Group(self._bars, table)


def _outcome(spec: TrialSpec, result: TrialResult | None) -> str:
    name = f"{spec.variant}, {spec.phase}, seed {spec.seed}"
    values = ", ".join(
        f"{key.split('.', 1)[1]} {format(value, '.3g') if isinstance(value, float) else value}"
        for key, value in spec.hyperparameters.items()
    )
    name = f"{name} ({values})" if values else name
    if result is None:
        return f"{name}: paused, its state is saved"
    if result.status != "finished" or result.last is None:
        return f"{name}: {result.status}: {result.message}"
    accuracy = (
        f"test {result.test_accuracy_percent:.2f} %"
        if result.test_accuracy_percent is not None
        else f"validation {result.last.validation_accuracy_percent:.2f} %"
    )
    return f"{name}: {accuracy} in {in_words(result.train_seconds)}"
