"""The width of a pen, brought near that of MNIST's digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ink = npt.NDArray[np.uint8]

# Width of a stroke as a fraction of the digit's longer side.
THINNEST, THICKEST = 0.08, 0.22


def adjust_pen(ink: Ink) -> Ink:
    """Widen strokes far thinner than MNIST's, and thin those far thicker.

    Args:
        ink: (H, W), ink bright on 0, one or several digits.

    Returns:
        (h, w) uint8: the ink itself if its strokes are neither; if they are widened, with a margin
        on all sides, half as wide as what they gain.
    """
    import cv2

    mask = (ink > 127).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count == 1:
        return ink
    sizes = stats[1:, 2:4].max(axis=1)
    size = float(np.median(sizes[sizes >= 0.5 * sizes.max()]))
    width = stroke_width(mask)
    wanted = min(max(width, THINNEST * size), THICKEST * size)
    radius = round(abs(wanted - width) / 2)
    if not radius:
        return ink
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    if wanted < width:
        return np.asarray(cv2.erode(ink, disc), np.uint8)
    return np.asarray(cv2.dilate(np.pad(ink, radius), disc), np.uint8)


def stroke_width(mask: npt.NDArray[Any]) -> float:
    """Estimate the width of the strokes in a mask (H, W) in pixels.

    Across a stroke of width w, the distance to its edges is w / 4 on average, counted to the
    nearest pixel outside half a pixel more.
    """
    import cv2

    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)
    inside = distance[distance > 0]
    return max(1.0, 4 * float(inside.mean()) - 2) if inside.size else 0.0
