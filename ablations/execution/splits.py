"""Images and their labels, split by seed and resized."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Split:
    """Some images and their labels.

    Attributes:
        images: where the images are, uint8, on the trial's device; other splits may have theirs there, too.
        labels: of this split's images, shape (N,).
        rows: where in `images` each of them is, shape (N,); None for all of it.
    """

    images: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Split:
        """The images at `indices`, in that order; they are not copied."""
        chosen = torch.from_numpy(indices)
        return Split(self.images, self.labels[chosen], chosen if self.rows is None else self.rows[chosen])

    def at(self, places: torch.Tensor | slice) -> torch.Tensor:
        """The images at these places of the split."""
        return self.images[places if self.rows is None else self.rows[places]]


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """A random order of the images whose every beginning has the classes about in proportion.

    Args:
        labels: class of each image, shape (N,).
        seed: of the order.

    Returns:
        Indices, shape (N,).
    """
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        place[members] = (np.arange(len(members)) + generator.random()) / len(members)
    return np.argsort(place, kind="stable")


def resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """Bilinear, antialiased, rounded to bytes: on a CPU bit for bit what torchvision's Resize does to PIL images.

    Args:
        images: uint8 (N, C, S, S).
        size: new side in pixels.

    Returns:
        uint8 (N, C, size, size).
    """
    if images.shape[-1] == size:
        return images
    resized = torch.empty((*images.shape[:2], size, size), dtype=torch.uint8)
    for start in range(0, len(images), 4096):
        part = images[start : start + 4096]
        resized[start : start + 4096] = F.interpolate(
            part, size=(size, size), mode="bilinear", antialias=True, align_corners=False
        )
    return resized


def resize_in_two_passes(images: torch.Tensor, size: int) -> torch.Tensor:
    """What `resize` does, on any device: first along the rows, then along the columns, each rounded to whole numbers.

    Bit for bit the same where `exact_in_two_passes`: all weights are then multiples of a power of two, and every sum is exact in
    fp32. Elsewhere a sum close to a half may be rounded the other way.

    Args:
        images: uint8 (N, C, S, S).
        size: new side in pixels.

    Returns:
        fp32 (N, C, size, size), whole numbers from 0 to 255.
    """
    numbers = images.float()
    if images.shape[-1] == size:
        return numbers
    weights = _weights(images.shape[-1], size, images.device)
    rows = torch.floor(numbers @ weights.T + 0.5)
    return torch.floor(weights @ rows + 0.5)


def exact_in_two_passes(size: int, to: int) -> bool:
    """Whether images of one side in pixels are resized to the other exactly by `resize_in_two_passes`."""
    times, rest = divmod(to, size)
    return rest == 0 and times & (times - 1) == 0


@functools.cache
def _weights(size: int, to: int, device: torch.device) -> torch.Tensor:
    """What each old pixel of a line contributes to each new one, shape (to, size)."""
    one_pixel_each = torch.eye(size)[None, None]
    weights = F.interpolate(one_pixel_each, size=(to, size), mode="bilinear", antialias=True, align_corners=False)
    return weights[0, 0].to(device)
