"""Pictures: read by an imaging library, they hold the very pixels."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from core.insight.pictures import sheet, singles


def opened(uri: str) -> np.ndarray:
    """Red, green, blue and alpha of a data URI."""
    head, body = uri.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGBA"))


@pytest.mark.parametrize("count", [1, 9, 10, 23])
def test_every_digit_lies_in_its_place_on_the_sheet(digits, count):
    images = digits.train_images[:count].numpy()
    page = sheet(images, across=10)
    alpha = opened(page.uri)[..., 3]
    assert alpha.shape == (page.height, page.width)
    for image, (left, top) in zip(images, page.places, strict=True):
        np.testing.assert_array_equal(alpha[top:top + 28, left:left + 28], image)
    assert alpha.sum() == images.astype(int).sum(), "nothing else is on it"


def test_single_digits_go_from_paper_to_ink(digits):
    images = digits.train_images[:3].numpy()
    ink, paper = (233, 232, 228), (38, 38, 36)
    for image, uri in zip(images, singles(images, ink, paper), strict=True):
        colours = opened(uri)
        assert colours.shape == (28, 28, 4)
        assert tuple(colours[0, 0, :3]) == paper
        expected = 38 + (233 - 38) * (image // 16).astype(float) / 15
        np.testing.assert_allclose(colours[..., 0], expected, atol=0.6)
        assert len(uri) < 700, "hundreds of them go into one chart"
