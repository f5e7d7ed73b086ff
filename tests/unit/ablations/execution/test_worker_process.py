from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
import tiny
from commandline import process
from faults import kill_worker
from places import ROOT, SUPPORT
from training import until_ended

from ablations.execution.local import LocalExecutor
from ablations.trial import EpochRecord, Order, TrialSpec

pytestmark = pytest.mark.slow


def test_a_killed_worker_fails_its_trial_and_the_next_one_runs(executor: LocalExecutor) -> None:
    killed = []

    def kill_once(spec: TrialSpec, record: EpochRecord) -> Order:
        # The record is here, the answer finds nobody: the moment at which a driver is easily taken down too.
        if not killed:
            kill_worker()
            killed.append(spec)
        return "go"

    executor.submit(tiny.trial(seed=0))
    result = until_ended(executor, kill_once).result
    assert result is not None
    assert (result.status, result.reason) == ("failed", "crashed")
    assert result.message == "the worker process died: signal SIGKILL"

    executor.submit(tiny.trial(seed=1))
    result = until_ended(executor).result
    assert result is not None
    assert result.status == "finished"

    kill_worker()  # an idle one, this time
    executor.submit(tiny.trial(seed=2))
    result = until_ended(executor).result
    assert result is not None
    assert result.status == "finished"


def test_a_worker_that_the_system_killed_for_memory_is_told_from_one_that_somebody_killed(
    executor: LocalExecutor, system: Path
) -> None:
    counts = system / "vmstat"

    def kill(spec: TrialSpec, record: EpochRecord) -> Order:
        kill_worker()
        return "go"

    reasons = []
    for num_kills in (7, 8):
        executor.submit(tiny.trial())
        counts.write_text(f"nr_free_pages 12345\noom_kill {num_kills}\n")
        result = until_ended(executor, kill).result
        assert result is not None
        reasons.append(result.reason)
    assert reasons == ["crashed", "out_of_memory"]


def test_a_worker_that_the_system_starts_no_more_hides_no_error(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.submit(tiny.trial())

    def refuse(process: SpawnProcess) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(SpawnProcess, "start", refuse)
    kill_worker()
    with pytest.raises(BlockingIOError, match="temporarily unavailable"):
        until_ended(executor)
    executor.close()


# Ctrl-C goes to every process of the terminal, SIGTERM to every process of a job that a scheduler ends.
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_does_not_reach_a_worker_that_starts(number: signal.Signals, executor: LocalExecutor) -> None:
    executor.submit(tiny.trial())
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    os.kill(worker.pid, number)
    result = until_ended(executor).result
    assert result is not None
    assert result.status == "finished"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system shows no files of processes")
def test_a_worker_prints_on_standard_error_only(executor: LocalExecutor) -> None:
    executor.submit(tiny.trial())
    until_ended(executor)
    files = Path(f"/proc/{executor._workers[0]._process.pid}/fd")
    assert (files / "1").readlink() == (files / "2").readlink() != Path("/proc/self/fd/1").readlink()


def test_prints_of_a_worker_without_standard_error_go_nowhere() -> None:
    prints = "from ablations.execution import worker_process; worker_process._print_on_stderr(); print('network')"
    done = process("bash", "-c", f'{sys.executable} -c "{prints}" 2>&-')
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="this system shows no variables of processes")
def test_workers_agree_on_the_order_of_sets(executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    executor.submit(tiny.trial())
    until_ended(executor)
    variables = Path(f"/proc/{executor._workers[0]._process.pid}/environ").read_bytes().split(b"\0")
    assert b"PYTHONHASHSEED=0" in variables
    assert os.environ["PYTHONHASHSEED"] == "random"


DRIVER = """
import sys
from pathlib import Path
import multiprocessing
import tiny
from ablations.execution.local import LocalExecutor

# No guard: workers do not run the main module again.
executor = LocalExecutor(tiny.CPU, Path("data"), Path("checkpoints"))
for seed in (0, 1):
    executor.submit(tiny.trial(seed=seed, train__epochs=100_000))
seen = set()
while len(seen) < 2:
    executor.wait(lambda spec, record: seen.add(spec.id) or "go", 1.0)
heavy = {"torch", "torchvision", "sklearn"} & set(sys.modules)
print(*(child.pid for child in multiprocessing.active_children()), *heavy, flush=True)
while True:
    executor.wait(lambda spec, record: "go", 1.0)
"""


def test_the_driver_imports_no_torch_and_its_workers_do_not_outlive_it(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    with subprocess.Popen(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{SUPPORT}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdout is not None
        said = driver.stdout.readline().split()
        driver.kill()
    assert len(said) == 2, f"the driver imported {said[2:]}"
    assert all(word.isdigit() for word in said)
    deadline = time.monotonic() + 60
    while (left := [pid for pid in said if running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def running(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"  # an orphan that ended may wait for somebody to take note


def test_a_thread_other_than_the_main_one_may_start_workers(executor: LocalExecutor) -> None:
    spec = tiny.trial(train__epochs=1)

    def train() -> None:
        executor.submit(spec)
        result = until_ended(executor).result
        assert result is not None
        assert result.status == "finished"

    with ThreadPoolExecutor(1) as pool:
        pool.submit(train).result()
