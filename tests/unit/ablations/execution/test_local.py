"""What only the real executor does; what every executor does is in tests/contract/test_executor.py."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from places import FAULTY, ROOT, SUPPORT

from ablations.costs import Workload
from ablations.errors import MeasureError, SetupError
from ablations.execution import local, memory
from ablations.execution.data import DataSource
from ablations.execution.local import LocalExecutor
from ablations.execution.train import run_trial
from ablations.execution.worker import failure
from ablations.networks import RegisteredModel
from ablations.trial import Ended, EpochRecord, Machine, Order, TrialSpec

ONE_CORE = Machine("cpu", bf16=False, num_workers=1, description="1 CPU core")


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[LocalExecutor]:
    executor = LocalExecutor(ONE_CORE, tmp_path / "data", tmp_path / "checkpoints")
    yield executor
    executor.close()


def go(spec: TrialSpec, record: EpochRecord) -> Order:
    return "go"


def until_ended(executor: LocalExecutor, on_epoch: object = go) -> Ended:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        ended = executor.wait(on_epoch, 1.0)  # type: ignore[arg-type]
        if ended:
            return ended[0]
    raise TimeoutError("the trial did not end")


def kill_worker() -> None:
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()


def cause(monkeypatch: pytest.MonkeyPatch, **faults: object) -> None:
    """Have the faults of tests/support/faulty in workers that start from now on."""
    monkeypatch.setenv("PYTHONPATH", f"{FAULTY}{os.pathsep}{ROOT}")
    monkeypatch.setenv("FAULTS", json.dumps(faults))


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


def test_a_worker_that_hangs_is_ended_and_the_next_trial_runs(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "PATIENCE_SECONDS", 1.0)
    stopped = []

    def stop_once(spec: TrialSpec, record: EpochRecord) -> Order:
        if not stopped:
            (worker,) = multiprocessing.active_children()
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGSTOP)
            stopped.append(spec)
        return "go"

    monkeypatch.setattr(local, "SLOWEST_FLOPS", 1e5)  # a worker takes seconds to start
    executor.submit(tiny.trial(seed=0))
    result = until_ended(executor, stop_once).result
    assert result is not None
    assert (result.status, result.reason) == ("failed", "hung")
    assert re.match(r"nothing was heard of it for \d+ s", result.message or "")
    executor.submit(tiny.trial(seed=1))
    monkeypatch.undo()
    result = until_ended(executor).result
    assert result is not None
    assert result.status == "finished"


def test_a_slow_epoch_is_no_hang() -> None:
    executor = LocalExecutor(ONE_CORE, Path("data"), Path("checkpoints"))
    spec = tiny.trial(data__name="fashion_mnist", data__resize=224, model__preset="nin_book", model__width=1.0)
    before = executor._patience_seconds(spec)
    assert before > 10 * local.PATIENCE_SECONDS
    executor._longest_epoch["two"] = 600.0
    assert executor._patience_seconds(spec) == local.PATIENCE_SECONDS + 20 * 600
    executor.close()


def test_a_network_that_cannot_be_counted_fails_its_trial_and_not_the_run(executor: LocalExecutor) -> None:
    spec = tiny.trial()
    refusing = replace(spec, config=replace(spec.config, model=RegisteredModel("gone", "gone 1.0", ())))
    assert executor._patience_seconds(refusing) == local.PATIENCE_SECONDS
    executor.submit(refusing)
    result = until_ended(executor).result
    assert result is not None
    assert (result.status, result.reason) == ("failed", "error")
    assert "preset: the plan has gone of gone 1.0, but no installed package registers it" in (result.message or "")


def test_a_worker_that_met_an_error_on_a_cuda_device_is_not_used_again(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny.trial()
    refusing = replace(spec, config=replace(spec.config, model=RegisteredModel("gone", "gone 1.0", ())))
    processes = set()
    for device in ("cpu", "cuda"):
        executor.submit(refusing)
        processes.update(multiprocessing.active_children())
        # Only what the driver takes it for: there is no such device here.
        monkeypatch.setattr(executor, "_device", device)
        result = until_ended(executor).result
        assert result is not None
        assert result.reason == "error"
    assert len(processes) == 1
    (worker,) = multiprocessing.active_children()
    assert worker not in processes


def test_why_a_trial_failed_is_text_that_every_store_takes() -> None:
    result = failure(tiny.trial(), "error", "OSError: /data/\udcff\0\x1b[31m\nno such file: \u00fc")
    assert result.message == "OSError: /data/\\udcff\\x00\\x1b[31m\nno such file: \u00fc"


def test_a_damaged_checkpoint_is_told_to_people(tmp_path: Path) -> None:
    told: list[str] = []
    executor = LocalExecutor(ONE_CORE, tmp_path / "data", tmp_path, told.append)
    spec = tiny.trial()
    (tmp_path / f"{spec.id}.pt").write_bytes(b"not a checkpoint")
    try:
        executor.submit(spec)
        result = until_ended(executor).result
    finally:
        executor.close()
    assert result is not None
    assert result.status == "finished"
    assert [text.split(";")[1] for text in told] == [" its trial starts anew: two, seed 0"]


def test_what_a_recorded_trial_leaves_is_removed(tmp_path: Path) -> None:
    executor = LocalExecutor(ONE_CORE, tmp_path / "data", tmp_path)
    spec = tiny.trial()
    for suffix in ("pt", "part"):
        (tmp_path / f"{spec.id}.{suffix}").write_bytes(b"")
    executor.forget(spec)
    executor.close()
    assert not list(tmp_path.iterdir())


# Memory

HUNGRY = {"model__normalization": "none", "model__width": 4.0, "train__batch_size": 128, "data__resize": 32}
"""A network whose batch takes most of its memory, and may be split."""


def test_a_batch_that_does_not_fit_is_trained_in_parts_to_the_same_end(
    executor: LocalExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny.trial(**HUNGRY)
    whole = tiny.finish(run_trial(spec, DataSource(tmp_path, "cpu"), None))
    assert whole is not None
    cause(monkeypatch, memory=Workload.of(spec.config, "cpu").memory.peak_training_bytes * 4 // 5)
    executor.submit(spec)
    result = until_ended(executor).result
    assert result is not None
    assert (result.status, result.reason, executor.num_workers) == ("failed", "out_of_memory", 1)
    executor.submit(replace(spec, accumulated_parts=4))
    split = until_ended(executor).result
    assert split is not None
    assert (split.status, split.accumulated_parts) == ("finished", 4)
    for one, other in zip(whole.epochs, split.epochs, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, rel=1e-4)


def test_a_batch_that_must_stay_whole_is_told_what_would_fit(executor: LocalExecutor) -> None:
    plan = tiny.plan()
    executor.submit(plan.trial("two", "confirm", 0, {"model.channels": (1 << 36, 8, 8)}))
    result = until_ended(executor).result
    assert result is not None
    assert (result.status, result.reason) == ("failed", "out_of_memory")
    assert "what batch normalisation computes: choose a train.batch_size of 16, which takes " in (result.message or "")


def test_memory_that_is_short_side_by_side_leaves_one_worker_fewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cause(monkeypatch, no_memory=["two 0"])
    told: list[str] = []
    executor = LocalExecutor(tiny.CPU, tmp_path / "data", tmp_path / "checkpoints", told.append)
    try:
        for seed in (0, 1):
            executor.submit(tiny.trial(seed=seed, train__epochs=50))
        ended = until_ended(executor)
        assert ended.result is not None
        assert (ended.spec.seed, ended.result.reason, executor.num_workers) == (0, "out_of_memory", 1)
        assert told == ["memory was short with 2 trials side by side; from now on one fewer at a time"]
        with pytest.raises(RuntimeError, match="all 1 workers are busy"):
            executor.submit(tiny.trial(seed=2))
        assert until_ended(executor).spec.seed == 1
        executor.submit(tiny.trial(seed=2))
        result = until_ended(executor).result
    finally:
        executor.close()
    assert result is not None
    assert result.status == "finished"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system that has killed seven processes for want of memory, none of them in a group."""
    for name in ("PROC", "CGROUPS"):
        monkeypatch.setattr(memory, name, tmp_path / "system")
    (tmp_path / "system" / "self").mkdir(parents=True)
    (tmp_path / "system" / "vmstat").write_text("nr_free_pages 12345\noom_kill 7\n")
    return tmp_path / "system"


