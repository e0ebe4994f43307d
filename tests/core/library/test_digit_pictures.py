"""Pictures become labelled digits; hostile zips and files that are no digits are refused."""

from __future__ import annotations

import io
import json
import stat
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.drawing.strokes import strokes_to_ink
from core.errors import LimitError, RunError, UserError
from core.library import digit_pictures
from core.library.digit_pictures import (
    parse_label,
    parse_writer,
    read_files,
    read_path,
    read_picture,
)
from core.library.digits import make_digit
from core.runs.digit_file import to_json
from tests.strokes import DIGITS


def picture(digit: int = 7, kind: str = "PNG") -> bytes:
    """A drawn digit, dark on light, as a picture file."""
    buffer = io.BytesIO()
    Image.fromarray(255 - strokes_to_ink(DIGITS[digit], 120)).save(buffer, kind)
    return buffer.getvalue()


def zipped(**contents: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def large_png(side: int) -> bytes:
    """A small file that says it is a picture of so many pixels a side."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


@pytest.mark.parametrize(
    ("path", "label", "writer"),
    [
        ("7-anna.png", 7, "anna"),
        ("7_anna_0012.png", 7, "anna"),
        ("7-Anna M.-3.png", 7, "Anna M."),
        ("7.png", 7, None),
        ("7 (2).png", 7, None),
        ("7-0012.png", 7, None),
        ("set/3/IMG_2041.jpg", 3, None),
        ("set\\3\\3-bo.png", 3, "bo"),
        ("3/7-anna.png", 3, None),  # the folder says 3, so the name is no label
        ("70.png", None, None),
        ("IMG_7.png", None, None),
        ("12/x.png", None, None),
        ("\u0663/x.png", None, None),  # a digit of another script
        ("7-a\u202eb.png", 7, None),
    ],
)
def test_labels_and_writers_come_from_names(path, label, writer):
    assert parse_label(path) == label
    if label is not None:
        assert parse_writer(path, label) == writer


def test_a_folder_is_read_and_what_is_no_digit_is_named(tmp_path):
    for name, content in {
        "7/first.png": picture(),
        "3-anna.jpg": picture(3, "JPEG"),
        "5/blank.png": picture(5)[:60],
        "nameless.png": picture(),
        "notes.txt": b"x",
        ".hidden/7.png": picture(),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "9.png").symlink_to(tmp_path / "3-anna.jpg")
    reading = read_path(tmp_path)
    assert sorted((each.label, each.writer) for each in reading.digits) == [(3, "anna"), (7, None)]
    reasons = {each.source.rpartition("/")[2]: each.reason for each in reading.skipped}
    assert set(reasons) == {"blank.png", "nameless.png", "notes.txt", "9.png"}
    assert "no label" in reasons["nameless.png"]
    assert "link" in reasons["9.png"]
    assert [each.label for each in read_path(tmp_path / "7").digits] == [7], "its own name counts"


def test_pictures_take_mnists_form_unless_they_have_it(tmp_path):
    drawn = read_files([("7.png", picture())]).digits[0].image
    rows, columns = np.nonzero(drawn)
    assert max(np.ptp(rows), np.ptp(columns)) in (18, 19)
    moved = np.roll(drawn, 3, axis=1)  # not centred: as to_mnist would never leave it
    buffer = io.BytesIO()
    Image.fromarray(moved).save(buffer, "PNG")
    np.testing.assert_array_equal(read_files([("7.png", buffer.getvalue())]).digits[0].image, moved)
    path = tmp_path / "misread.png"
    path.write_bytes(picture())
    np.testing.assert_array_equal(read_picture(path), drawn)
    with pytest.raises(UserError, match="cannot be read"):
        read_picture(tmp_path)


def test_a_hostile_zip_is_refused(monkeypatch):
    good = picture()
    for name in ("../7.png", "/7.png", "a/../../7.png", "C:/7.png", "..\\7.png"):
        with pytest.raises(RunError, match="does not belong"):
            read_files([("a.zip", zipped(**{name: good}))])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("7.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(RunError, match="does not belong"):
        read_files([("a.zip", buffer.getvalue())])
    with pytest.raises(RunError):
        read_files([("a.zip", zipped(**{"7.png": good})[:-40])])
    monkeypatch.setattr(digit_pictures, "MAX_FILE", 1_000_000)
    with pytest.raises(LimitError, match="too large"):
        read_files([("a.zip", zipped(**{"7.png": bytes(3_000_000)}))])
    monkeypatch.setattr(digit_pictures, "MAX_UNPACKED", 2 * len(good))
    with pytest.raises(LimitError, match="too large"):
        read_files([("a.zip", zipped(**{f"7-{number}.png": good for number in range(3)}))])
    monkeypatch.setattr(digit_pictures, "MAX_ENTRIES", 2)
    with pytest.raises(RunError, match="more than"):
        read_files([("a.zip", zipped(**{f"7-{number}.png": good for number in range(3)}))])


def test_huge_pictures_are_skipped_and_reading_is_limited_in_time_and_number(monkeypatch):
    reading = read_files([("7.png", large_png(60_000)), ("3.png", picture(3))])
    assert [each.label for each in reading.digits] == [3]
    assert "pixels" in reading.skipped[0].reason
    late = read_files([("7.png", picture())], seconds=-1.0)
    assert (late.digits, len(late.skipped)) == ([], 1)
    monkeypatch.setattr(digit_pictures, "MAX_DIGITS", 1)
    many = read_files([("7.png", picture()), ("3.png", picture(3))])
    assert (len(many.digits), len(many.skipped)) == (1, 1)


def test_other_programs_files_in_a_zip_are_left_out():
    data = zipped(
        **{"x/7/a.png": picture(), "__MACOSX/x/7/._a.png": b"x", "x/.DS_Store": b"x", "x/7/": b""}
    )
    reading = read_files([("a.zip", data)])
    assert ([each.source for each in reading.digits], reading.skipped) == (["x/7/a.png"], [])


def test_a_file_in_the_form_of_a_set_is_read_among_pictures():
    image = read_files([("7.png", picture())]).digits[0].image
    made = make_digit(image, 7, owner="somebody", writer="Anna")
    data = json.dumps(to_json([made])).encode()
    reading = read_files([("set.JSON", data), ("3.png", picture(3))])
    assert [(each.label, each.writer) for each in reading.digits] == [(7, "Anna"), (3, None)]
    np.testing.assert_array_equal(reading.digits[0].image, image)
    for harm in (b"", b"[]", data[:-1], data.replace(b'"label": 7', b'"label": 10')):
        with pytest.raises(RunError, match="file"):
            read_files([("set.json", harm)])


@given(st.lists(st.tuples(st.text(max_size=12), st.binary(max_size=60)), max_size=3))
def test_any_files_are_read_or_refused(files):
    try:
        reading = read_files(files)
    except UserError:
        return
    assert len(reading.digits) + len(reading.skipped) <= len(files)
