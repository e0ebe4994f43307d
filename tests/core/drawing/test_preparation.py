"""Drawings and pictures brought to MNIST's form."""

import io
import math
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from core.drawing.preparation import (
    LARGE,
    MAX_FILE,
    from_picture,
    open_picture,
    strokes_to_ink,
    to_mnist,
)
from core.errors import UserError

SEVEN = [[[0.3, 0.25], [0.7, 0.25], [0.5, 0.5], [0.42, 0.78]]]
ONE = [[[0.5, 0.2], [0.5, 0.8]]]

TWO = [
    [[0.32, 0.32], [0.4, 0.22], [0.58, 0.22], [0.66, 0.36], [0.56, 0.52], [0.32, 0.78], [0.7, 0.78]]
]
SHIFTS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
ZERO = [[[0.5 + 0.2 * math.sin(a / 6), 0.5 - 0.3 * math.cos(a / 6)] for a in range(39)]]


def ring(
    size: int = 280, centre: tuple[int, int] = (140, 140), radius: int = 70, width: int = 20
) -> np.ndarray:
    y, x = np.ogrid[:size, :size]
    distance = np.hypot(y - centre[0], x - centre[1])
    return np.where(abs(distance - radius) < width / 2, 255, 0).astype(np.uint8)


def centre_of_mass(image: np.ndarray) -> tuple[float, float]:
    weights = image.astype(float)
    at = np.arange(28)
    return (weights.sum(1) @ at) / weights.sum(), (weights.sum(0) @ at) / weights.sum()


def extent(image: np.ndarray) -> tuple[int, int]:
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


