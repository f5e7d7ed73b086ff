"""The spread of searches, pooled over the variants of a study: an assumption that a study file may make."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ablations.stats.intervals import Estimate
from ablations.stats.judgement import PairedSample


def pooled_estimates(samples: Mapping[str, PairedSample], references: Mapping[str, str]) -> dict[str, Estimate]:
    """Mean differences whose standard errors come from one mean square over all variants.

    The mean square is that of the interaction of variants and searches: what is left of their accuracies when each variant's mean
    and each search's mean are taken out. That is right if the searches and seeds of all variants scatter equally. If one variant
    scatters more than the others, its own interval is too narrow.

    Args:
        samples: by variant; each has at least 2 units.
        references: by variant, the name of the one it is compared with; the comparisons form no circle.

    Returns:
        By variant; empty if fewer than 2 units are common to all samples, or nothing varies.

    Source:
        Analysis of variance of a randomised block design (Fisher 1935), with the searches as blocks.
    """
    means = {name: each.unit_differences for name, each in samples.items()}
    common = sorted(set.intersection(*(set(each) for each in means.values()))) if means else []
    if len(common) < 2:
        return {}
    # Against the last variant that nothing is compared beyond: a constant of a search drops out of the interaction.
    accuracies: dict[str, np.ndarray] = {}

    def place(name: str) -> np.ndarray:
        if name not in accuracies:
            own = means.get(name)
            accuracies[name] = (
                np.zeros(len(common))
                if own is None
                else place(references[name]) + np.array([own[unit] for unit in common])
            )
        return accuracies[name]

    for name in samples:
        place(name)
    squares, df = 0.0, 0
    for rows in _connected(accuracies, references, samples):
        table = np.stack([accuracies[name] for name in rows])
        left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
        squares += float(np.sum(left**2))
        df += (len(rows) - 1) * (len(common) - 1)
    if not squares:
        return {}
    return {
        name: Estimate(float(np.mean(list(each.values()))), float(np.sqrt(2 * squares / df / len(each))), df)
        for name, each in means.items()
    }


def _connected(
    accuracies: Mapping[str, np.ndarray], references: Mapping[str, str], samples: Mapping[str, PairedSample]
) -> list[list[str]]:
    """Groups of variants that comparisons connect; only within one are differences known."""

    def root(name: str) -> str:
        while name in samples:
            name = references[name]
        return name

    groups: dict[str, list[str]] = {}
    for name in accuracies:
        groups.setdefault(root(name), []).append(name)
    return list(groups.values())
