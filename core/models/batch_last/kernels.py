"""Compiled loops for networks of few channels, on images whose batch lies last in memory: (C, H, W, N).

A convolution of four or eight channels leaves a vector unit idle where channels or pixels of one image fill it. With
the batch last, the same pixel of all images lies side by side, and so do all pixels of a line: every loop here runs
over a whole line of all images, W * N numbers in a row, whatever the number of channels. Two output channels share what
is read, so that nine taps make 18 multiply-adds for nine reads.

Each function runs on the calling thread alone and lets go of Python's lock. Compiled once by numba, kept on disk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

TILE = 1_024  # numbers of a line taken at a time, so that what is written stays in the first-level cache
LOWEST = np.float32(-3.4e38)  # what an activation that bends nothing cuts off at
# Sums may be reordered, but a number that is none stays one: a run that diverges must be noticed.
_compiled: Any = njit(
    nogil=True,
    boundscheck=False,
    error_model="numpy",
    cache=True,
    fastmath={"reassoc", "contract", "arcp", "nsz"},
)


@_compiled
def convolve(x: Any, weight: Any, bias: Any, top: int, left: int, batch: int, out: Any) -> None:
    """A 3x3 convolution at stride 1.

    Args:
        x: (I, H, W * N) float32.
        weight: (O, I, 9).
        bias: (O,).
        top, left: zeros around the images, in pixels.
        batch: N.
        out: (O, H + 2 top - 2, (W + 2 left - 2) * N), written.
    """
    inputs, outputs = x.shape[0], out.shape[0]
    lines, length = out.shape[1], out.shape[2]
    spare = np.empty(TILE, np.float32)
    window = _window(x, top, left, batch)
    for y in range(lines):
        _move(x, y, top, left * batch, window)
        for start in range(0, length, TILE):
            end = min(start + TILE, length)
            size = end - start
            for o in range(0, outputs, 2):
                paired = o + 1 < outputs
                q = o + 1 if paired else o
                first = out[o, y, start:end]
                second = out[q, y, start:end] if paired else spare[:size]
                first[:] = bias[o]
                second[:] = bias[q]
                for i in range(inputs):
                    a, b = weight[o, i], weight[q, i]
                    a0, a1, a2, a3, a4, a5, a6, a7, a8 = (
                        a[0],
                        a[1],
                        a[2],
                        a[3],
                        a[4],
                        a[5],
                        a[6],
                        a[7],
                        a[8],
                    )
                    b0, b1, b2, b3, b4, b5, b6, b7, b8 = (
                        b[0],
                        b[1],
                        b[2],
                        b[3],
                        b[4],
                        b[5],
                        b[6],
                        b[7],
                        b[8],
                    )
                    x0, x1, x2 = _taps(window[i, y % 3], start, size, batch)
                    x3, x4, x5 = _taps(window[i, (y + 1) % 3], start, size, batch)
                    x6, x7, x8 = _taps(window[i, (y + 2) % 3], start, size, batch)
                    for j in range(size):
                        v0, v1, v2, v3, v4, v5, v6, v7, v8 = (
                            x0[j],
                            x1[j],
                            x2[j],
                            x3[j],
                            x4[j],
                            x5[j],
                            x6[j],
                            x7[j],
                            x8[j],
                        )
                        first[j] += (
                            a0 * v0
                            + a1 * v1
                            + a2 * v2
                            + a3 * v3
                            + a4 * v4
                            + a5 * v5
                            + a6 * v6
                            + a7 * v7
                            + a8 * v8
                        )
                        second[j] += (
                            b0 * v0
                            + b1 * v1
                            + b2 * v2
                            + b3 * v3
                            + b4 * v4
                            + b5 * v5
                            + b6 * v6
                            + b7 * v7
                            + b8 * v8
                        )


@_compiled
def convolve_gradient(x: Any, gradient: Any, top: int, left: int, batch: int, out: Any) -> None:
    """How the loss changes with a 3x3 convolution's weights.

    Args:
        x: (I, H, W * N) float32, what was convolved.
        gradient: (O, H + 2 top - 2, (W + 2 left - 2) * N), how the loss changes with what came out.
        top, left: zeros around the images, in pixels.
        batch: N.
        out: (O, I, 9), written.
    """
    inputs, outputs = x.shape[0], gradient.shape[0]
    lines, length = gradient.shape[1], gradient.shape[2]
    zero = np.float32(0)
    out[:] = 0
    window = _window(x, top, left, batch)
    for y in range(lines):
        _move(x, y, top, left * batch, window)
        for o in range(0, outputs, 2):
            paired = o + 1 < outputs
            first, second = gradient[o, y], gradient[o + 1 if paired else o, y]
            for i in range(inputs):
                x0, x1, x2 = _taps(window[i, y % 3], 0, length, batch)
                x3, x4, x5 = _taps(window[i, (y + 1) % 3], 0, length, batch)
                x6, x7, x8 = _taps(window[i, (y + 2) % 3], 0, length, batch)
                a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = a8 = zero
                b0 = b1 = b2 = b3 = b4 = b5 = b6 = b7 = b8 = zero
                for j in range(length):
                    u, v = first[j], second[j]
                    a0 += u * x0[j]
                    a1 += u * x1[j]
                    a2 += u * x2[j]
                    a3 += u * x3[j]
                    a4 += u * x4[j]
                    a5 += u * x5[j]
                    a6 += u * x6[j]
                    a7 += u * x7[j]
                    a8 += u * x8[j]
                    b0 += v * x0[j]
                    b1 += v * x1[j]
                    b2 += v * x2[j]
                    b3 += v * x3[j]
                    b4 += v * x4[j]
                    b5 += v * x5[j]
                    b6 += v * x6[j]
                    b7 += v * x7[j]
                    b8 += v * x8[j]
                _add(out[o, i], a0, a1, a2, a3, a4, a5, a6, a7, a8)
                if paired:
                    _add(out[o + 1, i], b0, b1, b2, b3, b4, b5, b6, b7, b8)


@_compiled
def convolve_each(
    x: Any, weight: Any, bias: Any, top: int, left: int, batch: int, out: Any
) -> None:
    """A 3x3 convolution of each channel by itself (depthwise), at stride 1.

    Args:
        x: (C, H, W * N) float32.
        weight: (C, 9).
        bias: (C,).
        top, left: zeros around the images, in pixels.
        batch: N.
        out: (C, H + 2 top - 2, (W + 2 left - 2) * N), written.
    """
    channels, lines, length = out.shape
    for c in range(channels):
        only = x[c : c + 1]
        window = _window(only, top, left, batch)
        a, b = weight[c], bias[c]
        a0, a1, a2, a3, a4, a5, a6, a7, a8 = a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]
        for y in range(lines):
            _move(only, y, top, left * batch, window)
            target = out[c, y]
            x0, x1, x2 = _taps(window[0, y % 3], 0, length, batch)
            x3, x4, x5 = _taps(window[0, (y + 1) % 3], 0, length, batch)
            x6, x7, x8 = _taps(window[0, (y + 2) % 3], 0, length, batch)
            for j in range(length):
                target[j] = (
                    b
                    + a0 * x0[j]
                    + a1 * x1[j]
                    + a2 * x2[j]
                    + a3 * x3[j]
                    + a4 * x4[j]
                    + a5 * x5[j]
                    + a6 * x6[j]
                    + a7 * x7[j]
                    + a8 * x8[j]
                )


@_compiled
def convolve_each_gradient(
    x: Any, gradient: Any, top: int, left: int, batch: int, out: Any
) -> None:
    """How the loss changes with the weights of `convolve_each`.

    Args:
        x: (C, H, W * N) float32, what was convolved.
        gradient: (C, H + 2 top - 2, (W + 2 left - 2) * N), how the loss changes with what came out.
        top, left: zeros around the images, in pixels.
        batch: N.
        out: (C, 9), written.
    """
    channels, lines, length = gradient.shape
    zero = np.float32(0)
    out[:] = 0
    for c in range(channels):
        only = x[c : c + 1]
        window = _window(only, top, left, batch)
        for y in range(lines):
            _move(only, y, top, left * batch, window)
            source = gradient[c, y]
            x0, x1, x2 = _taps(window[0, y % 3], 0, length, batch)
            x3, x4, x5 = _taps(window[0, (y + 1) % 3], 0, length, batch)
            x6, x7, x8 = _taps(window[0, (y + 2) % 3], 0, length, batch)
            a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = a8 = zero
            for j in range(length):
                u = source[j]
                a0 += u * x0[j]
                a1 += u * x1[j]
                a2 += u * x2[j]
                a3 += u * x3[j]
                a4 += u * x4[j]
                a5 += u * x5[j]
                a6 += u * x6[j]
                a7 += u * x7[j]
                a8 += u * x8[j]
            _add(out[c], a0, a1, a2, a3, a4, a5, a6, a7, a8)


@_compiled
def norm(
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
    """Batch norm by the batch's own statistics (Ioffe and Szegedy 2015), then a cut at `lowest`.

    Args:
        x: (C, M) float32, all values of a channel in a row.
        weight, bias: (C,), the learned spread and mean.
        shift: (C,), what was left out of x because the norm takes it away again; it counts for the running mean.
        running_mean, running_variance: (C,), moved by the share `momentum` towards the batch's (unbiased) ones.
        eps: added to the variance.
        lowest: 0 for a ReLU, `LOWEST` for none.
        out: (C, M), written.
        mean, scale: (C,), written: the batch's mean and 1 / sqrt(variance + eps).
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