def likeness(image: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two images, at the shift of at most a pixel that fits best: a hair's breadth decides on it."""
    return max(
        np.corrcoef(image.ravel(), np.roll(other, shift, (0, 1)).ravel())[0, 1] for shift in SHIFTS
    )


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
def test_the_longer_side_is_20_pixels_and_the_mass_stands_in_the_middle(ink):
    image = to_mnist(ink)
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert image.max() == 255
    assert max(extent(image)) in (19, 20)
    assert centre_of_mass(image) == pytest.approx((14, 14), abs=0.55)


def test_a_drawing_of_another_size_or_place_gives_nearly_the_same_image():
    small = [[[0.1 + 0.4 * (x - 0.3), 0.5 + 0.4 * (y - 0.25)] for x, y in SEVEN[0]]]
    assert likeness(to_mnist(strokes_to_ink(SEVEN)), to_mnist(strokes_to_ink(small))) > 0.95


def test_a_digit_in_mnists_form_stays_as_it_is():
    once = to_mnist(strokes_to_ink(SEVEN))
    assert np.abs(to_mnist(once).astype(int) - once).max() <= 1
    assert (
        np.abs(to_mnist(np.kron(once, np.ones((10, 10), np.uint8))).astype(int) - once).max() <= 1
    )


def test_edges_are_smooth():
    image = to_mnist(strokes_to_ink(SEVEN))
    assert ((image > 20) & (image < 235)).sum() > 20


@pytest.mark.mnist
def test_real_digits_blown_up_come_back(mnist):
    images = mnist.test_images[:300].numpy()
    errors = [
        np.abs(to_mnist(np.kron(image, np.ones((10, 10), np.uint8))).astype(int) - image).mean()
        for image in images
    ]
    assert np.median(errors) == 0
    assert np.max(errors) < 1.0


@pytest.mark.mnist
def test_drawn_strokes_carry_as_much_ink_as_real_digits(mnist):
    for digit, strokes in {0: ZERO, 1: ONE, 2: TWO, 7: SEVEN}.items():
        real = mnist.test_images[mnist.test_labels == digit].float().mean().item() / 255
        assert to_mnist(strokes_to_ink(strokes)).mean() / 255 == pytest.approx(real, rel=0.25)


@pytest.mark.parametrize(
    "blank", [np.zeros((280, 280), np.uint8), np.zeros((1, 1)), strokes_to_ink([])]
)
def test_nothing_drawn_gives_nothing(blank):
    assert not to_mnist(blank).any()


def test_a_tap_is_a_small_dot():
    ink = strokes_to_ink([[[0.5, 0.5]]])
    assert 0 < (ink > 0).mean() < 0.01
    assert to_mnist(ink).any()


def test_strokes_outside_the_pad_are_cut_off():
    assert strokes_to_ink([[[-3, 0.5], [7, 0.5]]]).any()


@pytest.mark.parametrize(
    "strokes",
    [
        None,
        3,
        "strokes",
        {"a": 1},
        [1, 2],
        ["ab"],
        [[["a", "b"]]],
        [[[1]]],
        [[[1, 2, 3]]],
        [[1, 2]],
        [[[0.1, float("nan")]]],
        [[[0.1, float("inf")]]],
        [[[0.1, None]]],
        [[[0.1, 0.2], [0.3]]],
        [[[10**400, 1]]],
        [[[0.5, 0.5]] * 60_000],
        [[[0.5, 0.5]] * 30_000] * 2,
    ],
)
def test_strokes_that_are_none_are_refused_in_words(strokes):
    with pytest.raises(UserError):
        strokes_to_ink(strokes)


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
def test_ink_that_is_none_is_refused_in_words(ink):
    with pytest.raises(UserError):
        to_mnist(ink)


def on_paper(ink: np.ndarray, dark: bool, shade: bool, seed: int = 0) -> np.ndarray:
    """A picture of ink: paper with grain and, if asked, light falling from one side."""
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
def test_a_picture_gives_the_image_that_the_drawing_gives(strokes, dark, shade):
    ink = strokes_to_ink(strokes, 400)
    image = to_mnist(from_picture(on_paper(ink, dark, shade)))
    wanted = to_mnist(ink)
    assert likeness(image, wanted) > (0.9 if shade else 0.99)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16", "CMYK", "LA"])
def test_pictures_of_any_mode_are_read(mode):
    paper = on_paper(strokes_to_ink(SEVEN), dark=True, shade=False)
    if mode == "I;16":
        picture = Image.fromarray(paper.astype(np.uint16) * 257)
    else:
        picture = (
            Image.fromarray(paper).point(lambda value: 255 if value > 128 else 0).convert(mode)
        )
    assert likeness(to_mnist(from_picture(picture)), to_mnist(strokes_to_ink(SEVEN))) > 0.97


@pytest.mark.parametrize("tone", [0, 255])
def test_ink_on_a_clear_ground_is_read(tone):
    ink = strokes_to_ink(SEVEN)
    picture = np.dstack([np.full_like(ink, tone)] * 3 + [ink])
    assert likeness(to_mnist(from_picture(picture)), to_mnist(ink)) > 0.99


@pytest.mark.parametrize("picture", [np.full((50, 50), 200, np.uint8), np.full((50, 50, 3), 0.5)])
def test_an_empty_page_has_no_ink(picture):
    assert not from_picture(picture).any()


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
def test_pictures_that_are_none_are_refused_in_words(picture):
    with pytest.raises(UserError):
        from_picture(picture)


def saved(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def page(size: int = 400) -> Image.Image:
    return Image.fromarray(on_paper(strokes_to_ink(SEVEN, size), dark=True, shade=False))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_files_of_every_kind_are_opened(kind):
    found = to_mnist(from_picture(open_picture(saved(page(), kind))))
    assert likeness(found, to_mnist(strokes_to_ink(SEVEN))) > 0.97


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "I;16"])
def test_large_pictures_are_brought_down(mode):
    large = page(1_000).resize((2_400, 2_000))
    if mode == "I;16":
        large = Image.fromarray(np.asarray(large).astype(np.uint16) * 257)
    else:
        large = large.convert(mode)
    found = open_picture(saved(large))
    assert max(found.size) == LARGE
    assert to_mnist(from_picture(found)).any()


def test_a_photograph_stands_as_it_was_taken():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    lying = page().transpose(Image.Transpose.ROTATE_90)
    found = to_mnist(from_picture(open_picture(saved(lying, "JPEG", exif=exif))))
    assert likeness(found, to_mnist(strokes_to_ink(SEVEN))) > 0.97


def bomb(width: int, height: int) -> bytes:
    """A tiny PNG that says it is huge."""
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
def test_a_picture_that_would_unpack_to_too_much_is_refused_before_it_does(size):
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
def test_a_file_that_is_no_picture_is_refused_in_words(data):
    with pytest.raises(UserError):
        from_picture(open_picture(data))
