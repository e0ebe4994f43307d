"""What may happen to a training image: the kinds of transform, the presets made of them, and the Augmenter.

A transform is a plain dict of JSON values, so that a page can show and change it and a checkpoint can store it.
Albumentations is imported only when images are transformed; how batches reach the device is in `batches`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.config import RunConfig
from core.errors import ConfigError, listed

if TYPE_CHECKING:
    import numpy as np

Transform = dict[str, Any]
MAX_TRANSFORMS = 20


@dataclass(frozen=True, slots=True)
class Parameter:
    """One setting of a kind: a number between `low` and `high`, or a word out of `choices`."""

    name: str
    help: str
    default: float | str
    low: float = 0.0
    high: float = 1.0
    step: float = 0.01
    unit: str = ""
    choices: tuple[str, ...] | None = None

    def checked(self, value: Any, where: str) -> float | str:
        """The value in its proper type.

        Args:
            value: what a row holds for this parameter.
            where: the row in words, for the error.

        Raises:
            ConfigError: the value is of the wrong type, no choice, or out of range.
        """
        if self.choices is not None:
            if value not in self.choices:
                raise ConfigError(
                    f"{where}: {self.name} is {str(value)[:40]!r}, but it must be "
                    f"{listed(self.choices)}."
                )
            return str(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{where}: {self.name} takes a number, not {str(value)[:40]!r}.")
        if not self.low <= value <= self.high:  # false for nan as well
            raise ConfigError(
                f"{where}: {self.name} is {str(value)[:40]}, but it must lie between {self.low:g} and "
                f"{self.high:g}."
            )
        return float(value)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of transform: its settings, and how Albumentations is asked for it."""

    name: str
    title: str
    help: str
    parameters: tuple[Parameter, ...]
    build: Callable[
        [Any, Any, Mapping[str, Any]], Any
    ]  # (albumentations, cv2, row) -> its transform
    in_place: Callable[[Any, Mapping[str, Any], np.ndarray, random.Random], None] | None = None
    """A faster way to the same images: (cv2, row, images, generator); None: there is none."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A named list of transforms."""

    title: str
    help: str
    transforms: tuple[Transform, ...]


def _p(default: float = 0.5) -> Parameter:
    return Parameter("p", "Share of the images that it happens to.", default)


def _border() -> Parameter:
    return Parameter(
        "border",
        "What fills the pixels that come in from outside.",
        "black",
        choices=("black", "reflect"),
    )


def _border_mode(cv2: Any, row: Mapping[str, Any]) -> int:
    return int(cv2.BORDER_REFLECT_101 if row["border"] == "reflect" else cv2.BORDER_CONSTANT)


def _around(centre: float, reach: float) -> tuple[float, float]:
    return (centre - reach, centre + reach)


def _affine(A: Any, cv2: Any, row: Mapping[str, Any]) -> Any:
    return A.Affine(
        translate_percent=_around(0, row["shift"]),
        scale=_around(1, row["scale"]),
        rotate=_around(0, row["rotate"]),
        shear=_around(0, row["shear"]),
        keep_ratio=row["aspect"] == "kept",
        border_mode=_border_mode(cv2, row),
        p=row["p"],
        strict=True,
    )


