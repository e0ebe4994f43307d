"""The DeviceAugmenter applies transforms to many images at once, on any device that torch has.

It draws the parameters that `augmenter` draws and computes the same images up to rounding, in
exact bilinear interpolation. Some kinds of transform are left to `augmenter`.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.data import affine, draws
from core.data.augmentations import Transform

# Of one transform of some images: the indices of those that it changes, (n,) int64, and what it
# does with each of them, (n, ...).
Parameters = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Transformer:
    """How a kind of transform is drawn on the CPU and applied where the images are."""

    draw: Callable[[Mapping[str, Any], np.random.SeedSequence, random.Random, int, int], Parameters]
    """(row, NumPy's seed, Python's generator, number of images, side) -> parameters."""
    apply: Callable[[Tensor, Mapping[str, Any], Tensor, Tensor], None]
    """(images (N, side, side) uint8, changed in place; row; the parameters as tensors)."""


def can_augment(transforms: Iterable[Transform]) -> bool:
    """Return whether all of these transforms can be computed on a device."""
    return all(row["kind"] in _TRANSFORMERS for row in transforms)


@dataclass(frozen=True)
class DeviceAugmenter:
    """Apply a list of transforms where the images are.

    Args:
        transforms: rows as `augmentations.check` returns them; `can_augment` holds for them.
        seed: the run's seed, at least 0.
    """

    transforms: tuple[Transform, ...]
    seed: int

    def draw(self, key: tuple[int, ...], count: int, side: int) -> list[Parameters]:
        """Return the random parameters of a group of images.

        Args:
            key: as of the call.
            count, side: of the images.
        """
        return draw_parameters(self.transforms, self.seed, key, count, side)

    def __call__(
        self,
        images: Tensor,
        key: tuple[int, ...] = (),
        parameters: Sequence[Parameters] | None = None,
    ) -> Tensor:
        """Transform images, as `Augmenter` does.

        Args:
            images: (N, side, side) uint8; not changed.
            key: numbers of at least 0 that name this group of images, e.g. (epoch, chunk).
            parameters: as `draw` returns them for these images; None: they are drawn.

        Returns:
            (N, side, side) uint8, on the same device and in the same order.
        """
        images = images.clone()
        if parameters is None:
            parameters = self.draw(key, *images.shape[:2])
        apply_transforms(images, self.transforms, parameters)
        return images


def draw_parameters(
    transforms: Sequence[Transform], seed: int, key: tuple[int, ...], count: int, side: int
) -> list[Parameters]:
    """Return the parameters of each transform, the same that `Augmenter` draws.

    Args:
        transforms: rows as `augmentations.check` returns them; `can_augment` holds for them.
        seed: the run's seed.
        key: names the group of images, as of `DeviceAugmenter`.
        count, side: of the images.
    """
    return [
        _TRANSFORMERS[row["kind"]].draw(row, *draws.split_seed(seed, key, position), count, side)
        for position, row in enumerate(transforms)
    ]


def apply_transforms(
    images: Tensor,
    transforms: Sequence[Transform],
    parameters: Iterable[tuple[np.ndarray | Tensor, np.ndarray | Tensor]],
) -> None:
    """Transform images in place.

    Args:
        images: (N, side, side) uint8, on any device.
        transforms: rows as of `draw_parameters`.
        parameters: of each transform.
    """
    for row, (indices, values) in zip(transforms, parameters, strict=True):
        _TRANSFORMERS[row["kind"]].apply(images, row, _send(indices, images), _send(values, images))


def _draw_affine(
    row: Mapping[str, Any],
    seed: np.random.SeedSequence,
    generator: random.Random,
    count: int,
    side: int,
) -> Parameters:
    indices, values = affine.draw(row, generator, count)
    # From new to old pixels, (n, 2, 3).
    return indices, affine.invert(affine.matrices(values, side, row)).astype(np.float32)


def _warp_affine(images: Tensor, row: Mapping[str, Any], indices: Tensor, inverse: Tensor) -> None:
    new_y, new_x = _grid(images.shape[1], images)
    a, b, c = inverse[:, :, 0], inverse[:, :, 1], inverse[:, :, 2]  # (n, 2) each
    old = a[:, :, None, None] * new_x + (b[:, :, None, None] * new_y + c[:, :, None, None])
    _sample(images, indices, old, row["border"])


def _draw_elastic(
    row: Mapping[str, Any],
    seed: np.random.SeedSequence,
    generator: random.Random,
    count: int,
    side: int,
) -> Parameters:
    return draws.draw_elastic(row, generator, seed, count, side)


def _warp_elastic(images: Tensor, row: Mapping[str, Any], indices: Tensor, fields: Tensor) -> None:
    side = images.shape[1]
    fields = fields / fields.abs().amax((1, 2, 3), keepdim=True)  # (n, 2, side, side)
    # As in Albumentations, one blur smooths both fields as if one stood below the other.
    rows, columns = (
        torch.from_numpy(_blur_matrix(size, row["sigma"])).to(images.device)
        for size in (2 * side, side)
    )
    fields = (rows @ fields.view(-1, 2 * side, side) @ columns.mT).view_as(fields)
    new_y, new_x = _grid(side, images)
    _sample(images, indices, row["alpha"] * fields + torch.stack([new_x, new_y]), row["border"])


def _draw_brightness(
    row: Mapping[str, Any],
    seed: np.random.SeedSequence,
    generator: random.Random,
    count: int,
    side: int,
) -> Parameters:
    indices, values = draws.draw_brightness(row, generator, count)
    return indices, values.astype(np.float32)


def _change_brightness(
    images: Tensor, row: Mapping[str, Any], indices: Tensor, values: Tensor
) -> None:
    factors = values[:, :, None, None]  # (n, 2, 1, 1)
    changed = images[indices].float() * factors[:, 0] + factors[:, 1]
    # Rounded down, as Albumentations does.
    images.index_copy_(0, indices, changed.clamp_(0, 255).to(torch.uint8))


def _draw_erasing(
    row: Mapping[str, Any],
    seed: np.random.SeedSequence,
    generator: random.Random,
    count: int,
    side: int,
) -> Parameters:
    return draws.draw_erasing(row, generator, count, side)


def _erase(images: Tensor, row: Mapping[str, Any], indices: Tensor, edges: Tensor) -> None:
    left, top, right, bottom = edges[:, :, None, None].unbind(1)  # (n, 1, 1) each
    y, x = _grid(images.shape[1], images)
    is_erased = (x >= left) & (x < right) & (y >= top) & (y < bottom)  # (n, side, side)
    images.index_copy_(0, indices, images[indices].masked_fill(is_erased, 0))


_TRANSFORMERS: dict[str, _Transformer] = {
    "affine": _Transformer(_draw_affine, _warp_affine),
    "elastic": _Transformer(_draw_elastic, _warp_elastic),
    "brightness": _Transformer(_draw_brightness, _change_brightness),
    "erasing": _Transformer(_draw_erasing, _erase),
}


def _sample(images: Tensor, indices: Tensor, places: Tensor, border: str) -> None:
    """Replace some images by bilinear samples of themselves.

    Args:
        images: (N, side, side) uint8; changed in place.
        indices: (n,) int64, the images to replace.
        places: (n, 2, side, side) float32, where to sample: x and y in pixels.
        border: as of the transforms.
    """
    side = images.shape[1]
    pixels = images[indices].flatten(1)  # (n, side * side)
    corner = places.floor()
    x, y = (places - corner).unbind(1)  # (n, side, side), 0 to 1
    left, top = corner.to(torch.int64).unbind(1)

    def read(column: Tensor, line: Tensor) -> Tensor:
        if border == "reflect":
            return _gather(pixels, _reflect(column, side), _reflect(line, side))
        is_inside = (column >= 0) & (column < side) & (line >= 0) & (line < side)
        values = _gather(pixels, column.clamp(0, side - 1), line.clamp(0, side - 1))
        return values * is_inside

    upper = torch.lerp(read(left, top), read(left + 1, top), x)
    lower = torch.lerp(read(left, top + 1), read(left + 1, top + 1), x)
    images.index_copy_(0, indices, _to_bytes(torch.lerp(upper, lower, y)))


def _gather(pixels: Tensor, column: Tensor, line: Tensor) -> Tensor:
    """Return pixels (n, side * side) at columns and lines (n, side, side), as float32."""
    index = line * column.shape[-1] + column
    return pixels.gather(1, index.flatten(1)).view_as(index).float()


def _reflect(place: Tensor, side: int) -> Tensor:
    """Return int64 places mirrored into 0 to side - 1, without repeating the outermost pixel."""
    place = place.abs() % (2 * side - 2)
    return torch.minimum(place, 2 * side - 2 - place)


def _to_bytes(values: Tensor) -> Tensor:
    """Return the nearest uint8 values."""
    return values.round_().clamp_(0, 255).to(torch.uint8)


def _grid(side: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return y and x of all pixels, (side, side) float32 each."""
    numbers = torch.arange(side, dtype=torch.float32, device=like.device)
    return numbers[:, None].expand(side, side), numbers.expand(side, side)


def _send(values: np.ndarray | Tensor, like: Tensor) -> Tensor:
    """Return an array as a tensor on an image's device, without waiting for the device."""
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(values)
    if like.device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(like.device, non_blocking=True)


@functools.lru_cache(maxsize=16)
def _blur_matrix(size: int, sigma: float) -> np.ndarray:
    """Return the matrix (size, size) float32 of OpenCV's Gaussian blur with replicated borders."""
    radius = (round(8 * sigma + 1) | 1) // 2
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    matrix = np.zeros((size, size))
    for line in range(size):
        np.add.at(matrix[line], np.clip(line + offsets, 0, size - 1), weights / weights.sum())
    return matrix.astype(np.float32)
