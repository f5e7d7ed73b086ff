"""Rules between a recipe and its network: without them, no trial could be trained as its study says."""

from __future__ import annotations

from math import prod

from ablations import networks
from ablations.costs import images_of
from ablations.errors import CostError, SpecError
from ablations.planning.settings import Layer, Settings
from ablations.trial import TrialConfig
from nin.config import ConfigError

_BATCH_NORMALISATION = frozenset({"BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"})


def check_trainable(config: TrialConfig, settings: Settings, *changes: Layer) -> None:
    """Refuse a warm-up that never ends, and batches that cannot be normalised.

    Args:
        config: the configuration.
        settings: of its study, to name the place of a key.
        changes: the layers over the base and the profile that made it.

    Raises:
        SpecError: it breaks a rule; the error names the place.
    """
    train = config.train
    if train.warmup_epochs >= train.epochs:
        raise SpecError(
            settings.place(("train.warmup_epochs", "train.epochs"), *changes),
            f"the warm-up must end before the training does, or the learning rate never reaches train.lr; given warmup_epochs "
            f"{train.warmup_epochs:g} and epochs {train.epochs:,}.",
        )
    if train.batch_size == 1 and (layer := _layer_of_one_value(config)) is not None:
        raise CostError(
            settings.place(("train.batch_size",), *changes),
            f"batch normalisation needs at least two values per channel, and the maps of {layer} have one pixel; given a batch "
            f"of 1. Use batches of at least 2, or larger images.",
        )


def _layer_of_one_value(config: TrialConfig) -> str | None:
    """The first layer that normalises one value per channel and image; None if there is none, or nothing is known."""
    try:
        rows = networks.layer_table(config.model, images_of(config.data))
    except ConfigError:
        return None  # a package may count its costs itself, and have no layers to show
    return next((row.name for row in rows if row.kind in _BATCH_NORMALISATION and prod(row.out_shape[1:]) == 1), None)
