"""Time training steps in every format, and choose the fastest.

A format is a precision and a memory layout, such as "fp32 contiguous".
"""

from __future__ import annotations

import copy
import functools
import importlib.metadata
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import core
from core.config import RunConfig
from core.data.batches import CHUNK
from core.models.network import Network, build
from core.training import format_cache
from core.training.compiled_step import CompiledStep
from core.training.cuda_graphs import capture
from core.training.distillation import Teacher
from core.training.layouts import layouts, move_model, to_layout
from core.training.optimizers import build_optimizer
from core.training.plan import Plan
from core.training.precision import DTYPES, autocast

SECONDS = 0.25  # benchmark time per format
GPU_SPEEDUP = 5  # a GPU's times vary less, so that a shorter benchmark is enough
GPU_WARM_UP_STEPS = 2
TEACHER_BATCH = 256  # images in the benchmark of a teacher; on a GPU a chunk
BF16_GAIN = 0.9  # bf16 rounds more, so it must take less than this fraction of fp32's time


def format_times(run_plan: Plan, device: torch.device, threads: int) -> dict[str, float]:
    """Return what `benchmark_formats` measures; kept from an earlier run if there was one."""
    config = run_plan.config
    setting = {
        **_versions(device),
        "architecture": config.architecture,
        "parameters": run_plan.parameters,
        "network": format_cache.digest([run_plan.rows, config.dropout]),
        "batch_size": config.batch_size,
        "threads": threads,
        "formats": _formats(device, run_plan),
    }
    return format_cache.reuse_or_measure(
        setting, lambda: benchmark_formats(run_plan, device, threads)
    )


def teacher_times(teacher: nn.Module, device: torch.device) -> dict[str, float]:
    """Return what `benchmark_teacher` measures; kept from an earlier run if there was one."""
    setting = {
        **_versions(device),
        "architecture": "teacher",
        "parameters": sum(weight.numel() for weight in teacher.parameters()),
        "network": format_cache.digest(str(teacher)),
        "batch_size": _teacher_batch(device),
        "threads": 1,
        "formats": list(DTYPES),
    }
    return format_cache.reuse_or_measure(setting, lambda: benchmark_teacher(teacher, device))


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
                compiled_step_ms(model, run_plan.config, threads, seconds)
                if layout == "compiled"
                else step_ms(copy.deepcopy(model), batch_size, device, precision, layout, seconds),
                3,
            )
            for precision in DTYPES
            for layout in layouts(precision, device, run_plan)
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
    best = fastest_precision({name: times[fastest[name]] for name in DTYPES})
    precision, layout = fastest[best].split()
    return precision, layout


def fastest_precision(times: Mapping[str, float]) -> str:
    """Return the precision to compute in, by the time in each; bf16 only if clearly faster."""
    return "bf16" if times["bf16"] < BF16_GAIN * times["fp32"] else "fp32"


def benchmark_teacher(
    teacher: nn.Module, device: torch.device, seconds: float = SECONDS
) -> dict[str, float]:
    """Return milliseconds (median) for a batch of images of the teacher, by precision.

    Uses one CPU thread, as an augmenting process does. The caller's network is not changed.
    """
    on_gpu = device.type == "cuda"
    seconds = seconds / GPU_SPEEDUP if on_gpu else seconds
    count = _teacher_batch(device)
    images = torch.zeros(count, 28, 28, dtype=torch.uint8, device=device if on_gpu else None)
    threads_before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {
            precision: 1_000
            * median_seconds(
                device,
                functools.partial(Teacher(copy.deepcopy(teacher), device, dtype), images),
                seconds,
            )
            for precision, dtype in DTYPES.items()
        }
    finally:
        torch.set_num_threads(threads_before)


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


def compiled_step_ms(model: Network, config: RunConfig, threads: int, seconds: float) -> float:
    """Return the median milliseconds of a compiled training step; the model is not changed."""
    model = copy.deepcopy(model)
    step = CompiledStep(config, model, build_optimizer(config, model), None, threads)
    images = torch.zeros(config.batch_size, 28, 28, dtype=torch.uint8)
    labels = torch.zeros(config.batch_size, dtype=torch.int64)
    work = functools.partial(step, images, labels)
    return 1_000 * median_seconds(torch.device("cpu"), work, seconds)


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


def _teacher_batch(device: torch.device) -> int:
    return CHUNK if device.type == "cuda" else TEACHER_BATCH


def _formats(device: torch.device, run_plan: Plan) -> list[str]:
    """The formats that a device supports for a run, as "precision layout"."""
    return [
        f"{precision} {layout}"
        for precision in DTYPES
        for layout in layouts(precision, device, run_plan)
    ]


def _versions(device: torch.device) -> dict[str, Any]:
    """The machine and the versions that a measured time depends on."""
    return {
        **format_cache.describe_machine(device.type, device_name(device)),
        "inkling": core.__version__,
        "torch": torch.__version__,
        "ziglang": compiler_version(),
    }


def device_name(device: torch.device) -> str:
    """Return the name of a GPU, or the kind of processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def compiler_version() -> str:
    """Return the version of the C compiler's package; empty where it is not installed."""
    try:
        return importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        return ""
