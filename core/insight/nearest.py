"""Nearest training images, by pixels or by the features of a network.

Distances are Euclidean. The features of an image are the inputs of the network's last row with
weights.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError
from core.insight.predictions import inference_batch_size, network_input

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.network import Network

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

MAX_FEATURES = 128  # per image; more are projected
CHUNK = 2_000  # images converted to floats at a time
IDLE = 10.0  # seconds without a request after which the background thread stops
KINDS_WITH_WEIGHTS = ("conv", "linear")


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Nearest images first."""

    indices: Indices
    distances: Floats
    """In units of white for pixels, in the network's units for features."""


def squared_norms(images: Images) -> Floats:
    """Compute the squared norm of each image, which `nearest_by_pixels` takes.

    Args:
        images: (N, 28, 28) uint8.

    Returns:
        (N,) float32, in squared grey values.
    """
    import torch

    pixels = torch.from_numpy(images.reshape(len(images), -1))
    return np.concatenate(
        [
            pixels[start : start + CHUNK].float().square().sum(1).numpy()
            for start in range(0, len(images), CHUNK)
        ]
    )


def nearest_by_pixels(images: Images, norms: Floats, image: Images, count: int) -> Neighbours:
    """Find the images whose pixels differ least from those of an image.

    Args:
        images: (N, 28, 28) uint8.
        norms: (N,) from `squared_norms`.
        image: (28, 28) uint8.
        count: Number of images to find.
    """
    import torch

    pixels = torch.from_numpy(images.reshape(len(images), -1))
    query = torch.from_numpy(image.reshape(-1).astype(np.float32))
    # |a - b|² = |a|² - 2ab + |b|²: one product instead of 47 million differences.
    products = torch.cat(
        [pixels[start : start + CHUNK].float() @ query for start in range(0, len(images), CHUNK)]
    )
    scores = torch.from_numpy(norms) - 2 * products
    candidates = torch.topk(scores, min(4 * count, len(images)), largest=False).indices.numpy()
    # In integers an image's distance to itself is 0, without a rounding error.
    differences = images[candidates].astype(np.int64) - image.astype(np.int64)
    exact = np.square(differences).sum(axis=(1, 2))
    order = np.lexsort((candidates, exact))[:count]
    return Neighbours(candidates[order], (np.sqrt(exact[order]) / 255).astype(np.float32))


class FeatureIndex:
    """Features of many images, computed in a background thread and searched by distance.

    More than MAX_FEATURES values are reduced by a fixed random projection, which nearly preserves
    distances (Johnson and Lindenstrauss, Contemporary Mathematics 26 (1984) 189).

    Args:
        model: The network, in eval mode.
        images: (N, 28, 28) uint8.

    Raises:
        UserError: The features are not finite.
    """

    def __init__(self, model: Network, images: Images):
        self._model, self._images = model, images
        self._row = last_hidden_row(model)
        self._projection: Tensor | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._last_request = 0.0
        self._error: UserError | None = None
        self.num_read = 0
        """Images processed so far, in the order of the images."""
        self._features = np.zeros((len(images), self._compute(images[:1]).shape[1]), np.float32)

    @property
    def total(self) -> int:
        """Number of images."""
        return len(self._images)

    def keep_reading(self) -> None:
        """Start the background thread, or keep it running for IDLE more seconds."""
        with self._lock:
            self._last_request = time.monotonic()
            if self.num_read < self.total and not self._is_reading():
                self._thread = threading.Thread(target=self._read_all, daemon=True, name="features")
                self._thread.start()

    def wait(self, seconds: float, images: int | None = None) -> int:
        """Wait until so many images are processed, or the time is over.

        Args:
            seconds: Longest time to wait.
            images: Number of images; None for all.

        Returns:
            The number of images processed.
        """
        end = time.monotonic() + seconds
        wanted = self.total if images is None else min(images, self.total)
        while self.num_read < wanted and time.monotonic() < end and self._is_reading():
            time.sleep(0.02)
        return self.num_read

    def nearest(self, image: Images, count: int) -> Neighbours:
        """Find the images with the nearest features among those processed so far.

        Args:
            image: (28, 28) uint8.
            count: Number of images to find.

        Raises:
            UserError: The features are not finite.
        """
        import torch

        if self._error is not None:
            raise self._error
        num_read = self.num_read
        query = torch.from_numpy(self._compute(image[None])[0])
        distances = [
            (
                torch.from_numpy(self._features[start : min(start + 8 * CHUNK, num_read)]) - query
            ).norm(dim=1)
            for start in range(0, num_read, 8 * CHUNK)
        ]
        nearest = torch.topk(
            torch.cat([*distances, torch.zeros(0)]), min(count, num_read), largest=False
        )
        return Neighbours(nearest.indices.numpy(), nearest.values.numpy())

    def _is_reading(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _read_all(self) -> None:
        step = inference_batch_size(self._model)
        try:
            while self.num_read < self.total and time.monotonic() - self._last_request < IDLE:
                end = min(self.num_read + step, self.total)
                self._features[self.num_read : end] = self._compute(
                    self._images[self.num_read : end]
                )
                self.num_read = end
        except UserError as error:  # raised by the next search
            self._error = error

    def _compute(self, images: Images) -> Floats:
        """Compute the features of images (N, 28, 28): (N, F) float32."""
        import torch

        with torch.inference_mode():
            x = network_input(self._model, images)
            if self._row:
                x = self._model.features(x)[self._row - 1]
            x = x.flatten(1).float().cpu()
            if x.shape[1] > MAX_FEATURES:
                if self._projection is None:
                    generator = torch.Generator().manual_seed(0)
                    self._projection = torch.randn(
                        (x.shape[1], MAX_FEATURES), generator=generator
                    ).div_(MAX_FEATURES**0.5)
                x = x @ self._projection
        values: Any = x.numpy()
        if not np.isfinite(values).all():
            raise UserError("this network's outputs are not finite: its training diverged.")
        return values


def last_hidden_row(model: Network) -> int:
    """Return the number of the row before the last one with weights; 0 for the image itself."""
    with_weights = [
        number for number, row in enumerate(model.rows, 1) if row["kind"] in KINDS_WITH_WEIGHTS
    ]
    return with_weights[-1] - 1
