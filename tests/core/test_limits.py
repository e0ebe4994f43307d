"""Limits are read from the environment, and refuse a run with the figure and the variable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import RunConfig
from core.errors import ConfigError, LimitError
from core.limits import MB, Limits, memory_bytes
from core.training.plan import plan


def test_limits_are_read_from_the_environment_and_enforced():
    limits = Limits.from_environment({"INKLING_MAX_EPOCHS": "5", "INKLING_RUNNING": "2"})
    assert (limits.max_epochs, limits.running) == (5, 2)
    limits.check_run(batch_size=32, epochs=5, parameters=100)
    with pytest.raises(LimitError, match=r"epochs, 6, .* 5; .*INKLING_MAX_EPOCHS"):
        limits.check_run(batch_size=32, epochs=6, parameters=100)
    with pytest.raises(LimitError, match="parameters, 3,000,000"):
        limits.check_run(batch_size=32, epochs=5, parameters=3_000_000)
    for text in ("0", "-1", "many", "", "٣", "9" * 5000):
        with pytest.raises(ConfigError, match="INKLING_MAX_EPOCHS must be a whole number"):
            Limits.from_environment({"INKLING_MAX_EPOCHS": text})


def test_a_step_that_needs_more_memory_than_the_machine_has_is_refused():
    large = RunConfig(
        batch_size=8_192,
        layers=[
            {"kind": "conv", "channels": 1024, "kernel": 1},
            {"kind": "global_avgpool"},
            {"kind": "linear", "activation": "none"},
        ],
    )
    with pytest.raises(LimitError, match=r"about 5\d,\d{3} MB .* 20,000 MB.*INKLING_MAX_MEMORY_MB"):
        plan(large, Limits(max_memory_mb=20_000))
    plan(large, Limits(max_memory_mb=60_000))
    plan(large.changed(batch_size=64), Limits(max_memory_mb=2_000))
    plan(RunConfig(batch_size=8_192), Limits(max_memory_mb=2_000))


def test_the_memory_of_a_container_counts(tmp_path):
    machine = memory_bytes(())
    (tmp_path / "none").write_text("max\n")
    (tmp_path / "small").write_text(f"{512 * MB}\n")
    (tmp_path / "huge").write_text("9223372036854771712\n")
    assert memory_bytes((str(tmp_path / "missing"), str(tmp_path / "none"))) == machine
    assert memory_bytes((str(tmp_path / "huge"),)) == machine
    assert memory_bytes((str(tmp_path / "small"),)) == 512 * MB
    assert 0 < Limits().max_memory_mb * MB <= machine


@given(st.text(max_size=30) | st.integers().map(str))
def test_any_variable_is_a_limit_or_refused(text):
    try:
        limits = Limits.from_environment({"INKLING_MAX_MEMORY_MB": text})
    except ConfigError:
        return
    assert limits.max_memory_mb == int(text) > 0
