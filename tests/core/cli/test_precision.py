"""The command that shows and clears what precision auto measured."""

from __future__ import annotations

import json

import pytest

from core.config import RunConfig
from core.training import format_cache
from core.training.plan import plan
from core.training.runtime import resolve_runtime

FORMATS = {"fp32 contiguous": 2.0, "fp32 channels_last": 3.0, "bf16 contiguous": 1.95}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("INKLING_CACHE", str(tmp_path / "cache"))


def test_it_shows_what_a_run_measured_and_clears_it(core, digits):
    assert "Nothing is measured yet" in core("precision")[1]
    layers = ({"kind": "linear", "channels": 10, "activation": "none"},)
    resolved = resolve_runtime(plan(RunConfig(layers=layers, batch_size=8, device="cpu")), digits)
    status, printed, _ = core("precision", "--json")
    (shown,) = json.loads(printed)
    assert status == 0
    assert shown["times"] == resolved.benchmarked
    assert shown["fastest"] == f"{resolved.precision} {resolved.layout}"
    assert shown["setting"]["batch_size"] == 8
    assert json.loads(core("precision", "--clear", "--json")[1]) == {"removed": 1}
    assert json.loads(core("precision", "--json")[1]) == []


def test_it_names_the_format_that_runs_use(core):
    setting = {"architecture": "mine", "parameters": 77, "batch_size": 32}
    format_cache.reuse_or_measure(setting, lambda: FORMATS)
    format_cache.reuse_or_measure(
        {**setting, "architecture": "teacher"}, lambda: {"fp32": 4.0, "bf16": 1.0}
    )
    lines = core("precision")[1].splitlines()
    assert len(lines) == 3
    mine, teacher = sorted(lines[1:])
    # bf16 is faster, but not enough
    assert all(text in mine for text in ("mine", "77", "fp32 contiguous", "2.000"))
    assert "bf16" in teacher
    assert "fp32" not in teacher
