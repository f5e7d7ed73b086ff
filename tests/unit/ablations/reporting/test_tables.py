"""Rows of the report's tables: variants, costs, and the statistics of each contrast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
from made_up import MakeStudy

from ablations.reporting import prose, words
from ablations.reporting.csv_tables import csv_tables
from ablations.reporting.latex import latex_tables
from ablations.reporting.render import html, markdown
from ablations.reporting.summary_json import summary_json
from ablations.reporting.tables import contrast_details, cost_table, main_table
from ablations.text import mebibytes


def test_the_table_says_what_a_variant_is_compared_with_where_that_is_not_the_baseline(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, second, *rest = summary.contrasts
    summary = replace(summary, contrasts=(first, replace(second, versus=first.variant), *rest))
    assert [row.against for row in main_table(summary)] == ["", "", "against none", "", ""]
    assert "against <code>none</code></span>" in html(summary, [], created="now")
    assert f"| one | none | {words.effect(second, 0.5).partition(' ')[0]} |" in markdown(summary, [], created="now")
    assert r"\texttt{one} vs. \texttt{none} & " in latex_tables(summary)["variants.tex"]


def test_rows_without_a_number_have_no_key_to_sort_by(make_study: MakeStudy) -> None:
    rows = {row.name: row.sort_keys for row in main_table(make_study("troubled"))}
    assert rows["not_run_yet"]["difference"] == rows["not_run_yet"]["accuracy"] == ""
    assert rows["book_network_as_it_is_printed"]["difference"] == ""
    assert isinstance(rows["half_done"]["difference"], float)


def test_details_tell_wins_and_failures_with_their_bounds(make_study: MakeStudy) -> None:
    rows = {row.name: row.cells for row in contrast_details(make_study("troubled"))}
    narrowed, nothing, unstarted, *_ = rows.values()
    assert narrowed["Did not learn"] == "3 of 9 (7 to 70 %)"
    assert narrowed["p, failures"] == "0.5", "seeds 1 and 2 against none"
    assert nothing["Did not learn"] == "10 of 10 (69 to 100 %)"
    assert nothing["p, failures"] == "0.0039", "nine seeds against none"
    assert nothing["Chance of a win"] == words.DASH
    assert unstarted["Did not learn"] == unstarted["p, failures"] == words.DASH
    assert narrowed["p, sign flips (least possible)"].endswith(" (0.031)"), "six pairs"
    assert unstarted["p, sign flips (least possible)"] == words.DASH
    (row,) = contrast_details(make_study("hostile"))
    assert (row.cells["Wins, losses, ties"], row.cells["Chance of a win"]) == ("0, 5, 0", "up to 52 %")


def test_a_chance_of_a_win_is_not_looked_for_among_ties(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = summary.contrasts
    judgement = replace(first.judgement, wins=0, losses=0, ties=5, probability_of_improvement=None)
    row, *_ = contrast_details(replace(summary, contrasts=(replace(first, judgement=judgement), *others)))
    assert row.cells["Chance of a win"] == "all tied"


def test_the_difference_without_one_seed_stands_in_the_details_and_as_a_table(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    contrast = summary.contrasts[0]
    left = {
        seed: np.mean([d for other, d in contrast.differences.items() if other != seed])
        for seed in contrast.differences
    }
    low, high = (words.points(end(left.values()), signed=True) for end in (min, max))
    assert contrast_details(summary)[0].cells["Without one seed"] == f"{low} to {high}"
    rows = csv_tables(summary)["without_one.csv"].splitlines()
    assert rows[0] == "variant,versus,unit,number,difference,lower,upper,verdict"
    assert [row.split(",")[:4] for row in rows[1:6]] == [["none", "two", "seed", str(seed)] for seed in range(5)]
    assert [float(row.split(",")[4]) for row in rows[1:6]] == pytest.approx(list(left.values()))
    assert {row.cells["Without one seed"] for row in contrast_details(make_study("searched_widely"))} == {words.DASH}
    document = summary_json(summary, "now")["contrasts"]["none"]["without_unit"]
    assert {int(seed): each["difference"] for seed, each in document.items()} == pytest.approx(left)
    assert all(each["interval"][0] < each["difference"] < each["interval"][1] for each in document.values())


def test_costs_are_counted_and_measured_side_by_side(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, second, *rest = summary.variants
    one = replace(first, macs=12_000_000, measured=tiny.measurement(latency_1_seconds=0.004))
    rows = cost_table(replace(summary, variants=(one, replace(second, measured=None), *rest)))
    assert rows[0].cells["MACs"] == ("12,000,000", "24M FLOPs")
    counted = mebibytes(first.memory.peak_training_bytes)
    assert rows[0].cells["Training peak"] == (
        counted,
        f"measured {mebibytes(tiny.measurement().peak_training_bytes)}",
    )
    assert rows[0].cells["Latency, 1 image"] == ("4 ms", "IQR 70 µs")
    assert rows[1].cells["Training peak"] == (counted, "")
    assert rows[1].cells["Latency, 1 image"] == ("—", "")
    assert "an abacus, 1 thread, torch 2.0" in prose.costs_note(summary)
    assert "Medians and their ratios have no confidence interval: all calls are of one sitting" in prose.costs_note(
        summary
    )


def test_without_a_measurement_nothing_is_said_of_speed(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    summary = replace(summary, variants=tuple(replace(each, measured=None) for each in summary.variants))
    assert not any("Latency" in heading for row in cost_table(summary) for heading in row.cells)
    assert prose.costs_note(summary).endswith(
        "Nothing is measured yet: a run measures each architecture once, after its last trial."
    )


def test_costs_stand_beside_what_they_are_compared_with(make_study: MakeStudy) -> None:
    two, none, *_ = cost_table(make_study("ordinary"))
    assert (two.cells["Params"], two.cells["MACs"][1]) == (("252,250", ""), "6.05M FLOPs")
    assert none.cells["Params"] == ("201,338", f"{words.MINUS}20.2 %")
    assert none.cells["MACs"][1] == f"{words.MINUS}20.2 %, 4.83M FLOPs"
    baseline, second, *rest = make_study("ordinary").variants
    for params, told in ((252_250, "the same"), (252_251, "under 0.1 % more"), (252_249, "under 0.1 % less")):
        summary = replace(make_study("ordinary"), variants=(baseline, replace(second, params=params), *rest))
        assert cost_table(summary)[1].cells["Params"][1] == told


def test_the_correlation_of_pairs_is_that_of_the_accuracies(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *_ = contrast_details(summary)
    one, other = (list(summary[name].accuracy_percent.values()) for name in ("none", "two"))
    assert first.cells["Correlation of pairs"] == f"{np.corrcoef(one, other)[0, 1]:+.2f}".replace("-", words.MINUS)
    assert {row.cells["Correlation of pairs"] for row in contrast_details(make_study("searched_widely"))} == {
        words.DASH
    }
