"""Connected components of ink: which of them make the digits of a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

# Sizes are the longer side of a box, as fractions of the main component's.
DIGIT = 0.35  # a component of this size may be another digit
PIECE_GAP = 0.3  # widest gap between a digit and a piece of it
PIECE_AREA = 0.005  # smallest area of a piece, as a fraction of the main component's
ENCLOSED = 0.15  # size of a digit within a frame
FAINT = 0.35  # lowest mean contrast, as a fraction of the main component's
HOLLOW = 0.2  # area of a frame, or of the remains of lines, as a fraction of its box


def choose_components(mask: Mask, contrast: Floats) -> npt.NDArray[np.bool_]:
    """Choose the components of ink that make digits.

    The main component has the most ink, unless it is a frame around another one. Kept with it are
    components of a similar size, and pieces beside it; specks, faint marks and whatever reaches
    the edge of the picture go, unless the main component reaches it, too.

    Args:
        mask: (H, W), 1 where there is ink.
        contrast: (H, W), how dark the ink is.

    Returns:
        (H, W); all False if there is no ink.
    """
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count == 1:
        return np.zeros(mask.shape, np.bool_)
    left, top, width, height, area = (stats[1:, column].astype(float) for column in range(5))
    right, bottom = left + width, top + height
    size = np.maximum(width, height)
    ink = np.bincount(labels.ravel(), weights=contrast.ravel(), minlength=count)[1:]
    mean = ink / area
    at_edge = (
        (left <= 1) | (top <= 1) | (right >= mask.shape[1] - 1) | (bottom >= mask.shape[0] - 1)
    )

    main = int(ink.argmax())
    candidates = np.ones(len(ink), np.bool_)
    while area[main] < HOLLOW * width[main] * height[main]:
        inside = (
            (left > left[main])
            & (top > top[main])
            & (right < right[main])
            & (bottom < bottom[main])
            & (size >= ENCLOSED * size[main])
            & (mean >= FAINT * mean[main])
            & candidates
        )
        if not inside.any():
            break
        candidates[main] = False
        main = int(np.where(inside, ink, -1).argmax())

    across = np.maximum(0, np.maximum(left - right[main], left[main] - right))
    down = np.maximum(0, np.maximum(top - bottom[main], top[main] - bottom))
    beside = np.hypot(across, down) <= PIECE_GAP * size[main]
    piece = beside & (area >= PIECE_AREA * area[main])
    keep = candidates & (mean >= FAINT * mean[main]) & (piece | (size >= DIGIT * size[main]))
    if not at_edge[main]:
        keep &= ~at_edge
    keep[main] = True
    return np.asarray(np.concatenate([[False], keep])[labels])
