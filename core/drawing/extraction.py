"""The ink of the digits in a picture, without what lies around them.

`extract_ink` inverts a picture of light ink (`is_dark_on_light`), so that ink is dark from there
on, and searches a reduced picture. A digit that is small on its page is then cut out, and the
search is repeated there at full resolution. A search takes these steps, a function each:

1. A frame along the edges is cut off (`lines.crop_frame`).
2. The brightness of the paper is estimated at every pixel and divided out, which removes shade
   (`flatten`).
3. Whatever is darker than its paper by more than the paper's grain is ink (`_measure_paper`).
4. Ruled lines and squares are removed (`lines.remove_lines`).
5. Of the connected components of ink, those that make digits are kept (`choose_components`).

Last, strokes far thinner or thicker than MNIST's are widened or thinned (`pen.adjust_pen`).
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from core.drawing.components import choose_components
from core.drawing.lines import crop_frame, remove_lines
from core.drawing.pen import adjust_pen

Ink = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

MAX_SIDE, MIN_SIDE = 800, 140  # pixels: range of the longer side that pictures are scaled to
CLOSE_UP = 0.5  # ink that is smaller than this, as a fraction of the page, is looked at again
MARGIN = 0.4  # around a close-up, as a fraction of the ink's size

# Contrast is 0 on paper, 1 on black.
DARKEST_PAPER = 16  # grey value: the contrast on black paper would be mere noise
MIN_CONTRAST = 12 / 255  # anything fainter is grain
NOISES = 5.0  # standard deviations of the paper's noise that make ink
# Lowest contrast of ink as a fraction of the darkest: soft edges on a clean picture. If what it
# finds reaches the edges, it may be a line or a shadow, and higher ones are tried.
THRESHOLDS = (0.1, 0.35, 0.5)
EDGE = 0.3  # of the darkest ink: where a digit ends
BIMODAL = 0.82  # separability (Otsu) of a picture with two grey values; evenly spread ones: 0.75
FEW = 8  # pixels of ink that a small digit has in a picture of 96x96
NARROW = 2.2  # longer over shorter side; only an upright 1 fills such a picture


def extract_ink(grey: Floats) -> Ink:
    """Extract the ink of the digits in a picture.

    Args:
        grey: (H, W) from 0 to 255, dark ink on light paper or light ink on dark paper.

    Returns:
        (h, w) uint8, ink bright on 0: the picture, or the part of it around the ink, reduced or
        enlarged. All zeros if nothing stands out.
    """
    page = _resize(grey)
    if not is_dark_on_light(page[crop_frame(page)]):
        page, grey = 255 - page, 255 - grey
    ink = _find_ink(page)
    box = _bounding_box(ink)
    if box is not None:
        top, bottom, left, right = box
        size = max(bottom - top, right - left)
        if size < CLOSE_UP * max(page.shape):
            scale = len(grey) / len(page)
            margin = MARGIN * size
            rows = slice(max(0, int((top - margin) * scale)), int((bottom + margin) * scale) + 1)
            columns = slice(max(0, int((left - margin) * scale)), int((right + margin) * scale) + 1)
            close_up = _find_ink(_resize(grey[rows, columns]))
            if close_up.any():
                ink = close_up
    return adjust_pen(ink)


def _find_ink(grey: Floats) -> Ink:
    """Find the dark ink in a picture (H, W) from 0 to 255; return it as (H, W) uint8."""
    import cv2

    result = np.zeros(grey.shape, np.uint8)
    rows, columns = crop_frame(grey)
    inside = grey[rows, columns]
    noise = _estimate_noise(inside)
    if noise > 1:
        sigma = max(inside.shape) / 500 + 0.5
        inside = np.asarray(cv2.GaussianBlur(inside, (0, 0), sigma), np.float32)
    contrast = flatten(inside)
    darkest = float(cv2.GaussianBlur(contrast, (0, 0), 1.0).max())
    middle, spread = _measure_paper(contrast, 0.5 * darkest)
    contrast, darkest = np.maximum(contrast - middle, 0), darkest - middle
    if darkest < max(MIN_CONTRAST, NOISES * spread):
        return result

    chosen = None
    for threshold in THRESHOLDS:
        level = min(max(threshold * darkest, NOISES * spread), 0.6 * darkest)
        mask = remove_lines((contrast > level).astype(np.uint8))
        found = choose_components(mask, contrast)
        if chosen is None:
            chosen = found
        if found.any() and not _touches_edge(found):
            chosen = found
            break
    if chosen is None or not chosen.any():
        return result
    full = float(np.percentile(contrast[chosen], 95))
    ink = np.where(chosen, np.minimum(contrast / full, 1), 0)
    result[rows, columns] = np.round(255 * _trim(ink))
    return result


def is_dark_on_light(grey: Floats) -> bool:
    """Return whether the ink of a picture (H, W) is darker than its background."""
    import cv2

    scale = min(1.0, 96 / max(grey.shape))
    size = [max(4, round(side * scale)) for side in grey.shape[::-1]]
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).round().astype(np.uint8)
    _, bright = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    light, dark = small[bright == 1].astype(float), small[bright == 0].astype(float)
    if not light.size or not dark.size:
        return True
    border = np.concatenate([bright[0], bright[-1], bright[:, 0], bright[:, -1]])
    between = light.size * dark.size / small.size**2 * (light.mean() - dark.mean()) ** 2
    if between >= BIMODAL * max(float(small.var()), 1e-9):
        height, width = small.shape
        if max(height, width) > NARROW * min(height, width) and 0.1 < border.mean() < 0.9:
            # A 1 that fills a narrow picture covers most of its edges, and all of its centre.
            centre = bright[height // 4 : -(height // 4), width // 3 : -(width // 3)].mean()
            if abs(centre - 0.5) > 0.35:
                return bool(centre < 0.5)
        # Most of the edges are background, even where a picture is cut at its ink.
        return bool(border.mean() >= 0.5)
    # A shaded picture: ink covers less than half of any neighbourhood, so that a wide median is
    # the background, and ink is what departs from it most.
    square = np.asarray(cv2.resize(small, (96, 96), interpolation=cv2.INTER_AREA), np.float32)
    even = np.clip(square * (square.mean() / _fit_light(square)), 0, 255).astype(np.uint8)
    departure = np.sort(even.astype(float) - cv2.medianBlur(even, 61), axis=None)
    darker, lighter = -departure[:FEW].mean(), departure[-FEW:].mean()
    return bool(lighter <= max(darker, 8))  # a blank page is taken for light


def flatten(grey: Floats) -> Floats:
    """Divide a picture by the brightness of its paper.

    Light multiplies, so the quotient does not depend on how it falls on the page.

    Args:
        grey: (H, W), ink dark.

    Returns:
        (H, W): about 0 on paper, 1 for black ink.
    """
    import cv2

    scale = min(1.0, 128 / max(grey.shape))
    size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
    small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)
    slope = _fit_light(small)
    small = np.asarray(small / slope, np.float32)
    longer = max(small.shape)
    # A closing fills everything dark that is narrower than its kernel.
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (round(0.45 * longer) | 1,) * 2)
    filled = np.asarray(cv2.morphologyEx(small, cv2.MORPH_CLOSE, kernel), np.float32)
    departure = np.clip(255 * (1 - small / np.maximum(filled, 0.01)), 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(departure, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    ink = (departure > max(level, 255 * MIN_CONTRAST)).astype(np.uint8)
    # Behind the ink, the paper is as bright as the paper around it.
    weight = 1.0 - cv2.dilate(ink, np.ones((3, 3), np.uint8)).astype(np.float32)
    blurred = cv2.GaussianBlur(small * weight, (0, 0), longer / 10)
    weights = cv2.GaussianBlur(weight, (0, 0), longer / 10)
    paper = np.where(weights > 0.02, blurred / np.maximum(weights, 0.02), filled) * slope
    full = cv2.resize(paper.astype(np.float32), grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray((full - grey) / np.maximum(full, DARKEST_PAPER), np.float32)


def _fit_light(small: Floats) -> Floats:
    """Fit the brightness of the paper (H, W) by a polynomial of second degree.

    Nearly every block of a picture has some paper, so the fit is to the bright part of each;
    blocks that are all ink depart from it and are left out.
    """
    height, width = small.shape
    points, values = [], []
    for rows, columns in _blocks(small, 8):
        y, x = (rows.start + rows.stop) / 2 / height, (columns.start + columns.stop) / 2 / width
        points.append((y - 0.5, x - 0.5))
        values.append(np.percentile(small[rows, columns], 80))
    bright = np.array(values)
    y, x = np.array(points).T
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)  # (blocks, 6)
    if 8 * min(small.shape) < 5 * max(small.shape):
        terms = terms[:, :1]  # most blocks of a narrow picture may be all ink
    kept = np.ones(len(bright), np.bool_)
    for _ in range(6):
        factors = np.linalg.lstsq(terms[kept], bright[kept], rcond=None)[0]
        apart = bright - terms @ factors
        spread = 1.4826 * float(np.median(np.abs(apart[kept])))
        kept = apart > -2.5 * max(spread, 1.0)
        if kept.sum() < 2 * terms.shape[1]:
            break
    y, x = np.mgrid[:height, :width].astype(np.float64)
    y, x = (y + 0.5) / height - 0.5, (x + 0.5) / width - 0.5
    light = np.zeros(small.shape)
    for factor, term in zip(factors, (1, x, y, x * x, x * y, y * y), strict=False):
        light = light + factor * term
    return np.asarray(np.maximum(light, max(1.0, 0.1 * float(bright.max()))), np.float32)


def _estimate_noise(grey: Floats) -> float:
    """Estimate the standard deviation of the noise in grey values.

    Source: Immerkær, Fast noise variance estimation (1996); here with the median instead of the
    mean, which the edges of strokes do not change.
    """
    import cv2

    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.median(np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel)))) / 0.6745 / 6


def _measure_paper(contrast: Floats, most: float) -> tuple[float, float]:
    """Measure the paper, which is whatever has less contrast than `most`.

    Returns:
        The median of the contrast, and its standard deviation in the grainier parts of the page:
        in shade, grain has more contrast.
    """
    paper = np.where(contrast < most, contrast, np.nan)
    middle = float(np.nanmedian(paper)) if (contrast < most).any() else 0.0
    spreads = []
    for block in _blocks(paper, 6):
        values = paper[block][np.isfinite(paper[block])]
        if len(values) > 0.9 * paper[block].size:  # no edges of strokes
            spreads.append(1.4826 * float(np.median(np.abs(values - middle))))
    if not spreads:  # a picture cut at its ink
        return middle, 2 * _estimate_noise(contrast)
    return middle, float(np.percentile(spreads, 85))


def _blocks(grey: Floats, count: int) -> list[tuple[slice, slice]]:
    """Divide a picture (H, W) into nearly square blocks, `count` along its longer side."""
    splits = []
    for side in grey.shape:
        number = max(1, min(side, count * side // max(grey.shape)))
        edges = np.linspace(0, side, number + 1).astype(int).tolist()
        splits.append([slice(start, end) for start, end in itertools.pairwise(edges)])
    return list(itertools.product(splits[0], splits[1]))


def _trim(ink: Floats) -> Floats:
    """Clear soft edges outside the box of what is clearly ink, which would make the digit smaller.

    MNIST's digits were cut at the edges of black and white images.
    """
    box = _bounding_box(ink > EDGE)
    if box is None:
        return ink
    top, bottom, left, right = box
    result = np.zeros_like(ink)
    result[top:bottom, left:right] = ink[top:bottom, left:right]
    return result


def _touches_edge(mask: npt.NDArray[np.bool_]) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _bounding_box(ink: npt.NDArray[Any]) -> tuple[int, int, int, int] | None:
    """Return top, bottom, left and right (exclusive) of the ink, or None if there is none."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _resize(grey: Floats) -> Floats:
    """Reduce a large picture, and enlarge the pixels of a small one."""
    import cv2

    longer = max(grey.shape)
    if longer > MAX_SIDE:
        size = [max(1, round(side * MAX_SIDE / longer)) for side in grey.shape[::-1]]
        return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)
    factor = -(-MIN_SIDE // longer)
    return np.repeat(np.repeat(grey, factor, axis=0), factor, axis=1).astype(np.float32)
