"""Which runs learned, by the labels that are recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from trials import CHANCE, confirm, confirmed, plan, summary, tune

from ablations.analysis import warnings
from ablations.analysis.learning import guess_percent, learned
from ablations.datasets import DATASETS
from ablations.planning.plan import Plan
from ablations.trial import RecordedTrial, TrialResult


def labelled(p: Plan, labels: list[int]) -> list[RecordedTrial]:
    """Both variants at every seed, with these classes of the test images (repeated to 1,000)."""
    test_labels = np.resize(np.array(labels, dtype=np.uint8), 1000).tobytes()
    return [replace(t, result=replace(t.result, test_labels=test_labels)) for t in confirmed(p)]


@pytest.mark.parametrize(("validation", "did"), [(20.0, True), (19.99, False)])
def test_to_learn_is_to_reach_the_bar(validation: float, did: bool) -> None:
    p = plan()
    assert learned(confirm(p, "two", 0, validation=validation).result, 20.0) is did
    assert not learned(confirm(p, "two", 0, status="diverged").result, 20.0)
    assert not learned(TrialResult("x" * 16, "finished"), 20.0)


def test_the_guess_is_the_largest_recorded_share_of_a_class_in_the_validation_images() -> None:
    p = plan()
    shares = [confirm(p, "two", seed, validation_guess_percent=40.0 + seed) for seed in (0, 1)]
    assert guess_percent(p, [*labelled(p, [0, 1, 2, 3]), *shares]) == 41.0


def test_of_trials_without_that_share_the_labels_of_the_test_images_decide() -> None:
    p = plan()
    assert guess_percent(p, labelled(p, [0, 0, 0, 1])) == 75.0
    assert guess_percent(p, labelled(p, [0, 2])) == 50.0, "classes 1 and 3 are absent"


def test_without_any_labels_classes_count_as_equally_frequent() -> None:
    p = plan()
    assert guess_percent(p, []) == guess_percent(p, [*confirmed(p), tune(p, "one", 0)]) == CHANCE


def test_a_run_that_always_names_the_most_frequent_class_did_not_learn() -> None:
    p = plan()
    trials = [
        confirm(p, variant.name, seed, accuracy, validation_guess_percent=90.0)
        for variant, accuracy in zip(p.variants, (95.0, 90.0), strict=True)
        for seed in p.seeds
    ]
    s = summary(p, trials)
    assert (s["two"].failed_seeds, s["one"].failed_seeds) == ((), p.seeds)
    assert (s.guess_percent, s.learned_percent) == (90.0, pytest.approx(91.1, abs=0.02))


def test_unknown_labels_are_told_for_the_data_set_of_a_package_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(trials: list[RecordedTrial]) -> bool:
        return any("assumes equally frequent classes" in each for each in summary(plan(), trials).warnings)

    p = plan()
    assert not told(confirmed(p))
    own = replace(DATASETS["synthetic"], read=lambda folder, train: (np.zeros(0), np.zeros(0)))
    monkeypatch.setattr(warnings, "DATASETS", {"synthetic": own})
    assert told(confirmed(p))
    assert not told(labelled(p, [0, 1, 2, 3]))
    assert not told([confirm(p, "two", 0, validation_guess_percent=40.0)])
    assert not told([])
