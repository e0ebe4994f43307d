"""What a network predicts for images, and how many images it can process in a given time.

Explanations of single predictions are in `core.insight.explanations`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError
from core.models.shapes import trace
from core.task import CLASSES

if TYPE_CHECKING:
    from torch import Tensor, nn

    from core.models.network import Network

MAX_BATCH = 250  # images; larger batches are no faster
MAX_ACTIVATIONS = 20_000_000  # float32 values of one batch: 80 MB
# Measured on one busy core: multiply-adds per second, and the overhead of a small network in
# multiply-adds (0.6 M took 0.25 ms).
MULTIPLY_ADDS_PER_SECOND, OVERHEAD = 2.5e9, 400_000


def predict(model: nn.Module, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Predict the probability of each digit.

    Args:
        model: Returns logits (B, 10). It runs in eval mode; its mode is restored afterwards.
        images: (N, 28, 28) uint8, ink bright.

    Returns:
        (N, 10) float32; each row sums to 1.

    Raises:
        UserError: The images have another shape or dtype.
    """
    import torch

    logits = torch.from_numpy(predict_logits(model, images))
    return np.asarray(logits.softmax(dim=1).numpy(), np.float32)


def predict_logits(model: nn.Module, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Compute the logits of images, a batch at a time.

    Args:
        model: Returns logits (B, 10). It runs in eval mode; its mode is restored afterwards.
        images: (N, 28, 28) uint8, ink bright.

    Returns:
        (N, 10) float32.

    Raises:
        UserError: The images have another shape or dtype.
    """
    import torch

    _validate_images(images)
    training, size = model.training, inference_batch_size(model)
    model.eval()
    logits = []
    try:
        with torch.inference_mode():
            for start in range(0, len(images), size):
                batch = network_input(model, images[start : start + size])
                logits.append(model(batch).float().cpu().numpy())  # (B, 10)
    finally:
        model.train(training)
    return np.concatenate(logits) if logits else np.zeros((0, CLASSES), np.float32)


def network_input(model: nn.Module, images: npt.NDArray[Any]) -> Tensor:
    """Normalise images and move them to the device of a network.

    Args:
        model: The network.
        images: (N, 28, 28) uint8, ink bright.

    Returns:
        (N, 1, 28, 28) float32.

    Raises:
        UserError: The images have another shape or dtype.
    """
    import torch

    from core.data.batches import normalise

    _validate_images(images)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    return normalise(torch.from_numpy(np.array(images, order="C")), device)


def inference_batch_size(model: nn.Module) -> int:
    """Return the batch size that keeps activations within 80 MB, at most MAX_BATCH."""
    rows = getattr(model, "rows", None)
    if rows is None:
        return MAX_BATCH
    activations = sum(math.prod(layer.output_shape) for layer in trace(rows))
    return min(MAX_BATCH, max(1, MAX_ACTIVATIONS // activations))


def affordable_images(model: Network, seconds: float = 0.2) -> int:
    """Estimate how many images a network processes on one core in a given time; at least 1.

    Args:
        model: A network made of rows.
        seconds: Time to spend.
    """
    multiply_adds = sum(layer.multiply_adds for layer in trace(model.rows))
    return max(1, int(seconds * MULTIPLY_ADDS_PER_SECOND / max(multiply_adds, OVERHEAD)))


def _validate_images(images: Any) -> None:
    if (
        not isinstance(images, np.ndarray)
        or images.dtype != np.uint8
        or images.shape[1:] != (28, 28)
    ):
        raise UserError("a network reads images of 28x28 grey values from 0 to 255.")
