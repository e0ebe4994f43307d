"""Keeps torch's optimizers from loading torch's compiler, which takes a second and is not used.

At their first call, some methods of `torch.optim.Optimizer` import `torch._dynamo`, only to mark
themselves as not to be compiled. The mark is an attribute of the method; here it is set beforehand.
"""

from __future__ import annotations

import contextlib

import torch

METHODS = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
_MARK = "__dynamo_disable"


def keep_compiler_unloaded() -> None:
    """Mark the methods of optimizers; without effect where torch has no such mark."""
    for name in METHODS:
        method = getattr(getattr(torch.optim.Optimizer, name), "__wrapped__", None)
        if method is not None and not hasattr(method, _MARK):
            with contextlib.suppress(AttributeError):
                setattr(method, _MARK, method)
