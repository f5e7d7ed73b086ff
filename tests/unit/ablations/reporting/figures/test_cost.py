"""Accuracy against cost."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
from made_up import MakeStudy

from ablations.reporting.figures.cost import accuracy_against_cost
from ablations.reporting.theme import drawing


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
        with drawing():
            panel = spec.draw().axes[0]
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
    with drawing():
        figure = spec.draw()
        figure.draw_without_rendering()
        panel = figure.axes[0]
        boxes = [mpl.text.Text.get_window_extent(text) for text in panel.texts]  # an annotation's has its line in it
    assert 2 < len(boxes) < 41
    assert baseline.name in {text.get_text() for text in panel.texts}
    for index, one in enumerate(boxes):
        assert not any(one.overlaps(each) for each in boxes[index + 1 :])
