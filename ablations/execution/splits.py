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
        images: uint8 (M, C, S, S), on the trial's device; several splits may share them.
        labels: class of each of this split's images, shape (N,).
        rows: position in `images` of each image of this split, shape (N,); None for all images in order.
    """

    images: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Split:
        """The split of the images at `indices`, in that order; no image is copied."""
        chosen = torch.from_numpy(indices)
        return Split(self.images, self.labels[chosen], chosen if self.rows is None else self.rows[chosen])

    def at(self, places: torch.Tensor | slice) -> torch.Tensor:
        """The images at these places of the split."""
        return self.images[places if self.rows is None else self.rows[places]]


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """A random order of the images; the classes are about in proportion in each of its beginnings.

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
    """Resize bilinearly, antialiased, rounded to bytes: on a CPU bit for bit like torchvision's Resize of PIL images.

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
    """Resize like `resize`, on any device: along the rows, then along the columns, each rounded to whole numbers.

    If `exact_in_two_passes`, the result is the same bit for bit: all weights are multiples of a power of two, and every sum
    is exact in fp32. At other sizes a sum close to a half may be rounded the other way.

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
    """Whether `resize_in_two_passes` is exact, from images of side `size` to images of side `to`, in pixels."""
    times, rest = divmod(to, size)
    return rest == 0 and times & (times - 1) == 0


@functools.cache
def _weights(size: int, to: int, device: torch.device) -> torch.Tensor:
    """Weight of each old pixel of a line in each new one, shape (to, size)."""
    one_pixel_each = torch.eye(size)[None, None]
    weights = F.interpolate(one_pixel_each, size=(to, size), mode="bilinear", antialias=True, align_corners=False)
    return weights[0, 0].to(device)
