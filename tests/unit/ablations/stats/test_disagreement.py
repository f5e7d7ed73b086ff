"""How often two networks differ in the images they classify correctly."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from ablations.stats.disagreement import disagreement, disagreement_between_reseeds

pytestmark = pytest.mark.filterwarnings("error")


def test_disagreement_between_variants_and_between_reseeds() -> None:
    correct = np.random.default_rng(0).random((5, 400)) < 0.9
    pairs = [disagreement(correct[i], correct[j]) for i, j in combinations(range(5), 2)]
    assert disagreement_between_reseeds(correct) == pytest.approx(np.mean(pairs))
    assert disagreement(correct, correct) == 0
    assert disagreement(correct, ~correct) == 100
    with pytest.raises(ValueError, match="shapes"):
        disagreement(correct, correct[:2])
    with pytest.raises(ValueError, match="2 seeds"):
        disagreement_between_reseeds(correct[:1])
