"""Transforms survive the way to text and back, and any text is read or refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.augmentations import KINDS, MAX_TRANSFORMS, check
from core.data.presets import PRESETS
from core.data.transform_text import MAX_TEXT, from_text, to_text, with_value
from core.errors import ConfigError


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_comes_back_from_its_text(name):
    assert from_text(to_text(PRESETS[name].transforms)) == PRESETS[name].transforms


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_left_out_and_everything_else_is_kept(kind):
    always = ',"shifts":"fractional"' if kind == "affine" else ""
    assert to_text(check([{"kind": kind}])) == f'[{{"kind":"{kind}"{always}}}]'
    other = {
        "kind": kind,
        **{
            item.name: item.choices[-1] if item.choices else item.high
            for item in KINDS[kind].parameters
        },
    }
    assert from_text(to_text([other])) == check([other])


def test_the_longest_list_fits_into_a_link():
    longest = [
        {
            "kind": "affine",
            "shift": 0.123456,
            "scale": 0.123456,
            "rotate": 12.123456,
            "shear": 12.123456,
            "aspect": "free",
            "shifts": "fractional",
            "centre": "pixel 14",
            "border": "reflect",
            "p": 0.123456,
        }
    ] * MAX_TRANSFORMS
    assert len(from_text(to_text(longest))) == MAX_TRANSFORMS


def test_a_text_from_before_there_were_fractional_shifts_means_whole_pixels():
    text = '[{"kind":"affine","shift":0.05,"p":0.7},{"kind":"blur"}]'
    assert from_text(text)[0]["shifts"] == "whole"
    assert to_text(from_text(text)) == text


def test_rounding_errors_are_not_written():
    assert (
        to_text([{"kind": "blur", "p": 0.1 + 0.2, "sigma": 2.0}]) == '[{"kind":"blur","sigma":2}]'
    )
    assert to_text([{"kind": "noise", "p": 0.1 + 0.7}]) == '[{"kind":"noise","p":0.8}]'


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "{}",
        "7",
        '"affine"',
        "[1]",
        "[[]]",
        '[{"kind":"magic"}]',
        '[{"kind":"affine","shift":9}]',
        "[" * 3_000,
        '[{"kind":"affine","p":NaN}]',
        '[{"kind":"affine","size":1}]',
        '[{"kind":"affine","p":true}]',
        "1" * 3_999,
        '[{"kind":"blur"}' + ',{"kind":"blur"}' * MAX_TRANSFORMS + "]",
        " " * (MAX_TEXT + 1),
    ],
)
def test_a_wrong_text_is_refused(text):
    with pytest.raises(ConfigError, match=r"\w+ \w+ \w+"):
        from_text(text)


@pytest.mark.parametrize("text", ["", "  ", "[]"])
def test_an_empty_text_means_no_transforms(text):
    assert from_text(text) == ()


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from([*KINDS]),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["kind", "p", "shift", "border"]), inner, max_size=4)
        ),
        max_leaves=8,
    )
)
def test_any_json_is_read_or_refused(value):
    try:
        rows = from_text(json.dumps(value))
    except ConfigError:
        return
    assert from_text(to_text(rows)) == check(
        [
            {
                name: round(each, 6) if isinstance(each, float) else each
                for name, each in row.items()
            }
            for row in rows
        ]
    )


def test_one_value_is_replaced_and_checked():
    rows = PRESETS["final"].transforms
    after = with_value(rows, 1, "contrast", 0.5)
    assert after[0] == rows[0]
    assert after[1] == {**rows[1], "contrast": 0.5}
    with pytest.raises(ConfigError, match=r"transform 2: contrast"):
        with_value(rows, 1, "contrast", 7.0)
