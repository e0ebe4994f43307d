"""Picture files are opened within bounds of time and memory."""

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.drawing import pictures
from core.drawing.pictures import MAX_FILE, MAX_SIDE, open_picture, picture_to_ink
from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink
from core.errors import UserError
from tests.core.drawing.shapes import SEVEN, likeness, on_paper

CASES = Path(__file__).parents[2] / "cases" / "pictures"
FORMATS = ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"]


def saved(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def page(size: int = 400) -> Image.Image:
    return Image.fromarray(on_paper(strokes_to_ink(SEVEN, size), dark=True, shade=False))


@pytest.mark.parametrize("kind", FORMATS)
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
    assert max(opened.size) == MAX_SIDE
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


def run_length_bmp() -> bytes:
    """A BMP compressed by run lengths, which Pillow decodes slowly."""
    rows = (b"\x40\x05" + b"\0\0") * 64
    sizes = struct.pack("<IHHI", 54 + 1024 + len(rows), 0, 0, 54 + 1024)
    header = struct.pack("<IiiHHIIiiII", 40, 64, 64, 1, 8, 1, len(rows), 0, 0, 256, 0)
    return b"BM" + sizes + header + bytes(1024) + rows


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
        saved(page(), "TIFF", compression="jpeg"),
        saved(page(), "EPS"),
        run_length_bmp(),
        bytes(MAX_FILE + 1),
    ],
    ids=range(12),
)
def test_a_file_that_is_not_a_picture_is_refused(data):
    with pytest.raises(UserError):
        picture_to_ink(open_picture(data))


@pytest.mark.parametrize("name", ["exif_4bytes", "exif_short", "exif_cut_ifd"])
def test_broken_metadata_is_ignored_silently(name):
    opened = open_picture((CASES / f"{name}.png").read_bytes())
    assert opened.size == (280, 280)
    assert to_mnist(picture_to_ink(opened)).any()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0", b"Exif\0\0II*\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"\xff" * 40],
    ids=["empty", "short", "cut", "noise"],
)
def test_broken_metadata_of_every_format_is_ignored(kind, exif):
    data = saved(page(), kind) if kind == "TIFF" else saved(page(), kind, exif=exif)
    assert to_mnist(picture_to_ink(open_picture(data))).any()


@pytest.mark.parametrize("name", ["eps_named_photo", "loop_eps_named"])
def test_postscript_is_refused_before_anything_runs(name, monkeypatch):
    monkeypatch.setattr("subprocess.Popen", lambda *given, **more: pytest.fail("a process starts"))
    with pytest.raises(UserError, match="not a picture"):
        open_picture((CASES / f"{name}.png").read_bytes())


@pytest.mark.parametrize("size", [(12_000, 9_000), (60_000, 1_000)], ids=["108 MP", "panorama"])
def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size(size):
    large = page().resize(size, Image.Resampling.NEAREST)
    data = saved(large, "JPEG", quality=50)
    del large
    before, start = peak_memory(), time.process_time()
    opened = open_picture(data)
    assert time.process_time() - start < 1.5
    assert peak_memory() - before < 500e6
    assert max(opened.size) == MAX_SIDE
    assert to_mnist(picture_to_ink(opened)).any()


def peak_memory() -> int:
    """Peak memory of this process in bytes, on Linux."""
    resource = pytest.importorskip("resource")
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def with_more_scans(data: bytes, scans: int) -> bytes:
    """Repeat the last scan of a progressive JPEG."""
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[start:end] * scans + data[end:]


def test_a_progressive_jpeg_with_too_many_scans_is_refused_before_decoding():
    progressive = saved(page(2_000), "JPEG", progressive=True)
    assert open_picture(progressive)
    start = time.process_time()
    with pytest.raises(UserError, match="scans"):
        open_picture(with_more_scans(progressive, 2_000))
    assert time.process_time() - start < 0.5
    assert open_picture(with_more_scans(saved(page(), "JPEG", progressive=True), 50))


def test_a_progressive_jpeg_whose_coefficients_need_too_much_memory_is_refused(monkeypatch):
    data = saved(page().convert("RGB"), "JPEG", progressive=True, subsampling=0)
    monkeypatch.setattr(pictures, "MAX_COEFFICIENT_BYTES", 400 * 400 * 3 * 2)
    assert open_picture(data)
    monkeypatch.setattr(pictures, "MAX_COEFFICIENT_BYTES", 400 * 400 * 3 * 2 - 1)
    with pytest.raises(UserError, match="scans"):
        open_picture(data)


SAMPLES = {kind: saved(page(40), kind) for kind in FORMATS} | {
    "progressive": saved(page(40), "JPEG", progressive=True),
    "metadata": (CASES / "exif_cut_ifd.png").read_bytes(),
}


@given(
    st.sampled_from(list(SAMPLES)),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=6),
    st.integers(0, 4_000),
)
def test_damaged_files_are_opened_or_refused(kind, changes, length):
    data = bytearray(SAMPLES[kind][: length or None])
    for position, value in changes:
        if position < len(data):
            data[position] = value
    check_opened_or_refused(bytes(data))


@given(st.binary(max_size=300))
def test_any_bytes_are_opened_or_refused(data):
    check_opened_or_refused(data)


def check_opened_or_refused(data: bytes) -> None:
    try:
        image = to_mnist(picture_to_ink(open_picture(data)))
    except UserError:
        return
    assert (image.shape, image.dtype) == ((28, 28), np.uint8)
