"""PNG files hold the exact pixels, as an imaging library reads them."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from core.charts.sprites import digit_pngs, signed_sprite_sheet, sprite_sheet


def opened(uri: str) -> np.ndarray:
    """Red, green, blue and alpha of a data URI."""
    head, body = uri.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGBA"))


@pytest.mark.parametrize("count", [1, 9, 10, 23])
def test_every_image_is_at_its_place_on_the_sheet(digits, count):
    images = digits.train.images[:count].numpy()
    page = sprite_sheet(images, across=10)
    alpha = opened(page.uri)[..., 3]
    assert alpha.shape == (page.height, page.width)
    for image, (left, top) in zip(images, page.places, strict=True):
        np.testing.assert_array_equal(alpha[top : top + 28, left : left + 28], image)
    assert alpha.sum() == images.astype(int).sum(), "nothing else is on it"


def test_single_images_range_from_paper_to_ink(digits):
    images = digits.train.images[:3].numpy()
    ink, paper = (233, 232, 228), (38, 38, 36)
    for image, uri in zip(images, digit_pngs(images, ink, paper), strict=True):
        colours = opened(uri)
        assert colours.shape == (28, 28, 4)
        assert tuple(colours[0, 0, :3]) == paper
        expected = 38 + (233 - 38) * (image // 16).astype(float) / 15
        np.testing.assert_allclose(colours[..., 0], expected, atol=0.6)
        assert len(uri) < 700, "hundreds of them go into one chart"


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 7), (12, 26, 24)])
def test_signed_maps_have_one_colour_above_zero_and_another_below(shape):
    values = np.random.default_rng(0).uniform(-1.3, 1.3, shape)
    values[0, 0, 0] = 0.0
    above, below = (10, 20, 200), (200, 100, 10)
    page = signed_sprite_sheet(values, above, below, across=5)
    picture = opened(page.uri)
    for one, (left, top) in zip(values, page.places, strict=True):
        drawn = picture[top : top + shape[1], left : left + shape[2]].astype(int)
        np.testing.assert_allclose(drawn[..., 3], 255 * np.abs(one).clip(0, 1), atol=1.5)
        assert {tuple(pixel) for pixel in drawn[one > 0.01][:, :3]} <= {above}
        assert {tuple(pixel) for pixel in drawn[one < -0.01][:, :3]} <= {below}
    assert picture[0, :, 3].max() == 0, "clear around the maps"
    assert picture[page.places[0][1], page.places[0][0], 3] == 0, "clear at zero"
