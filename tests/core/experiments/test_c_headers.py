"""The measured C headers: what is written is read again, and the shipped file holds."""

from __future__ import annotations

import dataclasses

import pytest

from core.errors import RunError
from core.experiments import c_headers
from core.experiments.c_headers import MeasuredHeader, headers_table, read_headers, write_headers

HEADER = MeasuredHeader(
    "best", "int8", 3, 7_900, 12_000, 1_500, "Arm Cortex-M4", 700_000, 9_960, 10_000, True
)


def test_figures_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "headers.json"
    headers = (HEADER, dataclasses.replace(HEADER, scheme="int4", correct=9_950, fine_tuned=False))
    write_headers(headers, path)
    assert read_headers(path) == headers
    assert "| best | 8 and 4 bits | 7,900 |" in headers_table(headers)
    assert "| 99.50 % | no |" in headers_table(headers)


def test_a_damaged_file_is_refused_with_the_command_that_writes_it(tmp_path):
    path = tmp_path / "headers.json"
    path.write_text('{"headers": [{"run": "a"}]}')
    with pytest.raises(RunError, match=r"c_headers.py --write"):
        read_headers(path)


@pytest.mark.skipif(not c_headers.FILE.is_file(), reason="nothing is measured yet")
def test_a_shipped_run_reaches_the_goal_in_four_kilobytes():
    headers = read_headers()
    assert max(each.accuracy for each in headers if each.weights <= 4_000) >= 99.40
    assert {each.images for each in headers} == {10_000}
