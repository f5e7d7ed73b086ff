"""A report's conclusions in MLflow: on the study's run, and a run a variant; there once, however often it is told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from mlflow import MlflowClient
from mlflow.entities import Run
from stored import address
from waiting import Recorder

from ablations.analysis.summary import StudySummary
from ablations.errors import TrackingError
from ablations.networks import RegisteredModel
from ablations.session import look
from ablations.stats.judgement import Verdict
from ablations.tracking.publish import publish
from ablations.tracking.store import Store

PLAN = tiny.plan(seeds=3, search_space={})


@pytest.fixture
def uri(new_store: Callable[[], str]) -> str:
    """A store with a study of two variants, three seeds each."""
    uri = new_store()
    recorder = Recorder(Store(uri), PLAN, "text")
    for variant, accuracies in {"two": (60.0, 62.0, 64.0), "one": (50.0, 53.0, 53.0)}.items():
        for seed, accuracy_percent in enumerate(accuracies):
            spec = PLAN.trial(variant, "confirm", seed, {})
            recorder.start(spec)
            recorder.end(spec, tiny.result(spec, accuracy_percent))
    recorder.close(True)
    return uri


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report's folder, in which a person keeps something else, too."""
    folder = tmp_path / "report"
    for name in ("index.html", "summary.json", "figures/gap.png", "tables/variants.csv", "passwords.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def summary(uri: str) -> StudySummary:
    return look(address(uri))


def runs(uri: str, kind: str) -> list[Run]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tiny/starter")
    return list(client.search_runs([experiment.experiment_id], f"tags.`ablations.kind` = '{kind}'"))


def study_run(uri: str) -> Run:
    (parent,) = runs(uri, "study")
    return parent


def rows(uri: str) -> dict[str, Run]:
    return {run.data.tags["ablations.variant"]: run for run in runs(uri, "variant")}


def test_the_studys_run_has_the_answer_and_the_report(uri: str, report: Path) -> None:
    publish(Store(uri), summary(uri), "the answer", report)
    (parent,) = runs(uri, "study")
    assert parent.data.tags["mlflow.note.content"] == "the answer"
    client = MlflowClient(uri)
    found = {
        item.path
        for folder in ("report", "report/figures")
        for item in client.list_artifacts(parent.info.run_id, folder)
    }
    assert found == {
        "report/figures",
        "report/tables",
        "report/index.html",
        "report/summary.json",
        "report/figures/gap.png",
    }


def test_figures_of_an_earlier_report_are_gone(uri: str, report: Path) -> None:
    publish(Store(uri), summary(uri), "", report)
    (report / "figures" / "gap.png").unlink()
    publish(Store(uri), summary(uri), "", report)
    (parent,) = runs(uri, "study")
    assert MlflowClient(uri).list_artifacts(parent.info.run_id, "report/figures") == []


def test_a_variant_has_a_run_with_its_mean_and_what_it_differs_by(uri: str, report: Path) -> None:
    publish(Store(uri), summary(uri), "", report)
    (parent,) = runs(uri, "study")
    one = rows(uri)["one"]
    assert (one.info.run_name, one.info.status) == ("one, mean of 3 seeds", "FINISHED")
    assert one.data.tags["mlflow.parentRunId"] == parent.info.run_id
    costs = {name: str(getattr(summary(uri)["one"], name[4:])) for name in ("num_params", "num_macs")}
    assert one.data.params == {"model.mixers": "1", **costs}
    assert rows(uri)["two"].data.params["model.mixers"] == "2"
    expected = {
        "num_seeds": 3.0,
        "num_failed": 0.0,
        "mean_test_accuracy_percent": 52.0,
        "sd_test_accuracy_percent": 3**0.5,
        # Student's t for two degrees of freedom.
        "mean_test_accuracy_percent_lower": 52 - 4.302653,
        "mean_test_accuracy_percent_upper": 52 + 4.302653,
        "difference_points": -10.0,
    }
    assert {key: one.data.metrics[key] for key in expected} == pytest.approx(expected)
    assert one.data.metrics["difference_points_lower"] < -10 < one.data.metrics["difference_points_upper"]
    assert "`one` scored 10.00 points below `two`" in one.data.tags["mlflow.note.content"]
    assert "difference_points" not in rows(uri)["two"].data.metrics


def test_a_registered_network_has_the_dials_that_vary_too(uri: str, report: Path) -> None:
    whole = summary(uri)
    two = whole["two"]
    own = replace(two, workload=replace(two.workload, model=RegisteredModel("own", "own 1.0", (("mixers", 2),))))
    publish(Store(uri), replace(whole, variants=(own, *whole.variants[1:])), "", report)
    assert {name: run.data.params["model.mixers"] for name, run in rows(uri).items()} == {"two": "2", "one": "1"}


def test_the_same_report_once_more_makes_no_other_run(uri: str, report: Path) -> None:
    publish(Store(uri), summary(uri), "", report)
    before = {name: run.info.run_id for name, run in rows(uri).items()}
    publish(Store(uri), summary(uri), "", report)
    assert {name: run.info.run_id for name, run in rows(uri).items()} == before
    assert len(runs(uri, "variant")) == 2
    assert summary(uri) == summary(uri)


def test_the_runs_of_variants_are_below_the_studys_run(uri: str, report: Path) -> None:
    publish(Store(uri), summary(uri), "", report)
    # They were below a run of the study that does not count any more.
    MlflowClient(uri).set_tag(rows(uri)["one"].info.run_id, "mlflow.parentRunId", "0" * 32)
    publish(Store(uri), summary(uri), "", report)
    (parent,) = runs(uri, "study")
    assert len(runs(uri, "variant")) == 2
    assert {run.data.tags["mlflow.parentRunId"] for run in rows(uri).values()} == {parent.info.run_id}


def test_a_deleted_run_of_a_variant_is_made_again(uri: str, report: Path) -> None:
    publish(Store(uri), summary(uri), "", report)
    MlflowClient(uri).delete_run(rows(uri)["one"].info.run_id)
    publish(Store(uri), summary(uri), "", report)
    assert set(rows(uri)) == {"one", "two"}


def test_other_results_replace_the_runs_of_earlier_ones(uri: str, report: Path) -> None:
    whole = summary(uri)
    publish(Store(uri), whole, "", report)
    two = rows(uri)["two"].info.run_id
    fewer = tuple(replace(each, mean_accuracy_percent=None) if each.name == "one" else each for each in whole.variants)
    publish(Store(uri), replace(whole, variants=fewer), "", report)
    assert {name: run.info.run_id for name, run in rows(uri).items()} == {"two": two}


def test_accuracies_that_are_equal_but_for_rounding_have_no_interval(uri: str, report: Path) -> None:
    whole = summary(uri)
    accuracy = {0: 90.0, 1: 90.0 + 1e-12, 2: 90.0}
    variants = tuple(replace(each, accuracy_percent=accuracy) for each in whole.variants)
    publish(Store(uri), replace(whole, variants=variants), "", report)
    assert (
        not {"mean_test_accuracy_percent_lower", "mean_test_accuracy_percent_upper"}
        & rows(uri)["one"].data.metrics.keys()
    )


def test_half_a_run_is_replaced_after_a_death(uri: str, report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*arguments: object, **named: object) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_batch", die)
        with pytest.raises(TrackingError, match="killed"):
            publish(Store(uri), summary(uri), "", report)
    (half,) = runs(uri, "variant")
    publish(Store(uri), summary(uri), "", report)
    assert set(rows(uri)) == {"one", "two"}
    assert half.info.run_id not in {run.info.run_id for run in runs(uri, "variant")}


def test_the_studys_run_has_differences_verdicts_and_settings(uri: str, report: Path) -> None:
    whole = summary(uri)
    (contrast,) = whole.contrasts
    judged = replace(contrast, judgement=replace(contrast.judgement, verdict=Verdict.WORSE_BY_MORE))
    publish(Store(uri), replace(whole, contrasts=(judged,)), "", report)
    run = study_run(uri)
    assert run.data.metrics["difference_points/one"] == pytest.approx(-10)
    assert run.data.metrics["difference_points_lower/one"] < -10 < run.data.metrics["difference_points_upper/one"]
    counts = {"num_better": 0, "num_worse": 1, "num_equivalent": 0, "num_undecided": 0, "num_without_verdict": 0}
    assert {key: run.data.metrics[key] for key in counts} == counts
    assert (run.data.metrics["num_seeds"], run.data.metrics["num_failed"]) == (3, 0)
    expected = {
        "profile": "starter",
        "baseline": "two",
        "variants": "two, one",
        "margin_points": f"{PLAN.decision.margin:g}",
        "alpha": "0.05",
        "looks": "3",
    }
    assert {key: run.data.params[key] for key in expected} == expected
    assert rows(uri)["one"].data.tags["ablations.verdict"] == "worse by more than the margin"
    assert "ablations.verdict" not in rows(uri)["two"].data.tags


def test_the_same_report_once_more_writes_nothing(uri: str, report: Path) -> None:
    publish(Store(uri), summary(uri), "", report)
    client, before = MlflowClient(uri), study_run(uri)
    tags = client.get_experiment(before.info.experiment_id).tags
    publish(Store(uri), summary(uri), "", report)
    assert study_run(uri).to_dictionary() == before.to_dictionary()
    assert client.get_experiment(before.info.experiment_id).tags == tags
    for key in before.data.metrics:
        assert len(client.get_metric_history(before.info.run_id, key)) == 1


def test_another_report_replaces_the_metrics(uri: str, report: Path) -> None:
    whole = summary(uri)
    (contrast,) = whole.contrasts
    other = replace(contrast, judgement=replace(contrast.judgement, mean=-9.0))
    publish(Store(uri), whole, "", report)
    publish(Store(uri), replace(whole, contrasts=(other,)), "", report)
    assert study_run(uri).data.metrics["difference_points/one"] == -9
    for _ in range(2):
        publish(Store(uri), replace(whole, contrasts=()), "", report)
        assert math.isnan(study_run(uri).data.metrics["difference_points/one"])
    history = MlflowClient(uri).get_metric_history(study_run(uri).info.run_id, "difference_points/one")
    assert len(history) == 3


def test_a_param_that_is_another_now_is_named(uri: str, report: Path) -> None:
    whole = summary(uri)
    publish(Store(uri), whole, "", report)
    publish(Store(uri), replace(whole, baseline="one"), "", report)
    run = study_run(uri)
    assert run.data.params["baseline"] == "two"
    assert run.data.tags["ablations.params_message"] == "MLflow cannot change params. Now baseline is one (was two)."
    publish(Store(uri), whole, "", report)
    assert "ablations.params_message" not in study_run(uri).data.tags


def test_the_experiment_says_what_it_asks_and_what_opens_the_report(uri: str, report: Path) -> None:
    publish(Store(uri), replace(summary(uri), question="Is *one* enough, for <b>?"), "", report)
    experiment = MlflowClient(uri).get_experiment_by_name("tiny/starter")
    text = experiment.tags["mlflow.note.content"]
    assert text.startswith("**Is \\*one\\* enough, for &lt;b&gt;?**\n")
    # Of a folder that may be moved.
    assert "in the folder of its database: `python -m ablations ui tiny --profile starter`" in text
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_the_commands_of_an_experiment_on_a_server_name_it(uri: str, report: Path) -> None:
    whole = summary(uri)
    away = {**whole.provenance, "tracking_uri": "http://host:5000"}
    publish(Store(uri), replace(whole, provenance=away), "", report)
    text = MlflowClient(uri).get_experiment_by_name("tiny/starter").tags["mlflow.note.content"]
    assert "this command: `python -m ablations ui tiny --profile starter --tracking-uri http://host:5000`" in text


def test_a_run_of_an_older_version_gets_its_source(uri: str, report: Path) -> None:
    client = MlflowClient(uri)
    client.delete_tag(study_run(uri).info.run_id, "mlflow.source.name")
    whole = summary(uri)
    publish(Store(uri), replace(whole, provenance={**whole.provenance, "commit": "abc123"}), "", report)
    tags = study_run(uri).data.tags
    assert tags["mlflow.source.name"] == "tiny.yaml"
    assert tags["mlflow.source.git.commit"] == "abc123"
