"""Kills a study at random moments, and compares its end with an undisturbed run. `python -m benchmarks.soak --kills 30`.

Half of the kills hit the driver and half a worker, all with SIGKILL. If a study ends before all kills are spent, another one starts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
Reported = tuple[str, int, int]
"""A trial's id, the number of an epoch, and the time of its training in milliseconds since 1970."""


@dataclass
class Tally:
    """The effects of the kills."""

    kills: Counter[str] = field(default_factory=Counter)
    num_trials: int = 0
    num_epochs: int = 0
    num_repeated: int = 0
    oldest_seconds: float = 0.0
    """Longest time between an epoch that was trained twice and the kill that caused it."""
    lost: list[str] = field(default_factory=list)
    num_superfluous: int = 0
    """Trials without a counterpart in the undisturbed run. After three kills of its worker, a trial is given up, and the search goes
    on without it. A later retry then leads the search to another choice, the same as in the undisturbed run."""


def main() -> None:
    """Run the study once undisturbed, then with kills until all are spent; print a table."""
    if sys.argv[1:2] == ["--drive"]:
        _drive(Path(sys.argv[2]), sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--study", default="one_by_one", help="A study with a starter profile.")
    parser.add_argument(
        "--seconds", type=float, default=16.0, help="Longest time from a start or a kill to the next kill."
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--database", type=Path, help="An empty MLflow database to start from: making one takes seconds."
    )
    arguments = parser.parse_args()
    study = str(Path(arguments.study).resolve()) if arguments.study.endswith(".yaml") else arguments.study
    with tempfile.TemporaryDirectory() as name:
        whole = _folder(Path(name) / "undisturbed", arguments.database)
        _start(whole, study).wait()
        tally = Tally()
        chance = random.Random(arguments.seed)  # noqa: S311  # nosec B311
        round_number = 0
        while sum(tally.kills.values()) < arguments.kills:
            round_number += 1
            folder = _folder(Path(name) / f"killed-{round_number}", arguments.database)
            times = _kill_until_done(folder, study, arguments.kills, arguments.seconds, chance, tally.kills)
            _compare(whole, folder, times, tally)
    print(
        "| kills | of the driver | of a worker | trials | superfluous | epochs | repeated | the oldest of them | lost |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    print(
        f"| {sum(tally.kills.values())} | {tally.kills['driver']} | {tally.kills['worker']} | {tally.num_trials} "
        f"| {tally.num_superfluous} | {tally.num_epochs} | {tally.num_repeated} | {tally.oldest_seconds:.1f} s before its kill | {len(tally.lost)} |"
    )
    if tally.lost:
        sys.exit("\n".join(tally.lost))


def _folder(path: Path, database: Path | None) -> Path:
    path.mkdir()
    if database is not None:
        shutil.copyfile(database, path / "mlflow.db")
    return path


def _drive(log: Path, arguments: list[str]) -> None:
    """Run the real command, and log each epoch of which it hears."""
    from ablations import cli
    from ablations.terminal.displays import PlainProgress

    def epoch(self: PlainProgress, spec: Any, record: Any) -> None:
        with log.open("a") as file:
            file.write(f"{json.dumps([spec.id, record.epoch, record.timestamp_ms])}\n")

    PlainProgress.epoch = epoch  # type: ignore[assignment, method-assign]
    sys.argv[1:] = arguments
    cli.main()


def _start(folder: Path, study: str, *options: str) -> subprocess.Popen[bytes]:
    run = ["run", study, "--profile", "starter", *options]
    command = [sys.executable, "-m", "benchmarks.soak", "--drive", "epochs.jsonl", *run]
    with (folder / "said.txt").open("ab") as said:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
            stdout=said,
            stderr=said,
        )


def _kill_until_done(
    folder: Path, study: str, most: int, seconds: float, chance: random.Random, kills: Counter[str]
) -> list[float]:
    """Run the study to its end through all kills; the times of the kills, in seconds since 1970."""
    times = []
    driver = _start(folder, study)
    while True:
        left = sum(kills.values()) < most
        try:
            code = driver.wait(chance.uniform(0, seconds) if left else None)
        except subprocess.TimeoutExpired:
            workers = _workers(driver.pid)
            whom = chance.choice(["driver", "worker"] if workers else ["driver"])
            times.append(time.time())
            os.kill(driver.pid if whom == "driver" else chance.choice(workers), 9)
            kills[whom] += 1
            if whom == "worker":
                continue
            driver.wait()
        else:
            if code == 0:
                return times
            # After three kills of its worker, a trial is given up until a run retries it.
            if code != 1:
                raise RuntimeError(f"exit code {code}\n{(folder / 'said.txt').read_text()}")
            driver = _start(folder, study, "--retry")
            continue
        driver = _start(folder, study)


def _workers(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    except OSError:
        return []


def _compare(whole: Path, folder: Path, kills: list[float], tally: Tally) -> None:
    """Add to the tally the differences between a killed study and the undisturbed one."""
    for name, read in {"summary.json": _accuracies, "MLflow": _trials}.items():
        wanted, found = read(whole), read(folder)
        for key in sorted(wanted.keys() | found.keys()):
            if name == "MLflow" and key not in wanted and [run[0] for run in found[key]] == ["FINISHED"]:
                tally.num_superfluous += 1
            elif wanted.get(key) != found.get(key):
                tally.lost.append(f"{name}: {key}: {found.get(key)} instead of {wanted.get(key)}")
    reported = set(_reported(folder))
    first: dict[tuple[str, int], int] = {}
    for trial_id, epoch, stamp in sorted(reported, key=lambda each: each[2]):
        first.setdefault((trial_id, epoch), stamp)
    again = {(trial_id, epoch) for trial_id, epoch, stamp in reported if stamp != first[trial_id, epoch]}
    ages = [min(kill - first[each] / 1000 for kill in kills if kill >= first[each] / 1000) for each in again]
    tally.num_trials += len({trial_id for trial_id, _, _ in reported})
    tally.num_epochs += len(first)
    tally.num_repeated += len(reported) - len(first)
    tally.oldest_seconds = max([tally.oldest_seconds, *ages])


def _accuracies(folder: Path) -> dict[str, Any]:
    (file,) = folder.glob("reports/*/starter/summary.json")
    return {name: each["accuracy_percent"] for name, each in json.loads(file.read_text())["variants"].items()}


def _trials(folder: Path) -> dict[str, Any]:
    """Everything in MLflow that must not depend on kills: a list for each trial, with an item for each of its runs."""
    from mlflow import MlflowClient

    from ablations.tracking import layout, runs

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    found: dict[str, Any] = {}
    for experiment in client.search_experiments():
        for run in runs.all_pages(client.search_runs, [experiment.experiment_id]):
            tags = run.data.tags
            trial_id = tags.get(layout.TRIAL_ID, "study")
            losses = client.get_metric_history(run.info.run_id, "train_loss")
            curve = [(point.step, point.value) for point in losses]
            values = [run.info.status, run.data.metrics.get("test_accuracy_percent"), tags.get(layout.STATUS), curve]
            found.setdefault(trial_id, []).append(values)
    return found


def _reported(folder: Path) -> Iterable[Reported]:
    # A kill may cut the last line short, and the next line then continues it.
    for line in (folder / "epochs.jsonl").read_text().splitlines():
        try:
            trial_id, epoch, stamp = json.loads(line)
        except ValueError:
            continue
        yield trial_id, epoch, stamp


if __name__ == "__main__":
    main()
