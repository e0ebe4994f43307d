"""Several digits in one drawing or picture, cut apart and put into reading order.

Ink that hangs together is a piece; pieces that stand above each other, like the body of a 5 and its bar, are one digit;
a piece far too wide for a digit is cut where it is thinnest. One line of digits, from left to right.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink, validate_strokes
from core.errors import UserError

Ink = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]

MAX_DIGITS = 20  # digits in a line
_FINE = 200  # pixels of a drawing's height while it is cut
_LINE = (
    7  # of them that a line is wide then: thinner than it is drawn, so that neighbours don't touch
)
_EDGE = 1e-3  # of the height: rounding
_PIECES = 200  # strokes, or pieces of ink

# All lengths are shares of the line's height, the median height of what is tall enough for a digit.
_TALL = 0.5  # of the tallest: what is lower is a bar, a dot or a speck
_SPECK = 0.12  # both sides
_NEAR = 0.3  # the widest gap to a digit that a bar belongs to
_ABOVE = (
    0.35  # share of a bar's width that must lie above or below its digit, if it is farther away
)
_TOGETHER = 0.65  # share of the narrower of two tall pieces within the other's columns: two parts of one digit
_BESIDE, _ASTRIDE = (
    0.95,
    0.3,
)  # strokes that touch: wider together, with fewer columns in common, are two digits
_WIDE, _BAR = (
    1.45,
    4.0,
)  # wider than the first for its height: more than one digit; than the second: a mere bar


@dataclass(frozen=True)
class _Piece:
    """A part of the ink that hangs together, or several that make a digit; edges in pixels, the last one outside."""

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

    def with_(self, other: _Piece) -> _Piece:
        return _Piece(
            self.parts + other.parts,
            min(self.left, other.left),
            max(self.right, other.right),
            min(self.top, other.top),
            max(self.bottom, other.bottom),
        )


def segment_ink(ink: npt.NDArray[Any]) -> list[Ink]:
    """The digits in the ink of a picture, as MNIST would show each.

    Args:
        ink: (H, W), ink bright on zero, as `drawing.picture_to_ink` gives it.

    Returns:
        A (28, 28) uint8 for each digit, from left to right; none for a blank picture.

    Raises:
        UserError: as `drawing.to_mnist`, or there are more than MAX_DIGITS digits.
    """
    import cv2

    to_mnist(ink)  # refuses what is no ink
    if not ink.any():
        return []
    mask = (ink > 0.25 * float(ink.max())).astype(np.uint8)
    # A pen that skipped leaves gaps of a pixel or two.
    side = max(3, round(max(ink.shape) / 150) | 1)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    labels = label_digits(closed)
    found = []
    for number in range(1, int(labels.max()) + 1):
        # Its soft edges belong to a digit as well, but not the ink of its neighbours.
        near = cv2.dilate((labels == number).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(
            bool
        )
        found.append(to_mnist(np.where(near & ((labels == number) | (labels == 0)), ink, 0)))
    return found


def segment_strokes(strokes: Any, aspect: float = 1.0) -> list[Ink]:
    """The digits of a drawing, each drawn by itself with a line that fits its size.

    Args:
        strokes: lists of points [x, y], both 0 to 1 from the pad's top left corner.
        aspect: the pad's width for its height.

    Returns:
        A (28, 28) uint8 for each digit, from left to right.

    Raises:
        UserError: as `drawing.strokes_to_ink`, or there are more than MAX_DIGITS digits.
    """
    import cv2

    lines: list[Any] = [line * (aspect, 1.0) for line in validate_strokes(strokes)]
    if not lines:
        return []
    if len(lines) > _PIECES:
        raise UserError("that is no line of digits: it has too many strokes.")
    masks = np.zeros((len(lines), _FINE, round(_FINE * aspect)), np.uint8)
    for mask, line in zip(masks, lines, strict=True):
        pixels = np.round(line * (_FINE - 1)).astype(np.int32)
        cv2.polylines(mask, [pixels.reshape(-1, 1, 2)], False, 1, _LINE)
        cv2.circle(mask, pixels[0].tolist(), _LINE // 2, 1, -1)  # a line of one point is a dot
    found = _arranged(
        _touching(masks), lambda piece: np.asarray(masks[list(piece.parts)].any(axis=0))
    )
    # A stroke that goes through several digits is cut; each takes its points.
    shares = [
        [
            run
            for part in digit.parts
            for run in _within(lines[part], digit.left / (_FINE - 1), digit.right / (_FINE - 1))
        ]
        for digit in found
    ]
    return [to_mnist(strokes_to_ink(_alone(share))) for share in shares if share]


def label_digits(mask: npt.NDArray[Any]) -> Labels:
    """To which digit of a line each pixel of ink belongs.

    Args:
        mask: (H, W), not 0 where there is ink.

    Returns:
        (H, W) int32: 0 for paper and specks, then 1, 2, ... in reading order.

    Raises:
        UserError: there are more than MAX_DIGITS digits.
    """
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (mask != 0).astype(np.uint8), connectivity=8
    )
    if count > _PIECES:
        raise UserError("that is no line of digits: it falls into too many pieces.")
    pieces = [
        _Piece((number,), int(x), int(x + wide), int(y), int(y + tall))
        for number, (x, y, wide, tall, _) in enumerate(stats[1:count].tolist(), 1)
    ]
    result = np.zeros(mask.shape, np.int32)
    for number, digit in enumerate(
        _arranged(pieces, lambda piece: np.isin(labels, piece.parts)), 1
    ):
        columns = slice(digit.left, digit.right)
        result[:, columns][np.isin(labels[:, columns], digit.parts)] = number
    return result


def _arranged(
    pieces: Sequence[_Piece], region: Callable[[_Piece], npt.NDArray[np.bool_]]
) -> list[_Piece]:
    """The digits that pieces of ink make, in reading order; of a piece that is cut, each with its own columns."""
    found = []
    for piece in _together(pieces):
        edges = _cuts(region(piece)[:, piece.left : piece.right], piece)
        found += [replace(piece, left=start, right=end) for start, end in itertools.pairwise(edges)]
    if len(found) > MAX_DIGITS:
        raise UserError(f"there are {len(found)} digits; at most {MAX_DIGITS} in a line are read.")
    return sorted(found, key=lambda digit: digit.left + digit.right)


def _touching(masks: Ink) -> list[_Piece]:
    """The pieces that strokes (N, H, W) make: those that touch, unless they are plainly digits side by side."""
    pieces = []
    for number, mask in enumerate(masks):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        pieces.append(
            _Piece(
                (number,), int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
            )
        )
    low = _TALL * max(piece.height for piece in pieces)
    owner = list(range(len(pieces)))
    for at, one in enumerate(pieces):
        for other in range(at):
            if owner[other] == owner[at] or _gap(one, pieces[other]):
                continue
            both = one.with_(pieces[other])
            apart = (
                min(one.height, pieces[other].height) >= low
                and both.width > _BESIDE * both.height
                and _shared(one, pieces[other]) < _ASTRIDE * min(one.width, pieces[other].width)
            )
            if not apart and (masks[at] & masks[other]).any():
                owner = [owner[other] if each == owner[at] else each for each in owner]
    joined: dict[int, _Piece] = {}
    for mine, piece in zip(owner, pieces, strict=True):
        joined[mine] = joined[mine].with_(piece) if mine in joined else piece
    return list(joined.values())


def _together(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Pieces that make one digit, joined; specks are left out."""
    if not pieces:
        return []
    highest = max(piece.height for piece in pieces)
    line = float(np.median([piece.height for piece in pieces if piece.height >= _TALL * highest]))
    tall = [piece for piece in pieces if piece.height >= _TALL * highest]
    # Widest first, so that a narrow part finds the digit that it lies within.
    whole: list[_Piece] = []
    for piece in sorted(tall, key=lambda each: -each.width):
        host = next(
            (
                at
                for at, other in enumerate(whole)
                if _shared(piece, other) >= _TOGETHER * piece.width and not _beside(piece, other)
            ),
            None,
        )
        if host is None:
            whole.append(piece)
        else:
            whole[host] = whole[host].with_(piece)
    for piece in sorted(
        (each for each in pieces if each not in tall), key=lambda each: -each.height * each.width
    ):
        if max(piece.width, piece.height) < _SPECK * line:
            continue
        at = min(
            range(len(whole)),
            key=lambda each: (_gap(piece, whole[each]), -_shared(piece, whole[each])),
        )
        if (
            _gap(piece, whole[at]) <= _NEAR * line
            or _shared(piece, whole[at]) >= _ABOVE * piece.width
        ):
            whole[at] = whole[at].with_(piece)
        else:
            whole.append(piece)
    return whole


