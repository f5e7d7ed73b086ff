"""How sure a search was of the values that it chose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ablations.analysis.summary import Choice, TuningPoint, VariantSummary
from ablations.planning.plan import Plan
from ablations.studyfile.distributions import FloatDistribution

NUM_REPETITIONS = 2000
"""Simulated repetitions of a search. They leave a share a standard error of at most 1.1 %."""

FAR_APART = 2.0
"""Ratio of the tuned values of two variants from which a report warns."""


@dataclass
class _Scores:
    """Validation accuracies of one configuration, in percent."""

    values: dict[str, Any]
    search: float | None = None
    again: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Over the search and the re-runs."""
        return float(np.mean([*([] if self.search is None else [self.search]), *self.again]))


def choices(plan: Plan, variants: Sequence[VariantSummary]) -> dict[str, Choice]:
    """How sure each variant's search was; variants whose search is not done, or had no alternative, are left out.

    Several searches show it themselves, so nothing is simulated then.

    Each search is repeated many times, simulated: a configuration keeps its mean accuracy, and each training adds noise as large as
    it was between trainings of the same configuration, over all variants. The recorded means scatter by that noise themselves,
    so they lie farther apart than the true ones, and a real repetition would choose other values more often.

    Args:
        plan: of the study.
        variants: their results.
    """
    if plan.is_by_search:
        return {}
    scores = {variant.name: _scores(variant.tuning) for variant in variants}
    noise = _noise_points([each for found in scores.values() for each in found])
    found = {}
    for variant in variants:
        if noise is not None and variant.tuned and variant.num_tune_done == variant.num_tune_planned:
            choice = _choice(scores[variant.name], variant.tuned, noise, plan.tuning.num_rerun, plan.tuning.rerun_seeds)
            if choice is not None:
                found[variant.name] = choice
    return found


def far_apart(plan: Plan, variants: Sequence[VariantSummary]) -> Iterator[str]:
    """A warning for each comparison whose sides were tuned to values of different size."""
    if plan.is_by_search:
        return
    scaled = [key for key, space in plan.search_space.items() if isinstance(space, FloatDistribution) and space.log]
    tuned = {variant.name: variant.tuned for variant in variants}
    for name in plan.contrast_names:
        sides = tuned[name], tuned[plan[name].versus]
        for key in scaled:
            if any(key not in side for side in sides):
                continue
            low, high = sorted(float(side[key]) for side in sides)
            if high > FAR_APART * low:
                yield (
                    f"`{name}` against `{plan[name].versus}`: `{key}` was tuned to {sides[0][key]:.3g} and {sides[1][key]:.3g}, "
                    f"{high / low:.1f} times apart. The comparison is of both changes together."
                )


def _scores(tuning: Sequence[TuningPoint]) -> list[_Scores]:
    found: dict[str, _Scores] = {}
    for point in tuning:
        if point.validation_accuracy_percent is None:
            continue
        each = found.setdefault(repr(sorted(point.hyperparameters.items())), _Scores(point.hyperparameters))
        if point.role != "re-run":
            each.search = point.validation_accuracy_percent
        else:
            each.again.append(point.validation_accuracy_percent)
    return list(found.values())


def _noise_points(scores: Sequence[_Scores]) -> float | None:
    """Standard deviation of a validation accuracy between trainings of one configuration; None with too few of them.

    Only the best of a search are trained again, so search and re-runs differ on average, by selection. That shift is taken out.
    """
    repeated = [each for each in scores if each.search is not None and each.again]
    squares = sum(float(np.var(each.again)) * len(each.again) for each in repeated)
    df = sum(len(each.again) - 1 for each in repeated)
    shifts = np.array([(each.search or 0.0) - float(np.mean(each.again)) for each in repeated])
    if len(repeated) > 1:
        weights = np.array([1 / (1 + 1 / len(each.again)) for each in repeated])
        squares += float(np.sum(weights * (shifts - np.average(shifts, weights=weights)) ** 2))
        df += len(repeated) - 1
    return float(np.sqrt(squares / df)) if df > 1 else None


def _choice(
    scores: Sequence[_Scores], tuned: Mapping[str, Any], noise: float, num_rerun: int, rerun_seeds: int
) -> Choice | None:
    searched = [each for each in scores if each.search is not None]
    place = next((place for place, each in enumerate(searched) if each.values == tuned), None)
    if place is None or len(searched) < 2:
        return None
    deciding = [float(np.mean(each.again)) if each.again else -np.inf for each in searched]
    if np.sum(np.isfinite(deciding)) < 2:
        deciding = [each.search or 0.0 for each in searched]
    runner_up = max((each for each in range(len(searched)) if each != place), key=lambda each: deciding[each])
    generator = np.random.default_rng(0)
    means = np.array([each.mean for each in searched])
    shape = NUM_REPETITIONS, len(searched)
    final = means + noise * generator.standard_normal(shape)
    if num_rerun:
        finalists = np.argsort(-final, axis=1)[:, :num_rerun]
        again = means + noise / np.sqrt(rerun_seeds) * generator.standard_normal(shape)
        final = np.full(shape, -np.inf)
        np.put_along_axis(final, finalists, np.take_along_axis(again, finalists, axis=1), axis=1)
    chosen = np.argmax(final, axis=1)
    return Choice(
        runner_up=searched[runner_up].values,
        lead_points=deciding[place] - deciding[runner_up],
        noise_points=noise,
        other_share=float(np.mean(chosen != place)),
        retune_sd_points=float(np.std(means[chosen])),
    )
