"""A data set that is drawn: rings, discs and squares, in noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ablations.datasets import Dataset


def read(data_dir: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images, unsigned bytes (N, 1, 12, 12), and labels (N,); one that is files would look for them in `data_dir`."""
    generator = np.random.default_rng(1 if train else 2)
    labels = np.arange(384 if train else 96) % 3
    images = generator.integers(0, 120, (len(labels), 1, 12, 12))
    rows, columns = np.mgrid[:12, :12]
    for image, label in zip(images[:, 0], labels, strict=True):
        across, down = np.abs(rows - generator.uniform(4, 7)), np.abs(columns - generator.uniform(4, 7))
        distance = np.hypot(across, down)
        shape = {0: (distance > 2) & (distance < 4), 1: distance < 3.5, 2: np.maximum(across, down) < 3}[int(label)]
        image[shape] += 100
    return images.astype(np.uint8), labels


RINGS = Dataset(
    title="rings, discs and squares",
    classes=("ring", "disc", "square"),
    channels=1,
    size=12,
    num_train=384,
    num_test=96,
    checksum="sha256:a2770802558297a9-c4faaff914e231b3",
    read=read,
)
