"""Measurements are kept, shared by processes, bounded, and never an error."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest

from core.training import format_cache
from core.training.format_cache import reuse_or_measure

SETTING = {"processor": "some", "formats": ["fp32 contiguous", "bf16 contiguous"], "threads": 1}
TIMES = {"fp32 contiguous": 1.5, "bf16 contiguous": 2.5}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("INKLING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entry(cache):
    (path,) = (cache / "formats").glob("*.json")
    return path


def test_the_first_measurement_is_kept():
    assert reuse_or_measure(SETTING, lambda: TIMES) == TIMES
    assert reuse_or_measure(SETTING, lambda: pytest.fail("measured again")) == TIMES
    (kept,) = format_cache.list_measurements()
    assert (kept.setting, kept.times) == (SETTING, TIMES)
    assert abs(kept.measured - time.time()) < 60


@pytest.mark.parametrize("change", [{"threads": 2}, {"processor": "other"}, {"more": None}])
def test_another_setting_is_measured_as_well(change):
    reuse_or_measure(SETTING, lambda: TIMES)
    other = dict.fromkeys(TIMES, 9.0)
    assert reuse_or_measure({**SETTING, **change}, lambda: other) == other
    assert reuse_or_measure(SETTING, lambda: other) == TIMES


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00",
        b"[]",
        b"{}",
        b'{"setting": {}, "times": {}, "measured": 1}',
        json.dumps({"setting": SETTING, "times": {"fp32 contiguous": 1}, "measured": 1}).encode(),
        json.dumps(
            {"setting": SETTING, "times": dict.fromkeys(TIMES, "1"), "measured": 1}
        ).encode(),
        json.dumps({"setting": SETTING, "times": dict.fromkeys(TIMES, -1), "measured": 1}).encode(),
        json.dumps({"setting": {**SETTING, "threads": 3}, "times": TIMES, "measured": 1}).encode(),
        b'{"setting": {"a": NaN}, "times": {"fp32": Infinity}, "measured": 1}',
        b"[" * 50_000,
        b" " * (format_cache.MAX_BYTES + 1),
    ],
    ids=range(12),
)
def test_a_damaged_file_is_measured_anew(content, cache):
    reuse_or_measure(SETTING, lambda: TIMES)
    entry(cache).write_bytes(content)
    assert format_cache.list_measurements() == []
    other = dict.fromkeys(TIMES, 9.0)
    assert reuse_or_measure(SETTING, lambda: other) == other
    assert reuse_or_measure(SETTING, lambda: pytest.fail("not kept")) == other


def test_a_folder_that_cannot_be_used_is_no_error(cache):
    cache.write_text("a file where the folder should be")
    assert reuse_or_measure(SETTING, lambda: TIMES) == TIMES
    assert format_cache.list_measurements() == []
    assert format_cache.clear() == 0


def test_a_measurement_that_fails_is_not_kept(cache):
    with pytest.raises(ZeroDivisionError):
        reuse_or_measure(SETTING, lambda: {"fp32": 1 / 0})
    assert reuse_or_measure(SETTING, lambda: TIMES) == TIMES


def test_the_least_recently_used_ones_go(cache, monkeypatch):
    monkeypatch.setattr(format_cache, "MAX_ENTRIES", 3)
    for threads in range(1, 6):
        reuse_or_measure({**SETTING, "threads": threads}, lambda: TIMES)
        for age, path in enumerate(reversed(format_cache._entries(cache / "formats"))):
            os.utime(path, (1_000_000 - age, 1_000_000 - age))
        reuse_or_measure({**SETTING, "threads": 1}, lambda: pytest.fail("1 is in use"))
    kept = {measurement.setting["threads"] for measurement in format_cache.list_measurements()}
    assert kept == {1, 4, 5}
    assert len(list((cache / "formats").iterdir())) <= 6  # each with its lock


def test_two_that_start_at_once_measure_once():
    measured, found = [], []

    def measure():
        measured.append(1)
        time.sleep(0.2)
        return {name: float(len(measured)) for name in TIMES}

    threads = [
        threading.Thread(target=lambda: found.append(reuse_or_measure(SETTING, measure)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(measured) == 1
    assert all(times == found[0] for times in found)


def test_clearing_removes_everything(cache):
    reuse_or_measure(SETTING, lambda: TIMES)
    assert format_cache.clear() == 1
    assert list((cache / "formats").iterdir()) == []
    other = dict.fromkeys(TIMES, 9.0)
    assert reuse_or_measure(SETTING, lambda: other) == other


def test_the_processor_has_a_name():
    assert format_cache.processor_name()
