"""Explanations of one prediction of one network: feature maps, saliency, occlusion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError
from core.insight.predictions import affordable_images, network_input, predict

if TYPE_CHECKING:
    from core.models.network import Network

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SIDE = 28
MAX_CHANNELS = 64  # of a row: more are too many to look at
MAX_MAP_SIDE = 56  # pixels; larger maps are subsampled


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """Outputs of one row of a network for one image."""

    number: int
    """Number of the row, from 1."""
    maps: Floats
    """(C, H, W) of the channels kept; H and W are 1 where a row has single values."""
    channels: tuple[int, ...]
    """Numbers of the channels kept, from 1."""
    total: int
    """Channels of the row."""
    low: float
    """Smallest value of all channels."""
    high: float
    """Largest value of all channels."""


def select_maps(values: Sequence[Floats], most: int = MAX_CHANNELS) -> list[FeatureMaps]:
    """Select the channels of each row of a network that are worth looking at.

    Args:
        values: (C, H, W) of each row, in the order of the rows.
        most: Channels to keep per row: those with the largest absolute values, in their order.
    """
    rows = []
    for number, maps in enumerate(values, 1):
        strength = np.abs(maps).max(axis=(1, 2))
        kept = np.sort(np.argsort(-strength, kind="stable")[:most])
        step = math.ceil(max(maps.shape[1:]) / MAX_MAP_SIDE)
        rows.append(
            FeatureMaps(
                number,
                maps[kept, ::step, ::step],
                tuple(int(channel) + 1 for channel in kept),
                len(maps),
                float(maps.min()),
                float(maps.max()),
            )
        )
    return rows


def saliency(
    model: Network,
    image: Image,
    digit: int,
    *,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
) -> Floats:
    """Compute the gradient of a digit's logit with respect to the pixels, averaged over noise.

    Sources: Simonyan, Vedaldi and Zisserman, arXiv:1312.6034; SmoothGrad, Smilkov et al.,
    arXiv:1706.03825, which averages over copies with Gaussian noise since the gradient at a
    single point fluctuates.

    Args:
        model: The network, in eval mode; its weights get no gradients.
        image: (28, 28) uint8, ink bright.
        digit: 0 to 9.
        samples: Noisy copies at most; fewer for a large network.
        noise: Standard deviation, as a fraction of white.
        seed: Seed of the noise.

    Returns:
        (28, 28) float32: change of the logit per change of the pixel from black to white.

    Raises:
        UserError: The gradient is not finite.
    """
    import torch

    x = network_input(model, image[None])
    white = _white_in_network_units(model)
    # A forward and backward pass takes about three times as long as a forward pass.
    copies = min(samples, max(4, affordable_images(model) // 4))
    generator = torch.Generator().manual_seed(seed)
    grain = torch.randn((copies, *x.shape[1:]), generator=generator).to(x) * (noise * white)
    with torch.enable_grad():
        noisy = (x + grain).requires_grad_()
        logit = model(noisy)[:, digit].sum()
        (gradient,) = torch.autograd.grad(logit, noisy)
    return _require_finite(gradient.mean(dim=0)[0].float().cpu().numpy() * white)


@dataclass(frozen=True, eq=False)
class Occlusion:
    """Effect of hiding parts of an image on the probability of one digit."""

    drop: Floats
    """(28, 28) float32: mean decrease of the probability over the patches that cover a pixel."""
    probability: float
    """Probability with nothing hidden."""
    lowest: float
    """Lowest probability with one patch hidden."""
    top: int
    """Top edge of that patch, which may extend beyond the image."""
    left: int
    """Left edge of that patch."""


def occlusion(model: Network, image: Image, digit: int, patch: int = 5) -> Occlusion:
    """Hide a square patch at every position and compute the probability of a digit.

    Source: Zeiler and Fergus, arXiv:1311.2901, section 4.2. They show the probability by position
    of the patch; here a pixel shows the mean over the patches that cover it, so that the map
    aligns with the digit.

    Args:
        model: The network, in eval mode.
        image: (28, 28) uint8, ink bright.
        digit: 0 to 9.
        patch: Side in pixels, 1 to 28.

    Raises:
        UserError: A probability is not finite.
    """
    positions = [(top, left) for top in range(1 - patch, SIDE) for left in range(1 - patch, SIDE)]
    # Hiding a patch without ink changes nothing, exactly.
    inked = [position for position in positions if image[_covered(position, patch)].any()]
    step = max(1, math.ceil(math.sqrt(len(inked) / affordable_images(model))))

    def on_grid(position: tuple[int, int]) -> bool:
        return all((edge + patch) % step == 0 for edge in position)

    hidden_at = [position for position in inked if on_grid(position)]
    images = np.repeat(image[None], len(hidden_at) + 1, axis=0)  # the first is unchanged
    for number, position in enumerate(hidden_at, 1):
        images[number][_covered(position, patch)] = 0
    probabilities = _require_finite(predict(model, images)[:, digit])
    probability = float(probabilities[0])

    total, count = np.zeros((SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.float32)
    for position, remaining in zip(hidden_at, probabilities[1:], strict=True):
        total[_covered(position, patch)] += probability - remaining
    for position in filter(on_grid, positions):
        count[_covered(position, patch)] += 1

    drop = (total / np.maximum(count, 1)).astype(np.float32)
    if not hidden_at:
        return Occlusion(drop, probability, probability, 0, 0)
    lowest = int(probabilities[1:].argmin())
    return Occlusion(drop, probability, float(probabilities[lowest + 1]), *hidden_at[lowest])


def _covered(position: tuple[int, int], patch: int) -> tuple[slice, slice]:
    """Return the pixels of the image that a patch covers."""
    top, left = position
    return slice(max(0, top), top + patch), slice(max(0, left), left + patch)


def _white_in_network_units(model: Any) -> float:
    """Return the difference between white and black after normalisation."""
    images = np.array([np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), 255)], np.uint8)
    black, white = network_input(model, images)[:, 0, 0, 0].tolist()
    return float(white - black)


def _require_finite(values: Any) -> Any:
    if not np.isfinite(values).all():
        raise UserError("this network's outputs are not finite: its training diverged.")
    return values
