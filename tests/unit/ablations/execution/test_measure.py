"""What is measured, against what the closed form says of it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import get_args

import pytest
import tiny
import torch

from ablations.costs import MEASUREMENTS, Workload
from ablations.execution.measure import (
    Run,
    measure,
    peak_prediction_bytes,
    peak_training_bytes,
    saved_bytes,
    train_for_a_moment,
)
from ablations.planning.planner import make_plan
from ablations.studyfile.loading import read_file, shipped_studies
from ablations.trial import Machine
from nin.config import ConfigError
from nin.memory import Optimizer, Precision, memory
from nin.model import build
from nin.presets import INPUTS, PRESETS

SMALL = [name for name, made_for in INPUTS.items() if made_for.size < 224]

# The most that a measured peak may be beyond the closed form: the workspaces of the convolutions' kernels, which depend on
# the processor and hardly on the batch. Seen: training 3 % and 8 % (book), prediction 5 % and 37 % (book: its 11x11).
SMALL_BOUNDS = {"training": 1.10, "prediction": 1.15}
# Seen with 3x3 mixers in narrowed networks on an Intel Xeon with AMX: prediction 18, 21, 21 and 24 %.
MIXERS_3X3_BOUNDS = {"training": 1.10, "prediction": 1.25}
BOOK_BOUNDS = {"training": 1.20, "prediction": 1.60}


@pytest.mark.slow
@pytest.mark.parametrize("precision", get_args(Precision))
@pytest.mark.parametrize(
    ("preset", "batch_size", "bounds"), [*((name, 8, SMALL_BOUNDS) for name in SMALL), ("nin_book", 2, BOOK_BOUNDS)]
)
def test_measured_peaks_are_the_closed_form_and_workspaces(
    preset: str, batch_size: int, bounds: dict[str, float], precision: Precision
) -> None:
    images = torch.rand(batch_size, *INPUTS[preset].shape)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(batch_size, dtype=torch.int64)
    model = build(PRESETS[preset], INPUTS[preset]).to(memory_format=torch.channels_last)
    run = Run(model, precision, "sgd_momentum")
    training = peak_training_bytes(run, images, labels)
    prediction = peak_prediction_bytes(run, images)

    closed = memory(
        PRESETS[preset],
        INPUTS[preset],
        batch_size=batch_size,
        precision=precision,
        optimizer="sgd_momentum",
        device="cpu",
    )
    assert 1 <= training / closed.peak_training_bytes <= bounds["training"]
    assert 1 <= prediction / closed.peak_prediction_bytes <= bounds["prediction"]


@pytest.mark.parametrize("optimizer", get_args(Optimizer))
def test_a_measurement_is_whole_and_can_be_stored(optimizer: Optimizer) -> None:
    workload = Workload(
        PRESETS["lenet"], **asdict(INPUTS["lenet"]), batch_size=4, precision="bf16", optimizer=optimizer, device="cpu"
    )
    measured, closed = measure(workload, seconds=0.0), workload.memory

    assert MEASUREMENTS.validate_json(MEASUREMENTS.dump_json({"a": measured})) == {"a": measured}
    assert (measured.num_threads, measured.torch_version) == (1, torch.__version__)
    assert measured.processor
    assert measured.saved_bytes == closed.saved_bytes
    assert closed.peak_training_bytes <= measured.peak_training_bytes < 1.2 * closed.peak_training_bytes
    assert closed.peak_prediction_bytes <= measured.peak_prediction_bytes < measured.peak_training_bytes
    assert min(measured.train_images_per_second, measured.latency_1_seconds, measured.latency_128_seconds) > 0
    assert min(measured.latency_1_iqr_seconds, measured.latency_128_iqr_seconds) >= 0


def test_a_network_that_cannot_exist_is_refused() -> None:
    made_for = asdict(INPUTS["nin_book"]) | {"size": 28}
    workload = Workload(PRESETS["nin_book"], **made_for, batch_size=4, precision="fp32", optimizer="sgd", device="cpu")
    with pytest.raises(ConfigError, match=r"block2\.pool"):
        measure(workload)


def test_a_network_is_trained_for_a_moment_once_the_word_is_given() -> None:
    waited: list[bool] = []
    workload = Workload.of(tiny.trial().config, "cpu")
    assert train_for_a_moment(workload, lambda: waited.append(True), seconds=0.05) > 0
    assert waited == [True]


# What studies promise: for every variant at every profile, the closed form and a measurement agree.


def _shipped_workloads() -> dict[str, Workload]:
    """Each workload of the shipped studies once, by the first variant that has it; on a batch that this machine can hold."""
    machine = Machine("cpu", bf16=True, num_workers=1, description="")
    found: dict[str, Workload] = {}
    names: dict[str, str] = {}
    for path in shipped_studies():
        spec = read_file(path).spec
        for profile in spec.profiles:
            plan = make_plan(spec, profile, machine)
            for variant in plan.variants:
                workload = replace(plan.workload(variant.name), batch_size=2 if profile == "book" else 8)
                found.setdefault(workload.id, workload)
                names.setdefault(workload.id, f"{plan.study}-{profile}-{variant.name}")
    return {names[key]: workload for key, workload in found.items()}


SHIPPED = _shipped_workloads()


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_closed_form_and_measurement_agree_for_every_variant_of_every_study(name: str) -> None:
    workload = SHIPPED[name]
    images = torch.rand(workload.batch_size, *workload.images.shape)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(workload.batch_size, dtype=torch.int64)
    model = build(workload.model, workload.images).to(memory_format=torch.channels_last)
    run = Run(model, workload.precision, workload.optimizer)
    assert saved_bytes(run, images) == workload.memory.saved_bytes
    small = MIXERS_3X3_BOUNDS if getattr(workload.model, "mixer_kernel", 1) == 3 else SMALL_BOUNDS
    bounds = BOOK_BOUNDS if workload.size >= 224 else small
    training = peak_training_bytes(run, images, labels) / workload.memory.peak_training_bytes
    prediction = peak_prediction_bytes(run, images) / workload.memory.peak_prediction_bytes
    assert 1 <= training <= bounds["training"]
    assert 1 <= prediction <= bounds["prediction"]
