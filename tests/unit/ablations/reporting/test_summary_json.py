"""`summary.json` and its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from made_up import MakeStudy, Report

from ablations.reporting.summary_json import SCHEMA_FILE, SCHEMA_VERSION, summary_json
from ablations.stats.judgement import Verdict

SCHEMA = json.loads(files("ablations.reporting").joinpath(SCHEMA_FILE).read_text(encoding="utf-8"))


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
    assert contrast["paragraph"] == summary.contrasts[0].paragraph


def test_what_the_seeds_show_beyond_the_difference(make_study: MakeStudy) -> None:
    document = summary_json(make_study("ordinary"), "now")
    variant, contrast = document["variants"]["two"], document["contrasts"]["none"]
    assert variant["failure_rate_interval"] == [0.0, pytest.approx(0.52, abs=0.01)]
    assert contrast["probability_of_improvement_interval"] == [0.0, pytest.approx(0.52, abs=0.01)]
    assert contrast["p_failures"] == 1.0
    assert (contrast["p_sign_flip_floor"], contrast["fragile"], contrast["image_floor"]) == (0.0625, False, None)
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


def wrong(document: Any) -> list[str]:
    """Errors of a document by the schema."""
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(SCHEMA).iter_errors(document)]


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """All objects with fixed keys in a document."""
    yield value
    yield value["decision"]
    for variant in value["variants"].values():
        yield from (variant, variant["workload"], variant["memory"])
        yield from filter(None, [variant["measured"]])
    for contrast in value["contrasts"].values():
        yield contrast
        yield from filter(None, [contrast["seeds_needed"]])


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_report_has_its_schema_beside_it(report: Report, study_name: str) -> None:
    folder = report(study_name)
    document = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert json.loads((folder / document["$schema"]).read_text(encoding="utf-8")) == SCHEMA
    assert wrong(document) == []


def test_no_key_may_be_added_or_left_out_without_the_schema(make_study: MakeStudy) -> None:
    document = summary_json(make_study("searched_widely"), "now")
    document["contrasts"]["three"]["seeds_needed"] = {"num": 1, "low": 1, "high": 2}
    assert wrong(document) == []
    for number, keys in enumerate(map(list, objects(document))):
        for key in keys:
            changed = deepcopy(document)
            del list(objects(changed))[number][key]
            assert wrong(changed), f"{key} may be left out"
        changed = deepcopy(document)
        list(objects(changed))[number]["new"] = None
        assert wrong(changed), f"a key may stand beside {keys}"


def test_every_key_is_described() -> None:
    definitions = SCHEMA["$defs"]
    for name, definition in definitions.items():
        for key, value in definition.get("properties", {}).items():
            referred = definitions[value["$ref"].rpartition("/")[2]] if "$ref" in value else {}
            assert value.get("description") or referred.get("description"), f"{name}.{key}"


def test_every_verdict_is_in_the_schema() -> None:
    assert SCHEMA["$defs"]["verdict"]["enum"] == [verdict.value for verdict in Verdict]


@pytest.mark.parametrize(("key", "value"), [("accuracy_percent", {"zero": 98.0}), ("tuned", {"train.lr": [1]})])
def test_values_of_the_wrong_kind_are_refused(make_study: MakeStudy, key: str, value: Any) -> None:
    document = summary_json(make_study("ordinary"), "now")
    document["variants"]["two"][key] = value
    assert wrong(document)