def _affine_in_place(
    cv2: Any, row: Mapping[str, Any], images: np.ndarray, generator: random.Random
) -> None:
    from core.data import affine

    affine.warp(images, row, generator, _border_mode(cv2, row))


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
        brightness_limit=_around(0, row["brightness"]),
        contrast_limit=_around(0, row["contrast"]),
        p=row["p"],
        strict=True,
    )


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
            "Move, scale, turn",
            "Shifts by whole pixels, scales, turns and slants the digit in one go.",
            (
                Parameter(
                    "shift",
                    "Longest way in each direction, as a share of the side.",
                    0.09,
                    0.0,
                    0.3,
                ),
                Parameter("scale", "Largest change of size, as a share.", 0.09, 0.0, 0.5),
                Parameter("rotate", "Largest turn to either side.", 7.0, 0.0, 45.0, 1.0, "degrees"),
                Parameter("shear", "Largest slant to either side.", 0.0, 0.0, 30.0, 1.0, "degrees"),
                Parameter(
                    "aspect",
                    "Whether width and height change by the same factor.",
                    "kept",
                    choices=("kept", "free"),
                ),
                _border(),
                _p(),
            ),
            _affine,
            _affine_in_place,
        ),
        Kind(
            "elastic",
            "Elastic",
            "Bends the strokes as a shaky hand does (Simard, Steinkraus and Platt, 2003).",
            (
                Parameter("alpha", "Strength of the bending.", 20.0, 0.0, 80.0, 1.0),
                Parameter(
                    "sigma",
                    "Smoothness: over how far neighbours move together.",
                    4.0,
                    2.0,
                    10.0,
                    0.5,
                    "pixels",
                ),
                _border(),
                _p(),
            ),
            _elastic,
        ),
        Kind(
            "perspective",
            "Perspective",
            "Looks at the digit from a slight angle.",
            (
                Parameter(
                    "tilt",
                    "How far the corners move at most, as a share of the side.",
                    0.08,
                    0.01,
                    0.3,
                ),
                _border(),
                _p(),
            ),
            _perspective,
        ),
        Kind(
            "brightness",
            "Brightness and contrast",
            "Makes ink and paper lighter or darker.",
            (
                Parameter(
                    "brightness",
                    "Largest change of brightness, as a share of white.",
                    0.2,
                    0.0,
                    0.8,
                ),
                Parameter("contrast", "Largest change of contrast, as a share.", 0.2, 0.0, 0.8),
                _p(),
            ),
            _brightness,
        ),
        Kind(
            "erasing",
            "Erasing",
            "Blots out one rectangle (random erasing, Zhong et al., 2017).",
            (
                Parameter(
                    "area",
                    "Largest rectangle, as a share of the image; the smallest is 0.02.",
                    0.12,
                    0.02,
                    0.3,
                ),
                _p(),
            ),
            _erasing,
        ),
        Kind(
            "stroke",
            "Pen",
            "Draws the strokes about a pixel thicker or thinner.",
            (Parameter("pen", "Which way.", "thicker", choices=("thicker", "thinner")), _p(0.2)),
            _stroke,
        ),
        Kind(
            "blur",
            "Blur",
            "Softens the strokes.",
            (Parameter("sigma", "Widest blur.", 0.8, 0.1, 3.0, 0.1, "pixels"), _p(0.3)),
            _blur,
        ),
        Kind(
            "noise",
            "Noise",
            "Adds grain to every pixel.",
            (
                Parameter(
                    "std",
                    "Strongest grain: its standard deviation as a share of white.",
                    0.1,
                    0.0,
                    0.5,
                ),
                _p(0.3),
            ),
            _noise,
        ),
    )
}


def complete(row: Mapping[str, Any], number: int = 1) -> Transform:
    """One transform with every setting given, those that the row leaves out at their defaults.

    Args:
        row: `{"kind": ..., parameter: value, ...}`.
        number: the row's number from 1, for the error.

    Raises:
        ConfigError: the kind or a parameter is unknown, or a value is wrong; the sentence names the row.
    """
    if not isinstance(row, Mapping):
        raise ConfigError(
            f"transform {number}: a transform is a set of named values, not {str(row)[:40]!r}."
        )
    name = row.get("kind")
    if not isinstance(name, str) or name not in KINDS:
        raise ConfigError(
            f"transform {number}: unknown kind {str(name)[:40]!r}; the kinds are {listed(KINDS)}."
        )
    where, parameters = (
        f"transform {number} ({name})",
        {item.name: item for item in KINDS[name].parameters},
    )
    for key in row:
        if key != "kind" and key not in parameters:
            raise ConfigError(
                f"{where}: unknown parameter {str(key)[:40]!r}; it takes {listed(parameters)}."
            )
    return {
        "kind": name,
        **{
            key: item.checked(row.get(key, item.default), where) for key, item in parameters.items()
        },
    }


def check(transforms: Iterable[Mapping[str, Any]]) -> tuple[Transform, ...]:
    """A list of transforms, every row checked and completed.

    Raises:
        ConfigError: as `complete`, or there are more than MAX_TRANSFORMS rows.
    """
    rows = tuple(transforms)
    if len(rows) > MAX_TRANSFORMS:
        raise ConfigError(
            f"there are {len(rows)} transforms; at most {MAX_TRANSFORMS} are allowed."
        )
    return tuple(complete(row, number) for number, row in enumerate(rows, 1))


def _preset(title: str, help: str, *rows: Transform) -> Preset:
    return Preset(title, help, check(rows))


