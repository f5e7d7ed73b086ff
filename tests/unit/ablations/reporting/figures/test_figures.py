"""All figures together. The tests of the report's files draw each of them, without a warning."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace

import pytest
from drawings import faults_of
from made_up import MakeStudy
from matplotlib.text import Text
from paired import budget, with_evidence

from ablations.analysis.contrasts import detectable
from ablations.reporting.figures import FIGURES, figures
from ablations.reporting.figures.curves import learning_curves
from ablations.reporting.figures.looks import path_over_looks
from ablations.reporting.figures.tuning import tuning_landscape
from ablations.reporting.theme import COLUMN, PAGE, Sheet
from ablations.stats.judgement import Verdict


def test_figures_bear_their_functions_names(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    for find in FIGURES:
        spec = find(summary)
        assert (spec is None) is (find is path_over_looks)
        assert spec is None or spec.name == find.__name__


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
    assert "Dashed" in by_name["learning_curves_by_seed"].caption
    assert "learns_nothing_at_all has no seed that learned, and 10 seeds did not learn." in (
        by_name["learning_curves"].alt_text
    )
    assert "none that learned" in by_name["tuning_landscape"].alt_text


@pytest.mark.slow
@pytest.mark.parametrize("sheet", [PAGE, COLUMN], ids=["page", "column"])
def test_no_text_is_cut_or_overlaps_another(make_study: MakeStudy, study_name: str, sheet: Sheet) -> None:
    summary = make_study(study_name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for spec in filter(None, (find(summary) for find in FIGURES)):
            figure = spec.draw(sheet)
            assert figure.get_figwidth() <= sheet.width
            assert list(faults_of(figure)) == [], spec.name


@pytest.mark.slow
@pytest.mark.parametrize("sheet", [PAGE, COLUMN], ids=["page", "column"])
@pytest.mark.parametrize("num_contrasts", [1, 2, 4])
def test_the_longest_legends_and_verdicts_have_room(make_study: MakeStudy, num_contrasts: int, sheet: Sheet) -> None:
    summary = make_study("ordinary")
    limited = [
        replace(
            c,
            detectable=detectable(with_evidence(c.judgement, image_floor=0.1), budget(4)),
            judgement=replace(c.judgement, verdict=Verdict.UNDECIDED_FUTILE),
        )
        for c in summary.contrasts[:num_contrasts]
    ]
    few = replace(summary, contrasts=tuple(limited), variants=summary.variants[: num_contrasts + 1])
    for spec in figures(few):
        assert list(faults_of(spec.draw(sheet))) == [], spec.name


@pytest.mark.slow
def test_on_a_phone_no_text_is_under_nine_pixels(make_study: MakeStudy) -> None:
    pixels = 334 / (72 * COLUMN.width)
    for spec in figures(make_study("troubled")):
        texts = spec.draw(COLUMN).findobj(Text)
        assert min(text.get_fontsize() for text in texts) * pixels >= 9, spec.name


@pytest.mark.slow
def test_no_sentence_of_a_caption_is_over_25_words(make_study: MakeStudy, study_name: str) -> None:
    if study_name == "hostile":
        return
    summary = make_study(study_name)
    for spec in filter(None, (find(summary) for find in FIGURES)):
        for sentence in re.split(r"(?<=[.;]) ", spec.caption):
            assert len(sentence.split()) <= 25, (spec.name, sentence)
