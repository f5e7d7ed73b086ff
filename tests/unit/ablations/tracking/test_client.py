"""MLflow gets the suite's settings for the time of a call, and the process is then as it was found."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from ablations.tracking import SETTINGS, client, own_settings

NAME = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
LOGGER = logging.getLogger(client.MlflowException.__module__.partition(".")[0])


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SETTINGS, "MLFLOW_LOGGING_LEVEL"):
        monkeypatch.delenv(name, raising=False)


def test_settings_end_with_their_block() -> None:
    before, level = dict(os.environ), LOGGER.level
    with own_settings():
        assert SETTINGS.items() <= os.environ.items()
        assert LOGGER.level == logging.CRITICAL
    assert (dict(os.environ), LOGGER.level) == (before, level)
    with pytest.raises(ValueError, match="inside"), own_settings():
        raise ValueError("inside")
    assert (dict(os.environ), LOGGER.level) == (before, level)


def test_a_users_settings_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "3")
    monkeypatch.setenv("MLFLOW_LOGGING_LEVEL", "INFO")
    level = LOGGER.level
    with own_settings():
        assert (os.environ[NAME], LOGGER.level) == ("3", level)
    assert os.environ[NAME] == "3"


def test_blocks_that_overlap_in_threads_end_with_the_last_one() -> None:
    before = dict(os.environ)
    entered, may_leave = threading.Event(), threading.Event()

    def other() -> None:
        with own_settings():
            entered.set()
            may_leave.wait()

    thread = threading.Thread(target=other)
    with own_settings():
        thread.start()
        entered.wait()
    assert os.environ[NAME] == "0"
    may_leave.set()
    thread.join()
    assert dict(os.environ) == before
