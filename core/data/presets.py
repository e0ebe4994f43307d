"""Augmentation presets: named lists of transforms, and the list that a config asks for."""

from __future__ import annotations

from dataclasses import dataclass

from core.config import RunConfig
from core.data.augmentations import Transform, check
from core.errors import ConfigError, listed


@dataclass(frozen=True, slots=True)
class Preset:
    """A named list of transforms."""

    title: str
    help: str
    transforms: tuple[Transform, ...]


def _preset(title: str, help: str, *rows: Transform) -> Preset:
    return Preset(title, help, check(rows))


_STRETCH: Transform = {
    "kind": "affine",
    "shift": 0.09,
    "scale": 0.12,
    "rotate": 10.0,
    "shear": 5.0,
    "aspect": "free",
    "p": 0.9,
}

PRESETS: dict[str, Preset] = {
    "none": _preset("None", "No augmentation."),
    "gentle": _preset(
        "Gentle",
        "Small shifts, rotations and changes of size: about one pixel, 4 degrees, 5 %.",
        {"kind": "affine", "shift": 0.05, "scale": 0.05, "rotate": 4.0},
    ),
    "final": _preset(
        "Final",
        "The original's final set-up: an affine transform for half of the images, a change of "
        "brightness and contrast for half.",
        # ShiftScaleRotate as in the original's Albumentations: fractional shifts about (14, 14).
        {
            "kind": "affine",
            "shift": 0.09,
            "scale": 0.09,
            "rotate": 7.0,
            "shifts": "fractional",
            "centre": "pixel 14",
            "border": "reflect",
        },
        {"kind": "brightness", "brightness": 0.2, "contrast": 0.2},
    ),
    "final-moves": _preset(
        "Final, affine only",
        "Like Final, for 70 % of the images and without brightness and contrast.",
        {"kind": "affine", "shift": 0.08, "scale": 0.08, "rotate": 8.0, "p": 0.7},
    ),
    "affine": _preset(
        "Affine",
        "Every image shifted, scaled, rotated and sheared, with a black border.",
        {"kind": "affine", "shift": 0.1, "scale": 0.1, "rotate": 10.0, "shear": 5.0, "p": 1.0},
    ),
    "stretch": _preset(
        "Stretch",
        "An affine transform for 90 % of the images that scales width and height independently.",
        _STRETCH,
    ),
    "stretch-whole": _preset(
        "Stretch, whole pixels",
        "Like Stretch, with shifts by whole pixels.",
        {**_STRETCH, "shifts": "whole"},
    ),
    "elastic": _preset(
        "Elastic",
        "Elastic distortion of the strokes, with a small affine transform.",
        {"kind": "affine", "shift": 0.09, "scale": 0.09, "rotate": 7.0},
        {"kind": "elastic", "alpha": 20.0, "sigma": 4.0},
    ),
    "erasing": _preset(
        "Erasing",
        "A small affine transform for half of the images, random erasing for 30 %.",
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
        "Large affine transforms, elastic distortion, brightness and erasing, for long runs and "
        "larger networks.",
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


def with_whole_shifts(config: RunConfig) -> RunConfig:
    """A config written before affine transforms had the choice of shifts, as it was meant.

    All affine transforms shifted by whole pixels then, about the image's middle. A preset with such
    a transform becomes the list of its transforms.

    Args:
        config: as it was stored; affine rows with `shifts` are not changed.
    """
    rows = config.transforms
    if not rows and config.augmentation in PRESETS:
        # Not as they are now: `final` has another centre.
        rows = tuple(
            {name: value for name, value in row.items() if name not in ("shifts", "centre")}
            for row in PRESETS[config.augmentation].transforms
        )
    old = [row.get("kind") == "affine" and "shifts" not in row for row in rows]
    if not any(old):
        return config
    return config.changed(
        transforms=[
            {**row, "shifts": "whole", "centre": "middle"} if is_old else row
            for row, is_old in zip(rows, old, strict=True)
        ]
    )


def transforms_of(config: RunConfig) -> tuple[Transform, ...]:
    """The transforms that a config asks for: its own, or those of its preset.

    Raises:
        ConfigError: the preset is unknown, or a transform is wrong.
    """
    if not config.transforms and config.augmentation not in PRESETS:
        raise ConfigError(
            f"unknown augmentation {config.augmentation!r}; the presets are {listed(PRESETS)}."
        )
    # `check` copies, so that nobody changes the registry's rows.
    return check(config.transforms or PRESETS[config.augmentation].transforms)