PRESETS: dict[str, Preset] = {
    "none": _preset("None", "The images as they are."),
    "gentle": _preset(
        "Gentle",
        "Small moves only: a pixel to each side, a few degrees.",
        {"kind": "affine", "shift": 0.05, "scale": 0.05, "rotate": 4.0},
    ),
    "final": _preset(
        "Final",
        "The seed's Final set-up: half moved, scaled and turned a little, half changed in brightness.",
        {"kind": "affine", "shift": 0.09, "scale": 0.09, "rotate": 7.0, "border": "reflect"},
        {"kind": "brightness", "brightness": 0.2, "contrast": 0.2},
    ),
    "final-moves": _preset(
        "Final, moves only",
        "As Final, on more of the images and without the change of brightness.",
        {"kind": "affine", "shift": 0.08, "scale": 0.08, "rotate": 8.0, "p": 0.7},
    ),
    "affine": _preset(
        "Affine",
        "Every image moved, scaled, turned and slanted, on black.",
        {"kind": "affine", "shift": 0.1, "scale": 0.1, "rotate": 10.0, "shear": 5.0, "p": 1.0},
    ),
    "stretch": _preset(
        "Stretch",
        "Nearly every image moved, turned, slanted, and stretched in one direction more than the other.",
        {
            "kind": "affine",
            "shift": 0.09,
            "scale": 0.12,
            "rotate": 10.0,
            "shear": 5.0,
            "aspect": "free",
            "p": 0.9,
        },
    ),
    "elastic": _preset(
        "Elastic",
        "Strokes bent as by a shaky hand, with small moves.",
        {"kind": "affine", "shift": 0.09, "scale": 0.09, "rotate": 7.0},
        {"kind": "elastic", "alpha": 20.0, "sigma": 4.0},
    ),
    "erasing": _preset(
        "Erasing",
        "Small moves, and a rectangle blotted out of some images.",
        {"kind": "affine", "shift": 0.09, "scale": 0.09, "rotate": 7.0},
        {"kind": "erasing", "area": 0.12, "p": 0.3},
    ),
    "brightness": _preset(
        "Brightness",
        "Brightness and contrast only.",
        {"kind": "brightness", "brightness": 0.3, "contrast": 0.3},
    ),
    "strong": _preset(
        "Strong",
        "Large moves, bent strokes and blots: for long runs and larger networks.",
        {
            "kind": "affine",
            "shift": 0.12,
            "scale": 0.15,
            "rotate": 12.0,
            "shear": 8.0,
            "aspect": "free",
            "p": 0.8,
        },
        {"kind": "elastic", "alpha": 24.0, "sigma": 4.0, "p": 0.4},
        {"kind": "brightness", "brightness": 0.2, "contrast": 0.3},
        {"kind": "erasing", "area": 0.1, "p": 0.2},
    ),
}


def transforms_of(config: RunConfig) -> tuple[Transform, ...]:
    """The transforms that a config asks for: its own, or those of its preset.

    Raises:
        ConfigError: the preset is unknown, or a row is wrong.
    """
    if config.transforms:
        return check(config.transforms)
    if config.augmentation not in PRESETS:
        raise ConfigError(
            f"unknown augmentation {config.augmentation!r}; the presets are {listed(PRESETS)}."
        )
    return check(
        PRESETS[config.augmentation].transforms
    )  # copies, so that nobody changes the registry's rows


@dataclass(frozen=True)
class Augmenter:
    """Transforms images, the same way for the same seed and key wherever it runs; picklable and stateless.

    Args:
        transforms: rows as `check` returns them.
        seed: the run's seed, at least 0.
    """

    transforms: tuple[Transform, ...]
    seed: int

    def __call__(self, images: np.ndarray, key: tuple[int, ...] = ()) -> np.ndarray:
        """The transformed images, in order; the given ones stay as they are.

        Args:
            images: (N, 28, 28) uint8.
            key: whole numbers from 0 that name this group of images, e.g. (epoch, chunk).

        Returns:
            (N, 28, 28) uint8.
        """
        # Asked before the import, else albumentations calls home for its newest version.
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
        import cv2
        import numpy as np

        cv2.setNumThreads(0)  # threads cost more than they bring at 28x28, and don't survive a fork
        images = images.copy()
        for child, row in enumerate(self.transforms):
            kind = KINDS[row["kind"]]
            # A stream of its own for each: Compose(seed=) would give all the same one, and their draws would correlate.
            numbers, words = np.random.SeedSequence([self.seed, *key, child]).spawn(2)
            generator = random.Random(int(words.generate_state(1, np.uint64)[0]))
            if kind.in_place is not None:
                kind.in_place(cv2, row, images, generator)
                continue
            import albumentations

            transform = kind.build(albumentations, cv2, row)
            transform.set_random_state(np.random.default_rng(numbers), generator)
            for index, image in enumerate(images):
                images[index] = transform(image=image)["image"]
        return images
