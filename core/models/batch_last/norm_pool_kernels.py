"""Batch normalisation and max pooling of images whose batch is the last dimension in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.models.batch_last.compiled import compiled

LOWEST = np.float32(-3.4e38)  # lower bound that has no effect


@compiled
def batch_norm(
    x: Any,
    weight: Any,
    bias: Any,
    shift: Any,
    running_mean: Any,
    running_variance: Any,
    momentum: Any,
    eps: Any,
    lowest: Any,
    out: Any,
    mean: Any,
    scale: Any,
) -> None:
    """Batch normalisation by the statistics of the batch, then a lower bound (a ReLU or none).

    Source: Ioffe and Szegedy, "Batch Normalization" (2015), arXiv 1502.03167.

    Args:
        x: (C, M) float32.
        weight, bias: (C,), learned scale and offset.
        shift: (C,), convolution bias that x lacks; it only enters the running mean.
        running_mean, running_variance: (C,), updated by `momentum` towards the batch's mean and
            unbiased variance.
        eps: added to the variance.
        lowest: lower bound of the output: 0 for a ReLU, `LOWEST` for none.
        out: (C, M), overwritten.
        mean, scale: (C,), overwritten by the batch's mean and 1 / sqrt(variance + eps).
    """
    channels, count = x.shape
    for c in range(channels):
        source, target = x[c], out[c]
        total = np.float32(0)
        for j in range(count):
            total += source[j]
        center = np.float32(total / np.float32(count))
        square = np.float32(0)
        for j in range(count):
            square += (source[j] - center) * (source[j] - center)
        mean[c] = center
        scale[c] = np.float32(1) / np.sqrt(square / np.float32(count) + eps)
        running_mean[c] += momentum * (center + shift[c] - running_mean[c])
        running_variance[c] += momentum * (
            square / np.float32(max(1, count - 1)) - running_variance[c]
        )
        factor = scale[c] * weight[c]
        for j in range(count):
            value = (source[j] - center) * factor + bias[c]
            target[j] = lowest if value < lowest else value


@compiled
def batch_norm_gradient(
    x: Any,
    gradient: Any,
    weight: Any,
    bias: Any,
    mean: Any,
    scale: Any,
    lowest: Any,
    out: Any,
    weight_out: Any,
    bias_out: Any,
) -> None:
    """Gradients of the loss with respect to the input, scale and offset of `batch_norm`.

    Args:
        x, weight, bias, mean, scale, lowest: as of `batch_norm`, after the forward pass.
        gradient: (C, M), gradient of the output.
        out: (C, M), gradient of x; overwritten.
        weight_out, bias_out: (C,), gradients of weight and bias; overwritten.
    """
    channels, count = x.shape
    for c in range(channels):
        source, upstream, target = x[c], gradient[c], out[c]
        center, factor = mean[c], scale[c] * weight[c]
        total, projected = np.float32(0), np.float32(0)
        for j in range(count):
            centred = source[j] - center
            passed = upstream[j] if centred * factor + bias[c] > lowest else np.float32(0)
            total += passed
            projected += passed * centred
        weight_out[c] = projected * scale[c]
        bias_out[c] = total
        level = total / np.float32(count)
        slope = projected * scale[c] * scale[c] / np.float32(count)
        for j in range(count):
            centred = source[j] - center
            passed = upstream[j] if centred * factor + bias[c] > lowest else np.float32(0)
            target[j] = factor * (passed - level - centred * slope)


@compiled
def max_pool2x2(x: Any, batch: int, out: Any) -> None:
    """Maximum of each 2x2 square (max pooling with stride 2).

    Args:
        x: (C, H, W * N) float32.
        batch: N.
        out: (C, H // 2, W // 2 * N), overwritten.
    """
    channels, lines, length = out.shape
    for c in range(channels):
        for y in range(lines):
            for start in range(0, length, batch):
                a, b = _pair(x[c, 2 * y], start, batch)
                d, e = _pair(x[c, 2 * y + 1], start, batch)
                target = out[c, y, start : start + batch]
                for j in range(batch):
                    upper = a[j] if a[j] > b[j] else b[j]
                    lower = d[j] if d[j] > e[j] else e[j]
                    target[j] = upper if upper > lower else lower


@compiled
def max_pool2x2_gradient(x: Any, gradient: Any, batch: int, out: Any) -> None:
    """Gradient of the loss with respect to the input of `max_pool2x2`.

    The first of several equal maxima receives the whole gradient.

    Args:
        x: (C, H, W * N) float32, input of the pooling.
        gradient: (C, H // 2, W // 2 * N), gradient of its output.
        batch: N.
        out: (C, H, W * N), overwritten.
    """
    channels, lines, length = gradient.shape
    if out.shape[1] > 2 * lines or out.shape[2] > 2 * length:
        out[:] = 0
    zero = np.float32(0)
    for c in range(channels):
        for y in range(lines):
            for start in range(0, length, batch):
                a, b = _pair(x[c, 2 * y], start, batch)
                d, e = _pair(x[c, 2 * y + 1], start, batch)
                a_out, b_out = _pair(out[c, 2 * y], start, batch)
                d_out, e_out = _pair(out[c, 2 * y + 1], start, batch)
                upstream = gradient[c, y, start : start + batch]
                for j in range(batch):
                    upper = a[j] if a[j] >= b[j] else b[j]
                    lower = d[j] if d[j] >= e[j] else e[j]
                    above = upstream[j] if upper >= lower else zero
                    below = zero if upper >= lower else upstream[j]
                    a_out[j] = above if a[j] >= b[j] else zero
                    b_out[j] = zero if a[j] >= b[j] else above
                    d_out[j] = below if d[j] >= e[j] else zero
                    e_out[j] = zero if d[j] >= e[j] else below


@compiled
def _pair(line: Any, start: int, batch: int) -> Any:
    """Two neighbouring pixels of all images, for the output pixel at offset `start`."""
    return line[2 * start : 2 * start + batch], line[2 * start + batch : 2 * start + 2 * batch]