@_compiled
def norm_gradient(
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
    """How the loss changes with what `norm` was given.

    Args:
        x: (C, M) float32, as `norm` was given it, like weight, bias and lowest; mean and scale as it wrote them.
        gradient: (C, M), how the loss changes with what came out.
        out: (C, M), written.
        weight_out, bias_out: (C,), written.
    """
    channels, count = x.shape
    for c in range(channels):
        source, given, target = x[c], gradient[c], out[c]
        center, factor = mean[c], scale[c] * weight[c]
        total, along = np.float32(0), np.float32(0)
        for j in range(count):
            from_center = source[j] - center
            flows = given[j] if from_center * factor + bias[c] > lowest else np.float32(0)
            total += flows
            along += flows * from_center
        weight_out[c] = along * scale[c]
        bias_out[c] = total
        level = total / np.float32(count)
        slope = along * scale[c] * scale[c] / np.float32(count)
        for j in range(count):
            from_center = source[j] - center
            flows = given[j] if from_center * factor + bias[c] > lowest else np.float32(0)
            target[j] = factor * (flows - level - from_center * slope)


@_compiled
def pool(x: Any, batch: int, out: Any) -> None:
    """The largest value of each 2x2 square.

    Args:
        x: (C, H, W * N) float32.
        batch: N.
        out: (C, H // 2, W // 2 * N), written.
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


@_compiled
def pool_gradient(x: Any, gradient: Any, batch: int, out: Any) -> None:
    """How the loss changes with what `pool` was given: the first of a square's largest values gets all.

    Args:
        x: (C, H, W * N) float32, what was pooled.
        gradient: (C, H // 2, W // 2 * N), how the loss changes with what came out.
        batch: N.
        out: (C, H, W * N), written.
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
                given = gradient[c, y, start : start + batch]
                for j in range(batch):
                    upper = a[j] if a[j] >= b[j] else b[j]
                    lower = d[j] if d[j] >= e[j] else e[j]
                    above = given[j] if upper >= lower else zero
                    below = zero if upper >= lower else given[j]
                    a_out[j] = above if a[j] >= b[j] else zero
                    b_out[j] = zero if a[j] >= b[j] else above
                    d_out[j] = below if d[j] >= e[j] else zero
                    e_out[j] = zero if d[j] >= e[j] else below


@_compiled
def _window(x: Any, top: int, left: int, batch: int) -> Any:
    """Three lines of every channel with zeros around them, (C, 3, (W + 2 left) * N); the first two are there."""
    window = np.zeros((x.shape[0], 3, x.shape[2] + 2 * left * batch), np.float32)
    for y in range(-2, 0):
        _move(x, y, top, left * batch, window)
    return window


@_compiled
def _move(x: Any, y: int, top: int, edge: int, window: Any) -> None:
    """Let a window begin at line `y` of the padded images: its last line is read, and lies at (y + 2) % 3."""
    line, slot = y + 2 - top, (y + 2) % 3
    inside = 0 <= line < x.shape[1]
    for c in range(x.shape[0]):
        target = window[c, slot][edge : edge + x.shape[2]]
        if inside:
            source = x[c, line]
            for j in range(source.size):
                target[j] = source[j]
        else:
            target[:] = 0


@_compiled
def _taps(line: Any, start: int, size: int, batch: int) -> Any:
    """A stretch of a line, and the same one and two pixels further."""
    return (
        line[start : start + size],
        line[start + batch : start + batch + size],
        line[start + 2 * batch : start + 2 * batch + size],
    )


@_compiled
def _pair(line: Any, start: int, batch: int) -> Any:
    """Two neighbouring pixels of all images, for the output pixel that begins at `start`."""
    return line[2 * start : 2 * start + batch], line[2 * start + batch : 2 * start + 2 * batch]


@_compiled
def _add(
    out: Any, a0: Any, a1: Any, a2: Any, a3: Any, a4: Any, a5: Any, a6: Any, a7: Any, a8: Any
) -> None:
    """Add nine sums."""
    out[0] += a0
    out[1] += a1
    out[2] += a2
    out[3] += a3
    out[4] += a4
    out[5] += a5
    out[6] += a6
    out[7] += a7
    out[8] += a8
