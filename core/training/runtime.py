"""Resolve a run's runtime: device, threads, workers, and the number format and memory layout that
train fastest.

Which format is fastest depends on the processor, the network and the batch size. A run with
precision "auto" therefore uses what this machine measured for them (`format_cache`), and records
the figures.
"""

from __future__ import annotations

import ctypes
import os
import platform
from dataclasses import replace

import torch
from torch import nn

import core
from core.data.batches import augments_on
from core.data.dataset import Mnist
from core.errors import ConfigError
from core.runtime import DEVICES, Runtime
from core.training import environment
from core.training.compiled_step import can_compile
from core.training.format_benchmarks import (
    compiler_version,
    device_name,
    fastest_format,
    fastest_precision,
    format_times,
    teacher_times,
)
from core.training.layouts import layouts
from core.training.plan import Plan
from core.training.triton_step import can_use_triton

MAX_GPU_WORKERS = 8
SMALL_NETWORK = 4_000_000  # multiply-adds per image
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # options of glibc's mallopt


def choose_device(name: str) -> torch.device:
    """Return the named device; "auto" is the first available one of cuda, mps and cpu.

    Raises:
        ConfigError: the named device is not available.
    """
    available = _available_devices()
    if name == "auto":
        name = next(device for device, present in available.items() if present)
    if name not in DEVICES or not available[name]:
        raise ConfigError(
            f"device {name[:40]} is not on this machine; choose auto or "
            f"{' or '.join(device for device, present in available.items() if present)}."
        )
    return torch.device(name)


def prepare_runtime(
    runtime: Runtime | None, run_plan: Plan, data: Mnist, teacher: nn.Module | None = None
) -> tuple[Runtime, str]:
    """Return the runtime to train with, and a notice if it is not the one the run began with.

    A run whose device is missing continues on the CPU in the same precision. Its results then
    differ from those of an uninterrupted run, since devices round differently.

    Args:
        runtime: that the run was started with; None: it starts now.
        run_plan, data, teacher: as of `resolve_runtime`.

    Returns:
        The runtime, and the notice, which may be empty.

    Raises:
        ConfigError: as `resolve_runtime`.
    """
    if runtime is None:
        return resolve_runtime(run_plan, data, teacher), ""
    if _available_devices()[runtime.device]:
        if runtime.layout == "compiled" and not can_compile(run_plan.config, run_plan.rows):
            return runtime.changed(layout="contiguous"), (
                "The run began with a compiled training step, for which there is no C compiler on "
                "this machine (pip install ziglang), and continues without it. Its results will "
                "differ slightly from those of an uninterrupted run."
            )
        if runtime.layout == "triton" and not can_use_triton(
            run_plan.config, choose_device(runtime.device)
        ):
            return runtime.changed(layout="contiguous"), (
                "The run began with Triton's kernels, which cannot be compiled on this machine, "
                "and continues without them. Its results will differ slightly from those of an "
                "uninterrupted run."
            )
        return runtime, ""
    config = run_plan.config.changed(device="cpu", precision=runtime.precision)
    adapted = resolve_runtime(replace(run_plan, config=config), data, teacher)
    began_on = (
        f"{runtime.device} ({runtime.device_name})" if runtime.device_name else runtime.device
    )
    return adapted, (
        f"The run began on {began_on}, which is not on this machine, and continues on the CPU. "
        "Its results will differ slightly from those of an uninterrupted run."
    )


def resolve_runtime(run_plan: Plan, data: Mnist, teacher: nn.Module | None = None) -> Runtime:
    """Decide what the config leaves open: device, precision, memory layout, threads and workers.

    A resumed run must keep the runtime that it was started with: other settings may round
    differently.

    Args:
        run_plan: the run.
        data: the dataset, for the numbers of images and steps.
        teacher: the run's teacher; benchmarked if the precision is "auto".

    Raises:
        ConfigError: the device is not available.
    """
    config = run_plan.config
    device = choose_device(config.device)
    cores = os.cpu_count() or 1
    # With torch, a second thread gains little on a small network, and where other work keeps the
    # cores busy, two threads wait for each other at every operation (measured: a hundred times
    # slower). A compiled step loses only what the other work takes.
    small = run_plan.multiply_adds < SMALL_NETWORK
    threads = config.threads or (1 if small else max(1, cores - bool(run_plan.transforms)))

    benchmarked: dict[str, float] = {}
    if can_use_triton(config, device):  # faster than every other format
        precision, layout = "fp32", "triton"
    elif config.precision == "auto":
        benchmarked = format_times(run_plan, device, threads)
        precision, layout = fastest_format(benchmarked)
    else:  # by rule, so that the same config gives the same bits
        precision, layout = config.precision, "contiguous"
        if precision == "bf16":
            layout = "channels_last"
        elif small and "compiled" in layouts(precision, device, run_plan):
            layout = "compiled"
    if layout == "compiled":
        threads = config.threads or cores

    teacher_precision = None
    if teacher is not None:
        teacher_precision = (
            fastest_precision(teacher_times(teacher, device))
            if config.precision == "auto" and layout != "triton"
            else precision
        )
    train_images = len(data.train.labels) - config.holdout
    train_images += config.count_own_images(train_images)
    on_cpu = run_plan.transforms and not augments_on(device, run_plan.transforms)
    return Runtime(
        device=device.type,
        device_name=device_name(device),
        precision=precision,
        layout=layout,
        benchmarked=benchmarked,
        threads=threads,
        workers=worker_count(device, cores, threads, layout, teacher is not None) if on_cpu else 0,
        teacher_precision=teacher_precision,
        parameters=run_plan.parameters,
        steps_per_epoch=-(-train_images // config.batch_size),
        train_images=train_images,
        val_images=config.holdout or len(data.test.labels),
        validated_on="hold-out" if config.holdout else "test",
        inkling=core.__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        ziglang=compiler_version(),
        commit=environment.find_commit(),
        packages=environment.list_packages(),
        machine=environment.describe_machine(),
    )


def worker_count(
    device: torch.device, cores: int, threads: int, layout: str, has_teacher: bool = False
) -> int:
    """Return the number of augmenting processes: at most one for a CPU, up to 8 for a GPU.

    Beside a compiled step, which shares the cores with other work, there always is one. With a
    teacher there are as many as the run may use cores: the teacher, which computes in them, may
    take longer than training, and one core would leave the others waiting.
    """
    if layout == "compiled":
        return threads if has_teacher else 1
    if device.type == "cpu":
        return max(0, min(1, cores - threads))
    return max(0, min(MAX_GPU_WORKERS, cores - 1))


def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory for the next step; without effect on other C libraries.

    By default glibc returns large blocks to the system, and the next step pays for fetching and
    zeroing them: a sixth of a step on two cores.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
        mallopt(option, 1 << 30)


def _available_devices() -> dict[str, bool]:
    """Whether each device is available, the preferred one first."""
    return {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
