"""Augmentation: the kinds of transform, and the check of a list of transforms.

A transform is a plain dict of JSON values, so that a page can show and change it and a checkpoint
can store it. Named lists are in `presets`; `augmenter` applies a list to images. No Albumentations.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core import schema
from core.errors import ConfigError
from core.schema import Field

if TYPE_CHECKING:
    import numpy as np

Transform = dict[str, Any]
MAX_TRANSFORMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(schema.Kind):
    """A kind of transform, and how it is carried out.

    Args:
        build: (albumentations, cv2, row) -> the Albumentations transform. Affine rows that
            Albumentations cannot express are its Affine, changed by `affine.adjust_affine`.
        in_place: (row, images, generator), a faster way to equivalent images, which changes them in
            place; None: there is none.
    """

    build: Callable[[Any, Any, Mapping[str, Any]], Any]
    in_place: Callable[[Mapping[str, Any], np.ndarray, random.Random], None] | None = None


def _number(
    name: str,
    help: str,
    default: float,
    low: float = 0.0,
    high: float = 1.0,
    step: float = 0.01,
    unit: str = "",
) -> Field:
    return Field(name, float, default, help, low, high, step, unit)


def _p(default: float = 0.5) -> Field:
    return _number("p", "Probability that an image is transformed.", default)


_BORDER = Field(
    "border",
    str,
    "black",
    "What fills pixels from outside the image: black, or the image mirrored at its edge.",
    choices=("black", "reflect"),
)


def _border_mode(cv2: Any, row: Mapping[str, Any]) -> int:
    return int(cv2.BORDER_REFLECT_101 if row["border"] == "reflect" else cv2.BORDER_CONSTANT)


def _interval(centre: float, radius: float) -> tuple[float, float]:
    return (centre - radius, centre + radius)


def _affine(A: Any, cv2: Any, row: Mapping[str, Any]) -> Any:
    transform = A.Affine(
        translate_percent=_interval(0, row["shift"]),
        scale=_interval(1, row["scale"]),
        rotate=_interval(0, row["rotate"]),
        shear=_interval(0, row["shear"]),
        keep_ratio=row["aspect"] == "kept",
        border_mode=_border_mode(cv2, row),
        p=row["p"],
        strict=True,
    )
    if row["shifts"] == "whole" and row["centre"] == "middle":
        return transform
    from core.data import affine

    return affine.adjust_affine(transform, row["shifts"], row["centre"])


def _affine_in_place(row: Mapping[str, Any], images: np.ndarray, generator: random.Random) -> None:
    from core.data import affine

    affine.warp(images, row, generator)


def _elastic(A: Any, cv2: Any, row: Mapping[str, Any]) -> Any:
    return A.ElasticTransform(
        alpha=row["alpha"],
        sigma=row["sigma"],
        border_mode=_border_mode(cv2, row),
        p=row["p"],
        strict=True,
    )


def _perspective(A: Any, cv2: Any, row: Mapping[str, Any]) -> Any:
    return A.Perspective(
        scale=(0.0, row["tilt"]), border_mode=_border_mode(cv2, row), p=row["p"], strict=True
    )


def _brightness(A: Any, cv2: Any, row: Mapping[str, Any]) -> Any:
    return A.RandomBrightnessContrast(
        brightness_limit=_interval(0, row["brightness"]),
        contrast_limit=_interval(0, row["contrast"]),
        p=row["p"],
        strict=True,
    )


def _brightness_in_place(
    row: Mapping[str, Any], images: np.ndarray, generator: random.Random
) -> None:
    from core.data import brightness

    brightness.change(row, images, generator)


def _erasing(A: Any, cv2: Any, row: Mapping[str, Any]) -> Any:
    return A.Erasing(scale=(0.02, row["area"]), p=row["p"], strict=True)


def _stroke(A: Any, cv2: Any, row: Mapping[str, Any]) -> Any:
    operation = "dilation" if row["pen"] == "thicker" else "erosion"
    return A.Morphological(scale=(2, 2), operation=operation, p=row["p"], strict=True)


def _blur(A: Any, cv2: Any, row: Mapping[str, Any]) -> Any:
    return A.GaussianBlur(blur_limit=0, sigma_limit=(0.1, row["sigma"]), p=row["p"], strict=True)


def _noise(A: Any, cv2: Any, row: Mapping[str, Any]) -> Any:
    return A.GaussNoise(std_range=(0.0, row["std"]), p=row["p"], strict=True)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "affine",
            "Affine",
            "Shifts, scales, rotates and shears the digit.",
            (
                _number(
                    "shift",
                    "Largest shift in each direction, as a fraction of the image's side.",
                    0.09,
                    high=0.3,
                ),
                _number("scale", "Largest relative change of size.", 0.09, high=0.5),
                _number("rotate", "Largest rotation either way.", 7.0, 0.0, 45.0, 1.0, "degrees"),
                _number("shear", "Largest shear either way.", 0.0, 0.0, 30.0, 1.0, "degrees"),
                Field(
                    "aspect",
                    str,
                    "kept",
                    "Whether width and height are scaled by the same factor (kept) or each by "
                    "its own (free).",
                    choices=("kept", "free"),
                ),
                Field(
                    "shifts",
                    str,
                    "fractional",
                    "Whether the digit is shifted by any distance (fractional), or by whole "
                    "pixels, cut towards 0, as in Albumentations 2.0.8 (whole).",
                    choices=("fractional", "whole"),
                ),
                Field(
                    "centre",
                    str,
                    "middle",
                    "Point about which the digit is scaled, rotated and sheared: the middle of the "
                    "image, at (13.5, 13.5), or the pixel to its lower right, at (14, 14), as in "
                    "the original.",
                    choices=("middle", "pixel 14"),
                ),
                _BORDER,
                _p(),
            ),
            build=_affine,
            in_place=_affine_in_place,
        ),
        Kind(
            "elastic",
            "Elastic",
            "Distorts the strokes smoothly, like a shaky hand (Simard, Steinkraus and Platt, "
            "2003).",
            (
                _number("alpha", "Strength of the distortion.", 20.0, 0.0, 80.0, 1.0),
                _number(
                    "sigma",
                    "Smoothness: standard deviation of the Gaussian over the displacements.",
                    4.0,
                    2.0,
                    10.0,
                    0.5,
                    "pixels",
                ),
                _BORDER,
                _p(),
            ),
            build=_elastic,
        ),
        Kind(
            "perspective",
            "Perspective",
            "Shows the digit from a slight angle.",
            (
                _number(
                    "tilt",
                    "Largest displacement of the corners, as a fraction of the image's side.",
                    0.08,
                    0.01,
                    0.3,
                ),
                _BORDER,
                _p(),
            ),
            build=_perspective,
        ),
        Kind(
            "brightness",
            "Brightness and contrast",
            "Changes brightness and contrast.",
            (
                _number(
                    "brightness",
                    "Largest change of brightness, as a fraction of white.",
                    0.2,
                    high=0.8,
                ),
                _number("contrast", "Largest relative change of contrast.", 0.2, high=0.8),
                _p(),
            ),
            build=_brightness,
            in_place=_brightness_in_place,
        ),
        Kind(
            "erasing",
            "Random erasing",
            "Erases one rectangle (Zhong et al., 2017).",
            (
                _number(
                    "area",
                    "Largest area of the rectangle, as a fraction of the image. The smallest "
                    "is 0.02.",
                    0.12,
                    0.02,
                    0.3,
                ),
                _p(),
            ),
            build=_erasing,
        ),
        Kind(
            "stroke",
            "Stroke width",
            "Makes the strokes about a pixel thicker or thinner.",
            (
                Field(
                    "pen",
                    str,
                    "thicker",
                    "Whether strokes become thicker (dilation) or thinner (erosion).",
                    choices=("thicker", "thinner"),
                ),
                _p(0.2),
            ),
            build=_stroke,
        ),
        Kind(
            "blur",
            "Blur",
            "Blurs the image with a Gaussian.",
            (
                _number(
                    "sigma",
                    "Largest standard deviation of the Gaussian.",
                    0.8,
                    0.1,
                    3.0,
                    0.1,
                    "pixels",
                ),
                _p(0.3),
            ),
            build=_blur,
        ),
        Kind(
            "noise",
            "Noise",
            "Adds Gaussian noise to every pixel.",
            (
                _number(
                    "std",
                    "Largest standard deviation of the noise, as a fraction of white.",
                    0.1,
                    high=0.5,
                ),
                _p(0.3),
            ),
            build=_noise,
        ),
    )
}


def complete(row: Any, number: int = 1) -> Transform:
    """One transform with its values checked and defaults for those left out.

    Args:
        row: `{"kind": ..., parameter: value, ...}`.
        number: the transform's position, counted from 1, for the error.

    Raises:
        ConfigError: unknown kind or parameter, or a wrong value; the message names the transform.
    """
    with schema.raising(lambda message: ConfigError(f"transform {number}: {message}")):
        return schema.check_row(row, KINDS, "a transform")


def check(transforms: Iterable[Any]) -> tuple[Transform, ...]:
    """A list of transforms, each checked and completed.

    Raises:
        ConfigError: as `complete`, or there are more than MAX_TRANSFORMS.
    """
    rows = tuple(transforms)
    if len(rows) > MAX_TRANSFORMS:
        raise ConfigError(f"{len(rows)} transforms are too many; the limit is {MAX_TRANSFORMS}.")
    return tuple(complete(row, number) for number, row in enumerate(rows, 1))
