"""JSON from outside is parsed, or refused in one sentence, in any encoding, size and nesting."""

from __future__ import annotations

import codecs
import contextlib
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.json_input import MAX_DEPTH, parse_json, read_json_file
from core.schema import SchemaError

ROWS = [{"kind": "conv", "channels": 8, "title": "größer 🙂"}]
TEXT = json.dumps(ROWS, ensure_ascii=False)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        "\ufeff" + TEXT,
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
    ],
)
def test_every_unicode_encoding_is_read(data, tmp_path):
    assert parse_json(data, "rows") == ROWS
    path = tmp_path / "rows.json"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    assert read_json_file(path, "rows") == ROWS


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "rows is not valid JSON"),
        (b"", "rows is not valid JSON"),
        ('[{"kind"\n:]', r"line 2, column 2"),
        ("[NaN]", "not valid JSON"),
        ("[-Infinity]", "not valid JSON"),
        ("[" + "9" * 5_000 + "]", "not valid JSON"),
        (b"\xff\xfe[", "not valid JSON"),
        (b"[\xe9]", "not valid JSON"),
        ("[" * 100_000, "nested more than 20"),
        ("[" * 400 + "]" * 400, "nested more than 20"),
        ('{"a":' * 21 + "1" + "}" * 21, "nested more than 20"),
        ("[" + "1," * 600_000 + "1]", "at most 1,000,000"),
    ],
)
def test_what_is_not_plain_json_is_refused(data, words):
    with pytest.raises(SchemaError, match=words):
        parse_json(data, "rows")


def test_the_deepest_nesting_allowed_is_read():
    assert parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, "rows")


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.json").write_bytes(b" " * 2_000)
    for path, words in (
        ("pipe", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        (".", "directory|regular file"),
        ("missing.json", "No such file"),
        ("a\0b", "valid path"),
        ("x" * 5_000, "name too long"),
        ("large.json", "1,000 bytes"),
    ):
        with pytest.raises(SchemaError, match=words):
            read_json_file(tmp_path / path, "rows", max_bytes=1_000)


@given(json_values, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_any_json_is_read_in_any_encoding(value, encoding):
    assert parse_json(json.dumps(value).encode(encoding), "value") == value


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_data_is_read_or_refused(data):
    with contextlib.suppress(SchemaError):
        json.dumps(parse_json(data, "data"))
