"""What the machine decides of a run: device, threads, and the formats that compute fastest, found by a short trial.

Which of them wins depends on the processor, the network and the batch, so a run with `precision` "auto" tries them
before its first step and writes down what it found.
"""

from __future__ import annotations

import copy
import ctypes
import functools
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from core.config import RunConfig
from core.errors import ConfigError
from core.models.batch_last import layers
from core.models.network import build
from core.training.distillation import Teacher
from core.training.plan import Plan

WEIGHTS = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
    "batch_last": torch.contiguous_format,
}
"""How weights lie in memory, by the layout of the images."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SECONDS = 0.25  # spent on each way
MOST_WORKERS = 8  # processes that augment for a GPU
SMALL_NETWORK = 4_000_000  # multiply-adds an image
ANSWERED = 256  # images that a teacher is tried on
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's names for what `mallopt` sets
GAIN = 0.9  # bf16 must take less than this share of fp32's time, since it rounds more


def choose_device(name: str) -> torch.device:
    """The device of that name, or for "auto" the best one there is: cuda, then mps, then cpu.

    Raises:
        ConfigError: the named device is not on this machine.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in present.items() if there)
    if not present[name]:
        raise ConfigError(
            f"device {name} is not on this machine; choose auto or "
            f"{' or '.join(kind for kind, there in present.items() if there)}."
        )
    return torch.device(name)


def facts_for(prepared: Plan) -> dict[str, Any]:
    """What the machine decides where the config says "auto": device, precision, memory layout, threads, workers.

    A run that is resumed must be given the facts it was started with, or its arithmetic may differ.
    """
    config = prepared.config
    device = choose_device(config.device)
    cores = os.cpu_count() or 1
    # On a small network a second thread gains little, and where the cores are busy with anything else the two wait
    # for each other at every operation: measured here, a hundred times slower.
    small = prepared.multiply_adds < SMALL_NETWORK
    threads = config.threads or (1 if small else max(1, cores - bool(prepared.transforms)))
    if config.precision == "auto":
        chosen = choose(config, device, threads)
    else:  # by rule, so that the same config computes the same bits
        own = small and "batch_last" in layouts(config.precision, device)
        chosen = {
            "precision": config.precision,
            "layout": "batch_last"
            if own
            else "contiguous"
            if config.precision == "fp32"
            else "channels_last",
        }
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else (platform.processor() or platform.machine())
    )
    return {
        "device": device.type,
        "device_name": name,
        **chosen,
        "threads": threads,
        "workers": workers_for(device, cores, threads) if prepared.transforms else 0,
        "torch": torch.__version__,
    }


def workers_for(device: torch.device, cores: int, threads: int) -> int:
    """Processes that augment: as many as a GPU may wait for, but one where cores train, and none if all of them do."""
    return max(0, min(1, cores - threads) if device.type == "cpu" else min(MOST_WORKERS, cores - 1))


def choose(
    config: RunConfig, device: torch.device, threads: int, seconds: float = SECONDS
) -> dict[str, Any]:
    """Try a few training steps in every format.

    Args:
        config: the run; its network and batch size count.
        device: where it will train.
        threads: CPU threads that it will use.
        seconds: for each way, besides its first steps.

    Returns:
        `precision`, `layout` and `tried`: milliseconds a step (median) by "precision layout".
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        model = build(config)
        tried = {
            f"{precision} {layout}": step_ms(
                copy.deepcopy(model), config.batch_size, device, precision, layout, seconds
            )
            for precision in DTYPES
            for layout in layouts(precision, device)
        }
    finally:
        torch.set_num_threads(before)
    best = {
        precision: min((way for way in tried if way.startswith(precision)), key=tried.__getitem__)
        for precision in DTYPES
    }
    chosen = best["bf16"] if tried[best["bf16"]] < GAIN * tried[best["fp32"]] else best["fp32"]
    precision, layout = chosen.split()
    return {
        "precision": precision,
        "layout": layout,
        "tried": {way: round(ms, 3) for way, ms in tried.items()},
    }


def choose_answering(
    teacher: torch.nn.Module, device: torch.device, seconds: float = SECONDS
) -> str:
    """The precision, "fp32" or "bf16", in which a teacher answers faster; on the CPU in one thread, as in a worker."""
    images = torch.zeros(ANSWERED, 28, 28, dtype=torch.uint8)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = {
            name: timed(
                device,
                functools.partial(Teacher(copy.deepcopy(teacher), device, dtype), images),
                seconds,
            )
            for name, dtype in DTYPES.items()
        }
    finally:
        torch.set_num_threads(before)
    return "bf16" if times["bf16"] < GAIN * times["fp32"] else "fp32"


def keep_memory() -> None:
    """Ask the C library to keep the memory that a step frees for the next step, where it can be asked (glibc).

    By default large pieces go back to the system at once, and the next step pays for fetching and zeroing them anew:
    on two cores that was a sixth of a step.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
        mallopt(option, 1 << 30)


def layouts(precision: str, device: torch.device) -> list[str]:
    """The layouts that this precision can be computed in."""
    own = precision == "fp32" and device.type == "cpu" and layers.available()
    return [layout for layout in WEIGHTS if layout != "batch_last" or own]


def laid(images: torch.Tensor, layout: str) -> torch.Tensor:
    """The same images, (B, C, H, W), in this memory layout."""
    return (
        layers.lay(images) if layout == "batch_last" else images.to(memory_format=WEIGHTS[layout])
    )


def step_ms(
    model: torch.nn.Module,
    batch_size: int,
    device: torch.device,
    precision: str,
    layout: str,
    seconds: float = SECONDS,
) -> float:
    """Median milliseconds of a forward and backward pass over one batch of noise; the model's weights stay."""
    dtype = DTYPES[precision]
    model = model.to(device).to(memory_format=WEIGHTS[layout]).train()
    generator = torch.Generator().manual_seed(0)
    images = laid(torch.rand(batch_size, 1, 28, 28, generator=generator).to(device), layout)
    targets = torch.zeros(batch_size, dtype=torch.int64, device=device)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(images)
        F.cross_entropy(logits.float(), targets).backward()

    return 1_000 * timed(device, step, seconds)


def timed(device: torch.device, work: Callable[[], Any], seconds: float) -> float:
    """Median seconds of some work, done over and over for so long, its first times apart."""
    times: list[float] = []
    rounds, end = (
        0,
        time.perf_counter() + 4 * seconds,
    )  # where it is slow, its first times are enough
    while rounds < 3 or (sum(times) < seconds and time.perf_counter() < end):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        rounds += 1
        if rounds > 2:
            times.append(time.perf_counter() - start)
    return statistics.median(times)