def _shared(one: _Piece, other: _Piece) -> int:
    """Columns that two pieces have in common."""
    return max(0, min(one.right, other.right) - max(one.left, other.left))


def _beside(one: _Piece, other: _Piece) -> bool:
    """Whether two pieces together would be too wide for a digit."""
    both = one.with_(other)
    return both.width > _WIDE * both.height


def _gap(one: _Piece, other: _Piece) -> float:
    """The distance between the boxes of two pieces."""
    across = max(0, one.left - other.right, other.left - one.right)
    down = max(0, one.top - other.bottom, other.top - one.bottom)
    return float(np.hypot(across, down))


def _cuts(region: npt.NDArray[np.bool_], piece: _Piece) -> list[int]:
    """The columns at which a piece is cut, its edges among them: where there is the least ink around each place."""
    shape = piece.width / piece.height
    count = max(2, round(shape / 0.8)) if _WIDE < shape <= _BAR else 1
    ink = region.sum(axis=0)
    share = len(ink) / count
    edges = [0]
    for number in range(1, count):
        low, high = round((number - 0.3) * share), round((number + 0.3) * share) + 1
        low = max(low, edges[-1] + 1)
        if low >= high:
            continue
        # Of equally thin places the one nearest to the middle.
        away = np.abs(np.arange(low, high) - number * share)
        edges.append(low + int(np.lexsort((away, ink[low:high]))[0]))
    return [piece.left + edge for edge in (*edges, len(ink))]


def _within(line: Any, low: float, high: float) -> list[list[list[float]]]:
    """The parts of a line that lie between two places across."""
    inside = (line[:, 0] >= low - _EDGE) & (line[:, 0] <= high + _EDGE)
    edges = [0, *(np.flatnonzero(np.diff(inside)) + 1).tolist(), len(line)]
    return [line[start:end].tolist() for start, end in itertools.pairwise(edges) if inside[start]]


def _alone(lines: list[list[list[float]]]) -> list[list[list[float]]]:
    """A digit's lines moved onto a square pad of the line's height, made smaller if it is wider than that."""
    points = np.concatenate([np.asarray(line) for line in lines])
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    scale = min(1.0, 0.8 / max(float(extent.max()), 1e-9))
    return [((np.asarray(line) - low - extent / 2) * scale + 0.5).tolist() for line in lines]
