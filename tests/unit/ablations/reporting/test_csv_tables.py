"""Tables as CSV."""

from __future__ import annotations

import csv

from made_up import MakeStudy, Report


def test_tables_have_a_row_for_everything(report: Report, make_study: MakeStudy) -> None:
    summary = make_study("troubled")

    def rows(name: str) -> list[dict[str, str]]:
        with (report("troubled") / "tables" / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    assert [row["variant"] for row in rows("variants.csv")] == [variant.name for variant in summary.variants]
    for row, each in zip(rows("costs.csv"), summary.variants, strict=True):
        assert (row["variant"], int(row["flops"])) == (each.name, 2 * each.macs)
        assert int(row["peak_training_bytes"]) == each.memory.peak_training_bytes
        assert row["measured_processor"] == (each.measured.processor if each.measured else "")
    assert [row["variant"] for row in rows("contrasts.csv")] == [contrast.variant for contrast in summary.contrasts]
    outcomes = [row["outcome"] for row in rows("accuracy_by_seed.csv")]
    assert len(outcomes) == 12 * 10
    assert outcomes.count("did not learn") == 14
    assert outcomes.count("missing") == 20
    assert len(rows("tuning.csv")) == sum(len(variant.tuning) for variant in summary.variants)
    assert all(0.01 <= float(row["train.lr"]) <= 0.3 for row in rows("tuning.csv"))


def test_a_key_that_a_trial_did_not_search_is_an_empty_cell(report: Report) -> None:
    with (report("searched_widely") / "tables" / "tuning.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["train.optimizer"] for row in rows} == {"sgd", "adamw"}
    for row in rows:
        assert (row["train.momentum"] != "") is (row["train.optimizer"] == "sgd")
