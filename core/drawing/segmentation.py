"""Segmentation of a line of digits, in a drawing or a picture, in reading order.

Connected ink is a component. Components above each other, such as the body of a 5 and its bar,
make one digit; a component far too wide for a digit is split where its ink is thinnest.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from core.drawing.preparation import to_mnist
from core.drawing.strokes import parse_strokes, strokes_to_ink
from core.errors import UserError

Ink = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]

MAX_DIGITS = 20  # in a line
MAX_COMPONENTS = 200  # strokes, or components of ink
RASTER_HEIGHT = 200  # pixels of a drawing's height while it is segmented
RASTER_LINE = 7  # pixels: thinner than the final line, so that neighbours stay apart
ROUNDING = 1e-3  # of the height

# Lengths are fractions of the line height: the median height of the tall components.
TALL = 0.5  # of the tallest component; anything lower is a bar, a dot or a speck
SPECK = 0.12  # both sides
BAR_GAP = 0.3  # widest gap between a bar and its digit
BAR_OVERLAP = 0.35  # fraction of a bar's width above or below its digit, if the gap is wider
SAME_DIGIT = 0.65  # overlap, as a fraction of the narrower width, of two parts of one digit
# Two strokes that touch are two digits if together they are wider than the first, as a fraction
# of their height, and overlap by less than the second, as a fraction of the narrower width.
TWO_DIGITS_WIDTH, TWO_DIGITS_OVERLAP = 0.95, 0.3
# Width over height: above the first a component holds several digits, above the second it is a bar.
MAX_ASPECT, BAR_ASPECT = 1.45, 4.0


@dataclass(frozen=True)
class _Component:
    """Connected ink, or several components that make a digit; right and bottom are exclusive."""

    parts: tuple[int, ...]
    left: int
    right: int
    top: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def union(self, other: _Component) -> _Component:
        return _Component(
            self.parts + other.parts,
            min(self.left, other.left),
            max(self.right, other.right),
            min(self.top, other.top),
            max(self.bottom, other.bottom),
        )


def segment_ink(ink: npt.NDArray[Any], touching: bool = True) -> list[Ink]:
    """Segment the ink of a picture into digits in MNIST's form.

    Args:
        ink: (H, W), ink bright on zero, as returned by `pictures.picture_to_ink`.
        touching: Whether ink far too wide for a digit is split. Without it, a wide 2 is one digit,
            and so are two digits that touch.

    Returns:
        One (28, 28) uint8 per digit, from left to right; empty for a blank picture.

    Raises:
        UserError: As `preparation.to_mnist`, or there are more than MAX_DIGITS digits.
    """
    import cv2

    to_mnist(ink)  # validates
    if not ink.any():
        return []
    mask = (ink > 0.25 * float(ink.max())).astype(np.uint8)
    # Closing bridges gaps of a pixel or two, where the pen skipped.
    side = max(3, round(max(ink.shape) / 150) | 1)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    labels = label_digits(closed, touching)

    digits = []
    for number in range(1, int(labels.max()) + 1):
        # Soft edges belong to the digit, too, but not the ink of its neighbours.
        near = cv2.dilate((labels == number).astype(np.uint8), np.ones((5, 5), np.uint8))
        own = near.astype(bool) & ((labels == number) | (labels == 0))
        digits.append(to_mnist(np.where(own, ink, 0)))
    return digits


def segment_strokes(strokes: Any, aspect: float = 1.0) -> list[Ink]:
    """Segment a drawing into digits, each rendered with a line that fits its own size.

    Args:
        strokes: Lists of points [x, y], both from 0 to 1, measured from the pad's top left corner.
        aspect: Width of the pad divided by its height.

    Returns:
        One (28, 28) uint8 per digit, from left to right.

    Raises:
        UserError: As `strokes.strokes_to_ink`, or there are more than MAX_DIGITS digits.
    """
    import cv2

    lines: list[Any] = [line * (aspect, 1.0) for line in parse_strokes(strokes)]
    if not lines:
        return []
    if len(lines) > MAX_COMPONENTS:
        raise UserError(
            f"the drawing has {len(lines):,} strokes; at most {MAX_COMPONENTS} make a line of "
            "digits."
        )
    masks = np.zeros((len(lines), RASTER_HEIGHT, round(RASTER_HEIGHT * aspect)), np.uint8)
    for mask, line in zip(masks, lines, strict=True):
        pixels = np.round(line * (RASTER_HEIGHT - 1)).astype(np.int32)
        cv2.polylines(mask, [pixels.reshape(-1, 1, 2)], False, 1, RASTER_LINE)
        cv2.circle(mask, pixels[0].tolist(), RASTER_LINE // 2, 1, -1)  # a single point is a dot

    digits = _group_into_digits(
        _merge_touching_strokes(masks),
        lambda component: np.asarray(masks[list(component.parts)].any(axis=0)),
    )
    # A stroke through several digits is cut, and each digit gets its own points.
    rendered = []
    for digit in digits:
        left, right = digit.left / (RASTER_HEIGHT - 1), digit.right / (RASTER_HEIGHT - 1)
        own = [part for number in digit.parts for part in _clip_line(lines[number], left, right)]
        if own:
            rendered.append(to_mnist(strokes_to_ink(_fit_to_pad(own))))
    return rendered


def label_digits(mask: npt.NDArray[Any], touching: bool = True) -> Labels:
    """Label each pixel of ink with the number of its digit.

    Args:
        mask: (H, W), nonzero where there is ink.
        touching: As for `segment_ink`.

    Returns:
        (H, W) int32: 0 for background and specks, then 1, 2, ... in reading order.

    Raises:
        UserError: There are more than MAX_DIGITS digits.
    """
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (mask != 0).astype(np.uint8), connectivity=8
    )
    if count > MAX_COMPONENTS:
        raise UserError(
            f"the picture has {count - 1:,} separate pieces of ink; fewer than {MAX_COMPONENTS} "
            "make a line of digits."
        )
    components = [
        _Component((number,), x, x + width, y, y + height)
        for number, (x, y, width, height, _) in enumerate(stats[1:count].tolist(), 1)
    ]
    digits = _group_into_digits(
        components, lambda component: np.isin(labels, component.parts), touching
    )
    result = np.zeros(mask.shape, np.int32)
    for number, digit in enumerate(digits, 1):
        columns = slice(digit.left, digit.right)
        result[:, columns][np.isin(labels[:, columns], digit.parts)] = number
    return result


def _group_into_digits(
    components: Sequence[_Component],
    region: Callable[[_Component], npt.NDArray[np.bool_]],
    touching: bool = True,
) -> list[_Component]:
    """Group components into digits in reading order, and split those that are too wide.

    Args:
        components: In any order.
        region: Returns the pixels of a component, (H, W) bool.
        touching: Whether to split.
    """
    digits = []
    for component in _merge_components(components):
        if not touching:
            digits.append(component)
            continue
        pixels = region(component)[:, component.left : component.right]
        edges = _split_columns(pixels, component)
        digits += [
            replace(component, left=start, right=end) for start, end in itertools.pairwise(edges)
        ]
    if len(digits) > MAX_DIGITS:
        raise UserError(f"there are {len(digits)} digits; at most {MAX_DIGITS} in a line are read.")
    return sorted(digits, key=lambda digit: digit.left + digit.right)


def _merge_touching_strokes(masks: Ink) -> list[_Component]:
    """Merge strokes (N, H, W) that touch, unless they are clearly digits side by side."""
    strokes = []
    for number, mask in enumerate(masks):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        strokes.append(
            _Component(
                (number,), int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
            )
        )
    min_height = TALL * max(stroke.height for stroke in strokes)
    group_of = list(range(len(strokes)))
    for number, stroke in enumerate(strokes):
        for other_number, other in enumerate(strokes[:number]):
            if group_of[other_number] == group_of[number] or _box_distance(stroke, other):
                continue
            if _are_side_by_side(stroke, other, min_height):
                continue
            if (masks[number] & masks[other_number]).any():
                old, new = group_of[number], group_of[other_number]
                group_of = [new if group == old else group for group in group_of]

    merged: dict[int, _Component] = {}
    for group, stroke in zip(group_of, strokes, strict=True):
        merged[group] = merged[group].union(stroke) if group in merged else stroke
    return list(merged.values())


def _merge_components(components: Sequence[_Component]) -> list[_Component]:
    """Merge components that make one digit, and drop specks."""
    if not components:
        return []
    min_height = TALL * max(component.height for component in components)
    tall = [component for component in components if component.height >= min_height]
    low = [component for component in components if component.height < min_height]
    line_height = float(np.median([component.height for component in tall]))

    # Widest first, so that a narrow part finds the digit around it.
    digits: list[_Component] = []
    for component in sorted(tall, key=lambda component: -component.width):
        host = next(
            (
                number
                for number, digit in enumerate(digits)
                if _column_overlap(component, digit) >= SAME_DIGIT * component.width
                and not _is_too_wide(component.union(digit))
            ),
            None,
        )
        if host is None:
            digits.append(component)
        else:
            digits[host] = digits[host].union(component)

    for component in sorted(low, key=lambda component: -component.height * component.width):
        if max(component.width, component.height) < SPECK * line_height:
            continue
        distances = [
            (_box_distance(component, digit), -_column_overlap(component, digit))
            for digit in digits
        ]
        host = distances.index(min(distances))
        gap, overlap = distances[host][0], -distances[host][1]
        if gap <= BAR_GAP * line_height or overlap >= BAR_OVERLAP * component.width:
            digits[host] = digits[host].union(component)
        else:
            digits.append(component)
    return digits


def _are_side_by_side(one: _Component, other: _Component, min_height: float) -> bool:
    """Return whether two strokes that touch are two digits."""
    both = one.union(other)
    return (
        min(one.height, other.height) >= min_height
        and both.width > TWO_DIGITS_WIDTH * both.height
        and _column_overlap(one, other) < TWO_DIGITS_OVERLAP * min(one.width, other.width)
    )


def _column_overlap(one: _Component, other: _Component) -> int:
    """Return how many columns two components have in common."""
    return max(0, min(one.right, other.right) - max(one.left, other.left))


def _is_too_wide(component: _Component) -> bool:
    return component.width > MAX_ASPECT * component.height


def _box_distance(one: _Component, other: _Component) -> float:
    """Return the distance between the bounding boxes of two components."""
    across = max(0, one.left - other.right, other.left - one.right)
    down = max(0, one.top - other.bottom, other.top - one.bottom)
    return float(np.hypot(across, down))


def _split_columns(pixels: npt.NDArray[np.bool_], component: _Component) -> list[int]:
    """Return the columns that bound the digits in a component, its own edges included.

    Digits are separated at the column with the least ink near each expected boundary.
    """
    aspect = component.width / component.height
    count = max(2, round(aspect / 0.8)) if MAX_ASPECT < aspect <= BAR_ASPECT else 1
    ink = pixels.sum(axis=0)
    width = len(ink) / count
    edges = [0]
    for number in range(1, count):
        low, high = round((number - 0.3) * width), round((number + 0.3) * width) + 1
        low = max(low, edges[-1] + 1)
        if low >= high:
            continue
        # Of columns with equal ink, take the one nearest to the expected boundary.
        distance = np.abs(np.arange(low, high) - number * width)
        edges.append(low + int(np.lexsort((distance, ink[low:high]))[0]))
    return [component.left + edge for edge in (*edges, len(ink))]


def _clip_line(line: Any, low: float, high: float) -> list[list[list[float]]]:
    """Return the parts of a line with x between low and high."""
    inside = (line[:, 0] >= low - ROUNDING) & (line[:, 0] <= high + ROUNDING)
    edges = [0, *(np.flatnonzero(np.diff(inside)) + 1).tolist(), len(line)]
    return [line[start:end].tolist() for start, end in itertools.pairwise(edges) if inside[start]]


def _fit_to_pad(lines: list[list[list[float]]]) -> list[list[list[float]]]:
    """Centre the lines of a digit on a square pad, reduced if they do not fit."""
    points = np.concatenate([np.asarray(line) for line in lines])
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    scale = min(1.0, 0.8 / max(float(extent.max()), 1e-9))
    return [((np.asarray(line) - low - extent / 2) * scale + 0.5).tolist() for line in lines]
