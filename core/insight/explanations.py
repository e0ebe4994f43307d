"""Looking inside a network's answer: what each row made of an image, and which pixels the answer rests on.

All of it is about one image and one network; what the network answers is in `predictions`.
"""

from __future__ import annotations

import math
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
MOST_CHANNELS = 64  # of a row; more of them would be a wall of pictures
MOST_SIDE = 56  # pixels of a map; none of the shipped networks comes near


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """What one row gives for an image.

    Args:
        number: of the row, counted from 1.
        maps: (C, H, W) of the channels that are shown; single values are maps of one pixel.
        channels: numbers of those channels, counted from 1.
        total: channels that the row has.
        low, high: the smallest and the largest value in the row, shown or not.
    """

    number: int
    maps: Floats
    channels: tuple[int, ...]
    total: int
    low: float
    high: float


def feature_maps(model: Network, image: Image, most: int = MOST_CHANNELS) -> list[FeatureMaps]:
    """What each row of a network makes of an image, in the order of the rows.

    Args:
        model: the network, in eval mode.
        image: (28, 28) uint8, ink bright.
        most: channels to keep of a row; of more, those with the largest values are kept, in their order.

    Raises:
        UserError: a row gives values that are no numbers, as after training that diverged.
    """
    import torch

    with torch.inference_mode():
        outputs = [
            each[0].float().cpu().numpy()
            for each in model.features(network_input(model, image[None]))
        ]
    found = []
    for number, values in enumerate(outputs, 1):
        maps = values.reshape(len(values), *(values.shape[1:] or (1, 1)))
        if not np.isfinite(maps).all():
            raise UserError(
                f"row {number} of this network gives values that are no numbers: its training diverged."
            )
        strength = np.abs(maps).max(axis=(1, 2))
        kept = np.sort(np.argsort(-strength, kind="stable")[:most])
        step = math.ceil(max(maps.shape[1:]) / MOST_SIDE)
        found.append(
            FeatureMaps(
                number,
                maps[kept, ::step, ::step],
                tuple(int(at) + 1 for at in kept),
                len(maps),
                float(maps.min()),
                float(maps.max()),
            )
        )
    return found


def saliency(
    model: Network,
    image: Image,
    digit: int,
    *,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
) -> Floats:
    """Where more ink would raise a digit's score, and where it would lower it: a smoothed gradient.

    The gradient of the class score (the logit) with respect to the pixels (Simonyan, Vedaldi and Zisserman,
    arXiv:1312.6034), averaged over copies of the image with Gaussian noise added, since the gradient at one point
    jumps about (SmoothGrad; Smilkov et al., arXiv:1706.03825).

    Args:
        model: the network, in eval mode; its weights gather no gradients.
        image: (28, 28) uint8, ink bright.
        digit: 0 to 9.
        samples: noisy copies at most; a large network reads fewer of them.
        noise: standard deviation, as a share of white.
        seed: of the noise.

    Returns:
        (28, 28) float32: change of the score for a pixel's way from paper to ink.

    Raises:
        UserError: the gradient is no number.
    """
    import torch

    x = network_input(model, image[None])
    per_white = _per_white(model)
    copies = min(
        samples, max(4, affordable_images(model) // 4)
    )  # forward and back cost about three times forward
    generator = torch.Generator().manual_seed(seed)
    grain = torch.randn((copies, *x.shape[1:]), generator=generator).to(x) * (noise * per_white)
    with torch.enable_grad():
        noisy = (x + grain).requires_grad_()
        score = model(noisy)[:, digit].sum()
        (gradient,) = torch.autograd.grad(score, noisy)
    return _numbers(gradient.mean(dim=0)[0].float().cpu().numpy() * per_white)


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What hiding parts of an image does to the probability of one digit.

    Args:
        drop: (28, 28) float32: by how much the probability falls when a patch over this pixel is hidden, on average
            over all patches that cover it; below 0: it rises.
        probability: the probability with nothing hidden.
        lowest: the lowest that one hidden patch leaves.
        top, left: corner of that patch; it may reach beyond the image.
    """

    drop: Floats
    probability: float
    lowest: float
    top: int
    left: int


def occlusion(model: Network, image: Image, digit: int, patch: int = 5) -> Occlusion:
    """Slide a patch of bare paper over the image and watch the probability of a digit.

    Source: Zeiler and Fergus, arXiv:1311.2901, section 4.2. They show the probability at each place of the patch;
    here a pixel shows the mean over all patches that cover it, so that the map lies on the digit.

    Args:
        model: the network, in eval mode.
        image: (28, 28) uint8, ink bright.
        digit: 0 to 9.
        patch: side in pixels, 1 to 28.

    Raises:
        UserError: the network's answer is no number.
    """
    places = [(top, left) for top in range(1 - patch, SIDE) for left in range(1 - patch, SIDE)]
    # Hiding bare paper changes nothing, exactly.
    inked = [place for place in places if image[_under(place, patch)].any()]
    step = max(1, math.ceil(math.sqrt(len(inked) / affordable_images(model))))
    tried = [
        place
        for place in inked
        if (place[0] + patch) % step == 0 and (place[1] + patch) % step == 0
    ]
    hidden = np.repeat(image[None], len(tried) + 1, axis=0)  # the first as it is
    for number, place in enumerate(tried, 1):
        hidden[number][_under(place, patch)] = 0
    chances = _numbers(predict(model, hidden)[:, digit])
    before = float(chances[0])
    total, count = np.zeros((SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.float32)
    for place, chance in zip(tried, chances[1:], strict=True):
        total[_under(place, patch)] += before - chance
    for top, left in places:
        if (top + patch) % step == 0 and (left + patch) % step == 0:
            count[_under((top, left), patch)] += 1
    best = int(chances[1:].argmin()) if tried else -1
    top, left = tried[best] if tried else (0, 0)
    return Occlusion(
        (total / np.maximum(count, 1)).astype(np.float32),
        before,
        float(chances[best + 1]),
        top,
        left,
    )


def _under(place: tuple[int, int], patch: int) -> tuple[slice, slice]:
    """The pixels below a patch, as far as it lies on the image."""
    top, left = place
    return slice(max(0, top), top + patch), slice(max(0, left), left + patch)


def _per_white(model: Any) -> float:
    """How far a pixel moves in the network's own units on its way from paper to white."""
    both = network_input(
        model, np.array([np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), 255)], np.uint8)
    )
    return float(both[1, 0, 0, 0] - both[0, 0, 0, 0])


def _numbers(values: Any) -> Any:
    if not np.isfinite(values).all():
        raise UserError("this network's answers are no numbers: its training diverged.")
    return values
