"""The made-up studies and their reports as fixtures."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from made_up import STUDIES, MakeStudy, Report

from ablations.reporting.render import write_report

CREATED = "2026-01-02 03:04 UTC"


@pytest.fixture(scope="session", params=STUDIES)
def study_name(request: pytest.FixtureRequest) -> str:
    """Each made-up study in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def make_study() -> MakeStudy:
    """A made-up study by its name."""
    return lambda name: STUDIES[name]()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The folder with a study's report. It is written once; any warning is an error."""
    root = tmp_path_factory.mktemp("reports")

    def folder(name: str) -> Path:
        path = root / name
        if not path.exists():
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                write_report(STUDIES[name](), path, created=CREATED)
        return path

    return folder
