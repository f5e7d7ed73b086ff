"""Panels and their titles."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
import pytest
from made_up import MakeStudy

from ablations.reporting.figures.frame import grid_of
from ablations.reporting.figures.tuning import tuning_landscape
from ablations.reporting.theme import COLUMN, PAGE


@pytest.mark.parametrize("num_variants", [2, 3, 4, 9])
def test_long_names_over_panels_do_not_run_into_each_other(make_study: MakeStudy, num_variants: int) -> None:
    summary = make_study("ordinary")
    long = "every_block_narrowed_to_the_parameters_of_the_second_longest_name"
    variants = tuple(replace(summary.variants[0], name=f"{long[:-1]}{k}") for k in range(num_variants))
    spec = tuning_landscape(replace(summary, variants=variants))
    assert spec is not None
    figure = spec.draw(PAGE)
    figure.draw_without_rendering()
    texts = figure.findobj(lambda artist: isinstance(artist, mpl.text.Text) and artist.get_text().startswith("every_"))
    titles = [text.get_window_extent() for text in texts]
    assert len(titles) == num_variants
    for index, one in enumerate(titles):
        assert not any(one.overlaps(other) for other in titles[index + 1 :])


def test_panels_leave_few_gaps() -> None:
    assert [grid_of(number, PAGE) for number in (1, 2, 4, 5, 7, 9, 11)] == [
        (1, 1),
        (1, 2),
        (1, 4),
        (2, 3),
        (2, 4),
        (3, 3),
        (3, 4),
    ]
    assert [grid_of(number, COLUMN) for number in (1, 2, 3, 12)] == [(1, 1), (1, 2), (2, 2), (6, 2)]
