"""Digits look like digits, and letters, scribbles and nearly blank pictures do not."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_sets import (
    HANDS,
    draw_digits,
    draw_letters,
    draw_nearly_blank,
    draw_nearly_full,
    draw_scribbles,
)

from core.errors import UserError
from core.insight.familiarity import (
    class_distances,
    edge_features,
    looks_like_digit,
    measure_strangeness,
)
from tests.strokes import LETTERS


def accepted(images: np.ndarray) -> float:
    return float((measure_strangeness(images) <= 0).mean())


def test_drawn_digits_are_accepted():
    assert accepted(draw_digits(range(HANDS))) >= 0.95


@pytest.mark.parametrize(
    "draw",
    [
        lambda: draw_letters("".join(LETTERS), range(1, HANDS, 4)),
        lambda: draw_scribbles(100, 3),
        lambda: draw_nearly_blank(60, 3),
        lambda: draw_nearly_full(60, 3),
    ],
    ids=["letters", "scribbles", "nearly blank", "nearly full"],
)
def test_other_drawings_are_rejected(draw):
    assert accepted(draw()) <= 0.1


@pytest.mark.mnist
def test_test_digits_are_accepted(mnist):
    assert accepted(mnist.test.images.numpy()) >= 0.95


def test_a_blank_image_does_not_look_like_a_digit():
    assert not looks_like_digit(np.zeros((28, 28), np.uint8))
    assert not looks_like_digit(np.full((28, 28), 255, np.uint8))


def test_no_images_give_no_judgements():
    assert measure_strangeness(np.zeros((0, 28, 28), np.uint8)).shape == (0,)


def test_an_image_is_judged_alike_alone_and_among_others():
    images = draw_digits([3])
    alone = [measure_strangeness(image[None])[0] for image in images]
    np.testing.assert_allclose(measure_strangeness(images), alone, atol=1e-3)


def test_features_are_of_length_1_and_do_not_change_with_the_ink():
    images = draw_digits([5])
    features = edge_features(images)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-4)
    pale = edge_features(images // 2)
    assert np.abs(features - pale).max() < 0.02
    upright, turned = features, edge_features(np.rot90(images, axes=(1, 2)).copy())
    # A quarter turn moves each direction two places on, and turns the regions.
    grid = np.rot90(upright.reshape(-1, 8, 5, 5), axes=(2, 3))
    np.testing.assert_allclose(np.roll(grid, -2, axis=1), turned.reshape(-1, 8, 5, 5), atol=1e-4)


def test_distances_are_those_of_mahalanobis():
    generator = np.random.default_rng(0)
    axes = np.linalg.qr(generator.normal(size=(6, 6)))[0].T
    variances, rest = np.array([4.0, 2.0]), 0.5
    covariance = axes.T @ np.diag([*variances, *[rest] * 4]) @ axes
    mean, x = generator.normal(size=6), generator.normal(size=(3, 6))
    fit = {
        "means": mean[None],
        "axes": axes[None, :2],
        "variances": variances[None],
        "rests": np.array([rest]),
    }
    offsets = x - mean
    expected = np.einsum("ni,ij,nj->n", offsets, np.linalg.inv(covariance), offsets)
    np.testing.assert_allclose(class_distances(x, fit)[:, 0], expected)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 28, 27), np.uint8), np.zeros((28, 28), np.uint8), np.zeros((1, 28, 28))]
)
def test_anything_but_images_is_refused(images):
    with pytest.raises(UserError):
        measure_strangeness(images)
