"""Disagreement on single images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawings import text_of
from made_up import MakeStudy

from ablations.reporting.figures.disagreement import disagreement
from ablations.reporting.theme import PAGE


def test_disagreement_is_held_against_that_of_two_seeds(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = disagreement(summary)
    assert spec is not None
    (axes,) = spec.draw(PAGE).axes
    marks = {marker: [line.get_xdata() for line in axes.lines if line.get_marker() == marker] for marker in "oD|"}
    shares = [list(contrast.disagreement_percent.values()) for contrast in summary.contrasts]
    assert [list(dots) for dots in marks["o"]] == shares
    assert [float(x) for (x,) in marks["D"]] == pytest.approx([np.mean(each) for each in shares])
    among = summary[summary.baseline].reseed_disagreement_percent
    assert [float(x) for (x,) in marks["|"]] == [among] * len(summary.contrasts)
    assert f"none and two: {np.mean(shares[0]):.2f} % on average" in spec.alt_text
    assert f"two seeds of two: {among:.2f} %." in spec.alt_text


def test_a_small_disagreement_is_not_said_to_be_a_small_difference(make_study: MakeStudy) -> None:
    spec = disagreement(make_study("ordinary"))
    assert spec is not None
    assert "not seen" not in spec.caption
    assert spec.caption.endswith("A small share tells neither direction nor size of a difference in accuracy.")
    text = text_of(spec.draw(PAGE))
    assert "variant and reference, one seed" in text
    assert "two seeds of the reference" in text, "a contrast's versus need not be the baseline"


def test_disagreement_takes_correct_images_and_can_do_without_reseeds(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    baseline, *others = summary.variants
    unknown = tuple(replace(contrast, disagreement_percent={}) for contrast in summary.contrasts)
    assert disagreement(replace(summary, contrasts=unknown)) is None
    lonely = replace(baseline, reseed_disagreement_percent=None)
    spec = disagreement(replace(summary, variants=(lonely, *others), contrasts=(summary.contrasts[0], *unknown[1:])))
    assert spec is not None
    assert "two seeds of two" not in spec.alt_text
    assert "(no pair with known images): one, three and none_wide." in spec.caption
    assert not any(line.get_marker() == "|" for line in spec.draw(PAGE).axes[0].lines)
