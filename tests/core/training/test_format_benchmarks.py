"""The fastest format is chosen, bf16 only where it is clearly faster, and measured only once."""

from __future__ import annotations

import pytest
import torch

from core.config import RunConfig
from core.training import format_benchmarks, format_cache
from core.training.plan import plan
from tests.networks import build_model

SMALL = RunConfig(
    layers=({"kind": "linear", "channels": 10, "activation": "none"},),
    batch_size=8,
    device="cpu",
    threads=1,
)
CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("INKLING_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("times", "best"),
    [
        (
            {
                "fp32 contiguous": 4,
                "fp32 channels_last": 3,
                "bf16 contiguous": 5,
                "bf16 channels_last": 6,
            },
            ("fp32", "channels_last"),
        ),
        (
            {
                "fp32 contiguous": 4,
                "fp32 channels_last": 5,
                "bf16 contiguous": 3.9,
                "bf16 channels_last": 6,
            },
            ("fp32", "contiguous"),
        ),  # not enough faster for what it rounds
        (
            {
                "fp32 contiguous": 4,
                "fp32 channels_last": 5,
                "bf16 contiguous": 3,
                "bf16 channels_last": 2,
            },
            ("bf16", "channels_last"),
        ),
        (
            {
                "fp32 contiguous": 4,
                "fp32 channels_last": 5,
                "fp32 compiled": 1.5,
                "bf16 contiguous": 3,
                "bf16 channels_last": 2,
            },
            ("fp32", "compiled"),
        ),
    ],
)
def test_the_fastest_format_is_chosen(times, best, monkeypatch):
    monkeypatch.setattr(
        format_benchmarks,
        "step_ms",
        lambda model, batch, device, precision, layout, seconds: times.get(
            f"{precision} {layout}", 9
        ),
    )
    monkeypatch.setattr(
        format_benchmarks, "compiled_step_ms", lambda *_: times.get("fp32 compiled", 9)
    )
    measured = format_benchmarks.benchmark_formats(plan(SMALL), CPU, 1)
    assert times.items() <= measured.items()
    assert format_benchmarks.fastest_format(measured) == best


def test_a_benchmark_takes_a_moment_and_changes_no_setting():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    times = format_benchmarks.benchmark_formats(plan(SMALL), CPU, 1, seconds=0.01)
    assert all(ms > 0 for ms in times.values())
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("fp32", "bf16", "best"), [(4, 3, "bf16"), (4, 3.9, "fp32"), (2, 3, "fp32")]
)
def test_a_teacher_runs_in_bf16_only_where_that_is_clearly_faster(fp32, bf16, best, monkeypatch):
    times = {torch.float32: fp32, torch.bfloat16: bf16}
    monkeypatch.setattr(
        format_benchmarks, "median_seconds", lambda device, work, seconds: times[work.func.dtype]
    )
    model = build_model(SMALL).train()
    assert (
        format_benchmarks.fastest_precision(format_benchmarks.benchmark_teacher(model, CPU)) == best
    )
    assert model.training  # the caller's network is left as it is
    assert all(weight.requires_grad for weight in model.parameters())


def test_formats_are_measured_once_for_a_network_batch_size_and_number_of_threads(
    cache, monkeypatch
):
    measured = []

    def measure(run_plan, device, threads):
        measured.append(threads)
        return dict.fromkeys(format_benchmarks._formats(device, run_plan), float(len(measured)))

    monkeypatch.setattr(format_benchmarks, "benchmark_formats", measure)
    first = format_benchmarks.format_times(plan(SMALL), CPU, 1)
    assert format_benchmarks.format_times(plan(SMALL.changed(seed=5)), CPU, 1) == first
    assert len(measured) == 1
    wider = ({"kind": "linear", "channels": 20}, *SMALL.layers)
    for config, threads in (
        (SMALL.changed(batch_size=16), 1),
        (SMALL.changed(layers=wider), 1),
        (SMALL, 2),
    ):
        assert format_benchmarks.format_times(plan(config), CPU, threads) != first
    assert len(measured) == 4
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert format_benchmarks.format_times(plan(SMALL), CPU, 1) != first
    assert len(format_cache.list_measurements()) == 5


def test_a_teacher_is_measured_once(cache, monkeypatch):
    times = iter([{"fp32": 2.0, "bf16": 1.0}, {"fp32": 1.0, "bf16": 2.0}])
    monkeypatch.setattr(format_benchmarks, "benchmark_teacher", lambda *_: next(times))
    teacher = build_model(SMALL)
    assert format_benchmarks.teacher_times(teacher, CPU)["bf16"] == 1
    assert format_benchmarks.teacher_times(build_model(SMALL.changed(seed=3)), CPU)["bf16"] == 1
    other = build_model(SMALL.changed(layers=({"kind": "linear", "channels": 20}, *SMALL.layers)))
    assert format_benchmarks.teacher_times(other, CPU)["bf16"] == 2