@pytest.mark.parametrize(
    ("told", "file"),
    [
        ("0::/a/b.scope\n", "a/b.scope/memory.events"),
        ("5:devices:/\n4:cpu,memory:/a:b\n0::/\n", "memory/a:b/memory.oom_control"),
        ("0::/of/the/host\n", "memory.events"),
    ],
)
def test_memory_kills_are_counted_in_the_own_group(told: str, file: str, system: Path) -> None:
    assert memory.num_memory_kills() == 7
    (system / "self" / "cgroup").write_text(told)
    assert memory.num_memory_kills() == 7  # the system's root has no group's files
    (system / file).parent.mkdir(parents=True, exist_ok=True)
    (system / file).write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert memory.num_memory_kills() == 2


def test_a_system_that_counts_no_memory_kills_has_none(system: Path) -> None:
    (system / "vmstat").unlink()
    assert memory.num_memory_kills() == 0
    (system / "vmstat").write_text("three words here\n")
    assert memory.num_memory_kills() == 0


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


def test_a_measurement_is_given_up_when_asked(executor: LocalExecutor) -> None:
    asked = []
    with pytest.raises(MeasureError, match="the run was stopped"):
        executor.measure(Workload.of(tiny.trial().config, "cpu"), lambda: bool(asked.append(1)) or True)  # type: ignore[func-returns-value]
    assert len(asked) == 1


