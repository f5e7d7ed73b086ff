"""The records that travel, and the identity of a trial."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import tiny
from builders import planned
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

from ablations import trial as trial_module
from ablations.planning.planner import make_plan
from ablations.studyfile.loading import read_file, shipped_studies
from ablations.trial import (
    DataConfig,
    EpochRecord,
    Machine,
    TrainConfig,
    TrialConfig,
    TrialResult,
    TrialSpec,
    content_hash,
    derive,
)
from nin.presets import PRESETS

GOLDEN = ROOT / "tests" / "golden" / "trial_ids.json"

SPEC = TrialSpec(
    variant="two",
    phase="confirm",
    seed=3,
    config=TrialConfig(
        data=DataConfig(name="synthetic", resize=16, validation=64),
        model=PRESETS["nin_small"],
        train=TrainConfig(epochs=3, batch_size=32, lr=0.05, precision="fp32"),
    ),
    data_checksum="synthetic:1",
    device="cpu",
)

CLASSIC = TrialSpec(
    variant="lenet",
    phase="tune",
    seed=0,
    config=TrialConfig(
        data=DataConfig(name="fashion_mnist", validation=6000, train_size=20000),
        model=PRESETS["lenet"],
        train=TrainConfig(
            epochs=10,
            batch_size=128,
            optimizer="adamw",
            lr=0.001,
            weight_decay=0.01,
            schedule="cosine",
            warmup_epochs=0.5,
            init="xavier_uniform",
            precision="bf16",
        ),
    ),
    data_checksum="md5:1",
    device="cuda",
)


# Identity


def _with(section: str, **changes: Any) -> TrialSpec:
    part = getattr(SPEC.config, section)
    changed = replace(part, **changes) if section == "model" else part.model_copy(update=changes)
    return replace(SPEC, config=replace(SPEC.config, **{section: changed}))


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, phase="tune"),
        replace(SPEC, seed=4),
        replace(SPEC, data_checksum="synthetic:2"),
        replace(SPEC, device="cuda"),
        replace(SPEC, config=replace(SPEC.config, model=PRESETS["lenet"])),
        _with("data", name="digits"),
        _with("data", resize=32),
        _with("data", resize=None),
        _with("data", validation=65),
        _with("data", train_size=100),
        _with("model", mixers=(2, 2, 2, 1)),
        _with("model", width=1.0 + 1e-12),
        _with("model", dropout=0.1),
        _with("train", epochs=4),
        _with("train", batch_size=33),
        _with("train", optimizer="adamw"),
        _with("train", lr=0.05 + 1e-12),
        _with("train", momentum=0.9),
        _with("train", nesterov=True),
        _with("train", weight_decay=1e-4),
        _with("train", schedule="cosine"),
        _with("train", warmup_epochs=1.0),
        _with("train", init="kaiming_normal"),
        _with("train", precision="bf16"),
    ],
)
def test_an_id_changes_with_all_that_decides_the_result(other: TrialSpec) -> None:
    assert other.id != SPEC.id


def test_an_id_changes_with_the_version_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    before = replace(SPEC).id
    monkeypatch.setattr(trial_module, "TRAINING_VERSION", trial_module.TRAINING_VERSION + 1)
    assert replace(SPEC).id != before


def test_every_setting_of_a_trial_enters_its_id() -> None:
    """A new field of the data or the recipe is in the JSON that is hashed, without anyone having to think of it."""
    values = SPEC.config.to_json()
    assert set(values["data"]) == set(DataConfig.model_fields)
    assert set(values["train"]) == set(TrainConfig.model_fields)
    assert set(values["model"]) == {"kind", *vars(SPEC.config.model)}


@pytest.mark.parametrize(
    "other",
    [replace(SPEC, variant="renamed"), replace(SPEC, number=5), replace(SPEC, hyperparameters={"train.lr": 0.05})],
)
def test_an_id_does_not_change_with_labels(other: TrialSpec) -> None:
    assert other.id == SPEC.id


def _golden_ids() -> dict[str, str]:
    study = read_file(next(path for path in shipped_studies() if path.stem == "one_by_one"))
    plan = make_plan(study.spec, "book", Machine("cuda", bf16=True, num_workers=1, description=""))
    return {
        "nin_small": SPEC.id,
        "lenet": CLASSIC.id,
        "one_by_one, book, two, lr 0.05, seed 0": plan.trial("two", "confirm", 0, {"train.lr": 0.05}).id,
    }


def test_ids_are_those_of_before() -> None:
    """Where this fails, every recorded trial would be trained again; if the results do change, raise TRAINING_VERSION."""
    assert _golden_ids() == json.loads(GOLDEN.read_text())


def test_ids_are_the_same_in_another_process() -> None:
    code = "import sys, pickle; print(pickle.load(sys.stdin.buffer).id)"
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=pickle.dumps(replace(SPEC)),
            capture_output=True,
            check=True,
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": hash_seed},
        )
        assert done.stdout.decode().strip() == SPEC.id


def test_dotted_keys_are_read_and_set() -> None:
    config = tiny.trial().config
    changed = config.with_values({"train.lr": 1, "model.width": 2, "data.resize": 8})
    keys = ("train.lr", "model.width", "data.resize")
    assert [config.value(key) for key in keys] == [0.05, 0.25, 16]
    assert [changed.value(key) for key in keys] == [1.0, 2.0, 8]
    assert isinstance(changed.value("model.width"), float)
    assert config.with_values({}) is config
    with pytest.raises(ValueError, match=r"train|lr"):
        config.with_values({"train.lr": -1})


def test_an_id_is_sixteen_hexadecimal_digits() -> None:
    assert len(SPEC.id) == 16
    assert int(SPEC.id, 16) >= 0


# Hashes and seeds


def test_a_hash_does_not_depend_on_the_order_of_keys() -> None:
    assert content_hash({"a": 1, "b": [1, 2]}) == content_hash({"b": [1, 2], "a": 1})
    assert content_hash([1, 2]) != content_hash([2, 1])
    assert content_hash({"a": 1}) != content_hash({"a": "1"})


def test_what_is_no_json_has_no_hash() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        content_hash({"lr": math.nan})


@given(st.lists(st.text() | st.integers(), min_size=1, max_size=4))
def test_a_derived_seed_has_63_bits(parts: list[str | int]) -> None:
    assert 0 <= derive(*parts) < 2**63
    assert derive(*parts) == derive(*parts)


def test_derived_seeds_differ_by_part_and_by_place() -> None:
    seeds = [derive("tune", 0, "order"), derive("confirm", 0, "order"), derive("tune", 1, "order"), derive("tune", 0)]
    seeds += [
        derive(0, "tune", "order"),
        derive("tune", "0", "order"),
        derive("tune0", "order"),
        derive("tune", 0, "split"),
    ]
    assert len(set(seeds)) == len(seeds)


# Records

RECORD = tiny.record(1)
RESULTS = [
    TrialResult("a" * 16, "finished", (RECORD, replace(RECORD, epoch=2)), 50.0, bytes(range(256)), 2048),
    TrialResult("a" * 16, "finished", (replace(RECORD, learning_onset_step=None),), 97.5, b"", 0),
    TrialResult("a" * 16, "finished", (RECORD,), 50.0, b"ab", 12, bytes(range(12))),
    TrialResult("a" * 16, "diverged", (RECORD,), message="the loss is not finite"),
    TrialResult("a" * 16, "pruned"),
    TrialResult("a" * 16, "failed", message="line\nline é"),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.status)
def test_a_result_survives_json_and_pickle(result: TrialResult) -> None:
    assert TrialResult.from_json(json.loads(json.dumps(result.to_json()))) == result
    assert pickle.loads(pickle.dumps(result)) == result


def test_a_result_knows_its_last_epoch_and_its_seconds() -> None:
    result = TrialResult(
        "a" * 16, "finished", (replace(RECORD, epoch_seconds=1.5), replace(RECORD, epoch=2, epoch_seconds=2.0))
    )
    assert result.last is not None
    assert (result.last.epoch, result.train_seconds) == (2, 3.5)
    assert TrialResult("a" * 16, "failed").last is None


@pytest.mark.parametrize(
    "values",
    [
        {},
        {**RESULTS[0].to_json(), "surprise": 1},
        {**RESULTS[0].to_json(), "test_correct": "abc"},
        {**RESULTS[0].to_json(), "test_correct": "YWJj"},
        {**RESULTS[2].to_json(), "test_correct": "YWI_"},
        {**RESULTS[2].to_json(), "test_labels": "YWI="},
        {**RESULTS[2].to_json(), "test_labels": RESULTS[2].to_json()["test_labels"][:-8]},
        {**RESULTS[2].to_json(), "num_test_images": 13},
        *({**RESULTS[2].to_json(), "validation_guess_percent": share} for share in (0.0, 100.1, float("nan"))),
        {**RESULTS[2].to_json(), "test_accuracy_percent": 75.0},
        *(
            {**RESULTS[4].to_json(), "test_accuracy_percent": accuracy}
            for accuracy in (float("nan"), float("inf"), 100.1, -0.1)
        ),
    ],
)
def test_what_is_no_result_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        TrialResult.from_json(values)


def test_records_are_frozen() -> None:
    for record, name in ((SPEC, "seed"), (RECORD, "epoch"), (RESULTS[0], "status")):
        with pytest.raises(AttributeError):
            setattr(record, name, 1)


def test_a_plan_makes_the_trial_that_its_cells_ask_for() -> None:
    plan = planned()
    trial = plan.trial("one", "tune", 1, {"train.lr": 0.1}, number=7)
    assert (trial.variant, trial.phase, trial.seed, trial.number) == ("one", "tune", 1, 7)
    assert trial.config.train.lr == 0.1
    assert trial.config.model == plan["one"].config.model
    assert (trial.data_checksum, trial.device, trial.hyperparameters) == ("synthetic:1", "cpu", {"train.lr": 0.1})


def test_an_epoch_record_has_what_is_logged() -> None:
    assert all(type(value) in {int, float} for value in vars(RECORD).values())
    assert isinstance(RECORD, EpochRecord)


def test_a_finished_result_without_an_epoch_is_refused() -> None:
    empty = replace(tiny.result(tiny.trial()), epochs=())
    with pytest.raises(ValueError, match="it finished, and has no epoch"):
        TrialResult.from_json(empty.to_json())
