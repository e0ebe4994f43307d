"""Diagrams of networks as SVG: the shapes of the layers' outputs, and receptive fields.

They use the page's colours (--st-*) if there are any, and also work as files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from core.models.receptive_field import ReceptiveField, central_receptive_field, receptive_fields
from core.models.rows import KINDS
from core.models.shapes import Layer, Shape
from core.task import CLASSES, INPUT_SHAPE

Image = npt.NDArray[np.uint8]

SIDE = INPUT_SHAPE[2]
# In SVG units: side of a pixel, distance between channels and between layers.
_PIXEL, _SHEET, _GAP = 2.0, 2.0, 15.0
_MIN_SIDE, _MIN_WIDTH = 7.0, 36.0  # of a channel, and of a layer with its labels
_TOP, _MIDDLE, _BOTTOM = 30.0, 66.0, 32.0
_MAX_MARGIN = 24  # pixels around the image in which receptive fields are shown
_MAX_OTHERS = 16  # receptive fields of other rows in the diagram
_WIDTH = 312  # of the diagram of receptive fields

_STYLE = """
.d { font: 10.5px var(--st-font, system-ui, sans-serif); font-variant-numeric: tabular-nums;
  text-anchor: middle; fill: var(--st-text-color, #1d1d1b); }
.d .quiet { fill: var(--st-gray-text-color, #66645f); }
.d .sheet { fill: var(--st-background-color, #fff); stroke: var(--st-gray-text-color, #66645f);
  stroke-width: 0.8; }
.d .learned .sheet { stroke: var(--st-primary-color, #2f4bd0); }
.d .tint { fill: var(--st-gray-text-color, #66645f); fill-opacity: 0.12; }
.d .learned .tint { fill: var(--st-primary-color, #2f4bd0); fill-opacity: 0.16; }
.d .dropped .sheet { stroke-dasharray: 2 2; }
.d .way { stroke: var(--st-border-color, #e4e3de); stroke-width: 1.5; fill: none; }
.d .bridge { stroke: var(--st-primary-color, #2f4bd0); stroke-width: 1.2; fill: none; }
.d .stop { stroke: #c46a2d; fill: none; stroke-dasharray: 3 3; }
.d .ink { fill: var(--st-text-color, #1d1d1b); stroke: none; shape-rendering: crispEdges; }
.d .frame { fill: none; stroke: var(--st-border-color, #e4e3de);
  vector-effect: non-scaling-stroke; }
.d .other { fill: none; stroke: var(--st-gray-text-color, #66645f); stroke-opacity: 0.5;
  vector-effect: non-scaling-stroke; }
.d .field { fill: var(--st-primary-color, #2f4bd0); fill-opacity: 0.12;
  stroke: var(--st-primary-color, #2f4bd0); stroke-width: 2; vector-effect: non-scaling-stroke; }
.d .dots { stroke: var(--st-primary-color, #2f4bd0); stroke-linecap: round; fill: none; }
"""


def shape_diagram(layers: Sequence[Layer], digit: Image, mistake: int | None = None) -> str:
    """Draw the image and the output of each row from left to right, one square per channel.

    Squares are to scale; the number of squares grows with the logarithm of the channels.

    Args:
        layers: the traced rows that are valid.
        digit: the input, (28, 28) uint8, ink 255 on 0.
        mistake: number of the first invalid row, drawn as an empty square after the last.
    """
    parts: list[str] = []
    centres: list[float] = []
    left = 4.0
    for at, layer in enumerate([None, *layers]):
        shape = layer.output_shape if layer else INPUT_SHAPE
        last = (
            layer is not None
            and at == len(layers)
            and mistake is None
            and math.prod(shape) == CLASSES
        )
        wide = _wide(shape, last)
        room = max(wide, _MIN_WIDTH)
        centres.append(left + room / 2)
        parts.append(_block(layer, shape, left + (room - wide) / 2, centres[-1], digit, last))
        left += room + _GAP
    centre = _TOP + _MIDDLE / 2
    if mistake is not None:
        parts.append(
            f"<g><title>Row {mistake} does not fit</title>"
            f'<rect class="stop" x="{left:g}" y="{centre - 16:g}" width="32" height="32" rx="2"/>'
            f'<text class="quiet" x="{left + 16:g}" y="{centre + 4:g}">row {mistake}</text></g>'
        )
        left += 48
    bridges = [
        _bridge(centres[layer.row["from"]], centres[layer.number])
        for layer in layers
        if layer.row["kind"] == "add"
    ]
    height = _TOP + _MIDDLE + _BOTTOM + (26 if bridges else 0)
    way = f'<path class="way" d="M{centres[0]:g} {centre:g}H{centres[-1]:g}"/>'
    return svg(left - _GAP + 4, height, [way, *bridges, *parts])


def receptive_field_diagram(
    layers: Sequence[Layer],
    number: int,
    digit: Image,
    margin: int | None = None,
    width: int = _WIDTH,
) -> str:
    """Draw the receptive field of the central output of a row, and those of the other rows.

    Args:
        layers: the traced rows that are valid.
        number: of the row, counted from 1.
        digit: (28, 28) uint8, ink 255 on 0.
        margin: pixels of the image to show around it; None: `field_margin(layers)`.
        width: largest width and height of the drawing, in pixels of the page.
    """
    margin = field_margin(layers) if margin is None else margin
    whole = SIDE + 2 * margin
    scale = width // whole
    middles = [central_receptive_field(layers, layer.number) for layer in layers]
    chosen = middles[number - 1]
    others = [each for each in dict.fromkeys(middles) if each != chosen]
    others = others[:: -(-len(others) // _MAX_OTHERS) or 1]
    parts = [
        f'<g transform="scale({scale}) translate({margin} {margin})">',
        ink(digit),
        f'<rect class="frame" width="{SIDE}" height="{SIDE}"/>',
        *(_square(each, "other") for each in others),
        _square(chosen, "field"),
        _dots(receptive_fields(layers, number), scale),
        "</g>",
    ]
    return svg(whole * scale, whole * scale, parts)


def field_margin(layers: Sequence[Layer]) -> int:
    """Return the margin in pixels that shows the receptive fields of all rows, up to a limit."""
    middles = [central_receptive_field(layers, layer.number) for layer in layers]
    return 1 + min(
        _MAX_MARGIN, max(0, *(max(-each.left, each.left + each.side - SIDE) for each in middles))
    )


def describe_operation(row: dict[str, Any]) -> tuple[str, str]:
    """Return the operation of a row in two short lines."""
    kind = row["kind"]
    if kind in ("conv", "maxpool", "avgpool"):
        word = {"conv": "conv", "maxpool": "max", "avgpool": "mean"}[kind]
        step = f"/{row['stride']}" if kind == "conv" and row["stride"] > 1 else ""
        return word, f"{row['kernel']}×{row['kernel']}{step}"
    if kind == "space_to_depth":
        return "fold", f"{row['block']}×{row['block']}"
    if kind == "add":
        return "add", f"row {row['from']}"
    if kind == "dropout":
        return "drop", "" if row["p"] is None else f"{row['p']:.0%}"
    return {"global_avgpool": "mean", "linear": "linear"}[kind], "all"


def name_operation(row: dict[str, Any]) -> str:
    """Return the operation of a row in one line: `conv 3×3`."""
    return " ".join(filter(None, describe_operation(row)))


def format_shape(shape: Shape) -> str:
    """Return a shape as text: `8 × 26 × 26`."""
    return " × ".join(map(str, shape))


def _sheets(channels: int) -> int:
    return min(channels, 1 + round(2 * math.log2(channels)))


def _side(pixels: int) -> float:
    return max(_MIN_SIDE, _PIXEL * pixels)


def _wide(shape: Shape, last: bool) -> float:
    if last or len(shape) == 1:
        return 18.0 if last else 8.0
    return _side(shape[2]) + _SHEET * (_sheets(shape[0]) - 1)


def _block(
    layer: Layer | None, shape: Shape, left: float, centre: float, digit: Image, last: bool
) -> str:
    middle = _TOP + _MIDDLE / 2
    if last:
        drawn = _scores(left, middle)
    elif len(shape) == 1:
        tall = min(_MIDDLE, 10 + 5 * math.log2(shape[0]))
        drawn = _sheet(left, middle - tall / 2, 8, tall, True)
    else:
        drawn = _stack(shape, left, middle)
    below = (str(shape[0]), f"{shape[1]}×{shape[2]}" if len(shape) == 3 else "values")
    if layer is None:
        move = f"translate({left:g} {middle - _side(SIDE) / 2:g}) scale({_PIXEL:g})"
        scaled = f'<g transform="{move}">{ink(digit)}</g>'
        drawn, above, title, classes = drawn + scaled, ("image", ""), "The image: 1 × 28 × 28", ""
    else:
        above = describe_operation(layer.row)
        title = (
            f"Row {layer.number}, {KINDS[layer.row['kind']].title}: {format_shape(shape)}, "
            f"{layer.parameters:,} parameters, receptive field "
            f"{layer.receptive_field} × {layer.receptive_field}"
        )
        classes = (
            "learned" if layer.parameters else "dropped" if layer.row["kind"] == "dropout" else ""
        )
    bottom = _TOP + _MIDDLE
    lines = [
        (above[0], 11.0, ""),
        (above[1], 23.0, ' class="quiet"'),
        (below[0], bottom + 15, ""),
        (below[1], bottom + 27, ' class="quiet"'),
    ]
    words = "".join(
        f'<text{kind} x="{centre:g}" y="{y:g}">{escape(text)}</text>'
        for text, y, kind in lines
        if text
    )
    return f'<g class="{classes}"><title>{escape(title)}</title>{drawn}{words}</g>'


def _stack(shape: Shape, left: float, middle: float) -> str:
    """The channels one behind the other."""
    wide, tall, count = _side(shape[2]), _side(shape[1]), _sheets(shape[0])
    # Many channels are closer together, so that all fit.
    rise = min(1.0, (_MIDDLE - tall) / max(1, count - 1))
    top = middle - tall / 2 + rise * (count - 1) / 2
    return "".join(
        _sheet(left + _SHEET * at, top - rise * at, wide, tall, at == 0)
        for at in reversed(range(count))
    )


def _sheet(x: float, y: float, wide: float, tall: float, front: bool) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}"'
    return f'<rect class="sheet" {place}/>' + (f'<rect class="tint" {place}/>' if front else "")


def _scores(left: float, middle: float) -> str:
    step = _MIDDLE / CLASSES
    top = middle - _MIDDLE / 2
    return "".join(
        f'<rect class="sheet" x="{left:g}" y="{top + step * digit + 0.6:.1f}" width="5.4" '
        f'height="5.4"/><text class="quiet" x="{left + 13:g}" '
        f'y="{top + step * digit + 5.8:.1f}" font-size="7">{digit}</text>'
        for digit in range(CLASSES)
    )


def _bridge(start: float, end: float) -> str:
    top = _TOP + _MIDDLE + _BOTTOM
    path = f"M{start:g} {top:g}v6q0 10 10 10H{end - 10:g}q10 0 10 -10v-6m-3 3l3 -3l3 3"
    return f'<path class="bridge" d="{path}"/>'


def ink(digit: Image) -> str:
    """The digit in the page's text colour; equal neighbours share a rectangle."""
    rects = []
    for y, row in enumerate((digit >> 4).tolist()):
        x = 0
        while x < len(row):
            end = x + 1
            while end < len(row) and row[end] == row[x]:
                end += 1
            if row[x]:
                rects.append(
                    f'<rect x="{x}" y="{y}" width="{end - x}" height="1" '
                    f'fill-opacity="{row[x] / 15:.2f}"/>'
                )
            x = end
    return f'<g class="ink">{"".join(rects)}</g>'


def _square(field: ReceptiveField, kind: str) -> str:
    place = f'x="{field.left}" y="{field.top}" width="{field.side}" height="{field.side}"'
    return f'<rect class="{kind}" {place}/>'


def _dots(fields: list[list[ReceptiveField]], scale: int) -> str:
    """The centres of all receptive fields of a row."""
    middles = (
        (each.left + each.side / 2, each.top + each.side / 2) for line in fields for each in line
    )
    steps = "".join(f"M{x:g} {y:g}h0" for x, y in middles)
    width = (2 if len(fields) > 14 else 3) / scale
    return f'<path class="dots" stroke-width="{width:.2f}" d="{steps}"/>'


def svg(width: float, height: float, parts: Sequence[str]) -> str:
    """Return a diagram of this size, whose parts can use the classes of its style sheet."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="d" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}"><style>{_STYLE}</style>{"".join(parts)}</svg>'
    )
