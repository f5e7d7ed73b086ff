"""A study in MLflow's pages: saved views of its runs, and the addresses that open them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import tiny
from mlflow import MlflowClient
from stored import address
from waiting import Recorder

from ablations.errors import TrackingError
from ablations.session import look
from ablations.tracking.pages import views
from ablations.tracking.publish import publish
from ablations.tracking.reader import study_pages
from ablations.tracking.store import Address, Store

PLAN = tiny.plan(seeds=2, search_space={})


@pytest.fixture
def uri(new_store: Callable[[], str]) -> str:
    """A store with a study of two variants."""
    uri = new_store()
    recorder = Recorder(Store(uri), PLAN, "text", session={"commit": "abc123"})
    for variant in ("two", "one"):
        for seed, accuracy_percent in enumerate((60.0, 62.0) if variant == "two" else (70.0, 73.0)):
            spec = PLAN.trial(variant, "confirm", seed, {})
            recorder.start(spec)
            recorder.end(spec, tiny.result(spec, accuracy_percent))
    recorder.close(True)
    return uri


def state(tags: dict[str, str], view: str) -> dict[str, Any]:
    saved = json.loads(tags[f"mlflow.sharedViewState.{view}"])
    assert set(saved) == {"name", "createdAt", "updatedAt", "state"}
    found: dict[str, Any] = json.loads(saved["state"])
    return found


def test_every_page_of_a_reported_study_has_an_address(uri: str, tmp_path: Path) -> None:
    publish(Store(uri), look(address(uri)), "", tmp_path)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tiny/starter").experiment_id
    found = client.search_runs([experiment])
    ids = {run.info.run_name: run.info.run_id for run in found}
    pages = study_pages(address(uri))
    assert list(pages) == ["study", "report", "variants", "compare", "charts"]
    run = f"#/experiments/{experiment}/runs/{ids['tiny']}"
    assert pages["study"] == f"{run}?workflowType=machine_learning"
    assert pages["report"] == f"{run}/artifacts/report/index.html?workflowType=machine_learning"
    compared = parse_qs(pages["compare"].partition("?")[2])
    # The best one first.
    assert json.loads(compared["runs"][0]) == [ids["one, mean of 2 seeds"], ids["two, mean of 2 seeds"]]
    assert json.loads(compared["experiments"][0]) == [experiment]
    tags = client.get_experiment(experiment).tags
    for page in ("variants", "charts"):
        (view,) = re.findall("viewStateShareKey=([^&]+)", pages[page])
        assert f"mlflow.sharedViewState.{view}" in tags
    assert "compareRunsMode=CHART" in pages["charts"]


def test_a_study_without_a_report_has_one_page(uri: str) -> None:
    assert list(study_pages(address(uri))) == ["study"]
    with pytest.raises(TrackingError, match="holds no study 'tiny' at profile 'book'"):
        study_pages(Address("tiny", "book", Store(uri)))


def test_the_view_of_the_variants_is_sorted_by_accuracy_which_is_its_first_column(uri: str, tmp_path: Path) -> None:
    publish(Store(uri), look(address(uri)), "", tmp_path)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tiny/starter")
    view = state(experiment.tags, "ablations-variants")
    assert view["orderByKey"] == view["columnOrder"][0] == view["selectedColumns"][0]
    found = client.search_runs(
        [experiment.experiment_id], view["searchFilter"], order_by=[f"{view['orderByKey']} DESC"]
    )
    assert [run.data.tags["ablations.variant"] for run in found] == ["one", "two"]
    have = {
        *(f"metrics.`{key}`" for run in found for key in run.data.metrics),
        *(f"params.`{key}`" for run in found for key in run.data.params),
        *(f"tags.`{key}`" for run in found for key in run.data.tags),
    }
    assert set(view["selectedColumns"]) <= have
    assert "params.`model.mixers`" in view["selectedColumns"]


def test_the_view_of_the_confirmations_finds_them_and_their_columns(uri: str, tmp_path: Path) -> None:
    publish(Store(uri), look(address(uri)), "", tmp_path)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tiny/starter")
    view = state(experiment.tags, "ablations-confirmations")
    found = client.search_runs(
        [experiment.experiment_id], view["searchFilter"], order_by=[f"{view['orderByKey']} DESC"]
    )
    assert [run.data.metrics["test_accuracy_percent"] for run in found] == [73, 70, 62, 60]
    assert view["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "ablations.variant"}]
    plotted = {chart["metricKey"] for chart in view["compareRunCharts"]}
    assert plotted <= found[0].data.metrics.keys()


def test_a_study_that_tunes_has_a_view_of_its_search() -> None:
    assert [view.name for view in views(["model.mixers"], [])] == ["Variants", "Confirmations"]
    assert [view.name for view in views(["model.mixers"], ["train.lr"])] == ["Variants", "Confirmations", "Search"]


def test_views_of_many_settings_fit_in_a_tag() -> None:
    keys = [f"train.some_quite_long_name_{number}" for number in range(60)]
    for view in views(keys, keys):
        assert len(view.to_json(0)) <= 5000


def test_every_run_names_its_source_and_version(uri: str) -> None:
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name("tiny/starter").experiment_id])
    assert len(found) == 5
    for run in found:
        assert run.data.tags["mlflow.source.name"] == "tiny.yaml"
        assert run.data.tags["mlflow.source.type"] == "LOCAL"
        assert run.data.tags["mlflow.source.git.commit"] == "abc123"
