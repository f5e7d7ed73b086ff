from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ablations.execution.splits import exact_in_two_passes, resize, resize_in_two_passes, stratified_order


def noise(count: int, size: int, channels: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, channels, size, size), dtype=np.uint8))


@pytest.mark.parametrize(("size", "to"), [(28, 14), (28, 32), (28, 56), (28, 64), (28, 224), (8, 16), (8, 32)])
def test_resize_is_that_of_torchvision_on_pil_images_bit_for_bit(size: int, to: int) -> None:
    images = noise(20, size)
    torchvision_resize = torchvision.transforms.Resize(to)
    expected = [np.asarray(torchvision_resize(Image.fromarray(image[0].numpy()))) for image in images]
    assert np.array_equal(resize(images, to)[:, 0].numpy(), np.stack(expected))


@pytest.mark.parametrize("to", [24, 64, 224])
def test_resize_of_colours_is_that_of_torchvision_too(to: int) -> None:
    images = noise(20, 32, channels=3)
    torchvision_resize = torchvision.transforms.Resize(to)
    expected = [np.asarray(torchvision_resize(Image.fromarray(image.permute(1, 2, 0).numpy()))) for image in images]
    assert np.array_equal(resize(images, to).permute(0, 2, 3, 1).numpy(), np.stack(expected))


def test_resize_in_parts_is_the_same_as_in_one() -> None:
    images = noise(4096 + 3, 8)
    assert torch.equal(resize(images, 12)[4096:], resize(images[4096:], 12))


def test_images_of_the_right_size_are_left_alone() -> None:
    images = noise(2, 28)
    assert resize(images, 28) is images


@pytest.mark.parametrize(("size", "to"), [(28, 28), (28, 56), (28, 112), (28, 224), (32, 64), (8, 16), (8, 32)])
@pytest.mark.parametrize("channels", [1, 3])
def test_two_passes_are_the_same_resize_bit_for_bit(size: int, to: int, channels: int) -> None:
    assert exact_in_two_passes(size, to)
    images = noise(50, size, channels)
    assert torch.equal(resize_in_two_passes(images, to), resize(images, to).float())


@pytest.mark.parametrize(("size", "to"), [(28, 24), (28, 64), (28, 84), (32, 224), (28, 14)])
def test_other_sizes_are_not_left_to_two_passes(size: int, to: int) -> None:
    assert not exact_in_two_passes(size, to)


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    seed=st.integers(0, 2**63 - 1),
)
@settings(max_examples=60, deadline=None)
def test_every_beginning_of_a_stratified_order_has_the_classes_in_proportion(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    order = stratified_order(labels, seed)
    assert sorted(order) == list(range(len(labels)))
    share = np.array(counts) / len(labels)
    seen = np.cumsum(np.eye(len(counts))[labels[order]], axis=0)
    expected = np.arange(1, len(labels) + 1)[:, None] * share
    # Each class strays from its place by under one image; the others' strays add to the number of images taken.
    assert (np.abs(seen - expected) < 1 + share * max(0, len(counts) - 2) + 1e-9).all()


@given(per_class=st.integers(1, 20), num_classes=st.integers(1, 10), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_equally_large_classes_differ_by_at_most_one_image(per_class: int, num_classes: int, seed: int) -> None:
    labels = np.tile(np.arange(num_classes), per_class)
    seen = np.cumsum(np.eye(num_classes)[labels[stratified_order(labels, seed)]], axis=0)
    assert (seen.max(axis=1) - seen.min(axis=1) <= 1).all()


def test_the_seed_decides_the_stratified_order() -> None:
    labels = np.arange(40) % 4
    assert np.array_equal(stratified_order(labels, 1), stratified_order(labels, 1))
    assert not np.array_equal(stratified_order(labels, 1), stratified_order(labels, 2))
