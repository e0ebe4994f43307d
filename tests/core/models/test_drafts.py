"""Networks while they are edited: everything that is wrong, at its row, and everything that is right so far."""

import pytest

from core.models.architectures import ARCHITECTURES
from core.models.drafts import inspect, told
from core.models.shapes import trace
from core.models.summary import summarise

CONV, POOL, SCORES = {"kind": "conv"}, {"kind": "maxpool"}, {"kind": "linear"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_right_has_no_mistakes(name):
    draft = inspect(ARCHITECTURES[name].rows)
    assert draft.mistakes == {}
    assert draft.summary == summarise(ARCHITECTURES[name].rows)
    assert list(draft.layers) == trace(ARCHITECTURES[name].rows)


@pytest.mark.parametrize(
    ("rows", "mistakes", "layers"),
    [
        ([], {0: "a network needs at least one row."}, 0),
        (
            [CONV, {"kind": "conv", "kernel": 99}, SCORES],
            {2: "kernel is 99, but it must be between 1 and 28."},
            1,
        ),
        (
            [SCORES, POOL],
            {
                2: "maxpool needs an image, but what comes in is 10 values in a line; put it before the first "
                "linear row."
            },
            1,
        ),
        (
            [CONV, {"kind": "linear", "channels": 12}],
            {
                2: "the last row gives 12 values in a line, but a network must end in 10 outputs, one for each digit."
            },
            2,
        ),
    ],
)
def test_a_mistake_is_named_at_its_row_and_the_rows_before_it_are_worked_out(
    rows, mistakes, layers
):
    draft = inspect(rows)
    assert draft.mistakes == mistakes
    assert len(draft.layers) == layers
    assert draft.summary is None


def test_every_wrong_value_is_named_not_only_the_first():
    rows = [
        {"kind": "conv", "groups": 3},
        {"kind": "cake"},
        SCORES,
        {"kind": "linear", "channels": 0},
    ]
    draft = inspect(rows)
    assert set(draft.mistakes) == {1, 2, 4}
    assert [words.split(":")[0] for words in told(draft.mistakes)] == ["Row 1", "Row 2", "Row 4"]


def test_a_mistake_of_the_whole_is_told_without_a_row():
    assert list(told(inspect([]).mistakes)) == ["A network needs at least one row."]
