"""Learning curves and difference curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up import MakeStudy
from matplotlib.collections import LineCollection, PolyCollection

from ablations.reporting.figures.curve_differences import difference_curves
from ablations.reporting.figures.curves import learning_curves, learning_curves_by_seed
from ablations.reporting.theme import PAGE, SERIES
from ablations.reporting.words import MINUS


@pytest.mark.parametrize(("name", "num_panels"), [("ordinary", 3), ("troubled", 11)])
def test_bands_of_curves_are_called_pointwise_however_many_variants(
    make_study: MakeStudy, name: str, num_panels: int
) -> None:
    spec = learning_curves(make_study(name))
    assert spec is not None
    assert "Bands are pointwise 95 % t intervals" in spec.caption
    panels = [axes for axes in spec.draw(PAGE).axes if axes.get_visible()]
    assert len(panels) == num_panels
    bands = [each for axes in panels for each in axes.collections if isinstance(each, PolyCollection)]
    # Five variants by three metrics; of the twelve troubled ones three have no mean, or one of a single seed.
    assert len(bands) == {"ordinary": 15, "troubled": 9}[name]


def test_means_of_up_to_six_variants_share_a_panel_in_their_colours(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = learning_curves(summary)
    assert spec is not None
    figure = spec.draw(PAGE)
    for axes in figure.axes:
        assert [line.get_color() for line in axes.lines] == list(SERIES[:5])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [each.name for each in summary.variants]
    losses = [[record.train_loss for record in curve.epochs] for curve in summary.variants[1].curves]
    assert list(figure.axes[0].lines[1].get_ydata()) == pytest.approx(np.mean(losses, axis=0))


def test_bands_of_accuracies_end_at_100_percent(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = summary.variants
    curves = tuple(
        replace(
            curve,
            epochs=tuple(
                replace(e, validation_accuracy_percent=100.0 if curve.seed else 60.0 + e.epoch) for e in curve.epochs
            ),
        )
        for curve in first.curves
    )
    spec = learning_curves(replace(summary, variants=(replace(first, curves=curves), *others)))
    assert spec is not None
    band = next(each for each in spec.draw(PAGE).axes[2].collections if isinstance(each, PolyCollection))
    assert band.get_paths()[0].vertices[:, 1].max() == 100.0


def test_each_seed_has_its_line(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = learning_curves_by_seed(summary)
    assert spec is not None
    panels = spec.draw(PAGE).axes
    assert len(panels) == 3 * len(summary.variants)
    for axes, variant in zip(panels[2::3], summary.variants, strict=True):
        (lines,) = axes.collections
        accuracies = [[record.validation_accuracy_percent for record in curve.epochs] for curve in variant.curves]
        assert isinstance(lines, LineCollection)
        assert [line[:, 1].tolist() for line in lines.get_segments()] == accuracies
        assert list(axes.lines[0].get_ydata()) == pytest.approx(np.mean(accuracies, axis=0))


def test_a_band_from_least_to_greatest_replaces_many_seeds(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = summary.variants
    many = replace(first, curves=tuple(replace(first.curves[k % 5], seed=k) for k in range(101)))
    spec = learning_curves_by_seed(replace(summary, variants=(many, *others)))
    assert spec is not None
    assert "A band from least to greatest replaces more than 100 lines." in spec.caption
    (band,) = spec.draw(PAGE).axes[2].collections
    assert isinstance(band, PolyCollection)
    accuracies = [record.validation_accuracy_percent for curve in first.curves for record in curve.epochs]
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((min(accuracies), max(accuracies)))


def test_difference_curves_are_means_over_pairs_and_end_where_training_does(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = difference_curves(summary)
    assert spec is not None
    panels = [axes for axes in spec.draw(PAGE).axes if axes.get_visible()]
    assert len(panels) == len(summary.contrasts)
    for axes, contrast in zip(panels, summary.contrasts, strict=True):
        pairs = np.array(list(contrast.curve_differences.values()))
        zero, mean = axes.lines
        (band,) = axes.collections
        assert not np.any(zero.get_ydata())
        assert list(mean.get_ydata()) == list(pairs.mean(axis=0))
        heights = band.get_paths()[0].vertices[:, 1]
        assert axes.get_ylim()[0] < heights.min() < heights.max() < axes.get_ylim()[1]
    assert "pointwise" in spec.caption


def test_difference_curves_take_pairs_and_two_epochs(make_study: MakeStudy) -> None:
    spec = difference_curves(make_study("troubled"))
    assert spec is not None
    assert "both learned): learns_nothing_at_all and not_run_yet." in spec.caption
    half_done = spec.draw(PAGE).axes[1]
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
    assert "up to their last common epoch" in spec.caption
    end = np.mean([d[7] for d in curves.values()])
    assert f"{end:+.2f}".replace("-", MINUS) + " after the last" in spec.alt_text
    _, mean = spec.draw(PAGE).axes[0].lines
    assert list(mean.get_xdata()) == list(range(1, 9))


def test_one_infinite_loss_of_a_seed_that_learned_leaves_a_gap_and_no_more(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = summary.variants
    curve, *rest = first.curves
    epochs = tuple(replace(e, validation_loss=float("inf")) if e.epoch == 3 else e for e in curve.epochs)
    broken = replace(first, curves=(replace(curve, epochs=epochs), *rest))
    spec = learning_curves(replace(summary, variants=(broken, *others)))
    assert spec is not None
    assert "A gap is" in spec.caption
    (_, losses, _) = spec.draw(PAGE).axes
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
    spec = learning_curves_by_seed(replace(summary, variants=(lost, *others)))
    assert spec is not None
    assert "Dashed" not in spec.caption
    assert "and 1 seed did not learn." in spec.alt_text
