"""Perturbations of a digit: shift, rotation, scale and stroke width, by one amount or over a range.

Images in, images out; what a network predicts for them is computed in `core.insight.predictions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError, listed

Image = npt.NDArray[np.uint8]  # one image, or a batch of them

SIDE = 28
# Pixels are enlarged by this factor first, so that strokes can move and grow by less than a pixel.
ENLARGEMENT = 8


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One kind of change to a digit.

    Args:
        title: Name of the control.
        help: What it does, in one line.
        low, high, step: Range of amounts.
        neutral: The amount that changes nothing.
        unit: Unit of the amount.
    """

    title: str
    help: str
    low: float
    high: float
    step: float
    neutral: float
    unit: str

    def amounts(self) -> list[float]:
        """List every amount of the range, from low to high."""
        steps = round((self.high - self.low) / self.step)
        return [round(self.low + number * self.step, 6) for number in range(steps + 1)]


PERTURBATIONS = {
    "right": Perturbation(
        "Right",
        "Shift to the right; negative amounts shift to the left.",
        -10,
        10,
        0.5,
        0,
        "px",
    ),
    "down": Perturbation(
        "Down", "Shift downwards; negative amounts shift upwards.", -10, 10, 0.5, 0, "px"
    ),
    "turn": Perturbation(
        "Turn", "Clockwise rotation about the centre of the image.", -90, 90, 3, 0, "°"
    ),
    "size": Perturbation("Size", "Scale about the centre of the image.", 0.4, 1.6, 0.05, 1, "×"),
    "thickness": Perturbation(
        "Thickness", "Widen the strokes; negative amounts thin them.", -3, 4, 0.25, 0, "px"
    ),
}


def perturb(image: Image, **amounts: float) -> Image:
    """Change the stroke width of a digit, then scale and rotate it, then shift it.

    Args:
        image: (28, 28) uint8, ink bright.
        amounts: Keyed by the names in PERTURBATIONS; the others stay neutral.

    Returns:
        (28, 28) uint8; the image itself if every amount is neutral.

    Raises:
        UserError: A perturbation is unknown, or its amount out of range.
    """
    import cv2

    complete = _check_and_complete(amounts)
    if all(complete[name] == kind.neutral for name, kind in PERTURBATIONS.items()):
        return image

    # Enlarged pixels stay squares, so an image that is only enlarged and reduced is unchanged.
    large = np.kron(image, np.ones((ENLARGEMENT, ENLARGEMENT), np.uint8))
    large = _change_thickness(large, complete["thickness"])

    centre = (SIDE * ENLARGEMENT - 1) / 2
    # OpenCV's positive angles are counter-clockwise.
    matrix: Any = cv2.getRotationMatrix2D((centre, centre), -complete["turn"], complete["size"])
    matrix[:, 2] += complete["right"] * ENLARGEMENT, complete["down"] * ENLARGEMENT
    moved = cv2.warpAffine(large, matrix, large.shape[::-1], flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(moved, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def perturb_over_range(image: Image, name: str, **others: float) -> tuple[list[float], Image]:
    """Apply every amount of one perturbation, with the others fixed.

    Args:
        image: (28, 28) uint8.
        name: The perturbation that varies.
        others: Amounts of the others.

    Returns:
        The amounts, and (N, 28, 28) uint8 with one image per amount.

    Raises:
        UserError: As `perturb`.
    """
    amounts = _find(name).amounts()
    return amounts, np.stack([perturb(image, **{**others, name: amount}) for amount in amounts])


def _change_thickness(large: Any, pixels: float) -> Any:
    """Widen or thin the strokes by `pixels`, measured in the original image, half on each side."""
    import cv2

    radius = round(abs(pixels) * ENLARGEMENT / 2)
    if not radius:
        return large
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(large, disc) if pixels > 0 else cv2.erode(large, disc)


def _find(name: str) -> Perturbation:
    if name not in PERTURBATIONS:
        raise UserError(f"unknown perturbation {name[:40]!r}; choose {listed(PERTURBATIONS)}.")
    return PERTURBATIONS[name]


def _check_and_complete(amounts: Mapping[str, float]) -> dict[str, float]:
    """Check amounts, and add the neutral amount of every other perturbation.

    Raises:
        UserError: A perturbation is unknown, or its amount out of range.
    """
    for name, amount in amounts.items():
        kind = _find(name)
        if not isinstance(amount, int | float) or not kind.low <= amount <= kind.high:
            raise UserError(
                f"{name} must lie between {kind.low:g} and {kind.high:g} {kind.unit}, "
                f"not {str(amount)[:20]}."
            )
    return {name: amounts.get(name, kind.neutral) for name, kind in PERTURBATIONS.items()}