def test_absent_data_ends_the_study_not_the_trial(executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # an address that refuses: there is no network
    spec = tiny.trial(data__name="fashion_mnist", data__resize=None, model__preset="nin_small")
    executor.submit(spec)
    with pytest.raises(SetupError, match=r"Fashion-MNIST is not in .*data and could not be downloaded"):
        until_ended(executor)


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


def test_a_probe_leaves_as_many_workers_as_paid_and_they_train(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    executor._say = said.append
    monkeypatch.setattr(local, "num_cores", lambda: 3)
    monkeypatch.setattr(local, "best_number", lambda rate_of, most: (2, most if rate_of(2) > 0 else 0))
    executor.probe(Workload.of(tiny.trial().config, "cpu"))
    assert executor.num_workers == 2
    assert said == ["2 trainings at a time on each device: 3.00 times the images a second of one"]
    for seed in (0, 1):
        executor.submit(tiny.trial(seed=seed))
    with pytest.raises(RuntimeError, match="all 2 workers are busy"):
        executor.submit(tiny.trial(seed=2))
    until_ended(executor)


def test_a_probe_that_does_not_fit_is_silent(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "num_cores", lambda: 2)
    rates: list[float | None] = []

    def one_then_two(rate_of: Callable[[int], float | None], most: int) -> tuple[int, float]:
        rates.append(rate_of(1))
        # The second worker, and only that one, has too little memory for any step.
        cause(monkeypatch, memory=0)
        rates.append(rate_of(2))
        return 1, 1.0

    monkeypatch.setattr(local, "best_number", one_then_two)
    executor.probe(Workload.of(tiny.trial(train__batch_size=128, data__resize=32).config, "cpu"))
    assert rates[0] is not None
    assert rates[1] is None
    assert "Traceback" not in capfd.readouterr().err


def test_what_does_not_fit_is_not_tried_with_more(executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def rate(workload: Workload, number: int) -> float | None:
        tried.append(number)
        return LocalExecutor._rate(executor, workload, number) if number == 2 else 1.0

    monkeypatch.setattr(local, "num_cores", lambda: 8)
    monkeypatch.setattr(executor, "_rate", rate)
    # A worker that dies says nothing of a rate: as the system ends one when memory is short.
    monkeypatch.setattr(executor, "_answer", lambda worker: MeasureError("no answer"))
    executor.probe(Workload.of(tiny.trial().config, "cpu"))
    assert tried == [1, 2]
    assert executor.num_workers == 1
    monkeypatch.undo()
    executor.submit(tiny.trial())
    assert until_ended(executor).result.status == "finished"  # type: ignore[union-attr]
