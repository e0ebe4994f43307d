"""The numbers of a network as blocks of an SVG page: one for each filter, set in lines.

Lengths of blocks are in units of the numbers' font size. What else stands on the page is in
`network_sheet`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

import numpy as np

from core.charts.diagrams import describe_operation, format_shape
from core.insight.weights import Floats, RowWeights, largest_weight
from core.models.rows import KINDS, Row
from core.models.shapes import trace

_CELL, _LINE, _HEADING, _GAP = 2.85, 1.3, 2.4, 0.7
CHARACTER, _BOLD = 0.53, 1.1  # mean width of a character, and how much wider a bold one is
_NAMES = {"relu": "ReLU", "silu": "SiLU", "gelu": "GELU"}
_ABOVE, _BELOW, _STEPS = "#5a78ee", "#d97a36", 8


@dataclass(frozen=True, slots=True)
class Block:
    """A filter with its numbers, or a line of text, which begins a line of its own."""

    width: float
    height: float
    texts: list[tuple[float, float, str]]  # left, top, words
    kernels: Floats | None = None  # (C, H, W), in the row's unit
    corner: tuple[float, float] = (0.0, 0.0)  # of the kernels
    abreast: int = 1  # kernels in a line
    tint: float = 1.0  # the value that gets the strongest colour


def list_blocks(
    all_rows: Sequence[Row], rows: Mapping[int, RowWeights], room: float
) -> list[Block]:
    """The filters of all rows, each row after its heading; rows without weights share a line."""
    blocks = []
    layers = trace(all_rows)
    for is_weighted, group in groupby(layers, lambda layer: layer.number in rows):
        members = list(group)
        if not is_weighted:
            words = "; ".join(
                f"{layer.number} · {_describe_row(layer.row)}, "
                f"to {format_shape(layer.output_shape)}"
                for layer in members
            )
            blocks.append(_heading(words, room, _HEADING - 0.4))
            continue
        for layer in members:
            row = rows[layer.number]
            unit, note = _choose_unit(row.kernels)
            words = (
                f"{layer.number} · {_describe_row(layer.row)}, "
                f"{format_shape(layer.input_shape)} to {format_shape(layer.output_shape)}, "
                f"{layer.parameters:,} parameters{note}"
            )
            if row.shared_with:
                words += f", the weights of row {row.shared_with}"
            blocks.append(_heading(words, room, _HEADING))
            blocks += _filter_blocks(row, room, unit)
    return blocks


def _describe_row(row: Row) -> str:
    """A row in words: operation, padding, groups, norm and activation."""
    size = describe_operation(dict(row))[1].partition("/")[0].replace("all", "")
    words = [KINDS[row["kind"]].title.lower(), size]
    if row["kind"] == "conv":
        words += [f"stride {row['stride']}"] * (row["stride"] > 1)
        words += [f"padding {row['padding']}"] * (row["padding"] > 0)
        words += [f"{row['groups']} groups"] * (row["groups"] > 1)
        words += ["batch norm"] * (row["norm"] == "batch")
    text = " ".join(filter(None, words[:2]))
    activation: str = row.get("activation", "none")
    more = [*words[2:], *([_NAMES.get(activation, activation)] * (activation != "none"))]
    return ", ".join([text, *more])


def _choose_unit(kernels: Floats) -> tuple[float, str]:
    """A power of ten in which small weights are written, and its words."""
    largest = float(np.abs(kernels).max())
    if not 0 < largest < 0.1:
        return 1.0, ""
    exponent = math.floor(math.log10(largest)) + 1
    return 10.0**exponent, f", weights in units of {10.0**exponent:g}"


def _heading(text: str, room: float, height: float) -> Block:
    return Block(max(room, _BOLD * _length(text)), height, [(0.0, 0.0, text)])


def _filter_blocks(row: RowWeights, room: float, unit: float) -> Iterator[Block]:
    tint = largest_weight(row) / unit
    words = [_describe_filter(row, at) for at in range(len(row.kernels))]
    longest = max(_length(_join(each)) for each in words)
    for (label, *numbers), kernels in zip(words, row.kernels / unit, strict=True):
        text = _join([label, *numbers])
        inputs, height, width = kernels.shape
        if row.shared_with:  # its weights stand with the row that they belong to
            yield Block(longest + 1.2, _LINE + 0.3, [(0.0, 0.0, text)], kernels[:0])
            continue
        pitch = width * _CELL + _gap(width * height)
        abreast = max(1, min(inputs, int(room / pitch)))
        wide, tall = abreast * pitch, math.ceil(inputs / abreast) * (height * _LINE + 0.25)
        texts, corner = [(0.0, 0.0, text)], (0.0, _LINE)
        left = longest + 0.8
        if height == width == 1 and left + wide <= room:  # the text stands before the weights
            corner, wide, tall = (left, 0.0), left + wide, tall - _LINE - 0.3
        elif _length(text) > wide and 0 < len(numbers) - 1 <= height:
            # The text is wider than the weights: most of it stands beside them.
            texts = [(0.0, 0.0, _join([label, *numbers[:1]]))]
            texts += [(wide, (1 + line) * _LINE, word) for line, word in enumerate(numbers[1:])]
            wide += max(map(_length, numbers[1:]))
        else:
            wide = max(wide, _length(text))
        yield Block(wide + 1.2, tall + _LINE + 0.6, texts, kernels, corner, abreast, tint)


def _describe_filter(row: RowWeights, at: int) -> list[str]:
    """The label of a filter, and its numbers besides the weights."""
    return [
        f"{row.labels[at]}:",
        *(
            f"{'var' if name == 'variance' else name} {_format(values[at])}"
            for name, values in row.channel_numbers.items()
        ),
    ]


def _join(words: Sequence[str]) -> str:
    return f"{words[0]} {', '.join(words[1:])}".rstrip()


def _length(text: str) -> float:
    return len(text) * CHARACTER * 0.9


def _gap(values: int) -> float:
    """Distance between two kernels with so many values."""
    return _GAP if values > 1 else 0.2


def flow(blocks: Sequence[Block], room: float) -> tuple[list[tuple[float, float]], float]:
    """Set blocks in lines from left to right; return their places and the height of all."""
    places = []
    x = y = tall = 0.0
    for block in blocks:
        if x > 0 and (x + block.width > room + 1.2 or block.kernels is None):
            x, y, tall = 0.0, y + tall, 0.0
        places.append((x, y))
        x, tall = x + block.width, max(tall, block.height)
    return places, y + tall


def draw_blocks(
    blocks: Sequence[Block],
    places: Sequence[tuple[float, float]],
    size: float,
    corner: tuple[float, float],
) -> list[str]:
    """Draw blocks at their places.

    Args:
        blocks, places: as of `flow`.
        size: font size of the numbers.
        corner: left and top of the first block.
    """
    tints: dict[tuple[str, int], list[str]] = {}
    numbers, words = [], []
    for block, (left, above) in zip(blocks, places, strict=True):
        x0, y0 = corner[0] + left * size, corner[1] + above * size
        is_heading = block.kernels is None
        for left_of, top_of, text in block.texts:
            x = x0 + left_of * size
            y = y0 + (block.height - 0.75 if is_heading else top_of + 1) * size
            kind = "row" if is_heading else "filter"
            words.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>')
        if block.kernels is None:
            continue
        _, height, width = block.kernels.shape
        pitch = (width * _CELL + _gap(width * height)) * size
        for number, kernel in enumerate(block.kernels):
            x1 = x0 + block.corner[0] * size + number % block.abreast * pitch
            line = number // block.abreast
            y1 = y0 + (block.corner[1] + line * (height * _LINE + 0.25)) * size
            for (y, x), value in np.ndenumerate(kernel):
                right, upper = x1 + (x + 1) * _CELL * size, y1 + y * _LINE * size
                step = min(_STEPS, round(_STEPS * abs(value) / block.tint))
                tints.setdefault((_ABOVE if value > 0 else _BELOW, step), []).append(
                    f"M{right - _CELL * size:.1f} {upper:.1f}h{_CELL * size:.1f}"
                    f"v{_LINE * size:.1f}h{-_CELL * size:.1f}z"
                )
                numbers.append(
                    f'<text x="{right - 0.15 * size:.1f}" y="{upper + 0.98 * size:.1f}">'
                    f"{format_weight(float(value))}</text>"
                )
    shades = [
        f'<path fill="{colour}" fill-opacity="{0.5 * step / _STEPS:.3f}" d="{"".join(parts)}"/>'
        for (colour, step), parts in sorted(tints.items())
        if step
    ]
    return [
        *shades,
        f'<g font-size="{size:.2f}" text-anchor="end">{"".join(numbers)}</g>',
        f'<g font-size="{0.9 * size:.2f}">{"".join(words)}</g>',
    ]


def format_weight(value: float) -> str:
    """Return a weight in at most five characters: three decimals below 1, else three digits."""
    size = abs(value)
    text = f"{size:.3f}"
    if text.startswith("0"):
        text = "0" if size < 5e-4 else text[1:]
    else:
        text = f"{size:.3g}" if size >= 100 else f"{size:#.3g}".rstrip(".")
    return f"\u2212{text}" if value < 0 and text != "0" else text


def _format(value: float) -> str:
    return f"{value:.3g}".replace("-", "\u2212")
