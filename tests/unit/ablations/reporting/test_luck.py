"""The two kinds of luck in words and in a figure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up import MakeStudy

from ablations.analysis.summary import Choice, StudySummary
from ablations.reporting import luck
from ablations.reporting.csv_tables import csv_tables
from ablations.reporting.figures.luck import two_kinds_of_luck
from ablations.reporting.method import method
from ablations.reporting.pages import coded
from ablations.reporting.render import html, markdown
from ablations.reporting.tables import contrast_details
from ablations.reporting.theme import PAGE


def with_choices(summary: StudySummary, *moved: float) -> StudySummary:
    """The summary with a simulated spread of each variant's search, points."""
    choices = {
        variant.name: Choice({}, 0.1, 0.2, 0.5, points)
        for variant, points in zip(summary.variants, moved, strict=False)
    }
    return replace(summary, choices=choices)


def test_with_one_search_the_size_of_what_is_left_out_is_told(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    assert "leave out the luck of tuning" in luck.left_out(summary)
    assert "moves a difference" not in luck.left_out(summary)
    told = luck.left_out(with_choices(summary, 0.3, 0.4, 0.0, 0.3, 0.3))
    assert "it moves a difference by about 0.30 to 0.50 points (sd)" in told
    assert coded(told) in html(with_choices(summary, 0.3, 0.4, 0.0, 0.3, 0.3), [], created="now")
    assert "about 0.42 points (sd)" in luck.left_out(with_choices(summary, *[0.3] * 5))


def test_with_several_searches_nothing_is_left_out_and_both_spreads_are_told(make_study: MakeStudy) -> None:
    summary = make_study("several_searches")
    assert luck.left_out(summary) == ""
    told = dict(method(summary))
    assert told["Luck"].startswith("From seed to seed, accuracies have a standard deviation of ")
    assert "From search to search, they scatter by " in told["Luck"]
    assert "The unit of every test is the search" in told["Tuning"]
    assert "pooled" not in told["Tuning"]
    assumed = replace(summary, decision=summary.decision.model_copy(update={"pooled": True}))
    assert "This assumes that the searches and seeds of all variants scatter equally" in dict(method(assumed))["Tuning"]
    assert "head at starter: 10 runs in common; depth at starter: 0 runs in common" in told["Other studies"]


@pytest.mark.parametrize("study", ["unstarted", "alone"])
def test_without_a_comparison_or_a_search_nothing_is_said(study: str, make_study: MakeStudy) -> None:
    assert luck.left_out(replace(make_study(study), contrasts=())) == ""
    assert two_kinds_of_luck(make_study(study)) is None


def test_a_cross_examination_is_told_with_its_values(make_study: MakeStudy) -> None:
    first, second, _ = make_study("several_searches").contrasts
    told = luck.examined(first)
    assert told == (
        "Cross-examined, for exploration: −2.10 [−2.60, −1.60] with both at train.lr = 0.05 (5 pairs); −2.10 with both at train.lr = 0.2 "
        "(1 pair)."
    )
    assert luck.examined(second) == ""
    page = html(make_study("several_searches"), [], created="now")
    assert told in page
    assert "Cross-examined" in markdown(make_study("several_searches"), [], created="now")


def test_the_figure_has_both_spreads_beside_each_difference(make_study: MakeStudy) -> None:
    summary = make_study("several_searches")
    spec = two_kinds_of_luck(summary)
    assert spec is not None
    for contrast in summary.contrasts:
        assert f"{contrast.variant}: difference {abs(contrast.judgement.mean or 0):.2f}, reseed " in spec.alt_text
    assert spec.alt_text.count("retune") == 3
    assert "simulated" not in spec.alt_text
    assert len(spec.draw(PAGE).axes) == 1
    simulated = two_kinds_of_luck(with_choices(make_study("ordinary"), *[0.3] * 5))
    assert simulated is not None
    assert "retune 0.42, simulated" in simulated.alt_text


def test_statistics_count_searches_and_bad_runs(make_study: MakeStudy) -> None:
    summary = make_study("several_searches")
    rows = {row.name: row.cells for row in contrast_details(summary)}
    assert rows["one − two"]["Bad runs"] == "1 of 10 (0 to 45 %)"
    assert "Without one search" in rows["one − two"]
    assert "Fresh searches needed" in rows["one − two"]
    table = csv_tables(summary)["accuracy_by_seed.csv"].splitlines()
    assert table[0].split(",")[:3] == ["variant", "seed", "search"]
    assert [line.split(",")[2] for line in table[1:11]] == ["0", "0", "1", "1", "2", "2", "3", "3", "4", "4"]
    assert csv_tables(summary)["contrasts.csv"].splitlines()[1].split(",")[4:9] == ["0.5", "3", "1", "0.05", "search"]
