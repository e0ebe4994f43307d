"""The runtime of a run: what its config, its dataset and the machine decide."""

from __future__ import annotations

import pytest
import torch

from core.config import RunConfig
from core.errors import ConfigError
from core.training import compiled_step, format_benchmarks, runtime
from core.training.plan import plan

SMALL = RunConfig(
    layers=({"kind": "linear", "channels": 10, "activation": "none"},),
    batch_size=8,
    device="cpu",
    threads=1,
)
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("changes", "layout"),
    [
        ({"precision": "bf16"}, "channels_last"),
        ({"precision": "fp32"}, "compiled"),
        # too large to gain from the compiled step
        (
            {"precision": "fp32", "architecture": "teacher-179018", "layers": ()},
            "contiguous",
        ),
    ],
)
def test_a_named_precision_is_not_benchmarked(changes, layout, digits, monkeypatch):
    monkeypatch.setattr(runtime, "format_times", lambda *_: pytest.fail("benchmarked"))
    resolved = runtime.resolve_runtime(plan(SMALL.changed(**changes)), digits)
    assert (resolved.precision, resolved.layout) == (changes["precision"], layout)
    assert resolved.benchmarked == {}


def test_without_a_compiler_no_layout_is_compiled(digits, monkeypatch):
    run_plan = plan(SMALL.changed(precision="fp32"))
    began = runtime.resolve_runtime(run_plan, digits)
    monkeypatch.setattr(compiled_step, "is_available", lambda: False)
    assert runtime.resolve_runtime(run_plan, digits).layout == "contiguous"
    times = format_benchmarks.benchmark_formats(run_plan, CPU, 1, seconds=0.01)
    assert not any("compiled" in name for name in times)
    adapted, notice = runtime.prepare_runtime(began, run_plan, digits)
    assert adapted == began.changed(layout="contiguous")
    assert "ziglang" in notice


@pytest.mark.parametrize("holdout", [0, 100])
def test_the_counts_follow_from_config_and_dataset(holdout, digits):
    config = SMALL.changed(precision="fp32", holdout=holdout)
    resolved = runtime.resolve_runtime(plan(config), digits)
    total = len(digits.train.labels)
    assert resolved.train_images == total - holdout
    assert resolved.steps_per_epoch == -(-(total - holdout) // 8)
    assert resolved.val_images == (holdout or len(digits.test.labels))
    assert resolved.validated_on == ("hold-out" if holdout else "test")
    assert resolved.torch == torch.__version__
    assert resolved.inkling


@pytest.mark.parametrize(
    ("device", "cores", "threads", "workers"),
    [
        ("cpu", 1, 1, 0),
        ("cpu", 2, 1, 1),
        ("cpu", 16, 1, 1),
        ("cpu", 2, 2, 0),
        ("cpu", 2, 5, 0),
        ("cpu", 3, 2, 1),
        ("cuda", 1, 1, 0),
        ("cuda", 4, 4, 3),
        ("cuda", 64, 1, 8),
    ],
)
def test_cores_that_do_not_train_augment_and_a_gpu_gets_more_of_them(
    device, cores, threads, workers
):
    count = runtime.worker_count(torch.device(device), cores, threads, "contiguous")
    assert count == workers


def test_beside_a_compiled_step_one_process_augments():
    assert runtime.worker_count(CPU, 2, 2, "compiled") == 1
    assert runtime.worker_count(CPU, 4, 3, "compiled", has_teacher=True) == 3


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="device mps is not on this machine"):
        runtime.choose_device("mps")


def test_keeping_freed_memory_needs_glibc(monkeypatch):
    options = []
    library = type("Library", (), {"mallopt": lambda self, *values: options.append(values)})
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: library())
    runtime.keep_freed_memory()
    assert len(options) == 2
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: object())
    runtime.keep_freed_memory()
