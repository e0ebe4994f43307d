"""What a network says of images. Mistakes, explanations and statistics are told elsewhere in this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError

if TYPE_CHECKING:
    from torch import nn

CLASSES = 10
_AT_ONCE = 1_000


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

    from core.data.batches import normalise

    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        raise UserError("a network reads images of 28x28 grey values from 0 to 255.")
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    training = model.training
    model.eval()
    rows = []
    try:
        with torch.inference_mode():
            for start in range(0, len(images), _AT_ONCE):
                some = torch.from_numpy(np.ascontiguousarray(images[start:start + _AT_ONCE]))
                logits = model(normalise(some, device)).float()  # (B, 10)
                rows.append(logits.softmax(dim=1).cpu().numpy())
    finally:
        model.train(training)
    return np.concatenate(rows) if rows else np.zeros((0, CLASSES), np.float32)
