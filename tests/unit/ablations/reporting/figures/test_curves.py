"""Learning curves and difference curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up import MakeStudy
from matplotlib.collections import LineCollection, PolyCollection

from ablations.reporting.figures.curves import difference_curves, learning_curves
from ablations.reporting.theme import drawing
from ablations.reporting.words import MINUS


@pytest.mark.parametrize("name", ["ordinary", "troubled"])
def test_bands_of_curves_are_called_pointwise_however_many_variants(make_study: MakeStudy, name: str) -> None:
    spec = learning_curves(make_study(name))
    assert spec is not None
    assert "bands its pointwise 95 % t interval" in spec.caption
    with drawing():
        panels = [axes for axes in spec.draw().axes if axes.get_visible()]
    # For each of three metrics; of the twelve troubled ones three have no mean, or one of a single seed.
    num_variants = {"ordinary": 5, "troubled": 9}[name]
    bands = [each for axes in panels for each in axes.collections if isinstance(each, PolyCollection)]
    assert len(bands) == 3 * num_variants


def test_difference_curves_are_paired_and_end_where_training_does(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = difference_curves(summary)
    assert spec is not None
    with drawing():
        panels = [axes for axes in spec.draw().axes if axes.get_visible()]
    assert len(panels) == len(summary.contrasts)
    for axes, contrast in zip(panels, summary.contrasts, strict=True):
        pairs = np.array(list(contrast.curve_differences.values()))
        zero, mean = axes.lines
        (seeds,) = (each for each in axes.collections if isinstance(each, LineCollection))
        assert not np.any(zero.get_ydata())
        assert [list(line[:, 1]) for line in seeds.get_segments()] == pairs.tolist()
        assert list(mean.get_ydata()) == list(pairs.mean(axis=0))
        assert len(axes.collections) == 2, "the seeds and a band"
        assert axes.get_ylim()[0] < pairs.min() < pairs.max() < axes.get_ylim()[1]
    assert "pointwise" in spec.caption


def test_difference_curves_take_pairs_and_two_epochs(make_study: MakeStudy) -> None:
    spec = difference_curves(make_study("troubled"))
    assert spec is not None
    assert "both learned): learns_nothing_at_all and not_run_yet." in spec.caption
    with drawing():
        half_done = spec.draw().axes[1]
    assert not any(isinstance(each, PolyCollection) for each in half_done.collections), "one pair has no band"
    summary = make_study("ordinary")
    short = (
        replace(c, curve_differences={s: d[:1] for s, d in c.curve_differences.items()}) for c in summary.contrasts
    )
    assert difference_curves(replace(summary, contrasts=tuple(short))) is None


def test_difference_curves_end_with_the_last_epoch_that_all_pairs_have(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = summary.contrasts
    curves = {seed: d[: 8 + seed] for seed, d in first.curve_differences.items()}
    spec = difference_curves(replace(summary, contrasts=(replace(first, curve_differences=curves), *others)))
    assert spec is not None
    assert "They end with the last epoch that all pairs have." in spec.caption
    end = np.mean([d[7] for d in curves.values()])
    assert f"{end:+.2f}".replace("-", MINUS) + " after the last that both have" in spec.alt_text
    with drawing():
        _, mean = spec.draw().axes[0].lines
    assert list(mean.get_xdata()) == list(range(1, 9))


def test_one_infinite_loss_of_a_seed_that_learned_leaves_a_gap_and_no_more(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = summary.variants
    curve, *rest = first.curves
    epochs = tuple(replace(e, validation_loss=float("inf")) if e.epoch == 3 else e for e in curve.epochs)
    broken = replace(first, curves=(replace(curve, epochs=epochs), *rest))
    spec = learning_curves(replace(summary, variants=(broken, *others)))
    assert spec is not None
    assert "A gap in them" in spec.caption
    with drawing():
        (_, losses, _) = spec.draw().axes
    mean = np.array(losses.lines[0].get_ydata())
    assert list(np.flatnonzero(np.isnan(mean))) == [2]
    assert sum(isinstance(each, PolyCollection) for each in losses.collections) == 5
    for name in ("ordinary", "troubled"):
        whole = learning_curves(make_study(name))
        assert whole is not None
        assert "A gap" not in whole.caption, "of seeds that did not learn there is no mean"


def test_dashes_are_told_of_only_where_there_are_some(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = summary.variants
    lost = replace(first, curves=(replace(first.curves[0], learned=False, epochs=()), *first.curves[1:]))
    spec = learning_curves(replace(summary, variants=(lost, *others)))
    assert spec is not None
    assert "Dashed" not in spec.caption
    assert "and 1 seed did not learn." in spec.alt_text
