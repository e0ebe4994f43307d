"""Resolve a run's runtime: device, threads, workers, and the number format and memory layout that
train fastest.

Which format is fastest depends on the processor, the network and the batch size. A run with
precision "auto" therefore benchmarks all formats before its first step and records the result.
"""

from __future__ import annotations

import copy
import ctypes
import functools
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import core
from core.data.batches import CHUNK, augments_on
from core.data.dataset import Mnist
from core.errors import ConfigError
from core.models.batch_last import layout as batch_last
from core.models.network import build
from core.runtime import DEVICES, LAYOUTS, Runtime
from core.training.cuda_graphs import capture
from core.training.distillation import Teacher
from core.training.plan import Plan
from core.training.precision import DTYPES, autocast

SECONDS = 0.25  # benchmark time per format
GPU_SPEEDUP = 5  # a GPU's times vary less, so that a shorter benchmark is enough
GPU_WARM_UP_STEPS = 2
MAX_GPU_WORKERS = 8
SMALL_NETWORK = 4_000_000  # multiply-adds per image
TEACHER_BATCH = 256  # images in the benchmark of a teacher; on a GPU a chunk
BF16_GAIN = 0.9  # bf16 rounds more, so it must take less than this fraction of fp32's time
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
    # A second thread gains little on a small network, and where other work keeps the cores busy,
    # two threads wait for each other at every operation (measured: a hundred times slower).
    small = run_plan.multiply_adds < SMALL_NETWORK
    threads = config.threads or (1 if small else max(1, cores - bool(run_plan.transforms)))

    benchmarked: dict[str, float] = {}
    if config.precision == "auto":
        benchmarked = benchmark_formats(run_plan, device, threads)
        precision, layout = fastest_format(benchmarked)
    else:  # by rule, so that the same config gives the same bits
        precision, layout = config.precision, "contiguous"
        if precision == "bf16":
            layout = "channels_last"
        elif small and "batch_last" in layouts(precision, device):
            layout = "batch_last"

    teacher_precision = None
    if teacher is not None:
        teacher_precision = (
            benchmark_teacher(teacher, device) if config.precision == "auto" else precision
        )
    train_images = len(data.train.labels) - config.holdout
    on_cpu = run_plan.transforms and not augments_on(device, run_plan.transforms)
    return Runtime(
        device=device.type,
        device_name=_device_name(device),
        precision=precision,
        layout=layout,
        benchmarked=benchmarked,
        threads=threads,
        workers=worker_count(device, cores, threads) if on_cpu else 0,
        teacher_precision=teacher_precision,
        parameters=run_plan.parameters,
        steps_per_epoch=-(-train_images // config.batch_size),
        train_images=train_images,
        val_images=config.holdout or len(data.test.labels),
        validated_on="hold-out" if config.holdout else "test",
        inkling=core.__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        numba=_numba_version(),
    )


def worker_count(device: torch.device, cores: int, threads: int) -> int:
    """Return the number of augmenting processes: at most one for a CPU, up to 8 for a GPU."""
    if device.type == "cpu":
        return max(0, min(1, cores - threads))
    return max(0, min(MAX_GPU_WORKERS, cores - 1))


def benchmark_formats(
    run_plan: Plan, device: torch.device, threads: int, seconds: float = SECONDS
) -> dict[str, float]:
    """Time training steps in every precision and memory layout.

    Args:
        run_plan: the run; its network and batch size matter.
        device: where the run will train.
        threads: CPU threads that it will use.
        seconds: per format, after its first steps.

    Returns:
        Milliseconds per step (median) by "precision layout".
    """
    threads_before, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True  # as in training
    try:
        model = build(run_plan.rows, run_plan.config)
        batch_size = run_plan.config.batch_size
        return {
            f"{precision} {layout}": round(
                step_ms(copy.deepcopy(model), batch_size, device, precision, layout, seconds), 3
            )
            for precision in DTYPES
            for layout in layouts(precision, device)
        }
    finally:
        torch.set_num_threads(threads_before)
        torch.backends.cudnn.deterministic = deterministic


def fastest_format(times: Mapping[str, float]) -> tuple[str, str]:
    """Return the precision and layout to train in; bf16 only where it is clearly faster.

    Args:
        times: as `benchmark_formats` returns them.
    """
    fastest = {
        precision: min(
            (name for name in times if name.startswith(precision)), key=times.__getitem__
        )
        for precision in DTYPES
    }
    gains = times[fastest["bf16"]] < BF16_GAIN * times[fastest["fp32"]]
    precision, layout = fastest["bf16" if gains else "fp32"].split()
    return precision, layout


def benchmark_teacher(teacher: nn.Module, device: torch.device, seconds: float = SECONDS) -> str:
    """Return the precision, "fp32" or "bf16", in which the teacher runs faster.

    Uses one CPU thread, as an augmenting process does. The caller's network is not changed.
    """
    on_gpu = device.type == "cuda"
    count, seconds = (CHUNK, seconds / GPU_SPEEDUP) if on_gpu else (TEACHER_BATCH, seconds)
    images = torch.zeros(count, 28, 28, dtype=torch.uint8, device=device if on_gpu else None)
    threads_before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = {
            precision: median_seconds(
                device,
                functools.partial(Teacher(copy.deepcopy(teacher), device, dtype), images),
                seconds,
            )
            for precision, dtype in DTYPES.items()
        }
    finally:
        torch.set_num_threads(threads_before)
    return "bf16" if times["bf16"] < BF16_GAIN * times["fp32"] else "fp32"


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


def layouts(precision: str, device: torch.device) -> list[str]:
    """Return the memory layouts that support this precision on this device."""
    compiled = precision == "fp32" and device.type == "cpu" and batch_last.is_available()
    return [layout for layout in LAYOUTS if layout != "batch_last" or compiled]


def to_layout(images: Tensor, layout: str) -> Tensor:
    """Return images (B, C, H, W) in a memory layout of `core.runtime.LAYOUTS`."""
    if layout == "batch_last":
        return batch_last.to_batch_last(images)
    return images.to(memory_format=_memory_format(layout))


def move_model(model: nn.Module, device: torch.device, layout: str) -> nn.Module:
    """Move a network, in place, to a device and its weights to the memory layout of the images.

    The batch-last loops read contiguous weights.
    """
    # Through Any, since the type stubs of `Module.to` lack memory_format.
    options: Any = {"device": device, "memory_format": _memory_format(layout)}
    return model.to(**options)


def _memory_format(layout: str) -> torch.memory_format:
    return torch.channels_last if layout == "channels_last" else torch.contiguous_format


def step_ms(
    model: nn.Module,
    batch_size: int,
    device: torch.device,
    precision: str,
    layout: str,
    seconds: float = SECONDS,
) -> float:
    """Return the median milliseconds of a forward and backward pass over a batch of noise.

    The model is moved to the device; its weights keep their values.
    """
    dtype = DTYPES[precision]
    model = move_model(model, device, layout).train()
    generator = torch.Generator().manual_seed(0)
    images = to_layout(torch.rand(batch_size, 1, 28, 28, generator=generator).to(device), layout)
    targets = torch.zeros(batch_size, dtype=torch.int64, device=device)

    def step() -> Tensor:
        model.zero_grad(set_to_none=True)
        with autocast(device, dtype):
            logits = model(images)
        loss = F.cross_entropy(logits.float(), targets)
        loss.backward()
        return loss.detach()

    work: Callable[[], Any] = step
    if device.type == "cuda":
        # As training replays its steps: one by one, launching takes longer than any format.
        for _ in range(GPU_WARM_UP_STEPS):
            step()
        work, seconds = capture(step), seconds / GPU_SPEEDUP
    return 1_000 * median_seconds(device, work, seconds)


def median_seconds(device: torch.device, work: Callable[[], Any], seconds: float) -> float:
    """Return the median seconds of a call, repeated for `seconds`; the first two don't count."""
    times: list[float] = []
    calls, deadline = 0, time.perf_counter() + 4 * seconds
    while calls < 3 or (sum(times) < seconds and time.perf_counter() < deadline):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        calls += 1
        if calls > 2:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def _available_devices() -> dict[str, bool]:
    """Whether each device is available, the preferred one first."""
    return {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def _numba_version() -> str:
    try:
        return importlib.metadata.version("numba")
    except importlib.metadata.PackageNotFoundError:
        return ""
