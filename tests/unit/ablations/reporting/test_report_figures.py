"""What the figures show and leave out. That each draws, and without a warning, is tested with the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from ablations.analysis.contrasts import detectable
from ablations.analysis.summary import StudySummary
from ablations.datasets import DATASETS
from ablations.reporting.figures import FIGURES, figures
from ablations.reporting.figures.classes import class_differences
from ablations.reporting.figures.cost import accuracy_against_cost
from ablations.reporting.figures.curves import difference_curves, learning_curves
from ablations.reporting.figures.differences import paired_differences
from ablations.reporting.figures.disagreement import disagreement
from ablations.reporting.figures.frame import grid_of
from ablations.reporting.figures.power import seeds_needed
from ablations.reporting.figures.seeds import accuracy_by_seed
from ablations.reporting.figures.tuning import best_of_n, tuning_landscape
from ablations.reporting.theme import BLUE, DARK, drawing
from ablations.reporting.words import MINUS
from ablations.stats.intervals import Interval

MakeStudy = Callable[[str], StudySummary]


def drawn(figure: Figure) -> str:
    """All text of a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def test_figures_bear_their_functions_names(make_study: MakeStudy) -> None:
    names = [figure.name for figure in figures(make_study("ordinary"))]
    assert names == [figure.__name__ for figure in FIGURES]


def test_nothing_is_drawn_of_nothing(make_study: MakeStudy) -> None:
    assert figures(make_study("unstarted")) == ()


def test_one_epoch_is_no_curve_and_no_search_no_landscape(make_study: MakeStudy) -> None:
    assert learning_curves(make_study("alone")) is None
    assert tuning_landscape(make_study("alone")) is None


def test_alternative_texts_and_captions_name_the_gaps(make_study: MakeStudy) -> None:
    by_name = {figure.name: figure for figure in figures(make_study("troubled"))}
    assert "learns_nothing_at_all: no run that learned; 10 did not learn." in by_name["accuracy_by_seed"].alt_text
    assert "half_done: 97." in by_name["accuracy_by_seed"].alt_text
    assert "not_run_yet" in by_name["paired_differences"].caption
    assert "learns_nothing_at_all and not_run_yet" in by_name["accuracy_against_cost"].caption
    assert "Dashed" in by_name["learning_curves"].caption
    assert "learns_nothing_at_all has no seed that learned, and 10 seeds did not learn." in (
        by_name["learning_curves"].alt_text
    )
    assert "none that learned" in by_name["tuning_landscape"].alt_text


