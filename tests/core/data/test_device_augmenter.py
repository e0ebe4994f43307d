"""Augmentation on a device: the same images as on the CPU, from the same random numbers."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from core.data import dataset, draws
from core.data.augmentations import check
from core.data.augmenter import Augmenter
from core.data.device_augmenter import DeviceAugmenter, can_augment
from core.data.presets import PRESETS

IMAGES = dataset.synthetic(train=300, test=1).train.images
LISTS = {
    **{name: preset.transforms for name, preset in PRESETS.items()},
    "large affine": check(
        [{"kind": "affine", "shift": 0.3, "scale": 0.5, "rotate": 45, "shear": 30, "p": 0.9}]
    ),
    "whole about 14": check(
        [{"kind": "affine", "shifts": "whole", "centre": "pixel 14", "shear": 10, "p": 0.9}]
    ),
    "reflected": check(
        [
            {"kind": "affine", "shift": 0.3, "scale": 0.5, "border": "reflect", "aspect": "free"},
            {"kind": "elastic", "alpha": 60, "sigma": 2.5, "border": "reflect", "p": 1},
        ]
    ),
    "smooth": check([{"kind": "elastic", "alpha": 80, "sigma": 10, "p": 0.9}]),
    "bright": check([{"kind": "brightness", "brightness": 0.8, "contrast": 0.8, "p": 1}]),
    "erased": check([{"kind": "erasing", "area": 0.3, "p": 1}]),
    "never": check([{"kind": "affine", "p": 0}, {"kind": "erasing", "p": 0}]),
}


@pytest.mark.parametrize("name", LISTS)
def test_images_are_those_of_the_cpu_up_to_interpolation(name):
    transforms = LISTS[name]
    assert can_augment(transforms)
    expected = Augmenter(transforms, 7)(IMAGES.numpy(), (2, 5)).astype(float)
    before = IMAGES.clone()
    images = DeviceAugmenter(transforms, 7)(IMAGES, (2, 5))
    assert torch.equal(IMAGES, before)
    assert images.dtype == torch.uint8
    difference = np.abs(images.numpy() - expected)
    assert difference.mean() < 0.25  # grey levels; OpenCV 4 rounds coordinates to 1/32 pixel
    if transforms and name != "never":
        assert np.abs(IMAGES.numpy() - expected).mean() > 1
        other = DeviceAugmenter(transforms, 7)(IMAGES, (2, 6))
        assert np.abs(other.numpy() - expected).mean() > 1


def test_other_kinds_are_left_to_the_cpu():
    assert not can_augment(check([{"kind": "affine"}, {"kind": "blur"}]))


@pytest.mark.parametrize("p", [0.0, 0.2, 0.9, 1.0])
def test_numbers_are_those_of_pythons_generator(p):
    indices, numbers = draws.draw_uniform(random.Random(5), p, 50, 3)
    generator, expected, drawn = random.Random(5), [], []
    for index in range(50):
        if p == 1 or (p > 0 and generator.random() < p):
            expected.append(index)
            drawn.append([generator.random() for _ in range(3)])
    assert indices.tolist() == expected
    assert numbers.tolist() == drawn


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="There is no CUDA GPU here.")
@pytest.mark.parametrize("name", LISTS)
def test_a_gpu_computes_the_images_of_the_cpu(name):
    expected = DeviceAugmenter(LISTS[name], 7)(IMAGES, (2, 5)).float()
    images = DeviceAugmenter(LISTS[name], 7)(IMAGES.cuda(), (2, 5)).cpu().float()
    assert (images - expected).abs().mean() < 0.05
