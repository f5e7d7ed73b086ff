"""The records that travel: what one training is (`TrialSpec`), what it says while it runs, and what came of it.

Everything here is frozen, can be pickled to a worker, printed, hashed and stored as JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ablations.networks import Model, RegisteredModel, dials, with_dial

TRAINING_VERSION = 1
"""Raised when a change to the trainer or the data pipeline changes results: old results then no longer match."""

Phase = Literal["tune", "confirm"]
Status = Literal["finished", "diverged", "pruned", "failed"]
Reason = Literal["crashed", "hung", "out_of_memory", "error"]
"""Why a trial failed: its process died, or was heard of no more; it wanted more memory than there is; it raised an error."""
MAX_ATTEMPTS = 3
"""A trial that has failed this often is given up, and tried again only when that is asked for."""
MAX_PARTS = 8
"""Into more parts than this no batch is split for want of memory."""
Precision = Literal["fp32", "bf16"]
Device = Literal["cpu", "cuda"]
Order = Literal["go", "pause", "prune"]
"""What the driver answers to an epoch's record: train on, save and stop, or end the trial as pruned."""

PositiveInt = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A strict, frozen section of a study file: unknown keys and wrong types are errors."""

    # Built when first used: most sections are only ever read as part of a study, whose own model has them inside.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class DataConfig(Section):
    """Which images a trial sees."""

    name: str
    """The data set."""
    resize: PositiveInt | None = None
    """Side in pixels that images are resized to; without it they stay as they are."""
    validation: PositiveInt
    """Images carved from the training split, stratified by class, for validation."""
    train_size: PositiveInt | None = None
    """Images left to train on after the validation images are taken; without it, all."""


class TrainConfig(Section):
    """How a trial trains: the recipe."""

    epochs: Annotated[int, Field(gt=0, le=100_000)]
    """Passes over the training images; results are those after the last one."""
    batch_size: Annotated[int, Field(gt=0, le=1_000_000)]
    """Images a step."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD, or Adam with decoupled weight decay."""
    lr: Positive
    """Peak learning rate."""
    momentum: Fraction = 0.0
    """Of SGD; AdamW uses betas (0.9, 0.999)."""
    nesterov: bool = False
    """Whether SGD's momentum is Nesterov's."""
    weight_decay: NonNegative = 0.0
    """Of weights and biases alike (SGD: L2, AdamW: decoupled)."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate after the warm-up; cosine falls to zero at the last step."""
    warmup_epochs: NonNegative = 0.0
    """Epochs (fractions allowed) over which the learning rate rises linearly from zero."""
    init: Literal["xavier_uniform", "kaiming_normal", "default"] = "default"
    """How the first weights are drawn: Glorot's uniform (the book's), He's normal (for ReLU), torch's own."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 autocast where the processor computes in bf16, else fp32, whose convolutions torch computes in TF32 on CUDA."""


@dataclass(frozen=True)
class TrialConfig:
    """One fully resolved configuration; nothing in it is left to a default elsewhere."""

    data: DataConfig
    model: Model
    train: TrainConfig

    def value(self, key: str) -> Any:
        """The value of a dotted key, such as `train.lr` or `model.width`."""
        section, name = key.split(".", 1)
        return dials(self.model)[name] if section == "model" else getattr(getattr(self, section), name)

    def with_values(self, values: Mapping[str, Any]) -> TrialConfig:
        """The same configuration with other values for some dotted keys."""
        changed = self
        for key, value in values.items():
            section, name = key.split(".", 1)
            if section == "model":
                changed = replace(changed, model=with_dial(changed.model, name, value))
            else:
                current = getattr(changed, section)
                validated = type(current).model_validate({**current.model_dump(), name: value})
                changed = replace(changed, **{section: validated})
        return changed

    def to_json(self) -> dict[str, Any]:
        """A JSON object with the sections `data`, `model` and `train`."""
        model = asdict(self.model)
        if isinstance(self.model, RegisteredModel):
            model |= model.pop("dials")
        return {
            "data": self.data.model_dump(),
            "model": {"kind": type(self.model).__name__, **model},
            "train": self.train.model_dump(),
        }