def test_forest_plot_shows_seeds_verdicts_and_margin(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = paired_differences(summary)
    assert spec is not None
    with drawing():
        figure = spec.draw()
    (axes,) = figure.axes
    text = drawn(figure).replace("\n", " ")
    dots = np.concatenate([line.get_xdata() for line in axes.lines if line.get_markersize() == 4])
    assert sorted(dots) == sorted(d for contrast in summary.contrasts for d in contrast.differences.values())
    assert all(contrast.judgement.verdict.words in text for contrast in summary.contrasts)
    assert "±0.5 points" in text
    assert "*" not in text


def chained(summary: StudySummary) -> StudySummary:
    """The same with its second contrast against the first one's variant."""
    first, second, *others = summary.contrasts
    return replace(summary, contrasts=(first, replace(second, versus=first.variant), *others))


def test_slopes_bear_the_names_of_what_they_join(make_study: MakeStudy) -> None:
    spec = accuracy_by_seed(chained(make_study("ordinary")))
    assert spec is not None
    assert "baseline" not in spec.caption
    with drawing():
        panels = [axes for axes in spec.draw().axes if axes.get_visible()]
    ticks = [[label.get_text() for label in axes.get_xticklabels()] for axes in panels]
    assert ticks == [["two", "none"], ["none", "one"], ["two", "three"], ["two", "none_wide"]]


def test_of_many_points_those_are_named_that_no_other_one_beats(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    baseline, other, *_ = summary.variants

    def names(accuracies: list[float]) -> set[str]:
        """What a panel names besides a baseline at 50 % and a higher cost each."""
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


@pytest.mark.parametrize("num_variants", [2, 3, 4, 9])
def test_long_names_over_panels_do_not_run_into_each_other(make_study: MakeStudy, num_variants: int) -> None:
    summary = make_study("ordinary")
    long = "every_block_narrowed_to_the_parameters_of_the_second_longest_name"
    variants = tuple(replace(summary.variants[0], name=f"{long[:-1]}{k}") for k in range(num_variants))
    spec = tuning_landscape(replace(summary, variants=variants))
    assert spec is not None
    with drawing():
        figure = spec.draw()
        figure.draw_without_rendering()
        texts = figure.findobj(
            lambda artist: isinstance(artist, mpl.text.Text) and artist.get_text().startswith("every_")
        )
        titles = [text.get_window_extent() for text in texts]
    assert len(titles) == num_variants
    for index, one in enumerate(titles):
        assert not any(one.overlaps(other) for other in titles[index + 1 :])


def test_forest_plot_shades_the_margin_and_no_more(make_study: MakeStudy) -> None:
    spec = paired_differences(make_study("ordinary"))
    assert spec is not None
    with drawing():
        (axes,) = spec.draw().axes
    (band,) = axes.patches
    assert list(band.get_extents().transformed(axes.transData.inverted()).intervalx) == pytest.approx([-0.5, 0.5])


def test_slopes_join_means_over_pairs_and_not_over_all_runs(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    baseline, first, *others = summary.variants
    both = replace(baseline, failed_seeds=(0,)), replace(first, failed_seeds=(4,))
    spec = accuracy_by_seed(replace(summary, variants=(*both, *others)))
    assert spec is not None
    with drawing():
        axes = spec.draw().axes[0]
    (means,) = [line.get_ydata() for line in axes.lines if line.get_marker() == "D"]
    pairs = [np.mean([each.accuracy_percent[seed] for seed in (1, 2, 3)]) for each in both]
    assert list(means) == pytest.approx(pairs)
    assert all(f"{mean:.2f}" in drawn(axes.figure) for mean in pairs)


def test_forest_plot_cuts_endless_intervals(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = summary.contrasts
    endless = replace(first.judgement, simultaneous_interval=Interval(-90.0, 90.0, 0.9875))
    spec = paired_differences(replace(summary, contrasts=(replace(first, judgement=endless), *others)))
    assert spec is not None
    with drawing():
        (axes,) = spec.draw().axes
    low, high = axes.get_xlim()
    assert -5 < low < -2.4
    assert 0.6 < high < 5
    assert {line.get_marker() for line in axes.lines} >= {"<", ">"}


def test_names_are_never_mathematics(make_study: MakeStudy) -> None:
    spec = paired_differences(make_study("hostile"))
    assert spec is not None
    with drawing():
        figure = spec.draw()
    assert "$x$" in drawn(figure)
    assert not any(text.get_parse_math() for text in figure.findobj(mpl.text.Text) if "$" in text.get_text())


def test_a_landscape_leaves_out_trials_in_which_a_key_was_not_searched(make_study: MakeStudy) -> None:
    summary = make_study("searched_widely")
    without = replace(summary.variants[0], tuned={"train.lr": 0.1, "train.batch_size": 32, "train.optimizer": "adamw"})
    spec = tuning_landscape(replace(summary, variants=(without, *summary.variants[1:])))
    assert spec is not None
    assert spec.caption.endswith(
        " train.momentum is searched only where train.optimizer is sgd; its panels leave other trials out."
    )
    with drawing():
        panels = spec.draw().axes[:4]
    num_trials = [
        sum(len(line.get_xdata()) for line in axes.lines if line.get_marker() in {"o", "s", "^", "x"})
        for axes in panels
    ]
    num_sgd = sum("train.momentum" in point.hyperparameters for point in without.tuning)
    assert num_trials == [len(without.tuning)] * 3 + [num_sgd]
    assert 0 < num_sgd < len(without.tuning)
    told = [text.get_text() for text in panels[3].texts]
    assert told == ["chosen: without it"]


def test_drawing_leaves_matplotlib_as_it_was(make_study: MakeStudy) -> None:
    before = dict(mpl.rcParams)
    spec = paired_differences(make_study("ordinary"))
    assert spec is not None
    with drawing():
        spec.draw()
    assert dict(mpl.rcParams) == before


def test_panels_leave_few_gaps() -> None:
    assert [grid_of(number) for number in (1, 2, 4, 5, 7, 9, 11)] == [
        (1, 1),
        (1, 2),
        (1, 4),
        (2, 3),
        (2, 4),
        (3, 3),
        (3, 4),
    ]


def test_colours_are_told_apart_by_lightness_from_their_ground() -> None:
    def lightness(colour: str) -> float:
        channels = np.array(mpl.colors.to_rgb(colour))
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    def contrast(one: str, other: str) -> float:
        dark, light = sorted((lightness(one), lightness(other)))
        return (light + 0.05) / (dark + 0.05)

    ink, muted, surface = "#1f2933", "#616e7c", "#ffffff"
    for colour in (ink, muted):
        assert contrast(colour, surface) >= 4.5
        assert contrast(DARK[colour], DARK[surface]) >= 4.5


# Curves


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


# What so many seeds can show


def test_seeds_needed_marks_where_the_study_is(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = seeds_needed(summary)
    assert spec is not None
    with drawing():
        panels = [axes for axes in spec.draw().axes if axes.get_visible()]
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
    judgement = replace(first.judgement, image_floor=0.1)
    limited = replace(first, judgement=judgement, detectable=detectable(judgement, alpha=0.05, num_comparisons=4))
    spec = seeds_needed(replace(summary, contrasts=(limited, *others)))
    assert spec is not None
    assert limited.detectable is not None
    assert limited.detectable.limit is not None
    assert f"never under {limited.detectable.limit:.2f}." in spec.alt_text
    assert "dotted line" in spec.caption
    with drawing():
        lines = spec.draw().axes[0].lines
    assert any(line.get_ydata()[0] == limited.detectable.limit for line in lines)


@pytest.mark.parametrize("num_contrasts", [1, 2, 4])
def test_legends_are_within_their_figure(make_study: MakeStudy, num_contrasts: int) -> None:
    summary = make_study("ordinary")
    limited = [
        replace(c, detectable=detectable(replace(c.judgement, image_floor=0.1), alpha=0.05, num_comparisons=4))
        for c in summary.contrasts[:num_contrasts]
    ]
    few = replace(summary, contrasts=tuple(limited), variants=summary.variants[: num_contrasts + 1])
    for spec in figures(few):
        with drawing():
            figure = spec.draw()
            figure.draw_without_rendering()
        for legend in figure.legends:
            extent = legend.get_window_extent()
            assert extent.x0 >= 0, spec.name
            assert extent.x1 <= figure.bbox.width, spec.name


def test_seeds_needed_is_only_drawn_of_a_spread(make_study: MakeStudy) -> None:
    assert seeds_needed(make_study("searched_widely")) is None, "two seeds"
    spec = seeds_needed(make_study("troubled"))
    assert spec is not None
    assert "(no spread between seeds): learns_nothing_at_all, not_run_yet and half_done." in spec.caption


def test_disagreement_is_held_against_that_of_two_seeds(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = disagreement(summary)
    assert spec is not None
    with drawing():
        (axes,) = spec.draw().axes
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
    assert spec.caption.endswith("says nothing of the direction or the size of a difference in accuracy.")
    with drawing():
        text = drawn(spec.draw())
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
    assert "(no pair whose right images are known): one, three and none_wide." in spec.caption
    with drawing():
        assert not any(line.get_marker() == "|" for line in spec.draw().axes[0].lines)


def test_classes_are_filled_where_they_are_found_to_differ(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = class_differences(summary)
    assert spec is not None
    assert "Exploratory: no verdict goes by these" in spec.caption
    assert "over 36 tests)" in spec.caption, "in each of four contrasts one class of ten has no spread"
    with drawing():
        figure = spec.draw()
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert "no spread" in drawn(figure)
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
    assert "no spread" not in drawn(figure)
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
        assert longest in drawn(spec.draw())


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


# Tuning


def test_start_points_draws_and_reruns_are_told_apart(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, *others = summary.variants
    second_start = replace(first.tuning[1], role="start point")
    two_starts = replace(first, tuning=(first.tuning[0], second_start, *first.tuning[2:]))
    spec = tuning_landscape(replace(summary, variants=(two_starts, *others)))
    assert spec is not None
    with drawing():
        counts = {line.get_marker(): len(line.get_xdata()) for line in spec.draw().axes[0].lines}
    assert {marker: counts[marker] for marker in "so^"} == {"s": 2, "o": 15, "^": 3}


def test_best_of_n_has_a_panel_for_each_variant_with_draws(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    spec = best_of_n(summary)
    assert spec is not None
    with drawing():
        panels = [axes for axes in spec.draw().axes if axes.get_visible()]
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
    with drawing():
        assert len(spec.draw().axes[0].lines) == 1, "no baseline to draw in grey"


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
    with drawing():
        panels = [axes for axes in spec.draw().axes if axes.get_visible()]
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
