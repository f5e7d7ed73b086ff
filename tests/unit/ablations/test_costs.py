"""What an architecture is counted and measured for."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import pytest
import tiny

from ablations.costs import MEASUREMENTS, Workload, images_for, images_of
from ablations.networks import RegisteredModel
from ablations.trial import TrialConfig
from nin.complexity import costs
from nin.images import Input
from nin.memory import memory


def config(**changes: object) -> TrialConfig:
    return tiny.trial(**changes).config


def test_a_workload_is_what_a_trial_puts_on_the_device() -> None:
    workload = Workload.of(config(), "cpu")
    assert (workload.in_channels, workload.size, workload.num_classes) == (1, 16, 4)
    assert workload.images == images_of(config().data) == Input(in_channels=1, size=16, num_classes=4)
    assert (workload.batch_size, workload.precision, workload.device) == (32, "fp32", "cpu")
    assert workload.costs == costs(workload.model, workload.images)
    how = {"batch_size": 32, "precision": "fp32", "optimizer": "sgd_momentum", "device": "cpu"}
    assert workload.memory == memory(workload.model, workload.images, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("optimizer", "momentum", "expected"), [("sgd", 0.0, "sgd"), ("sgd", 0.5, "sgd_momentum"), ("adamw", 0.5, "adamw")]
)
def test_the_optimizer_is_told_by_what_it_keeps(optimizer: str, momentum: float, expected: str) -> None:
    changed = config(train__optimizer=optimizer, train__momentum=momentum)
    assert Workload.of(changed, "cpu").optimizer == expected


def test_images_at_their_own_size_have_it() -> None:
    unresized = config(data__resize=None, model__pools=False)
    assert images_of(unresized.data).size == Workload.of(unresized, "cpu").size == 8


@pytest.mark.parametrize(
    ("preset", "dataset", "size", "expected"),
    [
        ("lenet", None, None, Input(in_channels=1, size=28, num_classes=10)),
        ("lenet", None, 32, Input(in_channels=1, size=32, num_classes=10)),
        ("lenet", "cifar10", None, Input(in_channels=3, size=32, num_classes=10)),
        ("lenet", "cifar10", 24, Input(in_channels=3, size=24, num_classes=10)),
        ("a registered network", None, None, Input(in_channels=1, size=28, num_classes=10)),
    ],
)
def test_a_network_is_priced_for_the_images_it_is_made_for_or_for_others(
    preset: str, dataset: str | None, size: int | None, expected: Input
) -> None:
    assert images_for(preset, dataset, size) == expected


def test_a_precision_still_open_is_refused() -> None:
    trial = config()
    undecided = replace(trial, train=trial.train.model_copy(update={"precision": "auto"}))
    with pytest.raises(ValueError, match="precision"):
        Workload.of(undecided, "cpu")


def test_what_costs_nothing_is_no_part_of_it() -> None:
    same = config(train__lr=0.2, train__epochs=7, train__init="default", train__weight_decay=0.1, train__momentum=0.3)
    assert Workload.of(same, "cpu").id == Workload.of(config(), "cpu").id


def test_every_other_part_makes_another() -> None:
    one = Workload.of(config(), "cpu")
    others = {
        "model": replace(one.model, mixers=1),
        "in_channels": 3,
        "size": 32,
        "num_classes": 5,
        "batch_size": 64,
        "precision": "bf16",
        "optimizer": "adamw",
        "device": "cuda",
    }
    assert set(others) == {field.name for field in fields(Workload)}
    ids = {replace(one, **{name: value}).id for name, value in others.items()}
    assert len(ids | {one.id}) == 1 + len(others)


def test_variants_of_one_architecture_share_a_workload() -> None:
    plan = tiny.plan(
        variants={"two": {}, "warm": {"set": {"train.warmup_epochs": 1.0}}, "one": {"set": {"model.mixers": 1}}}
    )
    assert plan.workload("two").id == plan.workload("warm").id != plan.workload("one").id


def test_tuned_values_have_a_workload_of_their_own() -> None:
    plan = tiny.plan(search_space={"train.batch_size": {"type": "int", "low": 8, "high": 64}})
    assert plan.workload("two").batch_size == 32
    assert plan.workload("two", {"train.batch_size": 64}).batch_size == 64


def test_measurements_come_back_from_json() -> None:
    measured = {"a": tiny.measurement(), "b": tiny.measurement(processor="another")}
    assert MEASUREMENTS.validate_json(MEASUREMENTS.dump_json(measured)) == measured


@pytest.mark.parametrize("key", [field.name for field in fields(tiny.measurement()) if field.type != "str"])
def test_a_stored_measurement_that_nobody_can_have_made_is_refused(key: str) -> None:
    values = [-1] if key.endswith(("bytes", "iqr_seconds")) else [-1, 0]
    for value in [*values, float("nan"), float("inf")]:
        with pytest.raises(ValueError, match=key):
            MEASUREMENTS.validate_python({"a": asdict(tiny.measurement(**{key: value}))})


@pytest.mark.parametrize(("normalization", "has_any"), [("none", False), ("batch", True)])
def test_batch_statistics_are_those_of_batch_normalisation(normalization: str, has_any: bool) -> None:
    assert Workload.of(config(model__normalization=normalization), "cpu").has_batch_statistics is has_any


def test_of_a_registered_network_batch_statistics_are_to_be_expected() -> None:
    workload = replace(
        Workload.of(config(model__normalization="none"), "cpu"),
        model=RegisteredModel("theirs", "their-networks 1.0", ()),
    )
    assert workload.has_batch_statistics
