"""`export`: the files, and its messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import Command


@pytest.mark.usefixtures("store")
def test_a_study_is_exported(command: Command) -> None:
    code, out, err = command("export", "other", "--output", "for others")
    assert (code, err) == (0, "")
    assert out == (
        "for others/other/starter/trials.csv: 0 trials\n"
        "for others/other/starter/trials.parquet: 0 trials\n"
        "for others/other/starter/epochs.csv: the epochs of 0 trials\n"
        "for others/other/starter/epochs.parquet: the epochs of 0 trials\n"
        "for others/other/starter/tuning.db: the search; look at it with: "
        "optuna-dashboard 'sqlite:///for others/other/starter/tuning.db'\n"
    )
    assert len(list(Path("for others/other/starter").iterdir())) == 5


@pytest.mark.usefixtures("store")
def test_what_cannot_be_exported_is_told(command: Command) -> None:
    assert command("export", "othe")[2].startswith(
        f"error: sqlite:///{Path.cwd() / 'mlflow.db'} holds no study 'othe'; did you"
    )
    Path("exports").write_text("in the way")
    assert command("export", "other") == (
        2,
        "",
        "error: nothing can be written to exports/other/starter: Not a directory. Name another with --output.\n",
    )
