"""Drawings are brought to MNIST's form."""

import numpy as np
import pytest

from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink
from core.errors import UserError
from tests.core.drawing.shapes import ONE, SEVEN, TWO, ZERO, likeness, ring


def centre_of_mass(image: np.ndarray) -> tuple[float, float]:
    weights = image.astype(float)
    at = np.arange(28)
    return (weights.sum(1) @ at) / weights.sum(), (weights.sum(0) @ at) / weights.sum()


def extent(image: np.ndarray) -> tuple[int, int]:
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


@pytest.mark.parametrize(
    "ink",
    [
        ring(),
        ring(centre=(80, 200)),
        ring(radius=30, width=8),
        ring(1000, (500, 300), 200, 70),
        ring().astype(np.float32) / 255,
        ring() // 4,
        strokes_to_ink(SEVEN),
        strokes_to_ink(ONE),
    ],
)
def test_the_longer_side_is_20_pixels_and_the_mass_is_centred(ink):
    image = to_mnist(ink)
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert image.max() == 255
    assert max(extent(image)) in (19, 20)
    assert centre_of_mass(image) == pytest.approx((14, 14), abs=0.55)


def test_the_size_and_position_of_a_drawing_hardly_matter():
    small = [[[0.1 + 0.4 * (x - 0.3), 0.5 + 0.4 * (y - 0.25)] for x, y in SEVEN[0]]]
    assert likeness(to_mnist(strokes_to_ink(SEVEN)), to_mnist(strokes_to_ink(small))) > 0.95


def test_a_digit_in_mnists_form_is_unchanged():
    once = to_mnist(strokes_to_ink(SEVEN))
    assert np.abs(to_mnist(once).astype(int) - once).max() <= 1
    assert (
        np.abs(to_mnist(np.kron(once, np.ones((10, 10), np.uint8))).astype(int) - once).max() <= 1
    )


def test_edges_are_smooth():
    image = to_mnist(strokes_to_ink(SEVEN))
    assert ((image > 20) & (image < 235)).sum() > 20


@pytest.mark.mnist
def test_enlarged_real_digits_are_unchanged(mnist):
    images = mnist.test.images[:300].numpy()
    errors = [
        np.abs(to_mnist(np.kron(image, np.ones((10, 10), np.uint8))).astype(int) - image).mean()
        for image in images
    ]
    assert np.median(errors) == 0
    assert np.max(errors) < 1.0


@pytest.mark.mnist
def test_drawn_strokes_hold_as_much_ink_as_real_digits(mnist):
    for digit, strokes in {0: ZERO, 1: ONE, 2: TWO, 7: SEVEN}.items():
        real = mnist.test.images[mnist.test.labels == digit].float().mean().item() / 255
        assert to_mnist(strokes_to_ink(strokes)).mean() / 255 == pytest.approx(real, rel=0.25)


@pytest.mark.parametrize(
    "blank", [np.zeros((280, 280), np.uint8), np.zeros((1, 1)), strokes_to_ink([])]
)
def test_a_blank_drawing_gives_a_blank_image(blank):
    assert not to_mnist(blank).any()


@pytest.mark.parametrize(
    "ink",
    [
        None,
        [[1, 2]],
        "x",
        np.zeros((0, 5)),
        np.zeros(5),
        np.zeros((2, 2, 3)),
        np.array([["a"]]),
        np.full((9, 9), np.nan),
        np.full((9, 9), -1.0),
        np.full((9, 9), np.inf),
        np.zeros((2, 2), complex),
        np.zeros((2, 2), object),
        np.broadcast_to(np.uint8(0), (100_000, 100_000)),
    ],
)
def test_anything_but_ink_is_refused(ink):
    with pytest.raises(UserError):
        to_mnist(ink)
