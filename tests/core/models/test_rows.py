"""Single rows: defaults, and the refusal of wrong values."""

import pytest

from core.errors import ArchitectureError
from core.models.rows import KINDS, complete

PARAMETERS = [(kind, parameter) for kind in KINDS.values() for parameter in kind.parameters]
IDS = [f"{kind.name}.{parameter.name}" for kind, parameter in PARAMETERS]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_bare_row_takes_every_default(kind):
    row = complete({"kind": kind.name})
    assert row == {
        "kind": kind.name,
        **{parameter.name: parameter.default for parameter in kind.parameters},
    }
    assert complete(row) == row
    assert kind.title
    assert kind.help.endswith(".")


@pytest.mark.parametrize(("kind", "parameter"), PARAMETERS, ids=IDS)
def test_every_parameter_takes_its_range_and_nothing_else(kind, parameter):
    if parameter.type in (int, float):
        good = [parameter.low, parameter.high]
        bad = [
            parameter.low - 1,
            parameter.high + 1,
            float("nan"),
            float("inf"),
            10**5000,
            -(10**5000),
            "3",
            True,
            [1],
        ]
    elif parameter.choices:
        good, bad = list(parameter.choices), ["nonsense", "", 1, False, ["relu"]]
    else:
        good, bad = [True, False], [1, 0, "true", 1.0]
    for value in good:
        taken = complete({"kind": kind.name, parameter.name: value})[parameter.name]
        assert taken == value
        assert type(taken) is parameter.type
    for value in bad:
        with pytest.raises(ArchitectureError, match=rf"^row 7: {parameter.name} ") as caught:
            complete({"kind": kind.name, parameter.name: value}, 7)
        assert caught.value.row == 7
        assert len(str(caught.value)) < 200


def test_whole_floats_count_as_whole_numbers():
    row = complete({"kind": "conv", "channels": 16.0})
    assert type(row["channels"]) is int
    with pytest.raises(ArchitectureError, match=r"channels must be a whole number, not 16\.5"):
        complete({"kind": "conv", "channels": 16.5})


def test_empty_cells_of_a_table_count_as_left_out():
    assert complete({"kind": "maxpool", "kernel": None, "channels": None, "p": None}) == complete(
        {"kind": "maxpool"}
    )
    with pytest.raises(ArchitectureError, match="unknown maxpool parameter 'chanels'"):
        complete({"kind": "maxpool", "chanels": None})


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, "kind is missing; the kinds are conv, "),
        ({"kind": None}, "kind is missing"),
        ({"kind": "convolution"}, "unknown kind 'convolution'; the kinds are conv, "),
        ({"kind": ["conv"]}, "unknown kind"),
        ({"kind": 10**5000}, "unknown kind a number of more than 38 digits"),
        (
            {"kind": "conv", "filters": 8},
            "unknown conv parameter 'filters'; the conv parameters are channels, kernel, ",
        ),
        ({"kind": "conv", 3: 8}, "unknown conv parameter 3"),
        (
            {"kind": "global_avgpool", "kernel": 2},
            "unknown global_avgpool parameter 'kernel'; there are no ",
        ),
        ("conv", "a row must be an object of named values, not 'conv'"),
        (None, "a row must be an object of named values, not None"),
    ],
)
def test_wrong_rows_are_refused_by_number_and_name(row, words):
    with pytest.raises(ArchitectureError) as caught:
        complete(row, 4)
    assert str(caught.value).startswith(f"row 4: {words}")
