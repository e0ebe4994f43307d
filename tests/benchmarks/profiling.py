"""Divide the time of a training step by section and operation, with torch's profiler."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from core.training.compiled_step import CompiledStep
from core.training.trainer import Training

WARM_UP = 3
COMPILED = "the compiled step"
# Operations by the start of their names; the first that fits counts.
KINDS = (
    ("convolution with its norm, backward", r".*_NormedBackward"),
    ("convolution with its norm, forward", r"_Normed"),
    ("convolution, backward", r".*(ConvolutionBackward|convolution_backward)"),
    (
        "convolution, forward",
        r"(_Convolution$|aten::(_?convolution|conv2d|mkldnn_convolution|cudnn_convolution|"
        r"_slow_conv2d|thnn))",
    ),
    ("batch norm", r".*(batch_norm|BatchNorm)"),
    (
        "pooling",
        r".*(max_pool|avg_pool|MaxPool|_MaxPool|AvgPool|aten::mean|MeanBackward|AdaptiveAvg)",
    ),
    ("activation", r".*(relu|Relu|ReLU|threshold|clamp_min|silu|Silu|gelu|Gelu)"),
    (
        "linear layer",
        r".*(addmm|AddmmBackward|aten::mm|aten::linear|aten::t$|aten::transpose|TBackward)",
    ),
    ("optimizer", r"(Optimizer|aten::_fused|aten::_foreach_(add|mul|div|sqrt|addc))"),
    ("averaging of weights", r"aten::(_foreach_lerp|lerp)"),
    ("gradients put in place", r".*(AccumulateGrad|aten::detach|detach$)"),
    (
        "loss and counting",
        r".*(log_softmax|LogSoftmax|nll_loss|NllLoss|argmax|aten::(eq|sum|item|_local_scalar))",
    ),
    (
        "formats and copies",
        r".*(aten::(to|_to_copy|copy_|contiguous|clone|empty|as_strided|resize|view)|ToCopy|CopyB)",
    ),
)


def profile_steps(run: Training, count: int) -> tuple[float, dict[str, float], dict[str, float]]:
    """Wall seconds of some steps, and their division into sections and kinds of operation."""
    stream, forward = run.batches.stream, run.model.forward

    def labelled_stream(*arguments: Any) -> Iterator[Any]:
        batches = stream(*arguments)
        while True:
            with record_function("images"):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def labelled_forward(images: torch.Tensor) -> torch.Tensor:
        with record_function("forward"):
            return forward(images)

    def labelled_step(*arguments: Any) -> Any:
        with record_function(COMPILED):
            return step(*arguments)

    if isinstance(run.compute, CompiledStep):  # the profiler does not see into it
        step = run.compute.__call__
        run.captured = labelled_step  # type: ignore[assignment]
    run.batches.stream = labelled_stream  # type: ignore[method-assign,assignment]
    run.model.forward = labelled_forward  # type: ignore[method-assign,assignment]
    results = run.run()
    for _ in range(WARM_UP):
        next(results)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        began = time.perf_counter()
        for _ in range(count):
            next(results)
        wall = time.perf_counter() - began
    results.close()
    sections, kinds = divide_events(
        [
            (
                event.name,
                event.cpu_parent is None,
                event.cpu_time_total / 1e6,
                event.self_cpu_time_total / 1e6,
            )
            for event in found.events()
        ]
    )
    return wall, sections | {"Python between them": max(0.0, wall - sum(sections.values()))}, kinds


def divide_events(
    events: list[tuple[str, bool, float, float]],
) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds by section and by kind, most first.

    Args:
        events: name, whether no other event contains it, seconds with what it contains, seconds
            without.
    """
    sections: defaultdict[str, float] = defaultdict(float)
    kinds: defaultdict[str, float] = defaultdict(float)
    for name, outermost, total, alone in events:
        if outermost:
            sections[section_of(name)] += total
        if name == "images":
            kinds["waiting for images, or making them"] += total
        elif name == "forward":
            kinds["Python between the layers"] += alone
        elif name == COMPILED:
            kinds[COMPILED] += total
        else:
            kinds[kind_of(name)] += alone
    return tuple(
        dict(sorted(each.items(), key=lambda item: -item[1]))  # type: ignore[return-value]
        for each in (sections, kinds)
    )


def section_of(name: str) -> str:
    """The part of a step that an outermost event belongs to."""
    if name in ("images", "forward", COMPILED):
        return "waiting for images, or making them" if name == "images" else name
    if name.startswith("autograd::") or "Backward" in name:
        return "backward"
    if name.startswith("Optimizer"):
        return "optimizer"
    return "averaging of weights" if "lerp" in name else "normalising, loss and counting"


def kind_of(name: str) -> str:
    """The kind of operation that an event's name stands for."""
    return next((what for what, pattern in KINDS if re.match(pattern, name)), "other operations")
