"""Frames and ruled lines around a digit, found by their geometry.

A frame runs along all four edges of a picture. A line is thin, straight and crosses the picture
from edge to edge, which no stroke of a digit does unless the picture is cut at its ink.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

# Of a side of the picture.
MAX_FRAME = 0.13  # a frame's thickness, with the paper outside
MAX_LINE = 0.035  # a line's thickness
MIN_CHORD = 0.4  # length of a line within the picture
FRAME_COVERED = 0.9  # of an edge, by its frame
LINE_COVERED = 0.8  # of a line's length, by ink
FRAME_CONTRAST = 0.3  # of the range of grey values, between a frame and what it encloses

SEARCH_SIDE = 400  # pixels: a reduced mask is enough to find lines
ANGLES = np.tan(np.radians(np.arange(-12, 12.1, 0.5)))  # slopes: pages are turned by a few degrees
MAX_LINES = 60
PASSES = 3  # the lines of a page that is seen at an angle are not parallel


@dataclass(frozen=True)
class _Line:
    """A nearly horizontal line y = start + slope x, in pixels of a mask."""

    start: float
    slope: float
    width: float


def crop_frame(grey: Floats) -> tuple[slice, slice]:
    """Find what a frame encloses.

    Args:
        grey: (H, W), 0 to 255. The frame may be darker or lighter than the rest, and may have a
            little paper outside.

    Returns:
        Rows and columns inside the frame; all of them if the picture has no frame.
    """
    import cv2

    everything = slice(0, grey.shape[0]), slice(0, grey.shape[1])
    smooth: Floats = np.asarray(cv2.blur(grey, (3, 3)), np.float32)
    least = FRAME_CONTRAST * float(np.subtract(*np.percentile(smooth, [99.5, 0.5])))
    if least <= 0:
        return everything
    for sign in (-1, 1):  # dark frames, light frames
        signed = sign * smooth
        depths = [
            _frame_depth(side, least) for side in (signed, signed[::-1], signed.T, signed.T[::-1])
        ]
        if all(depths):
            height, width = grey.shape
            top, bottom, left, right = depths
            inside = slice(top, height - bottom), slice(left, width - right)
            # A 0 that fills the picture looks like a frame, but nothing is in it, and its soft
            # edges look like a light frame, but what they enclose is not the same all around.
            edges = _border(signed[inside])
            unlike = float((edges < _border(signed).mean() - least).mean())
            if np.ptp(smooth[inside]) > least and unlike >= (0.5 if sign < 0 else 0.8):
                return inside
    return everything


def _border(grey: Floats) -> Floats:
    """Return the pixels at the edges of a picture (H, W)."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _frame_depth(side: Floats, least: float) -> int:
    """Return how many rows at the top of a side belong to a frame brighter than the rest."""
    deepest = max(3, round(MAX_FRAME * len(side)))
    rows = side[: deepest + 1, side.shape[1] // 40 : side.shape[1] - side.shape[1] // 40]
    enclosed = float(np.quantile(rows[-1], 0.2))  # a digit may cover most of the row
    covered = np.quantile(rows[:-1], 1 - FRAME_COVERED, axis=1)
    frame = np.flatnonzero(covered > enclosed + least)
    if not len(frame):
        return 0
    depth = int(frame[-1]) + 1
    return depth + 2 + len(side) // 200 if depth < deepest else 0  # soft edges go, too


def remove_lines(mask: Mask) -> Mask:
    """Remove ruled lines and squares from a mask of ink.

    A line's pixels stay where ink crosses it, which is where the mask is higher than the line.

    Args:
        mask: (H, W), 1 where there is ink.

    Returns:
        (H, W); the mask itself if it has no lines, or if the lines seem to be strokes of a digit
        that fills the picture.
    """
    count, remaining = 0, mask
    for _ in range(PASSES):
        across, remaining = _remove_horizontal(remaining)
        down, turned = _remove_horizontal(np.ascontiguousarray(remaining.T))
        remaining = np.ascontiguousarray(turned.T)
        if not across + down:
            break
        count += across + down
    if not count or (count <= 2 and _fills_picture(remaining)):
        return mask
    return remaining


def _fills_picture(mask: Mask) -> bool:
    """Return whether nothing is left, or the largest component touches an edge of the picture."""
    import cv2

    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count == 1:
        return True
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    left, top, width, height = stats[largest, :4].tolist()
    rows, columns = mask.shape
    if max(width, height) < 0.04 * max(mask.shape):
        return True
    return bool(min(left, top, columns - left - width, rows - top - height) <= 1)


def _remove_horizontal(mask: Mask) -> tuple[int, Mask]:
    """Remove nearly horizontal lines; return how many there were, and the mask without them."""
    import cv2

    lines = _find_lines(mask)
    remaining = mask
    for line in lines:
        band = np.zeros_like(mask)
        last = mask.shape[1] - 1
        ends = [(x, round(line.start + line.slope * x)) for x in (0, last)]
        cv2.line(band, ends[0], ends[1], 1, max(1, round(line.width) + 3))
        inside = remaining & band
        heights = inside.sum(axis=0)
        if not heights.any():
            continue
        thickness = float(np.median(heights[heights > 0]))
        # An opening keeps columns of ink that are higher than the line: strokes that cross it.
        higher = np.ones((int(1.5 * thickness + 2), 1), np.uint8)
        strokes = np.asarray(cv2.morphologyEx(remaining, cv2.MORPH_OPEN, higher), np.uint8)
        remaining = np.where(inside > strokes, 0, remaining).astype(np.uint8)
    return len(lines), remaining


def _find_lines(mask: Mask) -> list[_Line]:
    """Find nearly horizontal lines of one slope: rows of a sheared mask that are full of ink."""
    import cv2

    scale = max(1.0, max(mask.shape) / SEARCH_SIDE)
    size = [max(1, round(side / scale)) for side in mask.shape[::-1]]
    reduced = cv2.resize(mask * 255, size, interpolation=cv2.INTER_AREA) > 80
    # Three rows high, a line stays full although its slope is between two of ANGLES.
    small = cv2.dilate(reduced.astype(np.uint8), np.ones((3, 1), np.uint8))
    height, width = small.shape
    rows, columns = np.nonzero(small)

    best: list[_Line] = []
    best_score = 0.0
    for slope in ANGLES:
        first = -int(np.ceil(abs(slope) * width)) if slope > 0 else 0
        starts = np.arange(first, height + int(np.ceil(abs(slope) * width)) + 1)
        hits = np.bincount(
            np.round(rows - columns * slope).astype(int) - first, minlength=len(starts)
        )[: len(starts)]
        chords = _chord_lengths(starts, slope, height, width)
        covered = np.where(chords >= MIN_CHORD * width, hits / np.maximum(chords, 1), 0)
        full = covered >= LINE_COVERED
        score = float((covered[full] ** 2).sum())
        if score > best_score:
            best_score = score
            best = _group_rows(full, starts, float(slope), scale, MAX_LINE * min(height, width))
    return best[:MAX_LINES]


def _chord_lengths(
    starts: npt.NDArray[Any], slope: float, height: int, width: int
) -> npt.NDArray[Any]:
    """Return how many columns each line y = start + slope x spends within the picture."""
    if abs(slope) < 1e-9:
        return np.where((starts >= 0) & (starts < height), float(width), 0.0)
    at_top, at_bottom = -starts / slope, (height - 1 - starts) / slope
    enter = np.clip(np.minimum(at_top, at_bottom), 0, width)
    leave = np.clip(np.maximum(at_top, at_bottom), 0, width)
    return np.asarray(leave - enter)


def _group_rows(
    full: npt.NDArray[np.bool_], starts: npt.NDArray[Any], slope: float, scale: float, most: float
) -> list[_Line]:
    """Make a line of each run of full rows that is thin enough."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], full, [False]]).astype(int)))
    lines = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if end - start - 2 <= most + 1:  # the mask was dilated by two rows
            centre = (float(starts[start]) + float(starts[end - 1])) / 2
            lines.append(_Line((centre + 0.5) * scale - 0.5, slope, (end - start) * scale))
    return lines
