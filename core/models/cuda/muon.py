"""A step of Muon as one kernel. The arithmetic is in `muon.cu`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from core.models.cuda.nvrtc import compile_kernels

THREADS = 256
MAX_ROWS, MAX_CELLS = 32, 4_096


class FusedMuon:
    """Updates a fixed list of tensors in place; all contiguous float32, on one CUDA device.

    Args:
        hidden: weights (O, ...), as matrices (O, rest) of at most MAX_CELLS elements and MAX_ROWS
            rows or columns, whose updates are orthogonalised.
        others: tensors that are updated as by SGD with Nesterov momentum.
        momenta: the momentum of each hidden and each other tensor, in this order.
        norms: (L,), the norms that the hidden weights keep.
        update_norms: (L,), the norms of their updates at a learning rate of 1, for matrices whose
            singular values are 1.
        decays: weight decay of each other tensor.

    Raises:
        CudaError: the kernel cannot be compiled.
    """

    def __init__(
        self,
        hidden: Sequence[Tensor],
        others: Sequence[Tensor],
        momenta: Sequence[Tensor],
        norms: Tensor,
        update_norms: Tensor,
        decays: Sequence[float],
    ):
        tensors, device = [*hidden, *others], norms.device
        self.tensors, self.momenta, self.hidden = tensors, list(momenta), len(hidden)
        self.norms, self.update_norms = norms, update_norms

        def send(values: Sequence[float], dtype: torch.dtype) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device)

        sizes = [tensor.numel() for tensor in tensors]
        offsets = [sum(sizes[:at]) for at in range(len(sizes))]
        self.weights_at = send([tensor.data_ptr() for tensor in tensors], torch.int64)
        self.momenta_at = send([tensor.data_ptr() for tensor in momenta], torch.int64)
        self.sizes, self.offsets = send(sizes, torch.int32), send(offsets, torch.int32)
        self.rows = send([len(tensor) for tensor in hidden], torch.int32)
        self.columns = send([tensor[0].numel() for tensor in hidden], torch.int32)
        self.decays = send([0.0] * len(hidden) + list(decays), torch.float32)
        floats = 2 * MAX_CELLS + 2 * MAX_ROWS**2 + THREADS
        self.kernel = compile_kernels(_source(), {"muon": 4 * floats})["muon"]

    def step(self, lr: Tensor, momentum: Tensor) -> None:
        """Update all tensors by their gradients.

        Args:
            lr, momentum: 0-d float32, on the device.
        """
        gradients = torch.cat([tensor.grad.reshape(-1) for tensor in self.tensors])  # type: ignore[union-attr]
        self.kernel(
            (len(self.tensors), 1),
            THREADS,
            gradients,
            self.weights_at,
            self.momenta_at,
            self.sizes,
            self.offsets,
            self.rows,
            self.columns,
            self.norms,
            self.update_norms,
            self.decays,
            lr,
            momentum,
            self.hidden,
        )


def can_fuse(hidden: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Return whether the kernel can update these tensors; each weight being one matrix."""
    return all(
        tensor.is_cuda and tensor.dtype == torch.float32 and tensor.is_contiguous()
        for tensor in [*hidden, *others]
    ) and all(
        weight.numel() <= MAX_CELLS and min(len(weight), weight[0].numel()) <= MAX_ROWS
        for weight in hidden
    )


def _source() -> str:
    text = Path(__file__).with_name("muon.cu").read_text(encoding="utf-8")
    names = {"ROWS": MAX_ROWS, "CELLS": MAX_CELLS, "THREADS": THREADS}
    return "\n".join([*(f"#define {name} {value}" for name, value in names.items()), text])
