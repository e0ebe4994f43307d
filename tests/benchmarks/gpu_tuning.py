"""The kernels of stacked networks with other constants than theirs; a part of `gpu_many.py`."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from measuring import table

from core.config import RunConfig
from core.data import dataset
from core.models.layers import BatchNorm2d
from core.models.stacked import conv_kernels, matrix_kernels, norm_kernels

SHAPES = ((1, 4, 28), (4, 4, 28), (4, 8, 14), (8, 8, 14), (8, 8, 7))  # of final's convolutions


def tune(base: RunConfig, data: dataset.Mnist, chosen: Any) -> str:
    """Microseconds of the kernels with other sizes of their blocks, to choose the constants by."""
    from triton.testing import do_bench_cudagraph

    count, rows = max(chosen.counts), []

    def measure(what: str, settings: dict[str, int], module: Any, works: list[Any]) -> None:
        before = {name: getattr(module, name) for name in settings}
        try:
            for name, value in settings.items():
                setattr(module, name, value)
            figures = [f"{1e3 * do_bench_cudagraph(work, rep=5):.0f}" for work in works]
        except Exception as error:  # a variant that does not compile must not hide the others
            figures = [str(error)[:60]]
        finally:
            for name, value in before.items():
                setattr(module, name, value)
        rows.append((what, str(settings).strip("{}"), *figures))

    def images(channels: int, side: int) -> torch.Tensor:
        return torch.randn(base.batch_size, count * channels, side, side, device="cuda")

    convolutions, gradients, norms = [], [], []
    for inputs, outputs, side in SHAPES:
        x, grad = images(inputs, side), images(outputs, side)
        weight = torch.randn(count * outputs, inputs, 3, 3, device="cuda")
        convolutions.append(
            partial(conv_kernels._convolve, x, weight, count, 1, 1, is_transposed=False)
        )
        gradients.append(partial(conv_kernels._weight_gradient, x, grad, weight, count, 1, 1))
    for channels, side in ((4, 28), (8, 14), (8, 7)):
        norm = BatchNorm2d(count * channels, relu=True).to("cuda")
        x = images(channels, side).requires_grad_()
        norms.append(partial(norm_and_back, x, norm, images(channels, side)))
    for pixels, warps in ((512, 4), (256, 4), (128, 4), (256, 2), (128, 2), (512, 8), (1024, 8)):
        settings = {"PIXELS": pixels, "WARPS": warps, "VALUES": 16 * pixels}
        measure("convolution", settings, conv_kernels, convolutions)
    for pixels in (128, 64):
        for programs in (512, 1_024, 2_048, 4_096):
            settings = {"GRADIENT_PIXELS": pixels, "GRADIENT_PROGRAMS": programs}
            measure("weight gradient", settings, conv_kernels, gradients)
    for values in (2_048, 1_024, 4_096):
        for programs in (512, 1_024, 2_048, 4_096):
            settings = {"NORM_VALUES": values, "NORM_PROGRAMS": programs}
            measure("norm, both passes", settings, norm_kernels, norms)
    matrices = torch.randn(9 * count, 8, 72, device="cuda")
    for warps in (4, 1, 2, 8):
        work = partial(matrix_kernels.orthogonalise, matrices)
        measure("orthogonalisation", {"WARPS": warps}, matrix_kernels, [work])
    shapes = [f"{a} to {b}, {side}x{side}" for a, b, side in SHAPES]
    rows = [(*row, *[""] * (2 + len(shapes) - len(row))) for row in rows]
    return (
        f"Microseconds for {count} networks, batch {base.batch_size}; the norms are those of 4 "
        "channels of 28x28, 8 of 14x14 and 8 of 7x7:\n\n"
        + table(("kernel", "constants", *shapes), rows)
    )


def norm_and_back(x: torch.Tensor, norm: BatchNorm2d, grad: torch.Tensor) -> None:
    """A batch norm and its gradient by the kernels."""
    torch.autograd.grad(norm_kernels.batch_norm(x, norm), [x, norm.weight, norm.bias], grad)
