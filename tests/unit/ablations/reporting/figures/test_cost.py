"""Accuracy against cost."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
from made_up import MakeStudy

from ablations.reporting import words
from ablations.reporting.figures.cost import accuracy_against_cost
from ablations.reporting.theme import PAGE


def test_the_line_is_the_pareto_front(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    values = {
        "two": (300, 97.0),
        "none": (100, 95.0),
        "one": (200, 94.0),
        "three": (300, 98.0),
        "none_wide": (400, 98.0),
    }
    variants = tuple(
        replace(each, params=values[each.name][0], mean_accuracy_percent=values[each.name][1], measured=None)
        for each in summary.variants
    )
    spec = accuracy_against_cost(replace(summary, variants=variants))
    assert spec is not None
    assert "MACs of an image" in spec.alt_text
    panels = spec.draw(PAGE).axes
    assert len(panels) == 2
    (front,) = [line for line in panels[0].lines if line.get_drawstyle() == "steps-post"]
    assert list(front.get_xdata())[:-1] == [100, 300]
    assert list(front.get_ydata()) == [95.0, 98.0, 98.0]


def test_latency_replaces_macs_if_all_variants_have_it(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = accuracy_against_cost(summary)
    assert spec is not None
    assert [axes.get_xlabel() for axes in spec.draw(PAGE).axes] == [
        "parameters, log scale",
        "measured latency of one image (ms), log scale",
    ]
    accuracy = words.mean_and_sd(summary.variants[0])
    assert f"two: {accuracy} % at 252,250 params and 1.01 ms for one image." in spec.alt_text


def test_of_many_points_those_are_named_that_no_other_one_beats(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    baseline, other, *_ = summary.variants

    def names(accuracies: list[float]) -> set[str]:
        """Names in a panel, without the baseline at 50 %; each variant costs more than the previous one."""
        others = (
            replace(other, name=f"v{k}", params=1000 * (k + 1), mean_accuracy_percent=each)
            for k, each in enumerate(accuracies)
        )
        low = replace(baseline, params=90_000, mean_accuracy_percent=50.0)
        spec = accuracy_against_cost(replace(summary, variants=(low, *others)))
        assert spec is not None
        assert ("Of more than 14 variants" in spec.caption) is (len(accuracies) >= 14)
        panel = spec.draw(PAGE).axes[0]
        return {text.get_text() for text in panel.texts} - {"two"}

    assert names([60.0] * 13) == {f"v{k}" for k in range(13)}
    assert names([60.0, 60.0, 59.0, 70.0, *[65.0] * 9, 71.0]) == {"v0", "v3", "v13"}
    assert names([60.0] * 14) == {"v0"}


def test_of_many_points_on_a_rising_line_those_are_named_that_have_room(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    baseline, other, *_ = summary.variants
    name = "every_block_narrowed_to_the_parameters_of_the_second_longest_name"
    others = (
        replace(other, name=f"{name[:-2]}{k:02}", params=10_000 * (30 + k), mean_accuracy_percent=90 + k / 10)
        for k in range(40)
    )
    low = replace(baseline, mean_accuracy_percent=89.0)
    spec = accuracy_against_cost(replace(summary, variants=(low, *others)))
    assert spec is not None
    figure = spec.draw(PAGE)
    figure.draw_without_rendering()
    panel = figure.axes[0]
    boxes = [mpl.text.Text.get_window_extent(text) for text in panel.texts]  # an annotation's has its line in it
    assert 2 < len(boxes) < 41
    assert baseline.name in {text.get_text() for text in panel.texts}
    for index, one in enumerate(boxes):
        assert not any(one.overlaps(each) for each in boxes[index + 1 :])
