"""StudySpec: defaults, round trips, and what it derives."""

from __future__ import annotations

import subprocess
import sys

from builders import TEXT, edited, planned

from ablations.studyfile.loading import parse
from ablations.studyfile.spec import Match, StudySpec, Tuning


def test_defaults() -> None:
    spec = parse(edited(("tuning: {trials: 2, rerun_best: 1, rerun_seeds: 1}\nseeds: 2\n", "")), "s.yaml").spec
    assert (spec.seeds, spec.decision.alpha, spec.tuning.trials, spec.tuning.sampler) == (10, 0.05, 20, "qmc")
    assert spec.variants["two"].set == {}


def test_a_spec_survives_json() -> None:
    spec = parse(TEXT, "s.yaml").spec
    assert StudySpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_match_names_its_cost_and_its_target() -> None:
    assert (Match(params="a", by="model.width").cost, Match(params="a", by="model.width").target) == ("params", "a")
    assert (Match(macs="b", by="model.width").cost, Match(macs="b", by="model.width").target) == ("macs", "b")


def test_sections_are_built_with_the_study_and_not_once_more() -> None:
    # Pydantic builds a model twice if it is built by itself and as a part; every command would wait for it.
    code = (
        "from ablations import trial; from ablations.studyfile import loading, spec;"
        "built = lambda: [m.__name__ for m in (spec.StudySpec, spec.Base, spec.Profile, spec.Variant) if m.__pydantic_complete__];"
        "print(built(), trial._RESULT.pydantic_complete); loading.read_file(loading.find('one_by_one')); print(built())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[] False", "['StudySpec']"]


def test_tuning_trials_are_the_search_and_the_reruns() -> None:
    assert Tuning(trials=4, rerun_best=2, rerun_seeds=3).num_trials == 10
    assert Tuning(trials=4, rerun_best=2, rerun_seeds=0).num_trials == 4


def test_there_are_no_more_reruns_than_trials() -> None:
    assert planned(edited(("rerun_best: 1", "rerun_best: 9"))).tuning.num_rerun == 2
    assert planned(edited(("rerun_seeds: 1", "rerun_seeds: 0"))).tuning.num_rerun == 0
