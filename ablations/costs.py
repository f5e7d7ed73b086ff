"""Costs of an architecture: the images it is priced for, its workload on a device, and measurements."""

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
    """The images of a trial, resized if its study says so.

    Raises:
        KeyError: there is no such data set.
        RegistrationError: a package registers an unusable data set under this name.
    """
    images = _unresized(DATASETS[data.name])
    return replace(images, size=data.resize or images.size)


def images_for(preset: str, dataset: str | None = None, size: int | None = None) -> Input:
    """The images to price a network for, outside of a study.

    Args:
        preset: the network's name.
        dataset: name of a data set. None takes the images that a preset is made for, or Fashion-MNIST's for a package's network.
        size: side in pixels after resizing; None keeps the images' own.

    Raises:
        KeyError: there is no such data set.
        RegistrationError: a package registers an unusable data set under this name.
    """
    made_for = INPUTS.get(preset) if dataset is None else None
    images = made_for or _unresized(DATASETS[dataset or "fashion_mnist"])
    return images if size is None else replace(images, size=size)


def _unresized(dataset: Dataset) -> Input:
    return Input(in_channels=dataset.channels, size=dataset.size, num_classes=dataset.num_classes)


@dataclass(frozen=True)
class Workload:
    """An architecture and everything its memory and speed depend on, except the machine. No seed, no learning rate.

    Variants with equal workloads cost the same, and are counted and measured once.

    Attributes:
        model: the network's dials.
        in_channels: channels of the images.
        size: height and width of the images in pixels.
        num_classes: number of logits.
        batch_size: images per training step.
        precision: precision of the computation.
        optimizer: kind of optimizer, for the size of its state.
        device: kind of device.
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
        """The workload of a trial.

        Args:
            config: the trial's configuration, with its precision resolved.
            device: kind of device that the trial runs on.

        Raises:
            ValueError: the precision is still "auto".
        """
        if config.train.precision == "auto":
            raise ValueError('resolve the precision first: a workload cannot have "auto"')
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
        """The images, as one record."""
        return Input(in_channels=self.in_channels, size=self.size, num_classes=self.num_classes)

    @cached_property
    def id(self) -> str:
        """Hash of all fields and of the training code's version: 16 hexadecimal digits."""
        return content_hash({**asdict(self), "kind": type(self.model).__name__, "training_version": TRAINING_VERSION})

    @cached_property
    def costs(self) -> Costs:
        """Params and MACs, in closed form, or as a registered network counts them.

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
        """Whether an image's effect in training depends on the rest of its batch, as with batch normalisation.

        A registered network is assumed to have batch statistics.

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
    """Memory and speed of one workload on one machine, measured with random images.

    Attributes:
        processor: name of the CPU or of the CUDA device.
        num_threads: torch's number of threads on the CPU.
        torch_version: version of torch.
        saved_bytes: memory that autograd keeps from the forward to the backward pass, each storage counted once, without
            parameters, buffers and loss; `nin.memory.Memory.saved_bytes` is its closed form.
        peak_training_bytes: most memory that torch allocated at once in the second training step, including weights,
            images and the kernels' workspaces. On CUDA: as requested from the allocator, before it rounds blocks up.
        peak_prediction_bytes: the same while predicting a batch of the training's size.
        train_images_per_second: rate of whole training steps (forward, loss, backward, optimizer) on one batch that is
            already on the device; from the median step.
        latency_1_seconds: median time to predict one image that is already on the device.
        latency_1_iqr_seconds: interquartile range of that time, third quartile minus first.
        latency_128_seconds: median time to predict a whole batch of 128 images that is already on the device.
        latency_128_iqr_seconds: interquartile range of that time.
    """

    processor: str
    # Checked when stored measurements are read: a latency of 0 cannot be measured, nor drawn on a logarithmic axis.
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
