"""Drafts: errors by row, and the layers traced so far."""

import pytest

from core.models.architectures import ARCHITECTURES
from core.models.drafts import inspect
from core.models.shapes import trace
from core.models.summary import summarise

CONV, POOL, SCORES = {"kind": "conv"}, {"kind": "maxpool"}, {"kind": "linear"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_valid_network_has_no_errors(name):
    draft = inspect(ARCHITECTURES[name].rows)
    assert draft.errors == {}
    assert draft.summary == summarise(ARCHITECTURES[name].rows)
    assert list(draft.layers) == trace(ARCHITECTURES[name].rows)


@pytest.mark.parametrize(
    ("rows", "number", "words", "layers"),
    [
        ([], 0, "at least one row", 0),
        ([CONV, {"kind": "conv", "kernel": 99}, SCORES], 2, "kernel is 99", 1),
        ([SCORES, POOL], 2, "maxpool needs an image", 1),
        ([CONV, {"kind": "linear", "channels": 12}], 2, "ends in 12 values", 2),
    ],
)
def test_an_error_is_named_at_its_row_and_earlier_rows_are_traced(rows, number, words, layers):
    draft = inspect(rows)
    assert list(draft.errors) == [number]
    assert words in draft.errors[number]
    assert not draft.errors[number].startswith("row")
    assert len(draft.layers) == layers
    assert draft.summary is None


def test_every_wrong_value_is_named():
    rows = [
        {"kind": "conv", "groups": 3},
        {"kind": "cake"},
        SCORES,
        {"kind": "linear", "channels": 0},
    ]
    draft = inspect(rows)
    assert set(draft.errors) == {1, 2, 4}


def test_an_error_of_the_whole_network_has_the_number_0():
    assert list(inspect([]).errors) == [0]
