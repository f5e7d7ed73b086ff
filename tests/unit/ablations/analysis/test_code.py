"""Code of packages that changed while their version numbers did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import tiny
from trials import confirm

from ablations.analysis.code import in_provenance, mixed_code, network_packages, replaced_code, trained_code
from ablations.analysis.summarize import summarize
from ablations.networks import RegisteredModel
from ablations.trial import RecordedTrial

OWN = "own-package 1.0"
PLAN = tiny.plan_of_registered("own", OWN, seeds=5)
SESSIONS = {
    "before": {"package_code": {OWN: "a", "data 1.0": "d"}},
    "after": {"package_code": {OWN: "b", "data 1.0": "d"}},
}


def trials(**seeds: int) -> list[RecordedTrial]:
    """So many confirmation trials of the variant `one` by session."""
    each = [session for session, count in seeds.items() for _ in range(count)]
    return [replace(confirm(PLAN, "one", seed), session=session) for seed, session in enumerate(each)]


def test_trials_are_counted_by_the_code_of_their_sessions() -> None:
    assert network_packages(PLAN) == {OWN}
    trained = trained_code(PLAN, trials(before=3, after=1), SESSIONS)
    assert trained == {OWN: {"a": 3, "b": 1}, "data 1.0": {"d": 4}}
    assert in_provenance(trained) == {"package_code": {OWN: ["a (3 trials)", "b (1 trial)"], "data 1.0": "d"}}


def test_a_trial_of_a_network_of_the_suite_says_nothing_about_a_packages_code() -> None:
    mixed = replace(PLAN, variants=(tiny.plan().variants[0], *PLAN.variants[1:]))
    two = replace(confirm(mixed, "two", 0), session="after")
    assert trained_code(mixed, [*trials(before=1), two], SESSIONS)[OWN] == {"a": 1}


@pytest.mark.parametrize("description", [{}, {"package_code": {}}, {"package_code": "damaged"}, {"package_code": None}])
def test_sessions_without_code_say_nothing(description: Mapping[str, Any]) -> None:
    assert trained_code(PLAN, trials(old=2), {"old": description}) == {}
    assert trained_code(PLAN, trials(gone=2), {}) == {}
    assert in_provenance({}) == {}


def test_a_report_warns_of_trials_of_one_version_and_two_codes() -> None:
    def told(*recorded: RecordedTrial) -> list[str]:
        provenance = in_provenance(trained_code(PLAN, recorded, SESSIONS))
        warnings = summarize(PLAN, recorded, provenance, {}).warnings
        assert [each for each in warnings if "code" in each] == list(mixed_code(PLAN, provenance))
        return list(mixed_code(PLAN, provenance))

    assert told(*trials(before=2)) == []
    assert told(*trials(before=2, after=1)) == [
        "own-package 1.0: its code changed between trials, and its version number did not (see Provenance). No trial is trained "
        "again. To train all with the same code, raise the package's version number, install it, and run the study again."
    ]


def test_the_code_of_a_data_set_may_change_since_its_images_may_not() -> None:
    assert list(mixed_code(PLAN, {"package_code": {"data 1.0": ["d (1 trial)", "e (1 trial)"]}})) == []


def test_trials_of_other_code_than_the_installed_are_told() -> None:
    trained = {OWN: Counter(a=3, b=1)}
    (told,) = replaced_code(trained, {OWN: "b"})
    assert told.startswith(
        "own-package 1.0: 3 recorded trials were trained with other code than the installed one, and"
    )
    assert "raise the package's version number" in told
    (told,) = replaced_code({OWN: Counter(a=1)}, {OWN: "b"})
    assert told.startswith("own-package 1.0: 1 recorded trial was trained with")
    assert list(replaced_code({OWN: Counter(a=3)}, {OWN: "a"})) == []
    assert list(replaced_code(trained, {"own-package 1.1": "b"})) == []
    assert list(replaced_code(trained, {})) == []
    assert list(replaced_code({}, {OWN: "a"})) == []


def test_a_raised_version_makes_other_trials() -> None:
    raised = tiny.plan_of_registered("own", "own-package 1.1")
    ids = [p.trial("one", "confirm", 0, {"train.lr": 0.05}).id for p in (PLAN, raised)]
    assert ids[0] != ids[1]
    assert isinstance(raised["one"].config.model, RegisteredModel)
