"""The training images that are most like an image: pixel by pixel, or in what a network makes of them.

Distances are Euclidean. What a network makes of an image is what its last learned row is given: all that its answer
rests on.
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
Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

MOST_FEATURES = 128  # kept of an image; more are projected, see `FeatureIndex`
_AT_ONCE = 2_000  # images turned into floats at a time
IDLE = 10.0  # seconds after which a reader that nobody waits for rests
_LEARNED = ("conv", "linear")


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest first; `distances` in units of white for pixels, in the network's own for features."""

    indices: Numbers
    distances: Floats


def squared_norms(images: Images) -> Floats:
    """The square of each image's length, which `nearest_by_pixels` needs for every search.

    Args:
        images: (N, 28, 28) uint8.

    Returns:
        (N,) float32, in grey values squared.
    """
    import torch

    pixels = torch.from_numpy(images.reshape(len(images), -1))
    return np.concatenate(
        [
            pixels[at : at + _AT_ONCE].float().square().sum(1).numpy()
            for at in range(0, len(images), _AT_ONCE)
        ]
    )


def nearest_by_pixels(images: Images, lengths: Floats, image: Images, count: int) -> Neighbours:
    """The images whose pixels differ least from an image's.

    Args:
        images: (N, 28, 28) uint8.
        lengths: (N,) of them, by `squared_norms`.
        image: (28, 28) uint8.
        count: how many to find.
    """
    import torch

    pixels = torch.from_numpy(images.reshape(len(images), -1))
    own = torch.from_numpy(image.reshape(-1).astype(np.float32))
    # |a - b|² = |a|² - 2ab + |b|²: one product instead of 47 million differences.
    products = torch.cat(
        [pixels[at : at + _AT_ONCE].float() @ own for at in range(0, len(images), _AT_ONCE)]
    )
    near = torch.topk(
        torch.from_numpy(lengths) - 2 * products, min(4 * count, len(images)), largest=False
    ).indices
    # The few best once more in whole numbers: an image's distance to itself is then 0, not a rounding error.
    some = near.numpy()
    exact = np.square(images[some].astype(np.int64) - image.astype(np.int64)).sum(axis=(1, 2))
    order = np.lexsort((some, exact))[:count]
    return Neighbours(some[order], (np.sqrt(exact[order]) / 255).astype(np.float32))


class FeatureIndex:
    """What a network makes of many images, read in the background and kept.

    More than `MOST_FEATURES` values are brought down to so many by a fixed random projection, which keeps distances
    nearly as they are (Johnson and Lindenstrauss, Contemp. Math. 26 (1984) 189).

    Args:
        model: the network, in eval mode.
        images: (N, 28, 28) uint8.

    Raises:
        UserError: the network gives values that are no numbers.
    """

    def __init__(self, model: Network, images: Images):
        self._model, self._images = model, images
        self._row = last_hidden_row(model)
        self._projection: Tensor | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._asked = 0.0
        self.num_read = 0
        """Images read so far, in the order they stand in."""
        self._failed: UserError | None = None
        self._features = np.zeros((len(images), self._read(images[:1]).shape[1]), np.float32)

    @property
    def total(self) -> int:
        """Images there are."""
        return len(self._images)

    def keep_reading(self) -> None:
        """See to it that the reading goes on in the background for as long as somebody asks."""
        with self._lock:
            self._asked = time.monotonic()
            if self.num_read < self.total and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._go_on, daemon=True, name="features")
                self._thread.start()

    def wait(self, seconds: float, images: int | None = None) -> int:
        """Wait until so many images are read, at most so long; gives how many are."""
        end = time.monotonic() + seconds
        wanted = self.total if images is None else min(images, self.total)
        while (
            self.num_read < wanted
            and time.monotonic() < end
            and self._thread is not None
            and self._thread.is_alive()
        ):
            time.sleep(0.02)
        return self.num_read

    def nearest(self, image: Images, count: int) -> Neighbours:
        """Of the images read so far, those that the network makes the most alike of.

        Args:
            image: (28, 28) uint8.
            count: how many to find.

        Raises:
            UserError: the network gives values that are no numbers.
        """
        import torch

        if self._failed is not None:
            raise self._failed
        done = self.num_read
        own = torch.from_numpy(self._read(image[None])[0])
        distances = torch.cat(
            [
                (torch.from_numpy(self._features[at : min(at + 8 * _AT_ONCE, done)]) - own).norm(
                    dim=1
                )
                for at in range(0, done, 8 * _AT_ONCE)
            ]
            or [torch.zeros(0)]
        )
        found = torch.topk(distances, min(count, done), largest=False)
        return Neighbours(found.indices.numpy(), found.values.numpy())

    def _go_on(self) -> None:
        step = inference_batch_size(self._model)
        try:
            while self.num_read < self.total and time.monotonic() - self._asked < IDLE:
                end = min(self.num_read + step, self.total)
                self._features[self.num_read : end] = self._read(self._images[self.num_read : end])
                self.num_read = end
        except UserError as error:  # for whoever asks next
            self._failed = error

    def _read(self, images: Images) -> Floats:
        import torch

        with torch.inference_mode():
            x = network_input(self._model, images)
            if self._row:
                x = self._model.features(x)[self._row - 1]
            x = x.flatten(1).float().cpu()
            if x.shape[1] > MOST_FEATURES:
                if self._projection is None:
                    generator = torch.Generator().manual_seed(0)
                    self._projection = torch.randn(
                        (x.shape[1], MOST_FEATURES), generator=generator
                    ).div_(MOST_FEATURES**0.5)
                x = x @ self._projection
        values: Any = x.numpy()
        if not np.isfinite(values).all():
            raise UserError("this network's values are no numbers: its training diverged.")
        return values


def last_hidden_row(model: Network) -> int:
    """The row whose output the last learned row is given, counted from 1; 0: that is the image itself."""
    learned = [number for number, row in enumerate(model.rows, 1) if row["kind"] in _LEARNED]
    return learned[-1] - 1
