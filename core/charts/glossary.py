"""Pictures of the glossary's terms as SVG, computed from a digit and from the app's own functions.

They use the page's colours, like `diagrams`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from core.charts.diagrams import SIDE, Image, ink, receptive_field_diagram, svg
from core.config import RunConfig
from core.models.architectures import ARCHITECTURES
from core.models.shapes import trace
from core.task import CLASSES
from core.training import schedules

Floats = npt.NDArray[np.floating[Any]]
Digits = npt.NDArray[np.uint8]  # (10, 28, 28), one of each class

WIDTH, HEIGHT = 312, 132  # of a picture
# Positive where there is more ink on the left than on the right: it finds upright edges.
KERNEL = ((1, 0, -1), (2, 0, -2), (1, 0, -1))
_BLUE, _ORANGE = "var(--st-primary-color, #2f4bd0)", "#c46a2d"
_GREY = "var(--st-gray-text-color, #66645f)"
_EXAMPLE = 4  # the digit in most pictures


def term_picture(term: str, digits: Digits) -> str:
    """Draw the picture of a term.

    Args:
        term: one of PICTURES.
        digits: one image (28, 28) uint8 for each of the ten digits.
    """
    return PICTURES[term](digits)


def convolve(image: Image, kernel: Sequence[Sequence[float]] = KERNEL) -> Floats:
    """Slide a kernel over an image: (28, 28) uint8 -> (26, 26), of pixels from 0 to 1."""
    pixels = image.astype(np.float64) / 255
    size = len(kernel)
    end = SIDE - size + 1
    return np.sum(
        [
            weight * pixels[down : down + end, across : across + end]
            for down, row in enumerate(kernel)
            for across, weight in enumerate(row)
        ],
        axis=0,
    )


def _convolution(digits: Digits) -> str:
    digit, scale = digits[_EXAMPLE], 4
    across, down = 7, 11
    values = convolve(digit)
    right = WIDTH - 26 * scale
    return svg(
        WIDTH,
        HEIGHT - 12,
        [
            f'<g transform="scale({scale})">{ink(digit)}'
            f'<rect class="frame" width="{SIDE}" height="{SIDE}"/>'
            f'<rect class="field" x="{across}" y="{down}" width="3" height="3"/></g>',
            _arrow(120, 56, right - 8, 56),
            _label((120 + right - 8) / 2, 48, "× kernel"),
            f'<g transform="translate({right} 4) scale({scale})">{_signed(values)}'
            '<rect class="frame" width="26" height="26"/>'
            f'<rect class="field" x="{across}" y="{down}" width="1" height="1"/></g>',
        ],
    )


def _kernel(digits: Digits) -> str:
    side, left = 34, (WIDTH - 3 * 34) / 2
    parts = []
    for down, row in enumerate(KERNEL):
        for across, weight in enumerate(row):
            x, y = left + across * side, 8 + down * side
            colour = _BLUE if weight > 0 else _ORANGE
            parts.append(
                f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="{colour}" '
                f'fill-opacity="{0.16 * abs(weight)}" stroke="{_GREY}" stroke-opacity="0.4"/>'
            )
            parts.append(_label(x + side / 2, y + side / 2 + 4, f"{weight}".replace("-", "−"), 13))
    return svg(WIDTH, 3 * side + 16, parts)


def _batch_norm(digits: Digits) -> str:
    values = np.concatenate([2.2 * convolve(digit).ravel() + 3 for digit in digits[:4]])
    values = values[np.abs(values - 3) > 0.2]  # paper would hide the rest
    after = (values - values.mean()) / values.std()
    parts = []
    for left, title, numbers in ((0, "before", values), (166, "after", after)):
        counts, edges = np.histogram(numbers, bins=np.linspace(-10, 14, 49))
        top = counts.max()
        for count, edge in zip(counts, edges[:-1], strict=True):
            tall = 72 * count / top
            x = left + 4 + (edge + 10) / 24 * 138
            parts.append(
                f'<rect x="{x:.1f}" y="{92 - tall:.1f}" width="2.6" height="{tall:.1f}" '
                f'fill="{_BLUE}" fill-opacity="0.7"/>'
            )
        parts.append(f'<path class="way" d="M{left} 92h146"/>')
        zero = left + 4 + 10 / 24 * 138
        parts.append(f'<path d="M{zero:.1f} 92v5" stroke="{_GREY}"/>')
        parts.append(_label(zero, 109, "0"))
        parts.append(_label(left + 73, 124, title, quiet=True))
    return svg(WIDTH, HEIGHT, parts)


def _pooling(digits: Digits) -> str:
    block = digits[_EXAMPLE][10:14, 8:12].astype(int) * 9 // 255
    side, parts = 26, []
    for down in range(4):
        for across in range(4):
            value = int(block[down, across])
            window = block[down // 2 * 2 :, across // 2 * 2 :][:2, :2]
            parts += _cell(
                24 + across * side, 10 + down * side, side, value, value == window.max() > 0
            )
    for line in (0, 2, 4):
        parts.append(
            f'<path d="M{24 + line * side} 10v{4 * side}M24 {10 + line * side}h{4 * side}" '
            f'stroke="{_GREY}" stroke-width="1.6"/>'
        )
    parts.append(_arrow(144, 62, 196, 62))
    parts.append(_label(170, 54, "maximum"))
    for down in range(2):
        for across in range(2):
            value = int(block[2 * down : 2 * down + 2, 2 * across : 2 * across + 2].max())
            parts += _cell(212 + across * side, 36 + down * side, side, value, value > 0)
    return svg(WIDTH, 124, parts)


def _epoch(digits: Digits) -> str:
    parts = []
    for row, order in enumerate((range(CLASSES), np.random.default_rng(1).permutation(CLASSES))):
        y = 16 + 54 * row
        parts.append(_label(24, y + 17, f"epoch {row + 1}"))
        parts += [
            _small(digits[number], 58 + 25 * place, y, 0.8) for place, number in enumerate(order)
        ]
    parts.append(_label(WIDTH / 2, 118, "all images once, each time in another order", quiet=True))
    return svg(WIDTH, 126, parts)


def _batch(digits: Digits) -> str:
    parts = []
    for number in range(8):
        parts.append(_small(digits[number], 14 + 36 * number, 22, 1.0))
    for group in range(2):
        parts.append(
            f'<rect x="{8 + 146 * group}" y="14" width="138" height="44" rx="6" fill="none" '
            f'stroke="{_BLUE}"/>'
        )
        parts.append(_label(79 + 146 * group, 76, f"batch {group + 1}: one update"))
    return svg(WIDTH, 88, parts)


def _loss(digits: Digits) -> str:
    left, top, wide, tall = 34, 8, 260, 92

    def place(p: float) -> tuple[float, float]:
        return left + p * wide, top + tall * (1 - min(3.0, -math.log(p)) / 3)

    marks = []
    for share, words in ((0.1, "guessing: 2.3"), (0.9, "0.1")):
        x, y = place(share)
        marks += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{_BLUE}"/>',
            f'<text x="{x + 8:.1f}" y="{y - 4:.1f}" text-anchor="start">{words}</text>'
            if share < 0.5
            else _label(x, y - 9, words),
        ]
    curve = _curve([place(p) for p in np.linspace(0.05, 1, 60)])
    return svg(
        WIDTH,
        HEIGHT,
        [
            f'<path class="way" d="M{left} {top}v{tall}h{wide}"/>',
            curve,
            *marks,
            _label(left + wide / 2, HEIGHT - 6, "probability of the correct digit", quiet=True),
            *(_label(left + share * wide, 112, f"{share:g}") for share in (0, 0.5, 1)),
            _label(16, 58, "loss", quiet=True),
        ],
    )


def _learning_rate(digits: Digits) -> str:
    parts = []
    for number, (rate, title) in enumerate(
        ((0.06, "too small"), (0.3, "right"), (1.03, "too large"))
    ):
        left = 104 * number + 4

        def place(x: float, left: float = left) -> tuple[float, float]:
            return left + 48 + 40 * x, 96 - 70 * min(1.2, x * x)

        parts.append(
            _curve([place(x) for x in np.linspace(-1.05, 1.05, 40)], colour=_GREY, width=1.2)
        )
        steps = [-0.95]
        for _ in range(5):
            steps.append(steps[-1] - rate * 2 * steps[-1])
        path = [place(float(np.clip(x, -1.05, 1.05))) for x in steps]
        parts.append(_curve(path, width=1.2))
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{_BLUE}"/>' for x, y in path]
        parts.append(_label(left + 48, 116, title))
    return svg(WIDTH, 124, parts)


def _one_cycle(digits: Digits) -> str:
    config = RunConfig(schedule="one-cycle", lr=0.01, max_lr=0.1, epochs=15)
    steps = 20
    rates = [schedules.rate(config, step, steps) for step in range(config.epochs * steps)]
    top = max(rates)
    points = [
        (14 + 286 * at / (len(rates) - 1), 96 - 82 * rate / top) for at, rate in enumerate(rates)
    ]
    return svg(
        WIDTH,
        124,
        [
            '<path class="way" d="M14 8V96H304"/>',
            _curve(points),
            _label(159, 116, "epochs", quiet=True),
            '<text x="20" y="16" text-anchor="start" class="quiet">learning rate</text>',
        ],
    )


def _receptive_field(digits: Digits) -> str:
    layers = trace(ARCHITECTURES["original-3762"].rows)
    return receptive_field_diagram(layers, 6, digits[_EXAMPLE], margin=1, width=180)


def _validation(digits: Digits) -> str:
    bars = (
        (8, 232, 55 / 60, "training: 55,000", "validation: 5,000", 24),
        (8, 296 * 10 / 70, 1.0, "", "test: 10,000", 84),
    )
    parts = []
    for left, wide, share, first, second, y in bars:
        if first:
            parts.append(
                f'<rect x="{left}" y="{y}" width="{wide * share:.1f}" height="22" rx="3" '
                f'fill="{_BLUE}" fill-opacity="0.75"/>'
            )
            parts.append(_label(left + wide * share / 2, y - 7, first))
        start = left + (wide * share + 2 if first else 0)
        parts.append(
            f'<rect x="{start:.1f}" y="{y}" width="{wide * (1 - share) if first else wide:.1f}" '
            f'height="22" rx="3" fill="{_ORANGE}" fill-opacity="{0.9 if first else 0.4}"/>'
        )
        parts.append(
            f'<text x="{start + (wide * (1 - share) if first else wide) + 6:.1f}" y="{y + 15}" '
            f'text-anchor="start">{second}</text>'
        )
    return svg(WIDTH + 30, 116, parts)


def _overfitting(digits: Digits) -> str:
    epochs = np.linspace(0, 1, 50)
    training = 0.9 * np.exp(-4 * epochs) + 0.02
    validation = 0.85 * np.exp(-5 * epochs) + 0.16 + 0.3 * epochs**2
    lines = []
    for values, colour, dash in ((training, _BLUE, "4 3"), (validation, _BLUE, "")):
        points = [
            (14 + 286 * at, 100 - 84 * value) for at, value in zip(epochs, values, strict=True)
        ]
        lines.append(_curve(points, colour=colour, dash=dash))
    return svg(
        WIDTH,
        124,
        [
            '<path class="way" d="M14 8V100H304"/>',
            *lines,
            '<text x="300" y="52" text-anchor="end">loss in validation</text>',
            '<text x="300" y="90" text-anchor="end">loss in training</text>',
            _label(159, 118, "epochs", quiet=True),
        ],
    )


PICTURES: dict[str, Callable[[Digits], str]] = {
    "convolution": _convolution,
    "kernel": _kernel,
    "batch norm": _batch_norm,
    "pooling": _pooling,
    "receptive field": _receptive_field,
    "batch": _batch,
    "epoch": _epoch,
    "loss": _loss,
    "learning rate": _learning_rate,
    "one-cycle": _one_cycle,
    "validation": _validation,
    "overfitting": _overfitting,
}


def _label(x: float, y: float, text: str, size: float = 10.5, quiet: bool = False) -> str:
    name = ' class="quiet"' if quiet else ""
    return f'<text{name} x="{x:g}" y="{y:g}" font-size="{size:g}">{text}</text>'


def _arrow(x: float, y: float, end: float, down: float) -> str:
    return f'<path d="M{x:g} {y:g}H{end:g}m-5 -4l5 4l-5 4" fill="none" stroke="{_GREY}"/>'


def _curve(
    points: Iterable[tuple[float, float]], colour: str = _BLUE, width: float = 2, dash: str = ""
) -> str:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return (
        f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
        f'stroke-dasharray="{dash}" stroke-linejoin="round"/>'
    )


def _cell(x: float, y: float, side: float, value: int, marked: bool) -> list[str]:
    """A square with a number from 0 to 9."""
    opacity = 0.3 if marked else 0.0
    return [
        f'<rect x="{x:g}" y="{y:g}" width="{side}" height="{side}" fill="{_BLUE}" '
        f'fill-opacity="{opacity}" stroke="{_GREY}" stroke-opacity="0.4"/>',
        _label(x + side / 2, y + side / 2 + 4, str(value)),
    ]


def _small(digit: Image, x: float, y: float, scale: float) -> str:
    return f'<g transform="translate({x:g} {y:g}) scale({scale:g})">{ink(digit)}</g>'


def _signed(values: Floats) -> str:
    """A map of signed values as squares: blue above 0, orange below."""
    top = float(np.abs(values).max()) or 1.0
    return "".join(
        f'<rect x="{across}" y="{down}" width="1" height="1" '
        f'fill="{_BLUE if value > 0 else _ORANGE}" fill-opacity="{abs(value) / top:.2f}"/>'
        for (down, across), value in np.ndenumerate(values)
        if abs(value) > 0.04 * top
    )
