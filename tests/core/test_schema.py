"""Every check returns a value of the type asked for, or one short sentence that names the field."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError
from core.schema import LARGEST, Field, Kind, SchemaError, check_object, check_row, raising, shown

NUMBER = Field("lr", float, 0.1, low=0, high=10)
COUNT = Field("epochs", int, 3, low=1, high=100)
WORD = Field("anneal", str, "cos", choices=("linear", "cos"))
TEXT = Field("title", str, "", min_length=1, max_length=10)
SCORES = Field("scores", list, items=Field("score", float, low=0, high=100), max_length=3)
RUN = (
    Field("name", str, required=True, max_length=20),
    COUNT,
    Field("test", float, nullable=True),
    Field("settings", dict, fields=(NUMBER, WORD)),
    SCORES,
    Field("values", dict, items=Field("value", object), max_length=4),
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("field", "value", "checked"),
    [
        (NUMBER, 1, 1.0),
        (NUMBER, 0.0, 0.0),
        (NUMBER, 10, 10.0),
        (COUNT, 3.0, 3),
        (WORD, "linear", "linear"),
        (TEXT, "Ünï 🙂", "Ünï 🙂"),
        (Field("notes", str, multiline=True), "two\n\tlines", "two\n\tlines"),
        (Field("value", object), None, None),
        (Field("value", object), True, True),
        (Field("on", bool), False, False),
        (SCORES, (1, 2.5), [1.0, 2.5]),
        (Field("seconds", float), 1e6, 1e6),
    ],
)
def test_values_come_back_in_the_type_asked_for(field, value, checked):
    taken = field.check(value)
    assert taken == checked
    assert type(taken) is type(checked)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (NUMBER, True, "lr must be a number, not True"),
        (NUMBER, "0.1", "lr must be a number, not '0.1'"),
        (NUMBER, None, "lr must be a number, not None"),
        (NUMBER, float("nan"), "lr is nan, but it must be between 0 and 10"),
        (NUMBER, -(10**400), "lr is a number of more than 38 digits"),
        (NUMBER, float("inf"), "lr is inf"),
        (COUNT, 2.5, "epochs must be a whole number, not 2.5"),
        (COUNT, 1e300, "epochs is a number of more than 38 digits"),
        (COUNT, 0, "epochs is 0, but it must be between 1 and 100"),
        (Field("on", bool), 1, "on must be true or false, not 1"),
        (Field("seconds", float), 1e30, r"seconds is 1e\+30"),
        (Field("loss", float), 10**20, "loss is 100000000000000000000"),
        (WORD, "cubic", "anneal is 'cubic', but it must be linear or cos"),
        (WORD, ["cos"], "anneal must be text, not a list"),
        (TEXT, "", "title has 0 characters; between 1 and 10"),
        (TEXT, "a" * 11, "title has 11 characters"),
        (TEXT, "a\nb", r"title holds the character '\\n'"),
        (TEXT, "a\x1b[2J", r"title holds the character '\\x1b'"),
        (TEXT, "a\ud800", r"title holds the character '\\ud800'"),
        (TEXT, "a\u202eb", r"title holds the character '\\u202e'"),
        (Field("value", object), [1], "value must be text, a number, true, false or null"),
        (SCORES, [1, 101], "scores, score 2 is 101"),
        (SCORES, [0] * 4, "scores has 4 scores; at most 3"),
        (SCORES, {"a": 1}, "scores must be a list, not an object"),
    ],
)
def test_wrong_values_are_refused_by_name(field, value, words):
    with pytest.raises(SchemaError, match=words):
        field.check(value)


def test_an_object_has_all_its_fields_and_no_others():
    assert check_object({"name": "a"}, RUN) == {
        "name": "a",
        "epochs": 3,
        "test": None,
        "settings": None,
        "scores": None,
        "values": None,
    }
    full = {
        "name": "a",
        "epochs": 1,
        "test": None,
        "settings": {"lr": 1.0, "anneal": "cos"},
        "scores": [1.0],
        "values": {"kind": "conv", "p": None},
    }
    assert check_object(full, RUN) == full
    assert check_object({"name": "a", "new": 1}, RUN, drop_unknown=True)["name"] == "a"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "run must be an object of named values, not a list"),
        ({}, "run: name is missing"),
        ({"name": "a", "nam": 1}, "run: unknown field 'nam'; the fields are name, epochs, "),
        ({"name": "a", 3: 1}, "run: unknown field 3"),
        ({"name": "a", "epochs": None}, "run: epochs must be a whole number, not None"),
        ({"name": "a", "settings": {"lr": 11}}, "run: settings: lr is 11"),
        ({"name": "a", "settings": {"x": 11}}, "run: settings: unknown field 'x'"),
        ({"name": "a", "values": {"x": []}}, "run: values: 'x' must be text"),
        ({"name": "a", "values": {"x\x00": 1}}, "run: values, name holds the character"),
        ({"name": "a", "values": {3: 1}}, "run: values, name must be text, not 3"),
        ({"name": "a", "values": dict.fromkeys("abcde")}, "run: values has 5 entries"),
    ],
)
def test_wrong_objects_are_refused_with_the_path_to_the_value(values, words):
    with pytest.raises(SchemaError, match=words):
        check_object(values, RUN, "run")


def test_a_row_takes_what_its_kind_takes():
    kinds = {"blur": Kind("blur", "Blur", "Blurs.", (NUMBER,)), "flip": Kind("flip", "F", "F.")}
    assert check_row({"kind": "blur"}, kinds) == {"kind": "blur", "lr": 0.1}
    assert check_row({"lr": 2, "kind": "blur"}, kinds) == {"kind": "blur", "lr": 2.0}
    for row, words in (
        (3, "a row must be an object"),
        ({}, "kind is missing; the kinds are blur and flip"),
        ({"kind": ["blur"]}, "unknown kind a list"),
        ({"kind": "blur", "x": 1}, "unknown blur parameter 'x'; the blur parameters are lr"),
        ({"kind": "flip", "lr": 1}, "unknown flip parameter 'lr'; there are no flip parameters"),
        ({"kind": "blur", "lr": 99}, "^lr is 99"),
    ):
        with pytest.raises(SchemaError, match=words):
            check_row(row, kinds)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        (NUMBER, "1e-3", 0.001),
        (COUNT, "12", 12),
        (WORD, "cos", "cos"),
        (Field("on", bool), "Yes", True),
        (Field("on", bool), "0", False),
    ],
)
def test_text_is_parsed(field, text, value):
    assert field.parse(text) == value


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (NUMBER, "fast"),
        (COUNT, "1.5"),
        (COUNT, "9" * 5000),
        (Field("on", bool), "maybe"),
        (SCORES, "[1]"),
    ],
)
def test_text_that_does_not_parse_is_refused(field, text):
    with pytest.raises(SchemaError, match=f"^{field.name} must be") as caught:
        field.parse(text)
    assert len(str(caught.value)) < 120


def test_errors_can_be_raised_as_another_kind():
    with pytest.raises(ConfigError, match="lr must be a number"), raising(ConfigError):
        NUMBER.check("x")


@given(json_values)
def test_any_value_is_taken_or_refused_in_one_short_sentence(value):
    for field in (*RUN, NUMBER, WORD, TEXT, Field("run", dict, fields=RUN)):
        try:
            taken = field.check(value)
        except SchemaError as error:
            text = str(error)
            assert len(text) < 400
            assert text.isprintable()
        else:
            assert field.check(taken) == taken
            json.dumps(taken, allow_nan=False, ensure_ascii=False).encode()


@given(st.text() | st.integers() | st.floats() | st.just(10**5000))
def test_shown_values_are_short_and_printable(value):
    assert len(shown(value)) <= 300
    assert shown(value).isprintable()


@given(st.integers() | st.floats())
def test_numbers_stay_within_what_floats_and_sentences_hold(value):
    try:
        assert abs(Field("x", float).check(value)) <= LARGEST
    except SchemaError:
        assert not abs(value) <= LARGEST
