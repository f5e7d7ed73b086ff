"""Tuning landscape, best of n draws, best so far."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from made_up import MakeStudy
from matplotlib.collections import PolyCollection

from ablations.reporting.figures.tuning import best_of_n, tuning_landscape
from ablations.reporting.theme import PAGE


def test_a_landscape_leaves_out_trials_in_which_a_key_was_not_searched(make_study: MakeStudy) -> None:
    summary = make_study("searched_widely")
    without = replace(
        summary.variants[0], tuned_by_search={0: {"train.lr": 0.1, "train.batch_size": 32, "train.optimizer": "adamw"}}
    )
    spec = tuning_landscape(replace(summary, variants=(without, *summary.variants[1:])))
    assert spec is not None
    assert "Crosses under the axis diverged, failed or ended under 20 %." in spec.caption
    assert spec.caption.endswith(
        " train.momentum is searched only where train.optimizer is sgd; its panels omit other trials."
    )
    panels = spec.draw(PAGE).axes[:4]
    num_trials = [
        sum(len(line.get_xdata()) for line in axes.lines if line.get_marker() in {"o", "s", "^", "x"})
        for axes in panels
    ]
    num_sgd = sum("train.momentum" in point.hyperparameters for point in without.tuning)
    assert num_trials == [len(without.tuning)] * 3 + [num_sgd]
    assert 0 < num_sgd < len(without.tuning)
    told = [text.get_text() for text in panels[3].texts]
    assert told == ["chosen: without it"]


def test_start_points_draws_and_reruns_are_told_apart(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = summary.variants
    second_start = replace(first.tuning[1], role="start point")
    two_starts = replace(first, tuning=(first.tuning[0], second_start, *first.tuning[2:]))
    spec = tuning_landscape(replace(summary, variants=(two_starts, *others)))
    assert spec is not None
    counts = {line.get_marker(): len(line.get_xdata()) for line in spec.draw(PAGE).axes[0].lines}
    assert {marker: counts[marker] for marker in "so^"} == {"s": 2, "o": 15, "^": 3}


def test_best_of_n_has_a_panel_for_each_variant_with_draws(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = best_of_n(summary)
    assert spec is not None
    panels = [axes for axes in spec.draw(PAGE).axes if axes.get_visible()]
    assert len(panels) == len(summary.variants)
    for axes, each in zip(panels, summary.variants, strict=True):
        assert each.best_of_n is not None
        assert list(axes.lines[-1].get_ydata()) == list(each.best_of_n.mean)
        assert f"{each.best_of_n.mean[-1]:.2f} % of the best of 8." in spec.alt_text
    assert "three: 16 draws (2 diverged), " in spec.alt_text


def test_best_of_n_is_only_drawn_of_enough_independent_draws(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = (replace(each, best_of_n=None) for each in summary.variants)
    assert best_of_n(replace(summary, variants=(first, *others))) is None
    spec = best_of_n(replace(summary, variants=(first, *summary.variants[1:])))
    assert spec is not None
    assert "(under 8 draws, or pruned ones): two." in spec.caption
    assert "A diverged draw counts as the best constant guess" in spec.caption
    assert len(spec.draw(PAGE).axes[0].lines) == 1, "no baseline to draw in grey"


def test_draws_that_depend_on_results_show_the_best_so_far_and_no_expectation(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = (replace(each, best_of_n=None) for each in summary.variants)
    lost, *rest = first.tuning
    lost = replace(lost, status="diverged", validation_accuracy_percent=None)
    first = replace(first, tuning=(*rest, lost))
    spec = best_of_n(replace(summary, independent_draws=False, variants=(first, *others)))
    assert spec is not None
    assert spec.name == "best_of_n"
    assert "Later draws depend on the results of earlier ones, so this is no expectation" in spec.caption
    panels = [axes for axes in spec.draw(PAGE).axes if axes.get_visible()]
    assert len(panels) == 5
    assert not any(isinstance(each, PolyCollection) for axes in panels for each in axes.collections)
    seen = [point.validation_accuracy_percent or -np.inf for point in rest if point.role != "re-run"]
    start, *best = np.array(panels[0].lines[-1].get_ydata())
    assert np.isnan(start), "the first trial diverged, though the store gives it last"
    assert best == list(np.maximum.accumulate(seen))
    assert f"two: {max(seen):.2f} % after 17 trials, reached with trial {np.argmax(seen) + 2}." in spec.alt_text


def test_a_search_of_which_nothing_learned_has_no_best_so_far(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    nothing = tuple(
        replace(each, tuning=tuple(replace(p, validation_accuracy_percent=None) for p in each.tuning))
        for each in summary.variants
    )
    assert best_of_n(replace(summary, independent_draws=False, variants=nothing)) is None
    some = (summary.variants[0], *nothing[1:])
    spec = best_of_n(replace(summary, independent_draws=False, variants=some))
    assert spec is not None
    assert "(no trial that learned): none, one, three and none_wide." in spec.caption
