"""Differences by class."""

from __future__ import annotations

from dataclasses import replace

from drawings import text_of
from made_up import MakeStudy

from ablations.datasets import DATASETS
from ablations.reporting.figures.classes import class_differences
from ablations.reporting.theme import BLUE, PAGE
from ablations.reporting.words import MINUS


def test_classes_are_filled_where_they_are_found_to_differ(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = class_differences(summary)
    assert spec is not None
    assert "Exploratory: no verdict uses them" in spec.caption
    assert "36 tests, contrasts of at least 5 seeds)" in spec.caption, (
        "in each of four contrasts one class of ten has no spread"
    )
    figure = spec.draw(PAGE)
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
    assert spec.alt_text.count("no class differs") == 4
    assert "A plus" not in spec.caption
    figure = spec.draw(PAGE)
    assert "no spread" not in text_of(figure)
    dots = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "o"]
    assert len(dots) == 4 * 9
    assert all(line.get_markerfacecolor() == "#ffffff" for line in dots)


def test_three_searches_are_enough_to_find_classes(make_study: MakeStudy) -> None:
    def captioned(num_searches: int) -> tuple[str, str]:
        summary = make_study("several_searches")
        few = tuple(replace(c, judgement=replace(c.judgement, num_pairs=num_searches)) for c in summary.contrasts)
        spec = class_differences(replace(summary, contrasts=few))
        assert spec is not None
        return spec.caption, spec.alt_text

    caption, alt_text = captioned(3)
    assert "over searches" in caption
    assert "contrasts of at least 3 searches" in caption
    assert "none minus two: class" in alt_text
    assert "none minus two: no class differs" in captioned(2)[1]


def test_labels_of_classes_are_not_cut(make_study: MakeStudy) -> None:
    longest = max((name for each in DATASETS.values() for name in each.classes), key=len)
    summary = make_study("ordinary")
    named = tuple(
        replace(c, class_differences=tuple(replace(each, name=longest) for each in c.class_differences))
        for c in summary.contrasts
    )
    spec = class_differences(replace(summary, contrasts=named))
    assert spec is not None
    assert longest in text_of(spec.draw(PAGE))


def test_of_many_classes_those_with_the_largest_differences_are_drawn(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    many = tuple(
        replace(c, class_differences=tuple(replace(c.class_differences[1], mean=float(k)) for k in range(30)))
        for c in summary.contrasts
    )
    spec = class_differences(replace(summary, contrasts=many))
    assert spec is not None
    assert "Drawn: the 20 largest of 30 classes." in spec.caption
    dots = [line for line in spec.draw(PAGE).axes[0].lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == list(range(10, 30))
