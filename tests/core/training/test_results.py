"""The epoch table in the original's format, and rows read from files."""

from __future__ import annotations

import pytest

from core.errors import RunError
from core.training.results import HEADER, EpochResult, format_row, table

ORIGINAL_HEADER = (
    "| Epoch | LR       | Time    | TrainLoss | TrainCorrect | TrainAcc | ValLoss  "
    "| ValCorrect | ValAcc |"
)
LINES = """\
|     1 | 0.010000 | 00m 11s | 0.578923  |        48272 | 80.45  % \
| 0.128561 |       9623 | 96.23% |
|     5 | 0.070000 | 00m 17s | 0.06339   |        58873 | 98.12  % \
| 0.032771 |       9898 | 98.98% |
|    14 | 0.001904 | 00m 11s | 0.006672  |        59878 | 99.8   % \
| 0.033935 |       9913 | 99.13% |
|     3 | 0.004667 | 00m 10s | 0.069356  |        58728 | 97.88  % \
| 0.059053 |       9810 | 98.1 % |
""".splitlines()
ROWS = [
    EpochResult(1, 0.01, 11.2, 0.5789231, 48272, 60000, 0.1285612, 9623, 10000),
    EpochResult(5, 0.07, 16.6, 0.06339, 58873, 60000, 0.0327711, 9898, 10000),
    EpochResult(14, 0.001904, 11.0, 0.006672, 59878, 60000, 0.033935, 9913, 10000),
    EpochResult(3, 0.004667, 10.4, 0.069356, 58728, 60000, 0.059053, 9810, 10000),
]


def test_rows_have_the_originals_format():
    assert HEADER == ORIGINAL_HEADER
    assert [format_row(row) for row in ROWS] == LINES


def test_the_table_is_the_header_and_its_rows():
    assert table(ROWS).splitlines() == [ORIGINAL_HEADER, *LINES]


def test_59_7_seconds_are_a_minute():
    assert "| 01m 00s |" in format_row(EpochResult(1, 0.1, 59.7, 1.0, 1, 2, 1.0, 1, 2))


def test_a_row_survives_its_dict():
    row = ROWS[0]
    assert EpochResult.from_dict(row.to_dict()) == row
    assert row.val_accuracy == pytest.approx(96.23)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "1"},
        {"lr": None},
        {"val_total": 0},
        {"more": 1},
        {"epoch": True},
        {"train_correct": 1.5},
    ],
)
def test_a_damaged_row_is_refused(change):
    values = {**ROWS[0].to_dict(), **change}
    with pytest.raises(RunError, match="epoch table"):
        EpochResult.from_dict(values)


def test_what_is_no_row_is_refused():
    for values in (None, [], {}):
        with pytest.raises(RunError):
            EpochResult.from_dict(values)
