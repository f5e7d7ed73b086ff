"""Seeds needed for a detectable difference."""

from __future__ import annotations

from dataclasses import replace

from made_up import MakeStudy
from paired import budget, with_evidence

from ablations.analysis.contrasts import detectable
from ablations.reporting.figures.power import seeds_needed
from ablations.reporting.theme import PAGE


def test_seeds_needed_marks_where_the_study_is(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = seeds_needed(summary)
    assert spec is not None
    panels = [axes for axes in spec.draw(PAGE).axes if axes.get_visible()]
    assert len(panels) == len(summary.contrasts)
    for axes, contrast in zip(panels, summary.contrasts, strict=True):
        assert contrast.detectable is not None
        (here,) = [line for line in axes.lines if line.get_marker() == "D"]
        assert (*here.get_xdata(), *here.get_ydata()) == (5, contrast.detectable.now)
        assert f"{contrast.variant} minus two: {contrast.detectable.now:.2f} points with 5 pairs" in spec.alt_text
    assert "dotted" not in spec.caption


def test_seeds_needed_draws_the_limit_of_the_images_where_it_is_known(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = summary.contrasts
    judgement = with_evidence(first.judgement, image_floor=0.1)
    limited = replace(first, judgement=judgement, detectable=detectable(judgement, budget(4)))
    spec = seeds_needed(replace(summary, contrasts=(limited, *others)))
    assert spec is not None
    assert limited.detectable is not None
    assert limited.detectable.limit is not None
    assert f"never under {limited.detectable.limit:.2f}." in spec.alt_text
    assert "dotted line" in spec.caption
    lines = spec.draw(PAGE).axes[0].lines
    assert any(line.get_ydata()[0] == limited.detectable.limit for line in lines)


def test_searches_are_counted_if_they_are_the_units(make_study: MakeStudy) -> None:
    spec = seeds_needed(make_study("several_searches"))
    assert spec is not None
    assert spec.title == "Searches needed"
    assert "spread between searches" in spec.caption
    assert "seeds" not in spec.caption


def test_seeds_needed_is_only_drawn_of_a_spread(make_study: MakeStudy) -> None:
    assert seeds_needed(make_study("searched_widely")) is None, "two seeds"
    spec = seeds_needed(make_study("troubled"))
    assert spec is not None
    assert "(no spread between seeds): learns_nothing_at_all, not_run_yet and half_done." in spec.caption
