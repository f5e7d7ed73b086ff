"""The rules of a study, changed after it has begun, by steps that honest people take: no step buys a new error budget."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from commandline import Command
from mlflow import MlflowClient

from ablations import session
from ablations.execution import dry
from ablations.execution.dry import DryExecutor
from ablations.trial import TrialResult, TrialSpec, derive

pytestmark = pytest.mark.slow

Run = Callable[..., dict[str, Any]]
MAKE_UP = dry._made_up


def made_up(spec: TrialSpec, on_epoch: Any) -> TrialResult | None:
    """A made-up trial: fewer 1x1 convolutions are worse by 10 points, and a variant with dropout by 3."""
    result = MAKE_UP(spec, on_epoch)
    if result is None or result.test_correct is None or result.num_test_images is None:
        return result
    dials = spec.config.to_json()["model"]
    loss = 0.1 * (dials["mixers"] == 1) + 0.03 * (dials["dropout"] != 0.5)
    generator = np.random.default_rng(derive(str(spec.seed), spec.configuration_id))
    right = generator.random(1000) < 0.9 - loss + 0.01 * generator.standard_normal()
    labels = (np.arange(1000) % 4).astype(np.uint8).tobytes()
    return replace(
        result,
        test_accuracy_percent=100 * float(right.mean()),
        test_correct=np.packbits(right).tobytes(),
        num_test_images=1000,
        test_labels=labels,
    )


@pytest.fixture
def run(command: Command, store: str, monkeypatch: pytest.MonkeyPatch, migrated_database: Path) -> Run:
    """Runs a study with made-up trainings and the real store; its summary."""
    Path("mlflow.db").write_bytes(migrated_database.read_bytes())
    monkeypatch.setattr(dry, "_made_up", made_up)
    monkeypatch.setattr(session, "local_executor", lambda *_, **__: DryExecutor(2))
    # Drawing takes most of a run's time.
    monkeypatch.setattr("ablations.reporting.render.figures", lambda summary: ())

    def run(profile: str = "starter", **changes: Any) -> dict[str, Any]:
        study = {"search_space": {}, "seeds": 5, "decision": {"margin": 5.0}, **changes}
        if looks := study.pop("looks", None):
            study["profiles"] = {"starter": {"description": "all", "looks": looks}}
        tiny.write_yaml(Path("s.yaml"), **study)
        code, out, err = command("run", "s.yaml", "--profile", profile)
        assert code == 0, err
        told = Path("reports") / study.get("study", "tiny") / profile / "summary.json"
        return {**json.loads(told.read_text(encoding="utf-8")), "err": err, "out": out}

    return run


def words(summary: dict[str, Any]) -> dict[str, str]:
    return {name: each["verdict"] for name, each in summary["contrasts"].items()}


THREE = {
    "two": {},
    "one": {"set": {"model.mixers": 1}},
    "less": {"set": {"model.dropout": 0.2}},
}
WORSE = {"one": "worse_by_more"}


def test_seeds_that_are_added_after_a_look_are_exploratory_whatever_else_is_changed(run: Run) -> None:
    assert words(run()) == WORSE
    for changes in ({}, {"tuning": {"trials": 21}}, {"tuning": {"seed": 7}}, {"study": "renamed"}):
        more = run(seeds=10, **changes)
        assert words(more) == {"one": "exploratory"}
        assert "one look at 5 seeds from seed 0 on when" in more["unplanned"]
    assert words(run()) == WORSE, "the old file has its words"
    assert words(run(looks=[5, 10])) == {"one": "exploratory"}


def best_at(lr: float) -> Callable[..., TrialResult | None]:
    """Made-up trials whose search chooses the draw that is nearest to a learning rate."""

    def trial(spec: TrialSpec, on_epoch: Any) -> TrialResult | None:
        result = made_up(spec, on_epoch)
        if result is None or spec.phase == "confirm":
            return result
        accuracy = 90 - 10 * abs(np.log(spec.config.train.lr / lr))
        epochs = [replace(each, validation_accuracy_percent=float(accuracy)) for each in result.epochs]
        return replace(result, epochs=tuple(epochs))

    return trial


TUNED = {"search_space": {"train.lr": {"type": "float", "low": 0.01, "high": 0.2, "log": True}}}


@pytest.mark.parametrize(
    "change",
    [
        {"tuning": {"trials": 2, "rerun_best": 1, "rerun_seeds": 2}},
        {"tuning": {"trials": 3, "rerun_best": 1, "rerun_seeds": 1}},
        {"tuning": {"trials": 2, "rerun_best": 1, "rerun_seeds": 1, "seed": 7}},
        {"search_space": {"train.lr": {"type": "float", "low": 0.01, "high": 0.2 + 1e-12, "log": True}}},
        {"search_space": {"train.lr": {"type": "float", "low": 0.01, "high": 0.3, "log": True}}},
    ],
)
def test_another_search_that_chooses_the_same_values_buys_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    monkeypatch.setattr(dry, "_made_up", best_at(0.05))
    assert words(run(**TUNED)) == WORSE
    more = run(**{**TUNED, **change}, seeds=10)
    assert words(more) == {"one": "exploratory"}
    assert "one look at 5 seeds from seed 0 on when" in more["unplanned"]
    again = run(**{**TUNED, **change})
    assert (words(again), again["num_comparisons"]) == (WORSE, 1)
    assert words(run(**TUNED)) == WORSE


def test_another_search_that_chooses_other_values_is_told_of(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry, "_made_up", best_at(0.05))
    assert run(**TUNED)["history"] == []
    narrower = {"search_space": {"train.lr": {"type": "float", "low": 0.1, "high": 0.2, "log": True}}}
    base = {**tiny.STUDY["base"], "train": {**tiny.STUDY["base"]["train"], "lr": 0.15}}
    retuned = run(**narrower, base=base)
    assert retuned["history"] == [
        "`one` against `two` was looked at before: seeds 0 to 4 with other settings or tuned values (worse by more than the margin)."
    ]
    assert run(**TUNED)["history"][0].count("with other settings or tuned values") == 1


def test_a_change_is_said_before_anything_is_trained(run: Run, command: Command) -> None:
    run()
    for changes, told in (
        ({"decision": {"margin": 4.0}}, "the margin was 5 points when the first confirmation trial began, and is 4 now."),
        ({"decision": {"margin": 5.0, "alpha": 0.1}}, "alpha was 0.05 when the first confirmation trial began, and is 0.1 now."),
        ({"seeds": 10}, "the plan was one look at 5 seeds from seed 0 on when the first confirmation trial began"),
    ):  # fmt: skip
        tiny.write_yaml(Path("s.yaml"), **{"search_space": {}, "seeds": 5, **changes})
        for arguments in (("check", "s.yaml"), ("plan", "s.yaml", "--profile", "starter")):
            code, _, err = command(*arguments)
            assert code == 0
            assert f"warning: tiny, profile starter: this file can have no verdict: {told}" in err
            assert "in a copy of the study with another name: first_seed: " in err
    tiny.write_yaml(Path("s.yaml"), search_space={}, seeds=5, variants=THREE)
    assert "this file can have no verdict on less: added after" in command("check", "s.yaml")[2]
    tiny.write_yaml(Path("s.yaml"), search_space={}, seeds=5)
    assert command("check", "s.yaml")[2] == ""


@pytest.mark.parametrize("change", [{"decision": {"margin": 4.0}}, {"decision": {"margin": 5.0, "alpha": 0.2}}])
def test_another_margin_or_more_alpha_is_exploratory(run: Run, change: dict[str, Any]) -> None:
    run()
    assert words(run(**change)) == {"one": "exploratory"}
    assert words(run()) == WORSE


def test_dropped_variants_keep_their_part_of_the_budget(run: Run) -> None:
    whole = run(variants=THREE)
    assert whole["num_comparisons"] == 2
    for study in ("tiny", "renamed"):
        dropped = run(study=study)
        assert (words(dropped), dropped["num_comparisons"]) == (WORSE, 2)


def test_variants_that_were_looked_at_with_four_seeds_have_no_second_chance(run: Run) -> None:
    many = {"two": {}, **{f"v{n}": {"set": {"model.dropout": n / 20}} for n in range(1, 6)}}
    assert set(words(run(variants=many, seeds=4)).values()) == {"exploratory"}
    chosen = {"two": {}, "v3": many["v3"]}
    assert words(run(variants=chosen, seeds=10)) == {"v3": "exploratory"}
    fresh = run(variants=chosen, seeds=5, first_seed=20)
    assert words(fresh)["v3"] != "exploratory"


def test_a_variant_that_is_added_is_exploratory_and_costs_the_others_nothing(run: Run) -> None:
    run()
    more = run(variants=THREE)
    assert (words(more), more["num_comparisons"]) == ({**WORSE, "less": "exploratory"}, 1)
    again = run(variants=THREE)
    assert (words(again), again["num_comparisons"]) == (words(more), 1)


def test_the_same_study_under_another_name_or_profile_has_the_same_budget(run: Run) -> None:
    run(variants=THREE)
    profiles = {"starter": {"description": "all"}, "again": {"description": "the same"}}
    for found in (run(study="renamed", variants=THREE), run("again", profiles=profiles, variants=THREE)):
        assert (words(found)["one"], found["num_comparisons"]) == (WORSE["one"], 2)
        assert "seeds 0 to 4" in found["history"][0]


def test_fresh_seeds_have_a_budget_of_their_own_and_the_report_tells_of_the_others(run: Run) -> None:
    run()
    second = run(first_seed=5)
    third = run(first_seed=10)
    assert words(second) == words(third) == WORSE
    (sentence,) = third["history"]
    assert sentence.startswith(
        "`one` against `two` was looked at before: seeds 0 to 4 (worse by more than the margin); seeds 5 to 9 (worse by more than the margin). "
        "Over all 15 pairs, the mean difference is −"
    )
    assert run()["contrasts"]["one"]["verdict"] == WORSE["one"]


def test_a_variant_that_is_renamed_keeps_its_word(run: Run) -> None:
    run()
    renamed = run(variants={"two": {}, "eins": {"set": {"model.mixers": 1}}})
    assert (words(renamed), renamed["num_comparisons"]) == ({"eins": WORSE["one"]}, 1)


def test_a_study_that_shares_only_its_baseline_is_not_concerned(run: Run) -> None:
    run()
    other = run(study="other", variants={"two": {}, "less": {"set": {"model.dropout": 0.2}}}, decision={"margin": 2.0})
    assert (other["unplanned"], other["num_comparisons"], other["history"]) == (None, 1, [])
    assert words(other)["less"] != "exploratory"


@pytest.mark.parametrize("tag", ["ablations.looks", "ablations.frozen_plans"])
def test_a_deleted_tag_forgets_nothing(run: Run, store: str, tag: str) -> None:
    run()
    client = MlflowClient(store)
    (parent,) = client.search_runs(
        [client.get_experiment_by_name("tiny/starter").experiment_id], "tags.`ablations.kind` = 'study'"
    )
    client.delete_tag(parent.info.run_id, tag)
    assert words(run(seeds=10)) == {"one": "exploratory"}
    assert words(run()) == WORSE


def test_a_deleted_run_of_the_study_forgets_nothing(run: Run, store: str) -> None:
    run()
    client = MlflowClient(store)
    (parent,) = client.search_runs(
        [client.get_experiment_by_name("tiny/starter").experiment_id], "tags.`ablations.kind` = 'study'"
    )
    client.delete_run(parent.info.run_id)
    assert words(run(seeds=10)) == {"one": "exploratory"}
    assert words(run()) == WORSE


def test_a_run_that_was_stopped_has_fixed_its_seeds(
    run: Run, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write_yaml(Path("s.yaml"), search_space={}, seeds=8, decision={"margin": 5.0})
    stopped = iter([False] * 12)
    with monkeypatch.context() as patched:
        patched.setattr("ablations.runner.Runner._stopping", lambda runner: next(stopped, True))
        code, out, _ = command("run", "s.yaml", "--profile", "starter")
    assert (code, "one against two" in out) == (3, True), "it has shown an interval"
    assert words(run(seeds=6)) == {"one": "exploratory"}
    assert words(run(seeds=8)) == WORSE


def test_looks_go_on_until_every_comparison_has_its_word(run: Run) -> None:
    found = run(variants=THREE, looks=[5, 8, 12])
    assert found["contrasts"]["one"]["look"] == 1
    assert "look 1 of 3, at 5 seeds:" in found["out"]
    assert "one against two" in found["out"]
    again = run(variants=THREE, looks=[5, 8, 12])
    assert words(again) == words(found)
    assert "trained 0 trials" in again["out"]
