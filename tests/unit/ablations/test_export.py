"""What is written for other programs, read as they read it: pandas and Optuna."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
import pandas
import pytest
import tiny

from ablations.export import write_export
from ablations.planning.plan import Plan
from ablations.trial import RecordedTrial


def searched(plan: Plan, number: int, status: str = "finished", seed: int = 0, **values: Any) -> RecordedTrial:
    """A tuning trial of the variant `two`, at 90 % and its number."""
    spec = plan.trial("two", "tune", seed, {key.replace("__", "."): value for key, value in values.items()}, number)
    result = tiny.result(spec, 90.0 + number, status)
    trial = RecordedTrial(f"run{number}", "two", plan["two"].key, "tune", seed, number, spec.hyperparameters, result)
    started_ms = 1_700_000_000_000 + 60_000 * number
    return replace(trial, started_ms=started_ms, ended_ms=started_ms + 1_500)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return tiny.plan(search_space=tiny.CONDITIONAL)


@pytest.fixture(scope="module")
def folder(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = plan.trial("two", "confirm", 0, {"train.lr": 0.1, "train.optimizer": "adamw"})
    confirmed = RecordedTrial(
        "run9", "two", plan["two"].key, "confirm", 0, None, spec.hyperparameters, tiny.result(spec, 80.0)
    )
    trials = [
        searched(plan, 0, train__lr=0.05, train__optimizer="sgd", train__momentum=0.9),
        searched(plan, 1, train__lr=0.1, train__optimizer="adamw"),
        searched(plan, 1, seed=1, train__lr=0.1, train__optimizer="adamw"),
        searched(plan, 2, "failed", train__lr=0.2, train__optimizer="adamw"),
        confirmed,
    ]
    folder = tmp_path_factory.mktemp("an export, 100 %")
    for _ in range(2):  # the second time in place of the first
        names = [path.name for path in write_export(plan, trials, folder)]
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    assert names == ["trials.csv", "trials.parquet", "epochs.csv", "epochs.parquet", "tuning.db"]
    return folder


def test_a_row_of_the_curves_is_an_epoch_of_a_trial(folder: Path) -> None:
    table = pandas.read_parquet(folder / "epochs.parquet")
    trials = pandas.read_parquet(folder / "trials.parquet")
    assert list(table)[:6] == ["variant", "phase", "seed", "number", "epoch", "step"]
    assert {"train_loss", "validation_loss", "validation_accuracy_percent", "learning_onset_step"} < set(table)
    assert set(table.trial_id) == set(trials.trial_id[trials.status == "finished"])
    assert table.number.dtype == "Int64"
    one = table[(table.phase == "tune") & (table.number == 1) & (table.seed == 0)]
    assert list(one.epoch) == list(range(1, len(one) + 1))
    assert one.validation_accuracy_percent.iloc[-1] == 91.0
    read = pandas.read_csv(folder / "epochs.csv", dtype={"number": "Int64", "learning_onset_step": "Int64"})
    pandas.testing.assert_frame_equal(read, table, check_dtype=False)


def test_a_row_is_a_trial(folder: Path) -> None:
    table = pandas.read_parquet(folder / "trials.parquet")
    assert list(table) == [
        "variant",
        "phase",
        "seed",
        "number",
        "status",
        "validation_accuracy_percent",
        "test_accuracy_percent",
        "train.lr",
        "train.optimizer",
        "train.momentum",
        "trial_id",
        "run_id",
    ]
    assert table.variant.tolist() == ["two"] * 5
    assert table["train.lr"].tolist() == [0.05, 0.1, 0.1, 0.2, 0.1]
    assert table.test_accuracy_percent.tolist()[-1] == 80.0
    assert table.validation_accuracy_percent.isna().tolist() == [False, False, False, True, False]
    pandas.testing.assert_frame_equal(pandas.read_csv(folder / "trials.csv"), table, check_dtype=False)


def test_choices_of_several_types_are_written_as_text(plan: Plan, tmp_path: Path) -> None:
    one = searched(plan, 0, train__lr=0.1, train__optimizer="adamw")
    several = [replace(one, hyperparameters={"x": value}) for value in (True, "all", 3)]
    assert list(write_export(tiny.plan(search_space={}), several, tmp_path)) == [
        tmp_path / "trials.csv",
        tmp_path / "trials.parquet",
        tmp_path / "epochs.csv",
        tmp_path / "epochs.parquet",
    ]
    assert pandas.read_parquet(tmp_path / "trials.parquet").x.tolist() == ["True", "all", "3"]


def test_optuna_reads_the_search(folder: Path) -> None:
    storage = f"sqlite:///{folder / 'tuning.db'}"
    assert optuna.get_all_study_names(storage) == ["tiny/starter/two", "tiny/starter/one"]
    study = optuna.load_study(study_name="tiny/starter/two", storage=storage)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL"]
    assert (study.best_value, study.best_params) == (91.0, {"train.lr": 0.1, "train.optimizer": "adamw"})
    assert study.trials[0].distributions["train.lr"] == optuna.distributions.FloatDistribution(0.01, 0.2, log=True)
    assert study.trials[0].intermediate_values == {1: 90.0, 2: 90.0, 3: 90.0}
    assert study.trials[2].user_attrs == {
        "number": 1,
        "seed": 1,
        "is_rerun": True,
        "chosen": True,
        "status": "finished",
        "run_id": "run1",
    }


def test_optuna_reads_when_trials_ran_and_which_values_were_chosen(folder: Path) -> None:
    storage = f"sqlite:///{folder / 'tuning.db'}"
    study = optuna.load_study(study_name="tiny/starter/two", storage=storage)
    assert study.metric_names == ["validation_accuracy_percent"]
    assert study.user_attrs == {"chosen": {"train.lr": 0.1, "train.optimizer": "adamw"}}
    assert [trial.user_attrs["chosen"] for trial in study.trials] == [False, True, True, False]
    second = study.trials[1]
    assert second.datetime_start is not None
    assert second.datetime_start.timestamp() == 1_700_000_060
    assert second.duration == timedelta(seconds=1.5)
    table = study.trials_dataframe(attrs=("number", "value", "duration", "user_attrs"))
    assert table["user_attrs_chosen"].tolist() == [False, True, True, False]
    # Nothing is confirmed.
    assert optuna.load_study(study_name="tiny/starter/one", storage=storage).user_attrs == {}


def test_the_search_is_written_to_the_folder_that_was_named(plan: Plan, tmp_path: Path) -> None:
    # SQLAlchemy would take the first one for "a b", and the end of the second one for options.
    for name in ("a%20b", "why?"):
        (tmp_path / name).mkdir()
        files = list(write_export(plan, [searched(plan, 0, train__lr=0.1, train__optimizer="adamw")], tmp_path / name))
        assert sorted(files) == sorted((tmp_path / name).iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"a%20b", "why?"}
