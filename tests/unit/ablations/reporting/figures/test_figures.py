"""All figures together. The tests of the report's files draw each of them, without a warning."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up import MakeStudy
from paired import budget, with_evidence

from ablations.analysis.contrasts import detectable
from ablations.reporting.figures import FIGURES, figures
from ablations.reporting.figures.curves import learning_curves
from ablations.reporting.figures.looks import path_over_looks
from ablations.reporting.figures.tuning import tuning_landscape
from ablations.reporting.theme import drawing


def test_figures_bear_their_functions_names(make_study: MakeStudy) -> None:
    names = [figure.name for figure in figures(make_study("ordinary"))]
    assert names == [figure.__name__ for figure in FIGURES if figure is not path_over_looks]


def test_nothing_is_drawn_of_nothing(make_study: MakeStudy) -> None:
    assert figures(make_study("unstarted")) == ()


def test_one_epoch_is_no_curve_and_no_search_no_landscape(make_study: MakeStudy) -> None:
    assert learning_curves(make_study("alone")) is None
    assert tuning_landscape(make_study("alone")) is None


def test_alternative_texts_and_captions_name_the_gaps(make_study: MakeStudy) -> None:
    by_name = {figure.name: figure for figure in figures(make_study("troubled"))}
    assert "learns_nothing_at_all: no run that learned; 10 did not learn." in by_name["accuracy_by_seed"].alt_text
    assert "half_done: 97." in by_name["accuracy_by_seed"].alt_text
    assert "not_run_yet" in by_name["paired_differences"].caption
    assert "learns_nothing_at_all and not_run_yet" in by_name["accuracy_against_cost"].caption
    assert "Dashed" in by_name["learning_curves"].caption
    assert "learns_nothing_at_all has no seed that learned, and 10 seeds did not learn." in (
        by_name["learning_curves"].alt_text
    )
    assert "none that learned" in by_name["tuning_landscape"].alt_text


@pytest.mark.slow
@pytest.mark.parametrize("num_contrasts", [1, 2, 4])
def test_legends_are_within_their_figure(make_study: MakeStudy, num_contrasts: int) -> None:
    summary = make_study("ordinary")
    limited = [
        replace(c, detectable=detectable(with_evidence(c.judgement, image_floor=0.1), budget(4)))
        for c in summary.contrasts[:num_contrasts]
    ]
    few = replace(summary, contrasts=tuple(limited), variants=summary.variants[: num_contrasts + 1])
    for spec in figures(few):
        with drawing():
            figure = spec.draw()
            figure.draw_without_rendering()
        for legend in figure.legends:
            extent = legend.get_window_extent()
            assert extent.x0 >= 0, spec.name
            assert extent.x1 <= figure.bbox.width, spec.name
