"""Affine transforms: those of Albumentations, and of the original."""

from __future__ import annotations

import random

import cv2
import numpy as np
import pytest

from core.compiler import CompilerError
from core.data import affine, dataset
from core.data.augmentations import KINDS, check
from core.data.presets import PRESETS

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


@pytest.fixture
def remove_compiler(monkeypatch):
    """Return a function after whose call no compiler works; it returns the attempts to use one."""
    attempts = []

    def refuse(source):
        attempts.append(source)
        raise CompilerError("no compiler")

    def remove():
        affine._load_warp.cache_clear()
        monkeypatch.setattr(affine, "load_library", refuse)
        return attempts

    yield remove
    affine._load_warp.cache_clear()


@pytest.mark.parametrize("centre", ["middle", "pixel 14"])
@pytest.mark.parametrize("shifts", ["whole", "fractional"])
@pytest.mark.parametrize("row", ROWS)
def test_images_are_those_of_albumentations_but_for_rounding(row, shifts, centre, remove_compiler):
    row = {**row, "shifts": shifts, "centre": centre}
    transform = KINDS["affine"].build(albumentations, cv2, row)
    own = {"_get_translate_params", "get_params_dependent_on_data"} & set(vars(transform))
    assert len(own) == (shifts == "fractional") + (centre == "pixel 14"), "what we changed"
    transform.set_random_state(np.random.default_rng(0), random.Random(4))
    expected = np.stack([transform(image=image)["image"] for image in IMAGES])
    compiled, numpy = IMAGES.copy(), IMAGES.copy()
    KINDS["affine"].in_place(row, compiled, random.Random(4))
    remove_compiler()
    KINDS["affine"].in_place(row, numpy, random.Random(4))
    assert np.array_equal(compiled, numpy)
    # OpenCV rounds single-precision values, in another order on other processors.
    difference = np.abs(compiled.astype(int) - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.02


def test_a_compiler_is_looked_for_once_in_a_process(remove_compiler):
    attempts = remove_compiler()
    for _ in range(3):
        KINDS["affine"].in_place(ROWS[0], IMAGES.copy(), random.Random(4))
    assert len(attempts) == 1


def test_a_rotation_by_90_degrees_and_a_shift_move_a_pixel_correctly():
    values = np.array(
        [[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 90.0], [2 / 28, -3 / 28, 0.0, 0.0, 1.0, 1.0, 0.0]]
    )
    row = ROWS[0]
    rotated, shifted = (matrix @ (20.0, 13.5, 1.0) for matrix in affine.matrices(values, 28, row))
    assert rotated == pytest.approx((13.5, 7.0))
    assert shifted == pytest.approx((22.0, 10.5))
    (rotated, _) = affine.matrices(values, 28, {**row, "centre": "pixel 14"})
    assert rotated @ (14.0, 14.0, 1.0) == pytest.approx((14.0, 14.0))


def test_whole_shifts_are_cut_towards_0():
    values = np.array([[1.9 / 28, -1.9 / 28, 0.0, 0.0, 1.0, 1.0, 0.0]])
    for shifts, expected in (("whole", (1.0, -1.0)), ("fractional", (1.9, -1.9))):
        (matrix,) = affine.matrices(values, 28, {**ROWS[0], "shifts": shifts})
        assert matrix[:, 2] == pytest.approx(expected)


def test_the_final_preset_moves_digits_as_the_original_did():
    # Its Albumentations rotated and scaled about (side / 2, side / 2) by OpenCV's matrix, then
    # added the shift.
    row, _ = PRESETS["final"].transforms
    _, values = affine.draw(row, random.Random(3), 100)
    assert len(values) > 30
    for matrix, drawn in zip(affine.matrices(values, 28, row), values, strict=True):
        expected = cv2.getRotationMatrix2D((14, 14), drawn[6], drawn[4])
        expected[:, 2] += drawn[:2] * 28
        assert matrix == pytest.approx(expected)


def test_with_kept_aspect_both_sides_have_the_same_scale():
    _, kept = affine.draw(ROWS[0], random.Random(1), 50)
    _, free = affine.draw(ROWS[1], random.Random(1), 50)
    assert np.array_equal(kept[:, 4], kept[:, 5])
    assert not np.array_equal(free[:, 4], free[:, 5])
