"""One driver a study; the other one is another process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest
from places import ROOT
from stored import address

from ablations.errors import TrackingError
from ablations.tracking.lock import held_by, hold
from ablations.tracking.store import Address, Store

HOLD = """
import sys, time
from ablations.tracking.lock import hold
from ablations.tracking.store import Address, Store
with hold(Address("tiny", "starter", Store(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def other(uri: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, uri]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_driver_is_told_which_process_holds_the_study(uri: str, other: subprocess.Popen[str]) -> None:
    with pytest.raises(
        TrackingError, match=rf"^tiny at profile starter is already being run by process {other.pid} on "
    ):
        hold(address(uri)).__enter__()


def test_another_study_or_profile_is_free(uri: str, other: subprocess.Popen[str]) -> None:
    with hold(Address("tiny", "laptop", Store(uri))), hold(Address("other", "starter", Store(uri))):
        pass


def test_the_lock_of_a_killed_driver_is_free(uri: str, other: subprocess.Popen[str]) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    with hold(address(uri)):
        pass


def test_a_study_is_free_again_after_its_run(uri: str) -> None:
    for _ in range(2):
        with hold(address(uri)):
            pass
    with pytest.raises(ZeroDivisionError), hold(address(uri)):
        raise ZeroDivisionError
    with hold(address(uri)):
        pass


def test_a_folder_that_cannot_be_written_to_is_said(uri: str, tmp_path: Path) -> None:
    (tmp_path / ".ablations").write_text("a file where the folder should be")
    with pytest.raises(TrackingError, match="cannot be locked in"):
        hold(address(uri)).__enter__()


def test_a_lock_that_cannot_be_opened_tells_nothing_for_sure(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    description = address(uri).store.state_folder / "locks" / "tiny-starter.json"
    with hold(address(uri)):
        text = description.read_text()
    description.write_text(text)  # as a killed driver leaves it

    def refuse(*arguments: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    told = held_by(address(uri))
    assert told is not None
    assert re.fullmatch(r"process \d+ on .*, unless it was killed: its lock cannot be opened here", told)


def test_drivers_on_a_server_meet_in_their_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with hold(address("http://127.0.0.1:1")):
        assert (tmp_path / ".ablations" / "locks" / "tiny-starter.lock").exists()
