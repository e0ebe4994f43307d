"""Affine transforms: identical to those of Albumentations."""

from __future__ import annotations

import random

import cv2
import numpy as np
import pytest

from core.data import affine, dataset
from core.data.augmentations import KINDS, check

albumentations = pytest.importorskip("albumentations")
IMAGES = dataset.synthetic(train=200, test=1).train.images.numpy()
ROWS = check(
    [
        {"kind": "affine"},
        {
            "kind": "affine",
            "shift": 0.3,
            "scale": 0.5,
            "rotate": 45,
            "shear": 30,
            "aspect": "free",
            "p": 0.9,
        },
        {"kind": "affine", "border": "reflect", "shear": 5, "p": 1},
        {"kind": "affine", "p": 0},
        {"kind": "affine", "shift": 0, "scale": 0, "rotate": 0, "p": 0.3},
    ]
)


@pytest.mark.parametrize("row", ROWS)
def test_images_are_identical_to_those_of_albumentations(row):
    transform = KINDS["affine"].build(albumentations, cv2, row)
    transform.set_random_state(np.random.default_rng(0), random.Random(4))
    expected = np.stack([transform(image=image)["image"] for image in IMAGES])
    images = IMAGES.copy()
    KINDS["affine"].in_place(cv2, row, images, random.Random(4))
    assert np.array_equal(images, expected)


def test_a_rotation_by_90_degrees_and_a_shift_move_a_pixel_correctly():
    values = np.array(
        [[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 90.0], [2 / 28, -3 / 28, 0.0, 0.0, 1.0, 1.0, 0.0]]
    )
    rotated, shifted = (matrix @ (20.0, 13.5, 1.0) for matrix in affine.matrices(values, 28))
    assert rotated == pytest.approx((13.5, 7.0))
    assert shifted == pytest.approx((22.0, 10.5))


def test_with_kept_aspect_both_sides_have_the_same_scale():
    _, kept = affine.draw(ROWS[0], random.Random(1), 50)
    _, free = affine.draw(ROWS[1], random.Random(1), 50)
    assert np.array_equal(kept[:, 4], kept[:, 5])
    assert not np.array_equal(free[:, 4], free[:, 5])
