"""The two kinds of luck: known spreads are found, and their intervals cover."""

from __future__ import annotations

import numpy as np
import pytest

from ablations.stats.components import noise


def drawn(retune: float, searches: int, seeds: int, generator: np.random.Generator) -> list[list[float]]:
    """One variant: accuracies with a spread of .3 from seed to seed."""
    return [list(generator.normal(mean, 0.3, seeds)) for mean in generator.normal(90, retune, searches)]


@pytest.mark.parametrize(("retune", "searches", "seeds"), [(0.2, 5, 2), (0.0, 3, 4), (0.1, 8, 3)])
def test_intervals_cover(retune: float, searches: int, seeds: int) -> None:
    generator = np.random.default_rng(0)
    covered = np.zeros(2)
    for _ in range(1000):
        found = noise([drawn(retune, searches, seeds, generator)])
        assert found.reseed is not None
        assert found.retune is not None
        ends = (found.reseed.interval, 0.3), (found.retune.interval, retune)
        covered += [interval.lower <= true <= interval.upper for interval, true in ends]
    assert (covered / 1000 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 1000)).all()


def test_many_variants_pooled_come_to_the_true_spreads() -> None:
    generator = np.random.default_rng(1)
    found = noise([drawn(0.2, 5, 2, generator) for _ in range(400)])
    assert found.reseed is not None
    assert found.retune is not None
    assert found.reseed.sd == pytest.approx(0.3, rel=0.05)
    assert found.retune.sd == pytest.approx(0.2, rel=0.08)


def test_unequal_numbers_of_seeds_are_allowed() -> None:
    by_hand = noise([[[1.0, 3.0], [5.0, 7.0, 9.0]]])
    # Within: 2 + 8 over 3; between: 1.2 * 25 over 1; size 5 - 13 / 5.
    assert by_hand.reseed is not None
    assert by_hand.retune is not None
    assert by_hand.reseed.sd == pytest.approx(np.sqrt(10 / 3))
    assert by_hand.retune.sd == pytest.approx(np.sqrt((30 - 10 / 3) / 2.4))


@pytest.mark.parametrize(
    ("groups", "known"),
    [
        ([], (False, False)),
        ([[]], (False, False)),
        ([[[1.0]]], (False, False)),
        ([[[1.0], [2.0], [4.0]]], (False, False)),
        ([[[1.0, 1.0], [2.0, 2.0]]], (False, False)),
        ([[[1.0, 2.0]]], (True, False)),
        ([[[1.0, 2.0], []]], (True, False)),
        ([[[1.0, 2.0], [3.0]]], (True, True)),
    ],
)
def test_a_spread_that_the_values_do_not_show_is_unknown(
    groups: list[list[list[float]]], known: tuple[bool, bool]
) -> None:
    found = noise(groups)
    assert (found.reseed is not None, found.retune is not None) == known
