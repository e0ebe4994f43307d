"""The number formats that networks train in."""

from __future__ import annotations

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return a context in which networks compute in `dtype`; without effect for float32."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
