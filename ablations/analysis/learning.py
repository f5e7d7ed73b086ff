"""Whether a run learned: it is right more often than the best constant guess."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ablations.datasets import DATASETS
from ablations.planning.plan import Plan
from ablations.stats.guessing import constant_guess_percent
from ablations.trial import RecordedTrial, TrialResult


def learned(result: TrialResult, learned_percent: float) -> bool:
    """Whether a trial finished with at least this validation accuracy, in percent."""
    last = result.last
    return result.status == "finished" and last is not None and last.validation_accuracy_percent >= learned_percent


def guess_percent(plan: Plan, trials: Iterable[RecordedTrial]) -> float:
    """Validation accuracy of the best constant guess, percent: the share of the most frequent class.

    Splits are stratified, so seeds differ by an image at most; the largest share counts. Trials of an earlier version of the
    suite have no share: the labels of the test images stand in for it, or else equally frequent classes.
    """
    # The first look decides, so that no later trial changes which of its runs learned.
    first = set(plan.seeds[: plan.looks[0]])
    trials = list(trials)
    trials = [t for t in trials if t.phase == "confirm" and t.seed in first] or trials
    shares = [t.result.validation_guess_percent for t in trials if t.result.validation_guess_percent is not None]
    if shares:
        return max(shares)
    labels = recorded_labels(plan, trials)
    return DATASETS[plan.data.name].guess_percent if labels is None else constant_guess_percent(labels)


def recorded_labels(plan: Plan, trials: Iterable[RecordedTrial]) -> np.ndarray | None:
    """Classes of the test images, shape (num_test_images,); None if no trial has recorded them."""
    recorded = (t.result.test_labels for t in trials if t.result.test_labels)
    labels = np.frombuffer(next(recorded, b""), dtype=np.uint8)
    return labels if labels.size and labels.max() < DATASETS[plan.data.name].num_classes else None
