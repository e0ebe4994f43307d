"""Rows survive the way to text and back, and any text is read or refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import MAX_ROWS
from core.errors import ArchitectureError
from core.models.architectures import ARCHITECTURES
from core.models.row_text import MAX_TEXT, find_name, from_text, to_text, without_defaults
from core.models.rows import KINDS, complete


def completed(rows):
    return [complete(row, number) for number, row in enumerate(rows, 1)]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_named_network_is_written_as_its_name(name):
    rows = ARCHITECTURES[name].rows
    assert to_text(rows) == to_text(completed(rows)) == name
    assert completed(from_text(name)) == completed(rows)
    assert find_name(completed(rows)[:-1]) is None


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_rows_come_back_from_their_text(name):
    rows = [*ARCHITECTURES[name].rows, {"kind": "dropout", "p": 0.25}]
    assert completed(from_text(to_text(rows))) == completed(rows)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_defaults_are_left_out_and_everything_else_is_kept(kind):
    assert to_text([complete({"kind": kind.name})]) == f'[{{"kind":"{kind.name}"}}]'
    other = {"kind": kind.name}
    for each in kind.parameters:
        other[each.name] = (
            not each.default if each.type is bool else (each.choices or (each.high,))[-1]
        )
    assert from_text(to_text([other])) == (other,)


def test_wrong_values_are_kept_for_the_editor():
    rows = (
        {"kind": "conv", "kernel": 99, "channels": "many"},
        {"kind": "cake"},
        {"kind": "linear", "bias": 1},
        {},
    )
    assert from_text(to_text(rows)) == rows
    assert without_defaults({"kind": "conv", "kernel": None, "groups": True}) == {
        "kind": "conv",
        "groups": True,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cake", "not 'cake'"),
        ("[", "not '['"),
        ('{"kind":"conv"}', "must be a list"),
        ("7", "must be a list"),
        ("[7]", "row 1 must be an object"),
        ('[{"kind":"conv"},{"kind":[]}]', "row 2: 'kind' must be"),
        ('[{"kind":3}]', "row 1: kind must be one of"),
        ('[{"kind":"conv","kernel":1e400}]', "row 1: 'kernel' is"),
        ('[{"kind":"conv","kernel":NaN}]', "list of rows"),
        ('[{"kernel":' + "9" * 5_000 + "}]", "not '"),
        ('[{"kind":"' + "x" * 41 + '"}]', "row 1: 'kind' has 41"),
        ("[" * 9_000, "not '"),
        ("x" * (MAX_TEXT + 1), "at most"),
        ("[" + ",".join(["{}"] * (MAX_ROWS + 1)) + "]", f"at most {MAX_ROWS}"),
        (json.dumps([{f"k{at}": 1 for at in range(21)}]), "row 1 has 21"),
    ],
)
def test_text_that_is_no_list_of_rows_is_refused(text, words):
    with pytest.raises(ArchitectureError, match=words.replace("[", r"\[")):
        from_text(text)


def test_rows_too_long_for_a_link_are_refused():
    row = {
        "kind": "conv",
        "channels": 999,
        "kernel": 11,
        "padding": 5,
        "bias": False,
        "norm": "batch",
    }
    with pytest.raises(ArchitectureError, match="at most 12,000"):
        to_text([row] * MAX_ROWS)


@settings(max_examples=80, deadline=None)
@given(
    st.text(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=9) | st.just("kind"), inner, max_size=3)
        ),
        max_leaves=9,
    ).map(json.dumps)
)
def test_any_text_gives_rows_or_an_error(text):
    try:
        rows = from_text(text)
    except ArchitectureError:
        return
    assert from_text(to_text(rows)) == tuple(without_defaults(row) for row in rows)