@dataclass(frozen=True)
class TrialSpec:
    """One training: variant x hyperparameters x seed x phase.

    `variant`, `number` and `hyperparameters` are labels, and `accumulated_parts` is how a machine manages; every other
    field decides the result and enters `id`.
    """

    variant: str
    phase: Phase
    seed: int
    config: TrialConfig
    data_checksum: str
    device: Device
    number: int | None = None
    """Number of the configuration within its variant's search, from 0; None in the confirm phase."""
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    """Values of the search space's keys in `config`."""
    accumulated_parts: int = 1
    """Parts that each batch is split into for want of memory, their gradients added up: the same step up to rounding."""

    @cached_property
    def id(self) -> str:
        """Hash of all that decides the result: 16 hexadecimal digits."""
        return content_hash(
            {
                "config": self.config.to_json(),
                "phase": self.phase,
                "seed": self.seed,
                "data_checksum": self.data_checksum,
                "device": self.device,
                "training_version": TRAINING_VERSION,
            }
        )


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch of one trial showed; accuracies in percent, losses as mean cross-entropy in nats."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    epoch: int
    """From 1."""
    step: int
    """Optimizer steps taken so far."""
    train_loss: float
    """Mean over the epoch's batches, in training mode."""
    train_accuracy_percent: float
    validation_loss: float
    validation_accuracy_percent: float
    num_dead_classes: int
    """Classes with zero recall on the validation images."""
    learning_onset_step: int | None
    """First step whose smoothed loss was below the onset threshold; None while there was none."""
    train_images_per_second: float
    epoch_seconds: float
    """Training and validation of this epoch."""
    timestamp_ms: int
    """Wall clock at its end, milliseconds since 1970; replays of a record keep it."""


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended. Accuracies in percent."""

    __pydantic_config__ = ConfigDict(extra="forbid", defer_build=True)

    trial_id: str
    status: Status
    epochs: tuple[EpochRecord, ...] = ()
    test_accuracy_percent: float | None = None
    test_correct: bytes | None = None
    """One bit an image of the test split in its own order, packed as `numpy.packbits` does; confirm phase only."""
    num_test_images: int | None = None
    test_labels: bytes | None = None
    """Class of each image of the test split in its own order, one byte each."""
    message: str | None = None
    """Why it did not finish, for people."""
    reason: Reason | None = None
    """Why it failed; None where it did not, or was recorded before reasons were."""
    num_attempts: int = 1
    """How often it was tried, this time included; interruptions do not count."""
    accumulated_parts: int = 1
    """Parts that its batches were split into for want of memory."""

    @property
    def outcome(self) -> str:
        """How it ended, for people: its status, or why it failed."""
        return self.reason.replace("_", " ") if self.reason else self.status

    @property
    def is_given_up(self) -> bool:
        """Whether it has failed so often that no run tries it again by itself."""
        return self.status == "failed" and self.num_attempts >= MAX_ATTEMPTS

    @property
    def last(self) -> EpochRecord | None:
        """The last epoch's record."""
        return self.epochs[-1] if self.epochs else None

    @property
    def train_seconds(self) -> float:
        """Seconds in all epochs together."""
        return sum(record.epoch_seconds for record in self.epochs)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the packed bits and the labels, compressed, become base64 text."""
        return {
            # Not `asdict`, which copies each number of each epoch by itself, twice here.
            **vars(self),
            "epochs": [dict(vars(record)) for record in self.epochs],
            "test_correct": None if self.test_correct is None else base64.b64encode(self.test_correct).decode(),
            "test_labels": None if self.test_labels is None else _packed(self.test_labels),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TrialResult:
        """The inverse of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: `values` was not written by `to_json`.
        """
        bits, labels = values["test_correct"], values.get("test_labels")
        num_images = values["num_test_images"] or 0
        result = _RESULT.validate_python(
            {
                **values,
                "test_correct": None if bits is None else base64.b64decode(bits, validate=True),
                "test_labels": None if labels is None else _unpacked(labels, num_images),
            }
        )
        if result.test_accuracy_percent is not None and not 0 <= result.test_accuracy_percent <= 100:
            raise ValueError(f"a test accuracy of {result.test_accuracy_percent} % is none")
        if result.test_correct is not None and len(result.test_correct) != (num_images + 7) // 8:
            raise ValueError(f"{len(result.test_correct)} bytes of test_correct are not those of {num_images} images")
        if result.test_correct is not None and result.test_accuracy_percent is not None:
            num_right = int.from_bytes(result.test_correct, "big").bit_count()
            if abs(100 * num_right - result.test_accuracy_percent * num_images) > 1e-6 * num_images:
                raise ValueError(f"{num_right} of {num_images} images are not {result.test_accuracy_percent} %")
        if result.test_labels is not None and len(result.test_labels) != num_images:
            raise ValueError(f"{len(result.test_labels)} test_labels are not those of {num_images} images")
        return result


# Every trial of a study has the same labels.
@lru_cache(maxsize=4)
def _packed(labels: bytes) -> str:
    return base64.b64encode(zlib.compress(labels, 9)).decode()


@lru_cache(maxsize=4)
def _unpacked(text: str, num_images: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        # No more than there should be: a few bytes can unpack to gigabytes.
        labels = unpacker.decompress(base64.b64decode(text, validate=True), num_images + 1)
    except zlib.error as error:
        raise ValueError(f"labels cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise ValueError("labels are not whole")
    return labels


_RESULT = TypeAdapter(TrialResult)


@dataclass(frozen=True)
class Ended:
    """A trial that left its worker; `result` is None when it was paused and its state saved."""

    spec: TrialSpec
    result: TrialResult | None


def in_short(hyperparameters: Mapping[str, Any]) -> list[str]:
    """Tuned values as people read them: `lr 0.0898`."""
    return [
        f"{key.split('.', 1)[1]} {format(value, '.3g') if isinstance(value, float) else value}"
        for key, value in hyperparameters.items()
    ]


def content_hash(values: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of `values` as canonical JSON."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def derive(*parts: str | int) -> int:
    """A seed of 63 bits that is a pure function of named parts, such as phase, seed and what it is for.

    What a trial draws from `derive(phase, seed, purpose)` is the same for every variant (common random numbers), and
    tuning and confirmation never share a draw.
    """
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True)
class Machine:
    """What a plan needs to know of the machine it will run on."""

    device: Device
    bf16: bool
    """Whether it computes in bf16 natively."""
    num_workers: int
    """Trials trained side by side."""
    description: str


@dataclass(frozen=True)
class RecordedTrial:
    """A trial as the tracking store has it: its labels, how it ended, and the run that holds it."""

    run_id: str
    variant: str
    variant_key: str
    phase: Phase
    seed: int
    number: int | None
    hyperparameters: dict[str, Any]
    result: TrialResult
    session: str | None = None
    """Which run of the study trained it."""
    count: int = 1
    """How many draws of the search it answers; draws of whole numbers or choices can coincide."""
