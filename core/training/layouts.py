"""Memory layouts of images and weights, and which of them a device supports."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.runtime import LAYOUTS
from core.training.compiled_step import can_compile
from core.training.plan import Plan
from core.training.triton_step import can_use_triton


def layouts(precision: str, device: torch.device, run_plan: Plan) -> list[str]:
    """Return the memory layouts that support this precision on this device for this run."""
    if device.type == "cuda":
        own = "triton" if precision == "fp32" and can_use_triton(run_plan.config, device) else ""
    else:
        is_compiled = device.type == "cpu" and can_compile(run_plan.config, run_plan.rows)
        own = "compiled" if precision == "fp32" and is_compiled else ""
    return [layout for layout in LAYOUTS if layout not in ("compiled", "triton") or layout == own]


def to_layout(images: Tensor, layout: str) -> Tensor:
    """Return images (B, C, H, W) in a memory layout of `core.runtime.LAYOUTS`.

    In a run with the layout "compiled" or "triton", what torch computes is contiguous.
    """
    return images.to(memory_format=_memory_format(layout))


def move_model(model: nn.Module, device: torch.device, layout: str) -> nn.Module:
    """Move a network, in place, to a device and its weights to the memory layout of the images.

    Compiled code and Triton's kernels read contiguous weights.
    """
    # Through Any, since the type stubs of `Module.to` lack memory_format.
    options: Any = {"device": device, "memory_format": _memory_format(layout)}
    return model.to(**options)


def _memory_format(layout: str) -> torch.memory_format:
    return torch.channels_last if layout == "channels_last" else torch.contiguous_format
