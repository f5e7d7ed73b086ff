"""`summary.json`, which other programs read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from ablations.analysis import StudySummary
from ablations.reporting.summary import SCHEMA_VERSION, summary_json

MakeStudy = Callable[[str], StudySummary]


def test_keys(make_study: MakeStudy) -> None:
    document = summary_json(make_study("ordinary"), "now")
    top = {"study", "profile", "baseline", "variants", "contrasts", "provenance", "created", "schema_version"}
    assert top <= set(document)
    assert document["created"] == "now"
    assert document["schema_version"] == SCHEMA_VERSION
    assert list(document["variants"]) == ["two", "none", "one", "three", "none_wide"]
    assert {"params", "macs", "accuracy_percent", "mean_accuracy_percent", "sd_accuracy_percent", "tuned"} <= set(
        document["variants"]["two"]
    )
    assert set(document["variants"]["two"]["accuracy_percent"]) == {"0", "1", "2", "3", "4"}
    assert list(document["contrasts"]) == ["none", "one", "three", "none_wide"]


def test_contrasts(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    contrast = summary_json(summary, "now")["contrasts"]["none"]
    lower, upper = contrast["interval"]
    assert lower < contrast["difference"] < upper < 0
    assert contrast["num_pairs"] == 5
    assert contrast["verdict"] == summary.contrasts[0].judgement.verdict.value
    assert contrast["versus"] == "two"
    assert contrast["expect"] == "worse"
    assert contrast["sentence"] == summary.contrasts[0].sentence


def test_what_the_seeds_show_beyond_the_difference(make_study: MakeStudy) -> None:
    document = summary_json(make_study("ordinary"), "now")
    variant, contrast = document["variants"]["two"], document["contrasts"]["none"]
    assert variant["failure_rate_interval"] == [0.0, pytest.approx(0.52, abs=0.01)]
    assert contrast["probability_of_improvement_interval"] == [0.0, pytest.approx(0.52, abs=0.01)]
    assert contrast["p_failures"] == 1.0
    assert 0 < contrast["detectable_difference"] < 1
    assert contrast["detectable_difference_limit"] is None
    assert set(contrast["disagreement_percent"]) == {"0", "1", "2", "3", "4"}
    assert 0 < variant["reseed_disagreement_percent"] < 100
    assert len(variant["expected_best_of_n_percent"]) == 8
    nothing = summary_json(make_study("unstarted"), "now")
    assert nothing["variants"]["two"]["failure_rate_interval"] is None
    assert nothing["contrasts"]["none"]["p_failures"] is None


def test_missing_numbers_are_null(make_study: MakeStudy) -> None:
    document = summary_json(make_study("troubled"), "now")
    contrast, variant = document["contrasts"]["not_run_yet"], document["variants"]["not_run_yet"]
    assert contrast["interval"] is None
    assert contrast["difference"] is None
    assert contrast["num_pairs"] == 0
    assert variant["mean_accuracy_percent"] is None
    assert variant["missing_seeds"] == list(range(10))
    assert document["variants"]["learns_nothing_at_all"]["failed_seeds"] == list(range(10))


def test_numbers_that_are_not_finite_are_null(make_study: MakeStudy) -> None:
    summary = make_study("alone")
    broken = replace(summary, provenance={"loss": float("nan"), "more": [float("inf"), 1.5, {"at": object}]})
    provenance = summary_json(broken, "now")["provenance"]
    assert provenance == {"loss": None, "more": [None, 1.5, {"at": str(object)}]}
    json.dumps(summary_json(broken, "now"), allow_nan=False)
