"""The records of a training: its specification (`TrialSpec`), its epochs and its result.

All are frozen, and can be pickled to a worker, printed, hashed and stored as JSON.
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
"""Raised with every change of results by the trainer or the data pipeline; older results then no longer match."""

Phase = Literal["tune", "confirm", "examine"]
"""Of a search; on test images with the chosen values; or on test images with the values that another variant chose."""
Status = Literal["finished", "diverged", "pruned", "failed"]
Reason = Literal["crashed", "hung", "out_of_memory", "error"]
"""Why a trial failed: its process died, its process went silent, it ran out of memory, or it raised an error."""
MAX_ATTEMPTS = 3
"""Attempts before a failing trial is given up; after that only a user can retry it."""
MAX_PARTS = 8
"""Most parts of a batch in gradient accumulation."""
Precision = Literal["fp32", "bf16"]
Device = Literal["cpu", "cuda"]
Order = Literal["go", "pause", "prune"]
"""The driver's answer to an epoch's record: train on, save and stop, or end the trial as pruned."""

PositiveInt = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A strict, frozen section of a study file: unknown keys and wrong types are errors."""

    # Pydantic builds a model at its first use: most sections are only ever read inside of a study, as parts of its model.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class DataConfig(Section):
    """The images of a trial."""

    name: str
    """The data set."""
    resize: PositiveInt | None = None
    """Side in pixels to resize images to. Default: images keep their size."""
    validation: PositiveInt
    """Validation images to take from the training split, stratified by class."""
    train_size: PositiveInt | None = None
    """Images to train on, from the rest of the training split. Default: all of the rest."""


class TrainConfig(Section):
    """The training recipe."""

    epochs: Annotated[int, Field(gt=0, le=100_000)]
    """Passes over the training images; results are taken after the last one."""
    batch_size: Annotated[int, Field(gt=0, le=1_000_000)]
    """Images per step. Batch normalisation of maps of one pixel needs at least 2."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD, or Adam with decoupled weight decay."""
    lr: Positive
    """Peak learning rate."""
    momentum: Fraction = 0.0
    """Momentum of SGD; AdamW uses betas (0.9, 0.999)."""
    nesterov: bool = False
    """Whether SGD uses Nesterov momentum."""
    weight_decay: NonNegative = 0.0
    """Decay of weights and biases alike (SGD: L2, AdamW: decoupled)."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate after the warm-up; cosine falls to zero at the last step."""
    warmup_epochs: NonNegative = 0.0
    """Epochs (fractions allowed) over which the learning rate rises linearly from zero; fewer than the epochs."""
    init: Literal["xavier_uniform", "kaiming_normal", "default"] = "default"
    """Initial weights: Glorot's uniform (the book's), He's normal (for ReLU), or torch's default."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 autocast if the processor computes in bf16, else fp32. On CUDA, torch computes fp32 convolutions in TF32."""


@dataclass(frozen=True)
class TrialConfig:
    """One fully resolved configuration; it leaves nothing to a default elsewhere."""

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

    `variant`, `number` and `hyperparameters` are labels, and `accumulated_parts` depends on the machine's memory. Every other
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
    """Values of the searched keys in `config`."""
    accumulated_parts: int = 1
    """Parts of each batch in gradient accumulation, after a lack of memory: the same step up to rounding."""

    @property
    def draws(self) -> Literal["tune", "confirm"]:
        """The phase whose random draws it has: an examination is paired with the confirmations of its seed."""
        return "tune" if self.phase == "tune" else "confirm"

    @cached_property
    def id(self) -> str:
        """Hash of everything that decides the result: 16 hexadecimal digits."""
        return content_hash({**self._configuration, "seed": self.seed})

    @cached_property
    def configuration_id(self) -> str:
        """Hash of everything that decides the result but the seed: 16 hexadecimal digits."""
        return content_hash(self._configuration)

    @property
    def _configuration(self) -> dict[str, Any]:
        return {
            "config": self.config.to_json(),
            "phase": self.phase,
            "data_checksum": self.data_checksum,
            "device": self.device,
            "training_version": TRAINING_VERSION,
        }


@dataclass(frozen=True)
class EpochRecord:
    """Figures of one epoch of one trial; accuracies in percent, losses as mean cross-entropy in nats."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    epoch: int
    """From 1."""
    step: int
    """Optimizer steps so far."""
    train_loss: float
    """Mean over the epoch's batches, in training mode."""
    train_accuracy_percent: float
    validation_loss: float
    validation_accuracy_percent: float
    num_dead_classes: int
    """Classes with zero recall on the validation images."""
    learning_onset_step: int | None
    """First step with a smoothed loss below the onset threshold; None until then."""
    train_images_per_second: float
    epoch_seconds: float
    """Seconds of this epoch, training and validation together."""
    timestamp_ms: int
    """Wall clock at its end, milliseconds since 1970; replays of the record keep it."""


