"""3x3 convolutions of images (C, H, W, N), whose batch is the last dimension in memory.

With four or eight channels, vectorising over channels or over the pixels of one image leaves vector
units idle. With the batch last, every loop runs over a whole line of all images, W * N contiguous
numbers. Two output channels share what is read: nine taps make 18 multiply-adds for nine reads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.models.batch_last.compiled import compiled

TILE = 1_024  # numbers of a line per pass, so that the output stays in the first-level cache


@compiled
def conv3x3(x: Any, weight: Any, bias: Any, top: int, left: int, batch: int, out: Any) -> None:
    """3x3 convolution with stride 1.

    Args:
        x: (I, H, W * N) float32.
        weight: (O, I, 9).
        bias: (O,).
        top, left: zero padding, in pixels.
        batch: N.
        out: (O, H + 2 top - 2, (W + 2 left - 2) * N), overwritten.
    """
    inputs, outputs = x.shape[0], out.shape[0]
    lines, length = out.shape[1], out.shape[2]
    unused = np.empty(TILE, np.float32)
    window = _window(x, top, left, batch)
    for y in range(lines):
        _read_line(x, y, top, left * batch, window)
        for start in range(0, length, TILE):
            end = min(start + TILE, length)
            size = end - start
            for o in range(0, outputs, 2):
                is_pair = o + 1 < outputs
                q = o + 1 if is_pair else o
                first = out[o, y, start:end]
                second = out[q, y, start:end] if is_pair else unused[:size]
                first[:] = bias[o]
                second[:] = bias[q]
                for i in range(inputs):
                    a, b = weight[o, i], weight[q, i]
                    a0, a1, a2, a3, a4, a5, a6, a7, a8 = _unpack(a)
                    b0, b1, b2, b3, b4, b5, b6, b7, b8 = _unpack(b)
                    x0, x1, x2 = _taps(window[i, y % 3], start, size, batch)
                    x3, x4, x5 = _taps(window[i, (y + 1) % 3], start, size, batch)
                    x6, x7, x8 = _taps(window[i, (y + 2) % 3], start, size, batch)
                    # fmt: off
                    for j in range(size):
                        v0, v1, v2, v3, v4 = x0[j], x1[j], x2[j], x3[j], x4[j]
                        v5, v6, v7, v8 = x5[j], x6[j], x7[j], x8[j]
                        first[j] += (
                            a0 * v0 + a1 * v1 + a2 * v2 + a3 * v3 + a4 * v4
                            + a5 * v5 + a6 * v6 + a7 * v7 + a8 * v8
                        )
                        second[j] += (
                            b0 * v0 + b1 * v1 + b2 * v2 + b3 * v3 + b4 * v4
                            + b5 * v5 + b6 * v6 + b7 * v7 + b8 * v8
                        )
                    # fmt: on


@compiled
def conv3x3_weight_gradient(
    x: Any, gradient: Any, top: int, left: int, batch: int, out: Any
) -> None:
    """Gradient of the loss with respect to the weights of a 3x3 convolution.

    Args:
        x: (I, H, W * N) float32, input of the convolution.
        gradient: (O, H + 2 top - 2, (W + 2 left - 2) * N), gradient of its output.
        top, left: zero padding, in pixels.
        batch: N.
        out: (O, I, 9), overwritten.
    """
    inputs, outputs = x.shape[0], gradient.shape[0]
    lines, length = gradient.shape[1], gradient.shape[2]
    zero = np.float32(0)
    out[:] = 0
    window = _window(x, top, left, batch)
    for y in range(lines):
        _read_line(x, y, top, left * batch, window)
        for o in range(0, outputs, 2):
            is_pair = o + 1 < outputs
            first, second = gradient[o, y], gradient[o + 1 if is_pair else o, y]
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
                if is_pair:
                    _add(out[o + 1, i], b0, b1, b2, b3, b4, b5, b6, b7, b8)


@compiled
def depthwise_conv3x3(
    x: Any, weight: Any, bias: Any, top: int, left: int, batch: int, out: Any
) -> None:
    """Depthwise 3x3 convolution with stride 1: every channel has its own filter.

    Args:
        x: (C, H, W * N) float32.
        weight: (C, 9).
        bias: (C,).
        top, left: zero padding, in pixels.
        batch: N.
        out: (C, H + 2 top - 2, (W + 2 left - 2) * N), overwritten.
    """
    channels, lines, length = out.shape
    for c in range(channels):
        channel = x[c : c + 1]
        window = _window(channel, top, left, batch)
        a, b = weight[c], bias[c]
        a0, a1, a2, a3, a4, a5, a6, a7, a8 = _unpack(a)
        for y in range(lines):
            _read_line(channel, y, top, left * batch, window)
            target = out[c, y]
            x0, x1, x2 = _taps(window[0, y % 3], 0, length, batch)
            x3, x4, x5 = _taps(window[0, (y + 1) % 3], 0, length, batch)
            x6, x7, x8 = _taps(window[0, (y + 2) % 3], 0, length, batch)
            # fmt: off
            for j in range(length):
                target[j] = (
                    b + a0 * x0[j] + a1 * x1[j] + a2 * x2[j] + a3 * x3[j] + a4 * x4[j]
                    + a5 * x5[j] + a6 * x6[j] + a7 * x7[j] + a8 * x8[j]
                )
            # fmt: on


@compiled
def depthwise_conv3x3_weight_gradient(
    x: Any, gradient: Any, top: int, left: int, batch: int, out: Any
) -> None:
    """Gradient of the loss with respect to the weights of a depthwise 3x3 convolution.

    Args:
        x: (C, H, W * N) float32, input of the convolution.
        gradient: (C, H + 2 top - 2, (W + 2 left - 2) * N), gradient of its output.
        top, left: zero padding, in pixels.
        batch: N.
        out: (C, 9), overwritten.
    """
    channels, lines, length = gradient.shape
    zero = np.float32(0)
    out[:] = 0
    for c in range(channels):
        channel = x[c : c + 1]
        window = _window(channel, top, left, batch)
        for y in range(lines):
            _read_line(channel, y, top, left * batch, window)
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


@compiled
def _unpack(weights: Any) -> Any:
    """The nine weights of a filter, as scalars that stay in registers."""
    w = weights
    return w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]


@compiled
def _window(x: Any, top: int, left: int, batch: int) -> Any:
    """Allocate three padded lines of every channel, (C, 3, (W + 2 left) * N), and read two."""
    window = np.zeros((x.shape[0], 3, x.shape[2] + 2 * left * batch), np.float32)
    for y in range(-2, 0):
        _read_line(x, y, top, left * batch, window)
    return window


@compiled
def _read_line(x: Any, y: int, top: int, edge: int, window: Any) -> None:
    """Read padded line y + 2 into slot (y + 2) % 3, so that the window starts at line y."""
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


@compiled
def _taps(line: Any, start: int, size: int, batch: int) -> Any:
    """A stretch of a line as the three columns of the filter see it: shifted by 0, 1, 2 pixels."""
    return (
        line[start : start + size],
        line[start + batch : start + batch + size],
        line[start + 2 * batch : start + 2 * batch + size],
    )


@compiled
def _add(
    out: Any, a0: Any, a1: Any, a2: Any, a3: Any, a4: Any, a5: Any, a6: Any, a7: Any, a8: Any
) -> None:
    """Add nine sums to `out`."""
    out[0] += a0
    out[1] += a1
    out[2] += a2
    out[3] += a3
    out[4] += a4
    out[5] += a5
    out[6] += a6
    out[7] += a7
    out[8] += a8
