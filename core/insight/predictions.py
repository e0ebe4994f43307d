"""What a network says of images, and how many it can read in a moment. Why it says so is in `explanations`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError
from core.models.shapes import trace

if TYPE_CHECKING:
    from torch import Tensor, nn

    from core.models.network import Network

CLASSES = 10
_AT_ONCE = 250  # images; no faster with more
_VALUES = 20_000_000  # that a network may hold at a time; 80 MB
# Multiply-adds a second on one core, and what even the smallest network costs: it was 0.6 M in 0.25 ms on a busy one.
_SPEED, _SMALL = 2.5e9, 400_000


def predict(model: nn.Module, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The probability that a network gives to each digit.

    Args:
        model: gives logits (B, 10); it is used in eval mode and left in the mode it was in.
        images: (N, 28, 28) uint8, ink bright.

    Returns:
        (N, 10) float32, each row adding up to 1.

    Raises:
        UserError: the images have another shape or type.
    """
    import torch

    _check(images)
    training, step = model.training, inference_batch_size(model)
    model.eval()
    rows = []
    try:
        with torch.inference_mode():
            for start in range(0, len(images), step):
                logits = model(
                    network_input(model, images[start : start + step])
                ).float()  # (B, 10)
                rows.append(logits.softmax(dim=1).cpu().numpy())
    finally:
        model.train(training)
    return np.concatenate(rows) if rows else np.zeros((0, CLASSES), np.float32)


def network_input(model: nn.Module, images: npt.NDArray[Any]) -> Tensor:
    """Images as a network takes them, where it is.

    Args:
        model: the network.
        images: (N, 28, 28) uint8, ink bright.

    Returns:
        (N, 1, 28, 28) float32, normalised.

    Raises:
        UserError: the images have another shape or type.
    """
    import torch

    from core.data.batches import normalise

    _check(images)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    return normalise(torch.from_numpy(np.array(images, order="C")), device)


def inference_batch_size(model: nn.Module) -> int:
    """How many images a network had best be given at a time: fewer, the larger it is inside."""
    rows = getattr(model, "rows", None)
    if rows is None:
        return _AT_ONCE
    return min(
        _AT_ONCE, max(1, _VALUES // sum(math.prod(layer.output_shape) for layer in trace(rows)))
    )


def affordable_images(model: Network, seconds: float = 0.2) -> int:
    """About how many images a network reads on one core in a time; at least one.

    Args:
        model: a network made of rows.
        seconds: to spend.
    """
    multiply_adds = sum(layer.multiply_adds for layer in trace(model.rows))
    return max(1, int(seconds * _SPEED / max(multiply_adds, _SMALL)))


def _check(images: Any) -> None:
    if (
        not isinstance(images, np.ndarray)
        or images.dtype != np.uint8
        or images.shape[1:] != (28, 28)
    ):
        raise UserError("a network reads images of 28x28 grey values from 0 to 255.")
