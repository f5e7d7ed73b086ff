"""The smallest study: synthetic images, a few thousand parameters, tenths of a second per trial."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablations.costs import Measurement
from ablations.networks import RegisteredModel
from ablations.planning.plan import Plan
from ablations.planning.planner import make_plan
from ablations.studyfile.spec import StudySpec
from ablations.trial import EpochRecord, Machine, Order, TrialResult, TrialSpec

CPU = Machine("cpu", bf16=False, num_workers=2, description="2 CPU cores")

STUDY: dict[str, Any] = {
    "study": "tiny",
    "question": "Does a bar need a 1x1 convolution?",
    "base": {
        "data": {"name": "synthetic", "validation": 64, "resize": 16},
        "model": {"preset": "nin_small", "width": 0.25},
        "train": {"epochs": 3, "batch_size": 32, "lr": 0.05, "momentum": 0.9, "init": "kaiming_normal"},
    },
    "search_space": {"train.lr": {"type": "float", "low": 0.01, "high": 0.2, "log": True}},
    "tuning": {"trials": 2, "rerun_best": 1, "rerun_seeds": 1},
    "seeds": 2,
    "baseline": "two",
    "variants": {"two": {}, "one": {"set": {"model.mixers": 1}}},
    "decision": {"margin": 5.0},
    "profiles": {"starter": {"description": "all of it"}},
}


CONDITIONAL: dict[str, Any] = {
    # A condition may stand before the key that it names.
    "train.momentum": {"type": "float", "low": 0.0, "high": 0.95, "when": {"train.optimizer": "sgd"}},
    "train.optimizer": {"type": "categorical", "choices": ["sgd", "adamw"]},
    **STUDY["search_space"],
}
"""A search space with a conditional key."""


def plan(machine: Machine = CPU, **changes: Any) -> Plan:
    """The plan of the tiny study with some of its top keys replaced; `looks` goes into its profile."""
    if looks := changes.pop("looks", None):
        changes["profiles"] = {"starter": {"description": "all of it", "looks": looks}}
    return make_plan(StudySpec.model_validate({**STUDY, **changes}), "starter", machine)


def plan_of_registered(preset: str, package: str, **changes: Any) -> Plan:
    """The plan of the tiny study with every variant's network registered by a package, such as "own-package 1.0"."""
    made = plan(**changes)
    variants = (
        replace(each, config=replace(each.config, model=RegisteredModel(preset, package, (("blocks", number),))))
        for number, each in enumerate(made.variants)
    )
    return replace(made, variants=tuple(variants))


def base(**changes: Any) -> dict[str, Any]:
    """The study's base with dotted keys replaced, the dot written as two underscores: `train__epochs=5`."""
    sections = {name: dict(section) for name, section in STUDY["base"].items()}
    for key, value in changes.items():
        section, name = key.split("__")
        sections[section][name] = value
    return sections


def trial(variant: str = "two", phase: str = "confirm", seed: int = 0, **changes: Any) -> TrialSpec:
    """One trial of the tiny study, with nothing to tune; `changes` as in `base`."""
    return plan(base=base(**changes), search_space={}).trial(variant, phase, seed, {})  # type: ignore[arg-type]


def record(epoch: int, accuracy_percent: float = 50.0, **changes: Any) -> EpochRecord:
    """A made-up record of an epoch."""
    values = {
        "epoch": epoch,
        "step": 6 * epoch,
        "train_loss": 1 / (3 * epoch),
        "train_accuracy_percent": accuracy_percent + 1,
        "validation_loss": 1 / 7,
        "validation_accuracy_percent": accuracy_percent,
        "num_dead_classes": 0,
        "learning_onset_step": 4,
        "train_images_per_second": 1234.5,
        "epoch_seconds": 0.1,
        "timestamp_ms": 1_700_000_000_000 + epoch,
    }
    return EpochRecord(**{**values, **changes})


def result(spec: TrialSpec, accuracy_percent: float = 50.0, status: str = "finished") -> TrialResult:
    """A made-up result of a trial on 10,000 test images; with every epoch if it finished, else with none."""
    if status != "finished":
        return TrialResult(spec.id, status, message=f"made up to be {status}")  # type: ignore[arg-type]
    epochs = tuple(record(epoch, accuracy_percent) for epoch in range(1, spec.config.train.epochs + 1))
    right = ((1 << round(100 * accuracy_percent)) - 1).to_bytes(1250, "little")
    test = (accuracy_percent, right, 10_000) if spec.phase != "tune" else (None, None, None)
    return TrialResult(spec.id, "finished", epochs, *test)


def measurement(**changes: Any) -> Measurement:
    """A made-up measurement."""
    values = {
        "processor": "an abacus",
        "num_threads": 1,
        "torch_version": "2.0",
        "saved_bytes": 6_500_000,
        "peak_training_bytes": 7_000_000,
        "peak_prediction_bytes": 1_400_000,
        "train_images_per_second": 3_200.0,
        "latency_1_seconds": 0.00107,
        "latency_1_iqr_seconds": 0.00007,
        "latency_128_seconds": 0.0116,
        "latency_128_iqr_seconds": 0.0008,
    }
    return Measurement(**{**values, **changes})


def finish(
    training: Generator[EpochRecord, Order, TrialResult | None],
    orders: dict[int, Order] | None = None,
    told: Callable[[EpochRecord], object] = lambda record: None,
) -> TrialResult | None:
    """Drive a training to its end; `orders` by epoch, "go" elsewhere; `told` hears each record."""
    try:
        seen = next(training)
        while True:
            told(seen)
            seen = training.send((orders or {}).get(seen.epoch, "go"))
    except StopIteration as stop:
        value: TrialResult | None = stop.value
        return value


def timeless(outcome: TrialResult | None) -> dict[str, Any]:
    """The reproducible part of a result: everything but times."""
    assert outcome is not None
    values = outcome.to_json()
    for epoch in values["epochs"]:
        for name in ("train_images_per_second", "epoch_seconds", "timestamp_ms"):
            del epoch[name]
    return values


def write_yaml(path: Path, **changes: Any) -> Path:
    """The study as a file."""
    import yaml

    path.write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
    return path
