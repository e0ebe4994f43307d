"""Networks side by side, row by row."""

from __future__ import annotations

import pytest

from core.models.architectures import ARCHITECTURES
from core.models.row_differences import align_rows, describe_row

CONV = {"kind": "conv", "channels": 8}
POOL = {"kind": "maxpool"}
LINEAR = {"kind": "linear", "channels": 10, "activation": "none"}


def test_rows_are_described_by_what_is_not_usual():
    assert describe_row({"kind": "conv", "channels": 16, "padding": 1, "norm": "batch"}) == (
        "Convolution 16, 3x3, padding 1, norm batch"
    )
    assert describe_row({"kind": "global_avgpool"}) == "Global average pooling"
    assert describe_row({"kind": "dropout", "p": 0.25}) == "Dropout p 0.25"


def test_an_inserted_row_shifts_the_others():
    lines = align_rows([[CONV, LINEAR], [CONV, POOL, LINEAR]])
    assert [line[0] == line[1] for line in lines] == [True, False, True]
    assert lines[1] == ["", "Max pooling 2x2"]


def test_a_changed_row_stands_beside_what_it_was():
    wide = {**CONV, "channels": 9}
    assert align_rows([[CONV, LINEAR], [wide, LINEAR]])[0] == [
        "Convolution 8, 3x3",
        "Convolution 9, 3x3",
    ]


def test_three_networks_have_a_cell_each():
    lines = align_rows([[CONV, LINEAR], [POOL, CONV, LINEAR], [CONV, POOL, LINEAR]])
    assert all(len(line) == 3 for line in lines)
    for number, network in enumerate(([CONV, LINEAR], [POOL, CONV, LINEAR], [CONV, POOL, LINEAR])):
        cells = [line[number] for line in lines if line[number]]
        assert cells == [describe_row(row) for row in network]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_network_does_not_differ_from_itself(name):
    rows = ARCHITECTURES[name].rows
    lines = align_rows([rows, rows])
    assert len(lines) == len(rows)
    assert all(first == second for first, second in lines)
