"""Differences by class."""

from __future__ import annotations

from dataclasses import replace

from drawings import text_of
from made_up import MakeStudy

from ablations.datasets import DATASETS
from ablations.reporting.figures.classes import class_differences
from ablations.reporting.theme import BLUE, drawing
from ablations.reporting.words import MINUS


def test_classes_are_filled_where_they_are_found_to_differ(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = class_differences(summary)
    assert spec is not None
    assert "Exploratory: no verdict goes by these" in spec.caption
    assert "over 36 tests)" in spec.caption, "in each of four contrasts one class of ten has no spread"
    with drawing():
        figure = spec.draw()
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert "no spread" in text_of(figure)
    for axes, contrast in zip(panels, summary.contrasts, strict=True):
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        still, *tested = contrast.class_differences
        assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "+"] == [still.mean]
        assert [line.get_xdata()[0] for line in dots] == [each.mean for each in tested]
        found = [each.p_adjusted is not None and each.p_adjusted <= 0.05 for each in tested]
        assert [line.get_markerfacecolor() == BLUE for line in dots] == found
        assert sum(line.get_linewidth() == 1.4 for line in axes.lines) == 9, "the first class has no interval"
    assert "none minus two: class 3 " + MINUS in spec.alt_text


def test_classes_of_a_contrast_that_has_too_few_pairs_for_a_verdict_are_not_found(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    few = tuple(
        replace(c, judgement=replace(c.judgement, num_pairs=4), class_differences=c.class_differences[1:])
        for c in summary.contrasts
    )
    spec = class_differences(replace(summary, contrasts=few))
    assert spec is not None
    assert spec.alt_text.count("no class found to differ") == 4
    assert "A plus" not in spec.caption
    with drawing():
        figure = spec.draw()
    assert "no spread" not in text_of(figure)
    dots = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "o"]
    assert len(dots) == 4 * 9
    assert all(line.get_markerfacecolor() == "#ffffff" for line in dots)


def test_labels_of_classes_are_not_cut(make_study: MakeStudy) -> None:
    longest = max((name for each in DATASETS.values() for name in each.classes), key=len)
    summary = make_study("ordinary")
    named = tuple(
        replace(c, class_differences=tuple(replace(each, name=longest) for each in c.class_differences))
        for c in summary.contrasts
    )
    spec = class_differences(replace(summary, contrasts=named))
    assert spec is not None
    with drawing():
        assert longest in text_of(spec.draw())


def test_of_many_classes_those_with_the_largest_differences_are_drawn(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    many = tuple(
        replace(c, class_differences=tuple(replace(c.class_differences[1], mean=float(k)) for k in range(30)))
        for c in summary.contrasts
    )
    spec = class_differences(replace(summary, contrasts=many))
    assert spec is not None
    assert "Of 30 classes, the 20 with the largest." in spec.caption
    with drawing():
        dots = [line for line in spec.draw().axes[0].lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == list(range(10, 30))
