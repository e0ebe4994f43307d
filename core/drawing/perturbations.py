"""A digit shifted, turned, scaled, thickened: by one amount, or over a whole range to see where an answer tips over.

Pictures in, pictures out; what a network says of them is in `predictions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError, listed

Image = npt.NDArray[np.uint8]
Images = npt.NDArray[np.uint8]

SIDE = 28
_FINE = 8  # the work is done on so many pixels for one, so that strokes move and grow by less than a pixel


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One way to change a digit.

    Args:
        title: in a word.
        help: what it does, in a line.
        low, high, step: the range.
        neutral: the amount that changes nothing.
        unit: of the amount.
    """

    title: str
    help: str
    low: float
    high: float
    step: float
    neutral: float
    unit: str

    def amounts(self) -> list[float]:
        """Every amount of the range, from low to high."""
        return [
            round(self.low + at * self.step, 6)
            for at in range(round((self.high - self.low) / self.step) + 1)
        ]


PERTURBATIONS = {
    "right": Perturbation(
        "Right", "Moves it to the right, or to the left below 0.", -10, 10, 0.5, 0, "px"
    ),
    "down": Perturbation("Down", "Moves it down, or up below 0.", -10, 10, 0.5, 0, "px"),
    "turn": Perturbation(
        "Turn", "Turns it clockwise about the middle of the image.", -90, 90, 3, 0, "°"
    ),
    "size": Perturbation(
        "Size", "Scales it about the middle of the image.", 0.4, 1.6, 0.05, 1, "×"
    ),
    "thickness": Perturbation(
        "Thickness", "Widens its strokes by so much, or thins them below 0.", -3, 4, 0.25, 0, "px"
    ),
}


def perturb(image: Image, **amounts: float) -> Image:
    """A digit changed: its strokes thickened or thinned, then scaled and turned, then moved.

    Args:
        image: (28, 28) uint8, ink bright.
        amounts: by the names in PERTURBATIONS; what is left out stays as it is.

    Returns:
        (28, 28) uint8; with nothing to change, the image itself.

    Raises:
        UserError: there is no such perturbation, or the amount is out of its range.
    """
    import cv2

    asked = _checked(amounts)
    if all(asked[name] == perturbation.neutral for name, perturbation in PERTURBATIONS.items()):
        return image
    # Pixels stay squares: brought back to size they are what they were, so that the smallest perturbation changes least.
    fine = np.kron(image, np.ones((_FINE, _FINE), np.uint8))
    fine = _thickened(fine, asked["thickness"])
    centre = (SIDE * _FINE - 1) / 2
    # OpenCV turns counter-clockwise.
    way: Any = cv2.getRotationMatrix2D((centre, centre), -asked["turn"], asked["size"])
    way[:, 2] += asked["right"] * _FINE, asked["down"] * _FINE
    moved = cv2.warpAffine(fine, way, fine.shape[::-1], flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(moved, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def perturb_over_range(image: Image, name: str, **others: float) -> tuple[list[float], Images]:
    """A digit at every amount of one perturbation, the others held.

    Args:
        image: (28, 28) uint8.
        name: of the perturbation.
        others: amounts of the others.

    Returns:
        The amounts, and (N, 28, 28) uint8, one image for each.

    Raises:
        UserError: as `perturb`.
    """
    if name not in PERTURBATIONS:
        raise UserError(f"a digit can be changed by {listed(PERTURBATIONS)}, not {name[:40]!r}.")
    amounts = PERTURBATIONS[name].amounts()
    return amounts, np.stack([perturb(image, **{**others, name: amount}) for amount in amounts])


def _thickened(fine: Any, pixels: float) -> Any:
    """Strokes wider or narrower by so many pixels of the image, half on each side."""
    import cv2

    radius = round(abs(pixels) * _FINE / 2)
    if not radius:
        return fine
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(fine, disc) if pixels > 0 else cv2.erode(fine, disc)


def _checked(amounts: Mapping[str, float]) -> dict[str, float]:
    found = {name: perturbation.neutral for name, perturbation in PERTURBATIONS.items()}
    for name, amount in amounts.items():
        if name not in PERTURBATIONS:
            raise UserError(
                f"a digit can be changed by {listed(PERTURBATIONS)}, not {name[:40]!r}."
            )
        perturbation = PERTURBATIONS[name]
        if (
            not isinstance(amount, int | float)
            or not perturbation.low <= amount <= perturbation.high
        ):
            raise UserError(
                f"{name} goes from {perturbation.low:g} to {perturbation.high:g} {perturbation.unit}, not {str(amount)[:20]}."
            )
        found[name] = amount
    return found
