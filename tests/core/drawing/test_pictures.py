"""Pictures of any kind are converted to ink."""

import numpy as np
import pytest
from PIL import Image

from core.drawing.pictures import picture_to_ink
from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink
from core.errors import UserError
from tests.core.drawing.shapes import ONE, SEVEN, TWO, ZERO, likeness, on_paper


@pytest.mark.parametrize("dark", [True, False], ids=["dark on light", "light on dark"])
@pytest.mark.parametrize("shade", [True, False], ids=["photographed", "clean"])
@pytest.mark.parametrize("strokes", [SEVEN, ONE, TWO, ZERO], ids=["7", "1", "2", "0"])
def test_a_picture_of_a_drawing_gives_the_same_image(strokes, dark, shade):
    ink = strokes_to_ink(strokes, 400)
    image = to_mnist(picture_to_ink(on_paper(ink, dark, shade)))
    assert likeness(image, to_mnist(ink)) > (0.9 if shade else 0.99)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16", "CMYK", "LA"])
def test_pictures_of_any_mode_are_read(mode):
    paper = on_paper(strokes_to_ink(SEVEN), dark=True, shade=False)
    if mode == "I;16":
        picture = Image.fromarray(paper.astype(np.uint16) * 257)
    else:
        picture = (
            Image.fromarray(paper).point(lambda value: 255 if value > 128 else 0).convert(mode)
        )
    assert likeness(to_mnist(picture_to_ink(picture)), to_mnist(strokes_to_ink(SEVEN))) > 0.97


@pytest.mark.parametrize("tone", [0, 255])
@pytest.mark.parametrize("opacity", [1.0, 0.4])
def test_ink_on_a_clear_ground_is_read(tone, opacity):
    ink = strokes_to_ink(SEVEN)
    alpha = (opacity * ink).astype(np.uint8)
    picture = np.dstack([np.full_like(ink, tone)] * 3 + [alpha])
    assert likeness(to_mnist(picture_to_ink(picture)), to_mnist(ink)) > 0.98


@pytest.mark.parametrize(
    "picture",
    [
        np.full((50, 50), 200, np.uint8),
        np.full((50, 50, 3), 0.5),
        np.full((300, 300, 4), 255, np.uint8),
        np.zeros((300, 300, 3), np.uint8),
    ],
)
def test_an_empty_page_has_no_ink(picture):
    assert not picture_to_ink(picture).any()


@pytest.mark.parametrize(
    "picture",
    [
        None,
        "digit.png",
        np.zeros((50,)),
        np.zeros((50, 50, 2), np.uint8),
        np.zeros((2, 2, 2, 2)),
        np.zeros((3, 50)),
        np.full((50, 50), 300.0),
        np.full((50, 50), -1.0),
        np.full((50, 50), np.nan),
        np.zeros((0, 0), np.uint8),
        np.array([["a", "b"]]),
        np.broadcast_to(np.uint8(0), (100_000, 100_000)),
    ],
)
def test_anything_but_pictures_is_refused(picture):
    with pytest.raises(UserError):
        picture_to_ink(picture)


@pytest.mark.parametrize(
    "shape", [(8, 8), (8, 3_000), (3_000, 8), (27, 160), (50, 50), (300, 20)], ids=str
)
def test_pictures_of_any_shape_and_content_are_read(shape):
    rng = np.random.default_rng(0)
    for picture in (
        rng.integers(0, 256, shape),
        255 * (rng.random(shape) < 0.02),
        np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % 256,
        np.indices(shape).sum(axis=0) % 2 * 255,
    ):
        assert to_mnist(picture_to_ink(picture.astype(np.uint8))).shape == (28, 28)