@dataclass(frozen=True)
class TrialResult:
    """The end of a trial. Accuracies in percent."""

    __pydantic_config__ = ConfigDict(extra="forbid", defer_build=True)

    trial_id: str
    status: Status
    epochs: tuple[EpochRecord, ...] = ()
    test_accuracy_percent: float | None = None
    test_correct: bytes | None = None
    """One bit per image of the test split, in the split's order, as `numpy.packbits` packs them; confirm phase only."""
    num_test_images: int | None = None
    test_labels: bytes | None = None
    """Class of each image of the test split, in the split's order, one byte each."""
    validation_guess_percent: float | None = None
    """Validation accuracy of the best constant guess; confirm phase only, and None in old records."""
    message: str | None = None
    """Why it did not finish, for people."""
    reason: Reason | None = None
    """Why it failed; None if it did not, or in old records without reasons."""
    num_attempts: int = 1
    """Attempts so far, this one included; interruptions do not count."""
    accumulated_parts: int = 1
    """Parts of its batches in gradient accumulation."""

    @property
    def outcome(self) -> str:
        """Its end for people: its status, or why it failed."""
        return self.reason.replace("_", " ") if self.reason else self.status

    @property
    def is_given_up(self) -> bool:
        """Whether it has failed too often for a run to retry it automatically."""
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
            # `asdict` would copy each number of each epoch separately, and twice here.
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
        if result.status == "finished" and result.last is None:
            raise ValueError("it finished, and has no epoch")
        if result.test_accuracy_percent is not None and not 0 <= result.test_accuracy_percent <= 100:
            raise ValueError(f"a test accuracy of {result.test_accuracy_percent} % is impossible")
        if result.test_correct is not None and len(result.test_correct) != (num_images + 7) // 8:
            raise ValueError(f"{len(result.test_correct)} bytes of test_correct do not fit {num_images} images")
        if result.test_correct is not None and result.test_accuracy_percent is not None:
            num_right = int.from_bytes(result.test_correct, "big").bit_count()
            if abs(100 * num_right - result.test_accuracy_percent * num_images) > 1e-6 * num_images:
                raise ValueError(f"{num_right} of {num_images} images do not make {result.test_accuracy_percent} %")
        if result.test_labels is not None and len(result.test_labels) != num_images:
            raise ValueError(f"{len(result.test_labels)} test_labels do not fit {num_images} images")
        if result.validation_guess_percent is not None and not 0 < result.validation_guess_percent <= 100:
            raise ValueError(f"a validation_guess_percent of {result.validation_guess_percent} is impossible")
        return result


# Every trial of a study has the same labels.
@lru_cache(maxsize=4)
def _packed(labels: bytes) -> str:
    return base64.b64encode(zlib.compress(labels, 9)).decode()


@lru_cache(maxsize=4)
def _unpacked(text: str, num_images: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        # With a limit: a few bytes can unpack to gigabytes.
        labels = unpacker.decompress(base64.b64decode(text, validate=True), num_images + 1)
    except zlib.error as error:
        raise ValueError(f"labels cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise ValueError("labels are incomplete")
    return labels


_RESULT = TypeAdapter(TrialResult)


@dataclass(frozen=True)
class Ended:
    """A trial that left its worker; `result` is None if it was paused with its state saved."""

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
    """A seed of 63 bits, a pure function of named parts such as phase, seed and purpose.

    Draws from `derive(phase, seed, purpose)` are the same for every variant (common random numbers). Tuning and confirmation
    never share a draw.
    """
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True)
class Machine:
    """The facts about a machine that enter a plan."""

    device: Device
    bf16: bool
    """Whether it computes in bf16 natively."""
    num_workers: int
    """Trials trained in parallel."""
    description: str


@dataclass(frozen=True)
class RecordedTrial:
    """A trial in the tracking store: its labels, its result, and its run."""

    run_id: str
    variant: str
    variant_key: str
    phase: Phase
    seed: int
    number: int | None
    hyperparameters: dict[str, Any]
    result: TrialResult
    session: str | None = None
    """Run of the study that trained it."""
    started_ms: int | None = field(default=None, compare=False)
    """Wall clock at its start and at its end, milliseconds since 1970; None if the store does not say."""
    ended_ms: int | None = field(default=None, compare=False)
    count: int = 1
    """Draws of the search with this configuration; draws of whole numbers or choices can coincide."""

    @property
    def id(self) -> str:
        """The id of its `TrialSpec`."""
        return self.result.trial_id
