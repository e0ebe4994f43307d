"""The glossary's pictures: one for each term, well-formed, and computed from the digit."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from core.charts import glossary


@pytest.fixture
def digits() -> np.ndarray:
    """(10, 28, 28) uint8: an upright bar in each, further right from digit to digit."""
    made = np.zeros((10, 28, 28), np.uint8)
    for digit in range(10):
        made[digit, 6:22, 8 + digit : 11 + digit] = 255
    return made


@pytest.mark.parametrize("term", glossary.PICTURES)
def test_a_picture_is_svg_and_stays_within_its_frame(term, digits):
    root = ElementTree.fromstring(glossary.term_picture(term, digits))
    width, height = float(root.get("width")), float(root.get("height"))
    assert 0 < height <= 180, "two cards stand side by side"
    texts = root.iter("{http://www.w3.org/2000/svg}text")
    assert all(0 <= float(text.get("x")) <= width for text in texts)
    assert all(0 <= float(text.get("y")) <= height for text in texts)


def test_a_kernel_answers_to_edges_with_opposite_signs(digits):
    values = glossary.convolve(digits[0])
    assert values.shape == (26, 26)
    assert values[10, 6] == pytest.approx(-4), "darker on the right"
    assert values[10, 9] == pytest.approx(4), "darker on the left"
    assert not values[10, :5].any()


def test_pictures_follow_the_digit(digits):
    blank = np.zeros_like(digits)
    for term in ("convolution", "batch", "epoch"):
        assert glossary.term_picture(term, digits) != glossary.term_picture(term, blank)
