"""Picture files are opened within bounds, and pictures of any kind turned into ink."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from core.drawing.pictures import LONGER_SIDE, MAX_FILE, open_picture, picture_to_ink
from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink
from core.errors import UserError
from tests.core.drawing.shapes import ONE, SEVEN, TWO, ZERO, likeness


def on_paper(ink: np.ndarray, dark: bool, shade: bool, seed: int = 0) -> np.ndarray:
    """A picture of ink on paper; with shade, also grain and light from one side."""
    height, width = ink.shape
    light = (
        np.linspace(0.55, 1.0, width)[None] * np.linspace(0.8, 1.0, height)[:, None]
        if shade
        else 1.0
    )
    share = ink / 255
    paper = (235 * (1 - share) + 40 * share) if dark else (50 * (1 - share) + 225 * share)
    grain = np.random.default_rng(seed).normal(0, 3, ink.shape) if shade else 0
    return np.clip(paper * light + grain, 0, 255).astype(np.uint8)


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
def test_ink_on_a_clear_ground_is_read(tone):
    ink = strokes_to_ink(SEVEN)
    picture = np.dstack([np.full_like(ink, tone)] * 3 + [ink])
    assert likeness(to_mnist(picture_to_ink(picture)), to_mnist(ink)) > 0.99


@pytest.mark.parametrize("picture", [np.full((50, 50), 200, np.uint8), np.full((50, 50, 3), 0.5)])
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


def saved(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def page(size: int = 400) -> Image.Image:
    return Image.fromarray(on_paper(strokes_to_ink(SEVEN, size), dark=True, shade=False))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_files_of_every_format_are_opened(kind):
    opened = to_mnist(picture_to_ink(open_picture(saved(page(), kind))))
    assert likeness(opened, to_mnist(strokes_to_ink(SEVEN))) > 0.97


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "I;16"])
def test_large_pictures_are_reduced(mode):
    large = page(1_000).resize((2_400, 2_000))
    if mode == "I;16":
        large = Image.fromarray(np.asarray(large).astype(np.uint16) * 257)
    else:
        large = large.convert(mode)
    opened = open_picture(saved(large))
    assert max(opened.size) == LONGER_SIDE
    assert to_mnist(picture_to_ink(opened)).any()


def test_a_photograph_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    sideways = page().transpose(Image.Transpose.ROTATE_90)
    opened = to_mnist(picture_to_ink(open_picture(saved(sideways, "JPEG", exif=exif))))
    assert likeness(opened, to_mnist(strokes_to_ink(SEVEN))) > 0.97


def bomb(width: int, height: int) -> bytes:
    """A tiny PNG whose header claims a huge size."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(100))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


@pytest.mark.parametrize(
    "size", [(5_000, 5_000), (10_000, 10_000), (30_000, 30_000), (100_000, 100_000)]
)
def test_a_huge_picture_is_refused_before_decoding(size):
    with pytest.raises(UserError, match="pixels"):
        open_picture(bomb(*size))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        b"\x89PNG\r\n\x1a\n",
        saved(page())[:200],
        bomb(50, 50),
        saved(page(), "JPEG")[:300],
        b"%PDF-1.4",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        saved(page(), "TIFF"),
        bytes(MAX_FILE + 1),
    ],
    ids=range(10),
)
def test_a_file_that_is_not_a_picture_is_refused(data):
    with pytest.raises(UserError):
        picture_to_ink(open_picture(data))
