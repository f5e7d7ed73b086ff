"""Made-up paired samples, and shortcuts to judge and word them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ablations.stats.budget import Budget
from ablations.stats.judgement import Evidence, Judgement, PairedSample, Verdict
from ablations.stats.sentences import paragraph
from ablations.stats.verdicts import judge

BANNED = ("significan", "no effect", "no difference", "trend", "nan", "None")
"""Never in a sentence."""
CARRIES_A_WORD = set(Verdict) - {Verdict.NO_VERDICT, Verdict.EXPLORATORY}


def sample(
    differences: Iterable[float],
    *,
    missing: int = 0,
    failed: int = 0,
    failed_reference: int = 0,
    planned: int | None = None,
    correct: np.ndarray | None = None,
) -> PairedSample:
    values = list(differences)
    planned = len(values) + missing + max(failed, failed_reference) if planned is None else planned
    ran = max(planned - missing, failed, failed_reference)
    return PairedSample(dict(enumerate(values)), planned, missing, failed, failed_reference, ran, ran, correct)


def budget(num_comparisons: int = 1, *, alpha: float = 0.05, margin: float = 0.5, share: float = 1.0) -> Budget:
    """A budget with the default decision, and only one comparison and look."""
    return Budget(alpha=alpha, margin=margin, num_comparisons=num_comparisons, share=share)


def judge_one(each: PairedSample, *, alpha: float = 0.05, margin: float = 0.5, num_comparisons: int = 1) -> Judgement:
    return judge({"one": each}, budget(num_comparisons, alpha=alpha, margin=margin))["one"]


def word(judgement: Judgement, *, share: float = 1.0) -> str:
    return paragraph(judgement, budget(5, share=share), variant="one", reference="two")


def with_evidence(judgement: Judgement, **changes: Any) -> Judgement:
    """The judgement with other numbers in its evidence."""
    return replace(judgement, evidence=replace(evidence_of(judgement), **changes))


def evidence_of(judgement: Judgement) -> Evidence:
    assert judgement.evidence is not None
    return judgement.evidence


def spread(mean: float, sd: float, num: int = 10) -> np.ndarray:
    """Values with exactly this mean and standard deviation, not symmetric about the mean."""
    values = np.log(np.arange(1.0, num + 1))
    values -= values.mean()
    return np.asarray(mean + sd * values / values.std(ddof=1))


def images(num_seeds: int, num_images: int, *, fixed: float, flips: float, seed: int = 0) -> np.ndarray:
    """-1, 0 or 1: the two networks always differ on a share `fixed` of images, and by coin flips on a share `flips`."""
    rng = np.random.default_rng(seed)
    always = rng.choice([-1, 0, 1], size=num_images, p=[fixed / 2, 1 - fixed, fixed / 2])
    sometimes = rng.choice([-1, 0, 1], size=(num_seeds, num_images), p=[flips / 2, 1 - flips, flips / 2])
    return np.where(always != 0, always, sometimes).astype(np.int8)


def with_images(correct: np.ndarray) -> PairedSample:
    return sample(100 * correct.mean(axis=1), correct=correct)
