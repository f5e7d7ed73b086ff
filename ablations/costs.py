"""Costs of an architecture: its images, its workload on a device, and measurements of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Annotated

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt, TypeAdapter

from ablations.datasets import DATASETS, Dataset
from ablations.networks import Model, RegisteredModel, costs
from ablations.trial import TRAINING_VERSION, DataConfig, Device, Precision, TrainConfig, TrialConfig, content_hash
from nin.architecture import layers
from nin.complexity import Costs
from nin.images import Input
from nin.layers import BatchNorm2d
from nin.memory import Memory, Optimizer, memory
from nin.presets import INPUTS


def images_of(data: DataConfig) -> Input:
    """Images of a data set as a trial sees them, resized if the study says so.

    Raises:
        KeyError: there is no such data set.
        RegistrationError: a package registers an unusable data set under this name.
    """
    images = _unresized(DATASETS[data.name])
    return replace(images, size=data.resize or images.size)


def images_for(preset: str, dataset: str | None = None, size: int | None = None) -> Input:
    """Images and number of classes to price a network for, where no study says.

    Args:
        preset: the network's name.
        dataset: whose images; None: those that the network is made for, Fashion-MNIST's for one that a package registers.
        size: side in pixels that they are resized to; None leaves them as they are.

    Raises:
        KeyError: there is no such data set.
        RegistrationError: what a package registers under its name cannot be used.
    """
    made_for = INPUTS.get(preset) if dataset is None else None
    images = made_for or _unresized(DATASETS[dataset or "fashion_mnist"])
    return images if size is None else replace(images, size=size)


def _unresized(dataset: Dataset) -> Input:
    return Input(in_channels=dataset.channels, size=dataset.size, num_classes=dataset.num_classes)


@dataclass(frozen=True)
class Workload:
    """An architecture with all that its memory and speed depend on, but for the machine; no seed and no learning rate.

    Variants that differ in nothing of it cost the same, and are counted and measured once.

    Attributes:
        model: the dials.
        in_channels: of the images.
        size: height and width of the images in pixels.
        num_classes: number of logits.
        batch_size: images of a training step.
        precision: of the computation.
        optimizer: what trains it.
        device: where.
    """

    model: Model
    in_channels: int
    size: int
    num_classes: int
    batch_size: int
    precision: Precision
    optimizer: Optimizer
    device: Device

    @classmethod
    def of(cls, config: TrialConfig, device: Device) -> Workload:
        """What a trial of this configuration puts on the device.

        Args:
            config: with its precision resolved.
            device: where it runs.

        Raises:
            ValueError: the precision is still "auto".
        """
        if config.train.precision == "auto":
            raise ValueError("the precision is to be resolved first")
        return cls(
            model=config.model,
            **asdict(images_of(config.data)),
            batch_size=config.train.batch_size,
            precision=config.train.precision,
            optimizer=_optimizer(config.train),
            device=device,
        )

    @property
    def images(self) -> Input:
        """The images, as networks are priced and built for them."""
        return Input(in_channels=self.in_channels, size=self.size, num_classes=self.num_classes)

    @cached_property
    def id(self) -> str:
        """Hash of all of it and of the trainer's version: 16 hexadecimal digits."""
        return content_hash({**asdict(self), "kind": type(self.model).__name__, "training_version": TRAINING_VERSION})

    @cached_property
    def costs(self) -> Costs:
        """Params and MACs, in closed form or as a registered network counts them.

        Raises:
            ConfigError: the network cannot exist at this size.
        """
        return costs(self.model, self.images)

    @cached_property
    def memory(self) -> Memory | None:
        """Memory of training and of prediction in closed form, both for `batch_size` images; None for a registered network.

        Raises:
            ConfigError: the network cannot exist at this size.
        """
        if isinstance(self.model, RegisteredModel):
            return None
        return memory(
            self.model,
            self.images,
            batch_size=self.batch_size,
            precision=self.precision,
            optimizer=self.optimizer,
            device=self.device,
        )

    @cached_property
    def has_batch_statistics(self) -> bool:
        """Whether what training makes of an image depends on the others in its batch, as batch normalisation does.

        Of a registered network that is not known: it may.

        Raises:
            ConfigError: the network cannot exist at this size.
        """
        if isinstance(self.model, RegisteredModel):
            return True
        return any(isinstance(each.layer, BatchNorm2d) for each in layers(self.model, self.images))


def _optimizer(train: TrainConfig) -> Optimizer:
    if train.optimizer == "adamw":
        return "adamw"
    return "sgd_momentum" if train.momentum > 0 else "sgd"


_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Measurement:
    """What one workload took of one machine, its images random.

    Attributes:
        processor: what ran it: the name of the CPU or of the CUDA device.
        num_threads: of torch on the CPU.
        torch_version: which torch.
        saved_bytes: what autograd keeps from the forward to the backward pass, each storage once, parameters, buffers
            and loss left out; `nin.memory.Memory.saved_bytes` in closed form.
        peak_training_bytes: most that torch has allocated at once in the second training step, weights and images and
            its kernels' workspaces included; on CUDA as asked of its allocator, whose blocks are rounded up.
        peak_prediction_bytes: likewise while it predicts a batch of the training's size.
        train_images_per_second: of whole steps (forward, loss, backward, optimizer) on one batch that is already on
            the device; from the median step.
        latency_1_seconds: median time to predict one image that is already on the device.
        latency_1_iqr_seconds: its interquartile range, third quartile minus first.
        latency_128_seconds: likewise for a batch of 128 images, the whole batch.
        latency_128_iqr_seconds: likewise.
    """

    processor: str
    # Held where stored measurements are read: a latency of 0 has no place on a logarithmic axis, and was never measured.
    num_threads: PositiveInt
    torch_version: str
    saved_bytes: NonNegativeInt
    peak_training_bytes: NonNegativeInt
    peak_prediction_bytes: NonNegativeInt
    train_images_per_second: _Positive
    latency_1_seconds: _Positive
    latency_1_iqr_seconds: _NotNegative
    latency_128_seconds: _Positive
    latency_128_iqr_seconds: _NotNegative


MEASUREMENTS: TypeAdapter[dict[str, Measurement]] = TypeAdapter(
    dict[str, Measurement], config=ConfigDict(defer_build=True)
)
"""Measurements by `Workload.id`, to JSON and back."""
