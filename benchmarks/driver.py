"""Times everything but the training: tuning, MLflow, resuming, report. `python -m benchmarks.driver --trials 1000`.

The real runner, tuner, recorder, reader and report drive made-up trials of ten epochs and 10,000 test images, on SQLite.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NUM_VARIANTS = 10
NUM_EPOCHS = 10


def main() -> None:
    """Time each number of trials in processes of their own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, action="append", help="Number of trials; may be given several times.")
    parser.add_argument("--step", choices=["run", "report"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        steps: dict[str, Callable[[int, Path], dict[str, Any]]] = {"run": _run, "report": _report}
        print(json.dumps(steps[arguments.step](arguments.trials[0], arguments.folder)))
        return
    print("| trials | ms per trial | peak MB | resumed: ms per trial | report s | report peak MB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for num_trials in arguments.trials or [1000]:
        with tempfile.TemporaryDirectory() as name:
            first, again, report = (_in_a_process(step, num_trials, Path(name)) for step in ("run", "run", "report"))
        print(
            f"| {num_trials:,} | {1000 * first['seconds'] / num_trials:.1f} | {first['peak_mb']:.0f} "
            f"| {1000 * again['seconds'] / num_trials:.1f} | {report['seconds']:.1f} | {report['peak_mb']:.0f} |",
            flush=True,
        )


def _in_a_process(step: str, num_trials: int, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.driver", "--step", step, "--trials", str(num_trials)]
    done = subprocess.run([*command, "--folder", str(folder)], stdout=subprocess.PIPE, text=True, check=True)
    values: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return values


def made_up_plan(num_trials: int, num_variants: int = NUM_VARIANTS, sampler: str = "qmc") -> Any:
    """The real planner's plan for a study with this many trials, half of them tuning."""
    from ablations.planning.planner import make_plan
    from ablations.studyfile.spec import StudySpec
    from ablations.trial import Machine

    per_variant = num_trials // num_variants
    num_tune = per_variant // 2
    study = {
        "study": "driven",
        "question": "What does everything but the training cost?",
        "base": {
            "data": {"name": "fashion_mnist", "validation": 6000},
            "model": {"preset": "nin_small"},
            "train": {"epochs": NUM_EPOCHS, "batch_size": 128, "lr": 0.05},
        },
        "search_space": {"train.lr": {"type": "float", "low": 0.01, "high": 0.3, "log": True}},
        "tuning": {"trials": num_tune - 2, "rerun_best": 2, "rerun_seeds": 1, "sampler": sampler},
        "seeds": per_variant - num_tune,
        "baseline": "v0",
        "variants": {f"v{n}": {"set": {"model.width": 1 + n / num_variants}} for n in range(num_variants)},
        "decision": {"margin": 0.5},
        "profiles": {"starter": {"description": "made up"}},
    }
    machine = Machine("cpu", bf16=False, num_workers=2, description="2 CPU cores")
    return make_plan(StudySpec.model_validate(study), "starter", machine)


class _NoDisplay:
    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None


def _run(num_trials: int, folder: Path) -> dict[str, Any]:
    from ablations.execution.dry import DryExecutor
    from ablations.looking import Looking
    from ablations.runner import Runner
    from ablations.tracking.recorder import Recorder
    from ablations.tracking.store import Store
    from ablations.tuning import VariantTuner

    plan = made_up_plan(num_trials)
    started = time.perf_counter()
    recorder = Recorder(Store.in_folder(folder), plan, "made up")
    outcome = Runner(
        plan,
        tuner=VariantTuner,
        confirmations=Looking(plan, recorder, _NoDisplay(), futility=True),
        executor=DryExecutor(2),
        store=recorder,
        display=_NoDisplay(),
        deadline=None,
        interrupted=lambda: False,
    ).run()
    recorder.close(True)
    assert outcome.state == "complete", outcome
    return _measured(started)


def _report(num_trials: int, folder: Path) -> dict[str, Any]:
    from ablations.analysis.summarize import summarize
    from ablations.reporting.render import write_report
    from ablations.tracking.reader import read_study
    from ablations.tracking.store import Address, Store

    started = time.perf_counter()
    stored = read_study(Address("driven", "starter", Store.in_folder(folder)))
    summary = summarize(stored.plan, stored.trials, stored.provenance, stored.measurements, stored.ledgers)
    write_report(summary, folder / "report", created="now")
    return _measured(started)


def _measured(started: float) -> dict[str, float]:
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    main()
