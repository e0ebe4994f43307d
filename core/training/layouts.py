"""Memory layouts of images and weights, and which of them a device supports."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.runtime import LAYOUTS
from core.training.compiled_step import can_compile
from core.training.plan import Plan


def layouts(precision: str, device: torch.device, run_plan: Plan) -> list[str]:
    """Return the memory layouts that support this precision on this device for this run."""
    compiled = precision == "fp32" and device.type == "cpu"
    compiled = compiled and can_compile(run_plan.config, run_plan.rows)
    return [layout for layout in LAYOUTS if layout != "compiled" or compiled]


def to_layout(images: Tensor, layout: str) -> Tensor:
    """Return images (B, C, H, W) in a memory layout of `core.runtime.LAYOUTS`.

    In a run with the layout "compiled", what torch computes is contiguous.
    """
    return images.to(memory_format=_memory_format(layout))


def move_model(model: nn.Module, device: torch.device, layout: str) -> nn.Module:
    """Move a network, in place, to a device and its weights to the memory layout of the images.

    Compiled code reads contiguous weights.
    """
    # Through Any, since the type stubs of `Module.to` lack memory_format.
    options: Any = {"device": device, "memory_format": _memory_format(layout)}
    return model.to(**options)


def _memory_format(layout: str) -> torch.memory_format:
    return torch.channels_last if layout == "channels_last" else torch.contiguous_format
