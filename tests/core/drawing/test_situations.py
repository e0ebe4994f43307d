"""Digits are found in pictures as people have them, whatever lies around them."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.drawing.lines import crop_frame, remove_lines
from core.drawing.pen import THICKEST, THINNEST, adjust_pen, stroke_width
from core.drawing.pictures import MAX_FRAMES, open_picture, picture_to_ink
from core.drawing.preparation import to_mnist
from core.drawing.segmentation import segment_ink
from core.drawing.strokes import strokes_to_ink
from core.insight.predictions import predict
from core.runs import loading, store
from tests.core.drawing.shapes import likeness
from tests.scenes import SITUATIONS, Scene, render
from tests.strokes import DIGITS

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests" / "cases" / "pictures"
SINGLES = {name: situation for group in SITUATIONS.values() for name, situation in group.items()}
PAIRS = [
    ("frame of 2 px", "shade"),
    ("squared paper", "page turned"),
    ("ruled lines", "grain"),
    ("12 % of the side", "grain"),
    ("10 % of the side", "squared paper"),
    ("low contrast", "shade"),
    ("inverted", "frame of 4 px"),
    ("tight crop", "JPEG"),
]


def read(data: bytes) -> np.ndarray:
    return to_mnist(picture_to_ink(open_picture(data)))


def scene(*names: str, seed: int = 0) -> tuple[Scene, np.random.Generator]:
    rng, made = np.random.default_rng(seed), Scene()
    for name in names:
        SINGLES[name](made, rng)
    return made, rng


def check_found(digit: int, *names: str, seed: int = 0) -> None:
    made, rng = scene(*names, seed=seed)
    image = to_mnist(strokes_to_ink(DIGITS[digit]))
    ink = picture_to_ink(open_picture(render(image, made, rng)))
    assert len(segment_ink(ink)) == 1
    # Another pen, or a turned page, is less alike than the same strokes elsewhere.
    least = 0.75 if made.width or made.turn else 0.9
    assert likeness(to_mnist(ink), image) > least, digit


@pytest.mark.parametrize("name", SINGLES)
def test_a_digit_is_found_in_every_situation(name):
    for digit in (1, 4, 5, 7):
        check_found(digit, name, seed=digit)


@pytest.mark.parametrize("names", PAIRS, ids=" + ".join)
def test_a_digit_is_found_in_two_situations_at_once(names):
    for digit in (1, 4, 5):
        check_found(digit, *names, seed=digit)


@cache
def shipped_network():
    if not (ROOT / "checkpoints" / "best" / "last.safetensors").is_file():
        pytest.skip("the run `best` is not shipped here")
    return loading.load_model(store.open_run("best", ROOT / "checkpoints"), "last")


@pytest.mark.parametrize(
    "name",
    [
        "frame1.png",
        "gray16_10bit.png",
        "drawing_in_progress.gif",
        "tight_crop.png",
        "exif_4bytes.png",
        "exif_short.png",
        "exif_cut_ifd.png",
    ],
)
def test_pictures_that_were_read_wrongly_are_read_as_a_5(name):
    image = read((CASES / name).read_bytes())
    assert predict(shipped_network(), image[None]).argmax() == 5


@pytest.mark.parametrize("share", [0.15, 0.12, 0.1])
def test_a_small_5_on_a_shaded_grainy_page_is_read(share):
    made = Scene(side=960, digit=share, shade=0.4, grain=6, form="jpeg", quality=85)
    made.offset = (0.4, -0.5)
    image = to_mnist(strokes_to_ink(DIGITS[5]))
    data = render(image, made, np.random.default_rng(0))
    assert predict(shipped_network(), read(data)[None]).argmax() == 5


def test_a_1_and_a_2_beside_each_other_are_two_digits():
    digits = segment_ink(picture_to_ink(open_picture((CASES / "two_12.png").read_bytes())))
    assert predict(shipped_network(), np.stack(digits)).argmax(axis=1).tolist() == [1, 2]


@pytest.mark.parametrize(
    "names",
    [(), ("shade",), ("grain",), ("shade", "grain"), ("JPEG", "shade"), ("low contrast", "grain")],
    ids=" + ".join,
)
def test_a_page_without_a_digit_has_no_ink(names):
    made, rng = scene(*names)
    assert not picture_to_ink(open_picture(render(np.zeros((28, 28)), made, rng))).any()


def test_the_frames_of_an_animation_are_limited():
    tiny = [Image.new("L", (9, 9), 255) for _ in range(MAX_FRAMES + 20)]
    for number, frame in enumerate(tiny):
        frame.putpixel((number % 9, number // 9 % 9), number % 200)
    buffer = io.BytesIO()
    tiny[0].save(buffer, "GIF", save_all=True, append_images=tiny[1:])
    assert Image.open(io.BytesIO(buffer.getvalue())).n_frames > MAX_FRAMES
    opened = np.asarray(open_picture(buffer.getvalue()).convert("L"))
    last = MAX_FRAMES - 1
    assert opened[last // 9 % 9, last % 9] == last % 200


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("thickness", [1, 6])
def test_a_frame_is_cut_off_and_nothing_else(thickness, light):
    cell = np.full((100, 140), 220.0, np.float32)
    cell[30:70, 60:70] = 30
    assert crop_frame(cell) == (slice(0, 100), slice(0, 140))
    framed = np.pad(cell, thickness, constant_values=10)
    framed = 255 - framed if light else framed
    rows, columns = crop_frame(framed)
    inside = framed[rows, columns]
    assert np.ptp(inside[0]) == np.ptp(inside[:, 0]) == 0
    assert min(inside.shape[0] - 90, inside.shape[1] - 130) >= 0


def test_an_0_that_fills_its_picture_is_no_frame():
    ring = np.full((120, 90), 20.0, np.float32)
    ring[14:-14, 14:-14] = 230
    rows, columns = crop_frame(ring)
    assert (rows, columns) == (slice(0, 120), slice(0, 90))


def test_lines_are_removed_around_a_digit_but_not_from_it():
    mask = (strokes_to_ink(DIGITS[4], 300) > 127).astype(np.uint8)
    ruled = mask.copy()
    for at in range(20, 300, 40):
        ruled[at : at + 3] = ruled[:, at : at + 3] = 1
    cleaned = remove_lines(ruled)
    assert (cleaned != mask).mean() < 0.01
    assert remove_lines(mask) is mask
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    tight = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert (remove_lines(np.ascontiguousarray(tight)) == tight).all()


@pytest.mark.parametrize(("share", "wanted"), [(0.02, THINNEST), (0.35, THICKEST)])
def test_a_pen_is_brought_near_mnists(share, wanted):
    ink = np.zeros((400, 400), np.uint8)
    half = round(150 * share)
    ink[50:350, 200 - half : 200 + half] = 255
    adjusted = adjust_pen(ink)
    assert stroke_width(adjusted > 127) / 300 == pytest.approx(wanted, abs=0.04)
    usual = np.zeros((400, 400), np.uint8)
    usual[50:350, 180:220] = 255
    assert (adjust_pen(usual) == usual).all()
