"""What the weights of a network look like: its kernels, histograms, filters that are nearly equal,
and how often each channel fires.

A filter computes one output channel; its kernels are what it does to each input channel. Must not
import torch at module level.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError
from core.insight.predictions import inference_batch_size, network_input
from core.models.shapes import Layer, trace
from core.task import CLASSES

if TYPE_CHECKING:
    from core.models.network import Network

Floats = npt.NDArray[np.float32]
Shares = npt.NDArray[np.float64]

BINS = 41  # of a histogram; odd, so that the middle one is around zero
NEARLY_EQUAL = 0.95  # cosine similarity of two filters
MAX_COMPARED = 512  # filters of a row: the similarities of more take too long


@dataclass(frozen=True, eq=False)
class RowWeights:
    """The numbers of one row of a network."""

    layer: Layer
    kernels: Floats
    """(filters, input channels of a filter, height, width). The inputs of a linear layer are in the
    form of the image that it flattens; where it has none, height and width are 1."""
    channel_numbers: dict[str, Floats]
    """Of each filter, (filters,): bias; scale, shift, mean and variance of the batch norm."""
    is_last: bool = False
    """Whether its filters stand for the ten digits."""
    shared_with: int = 0
    """Number of the earlier row whose weights these are; 0: the row's own."""

    @property
    def number(self) -> int:
        """Number of the row, from 1."""
        return self.layer.number

    @property
    def labels(self) -> list[str]:
        """Names of the filters: from 1, in the last row the digits."""
        first = 0 if self.is_last else 1
        return [str(first + at) for at in range(len(self.kernels))]


def read_weights(model: Network) -> list[RowWeights]:
    """Return the rows of a network that have weights.

    Args:
        model: on any device.

    Raises:
        UserError: a number is not finite, as after training that diverged.
    """
    layers = {layer.number: layer for layer in trace(model.rows)}
    modules = model.weighted_rows()
    owners: dict[int, int] = {}
    rows = []
    for number, module, norm in modules:
        layer = layers[number]
        tensors: dict[str, Any] = {} if module.bias is None else {"bias": module.bias}
        if norm is not None:
            tensors |= {"scale": norm.weight, "shift": norm.bias}
            tensors |= {"mean": norm.running_mean, "variance": norm.running_var}
        kernels = _to_numpy(module.weight)
        if kernels.ndim == 2:
            shape = layer.input_shape if len(layer.input_shape) == 3 else (kernels.shape[1], 1, 1)
            kernels = kernels.reshape(len(kernels), *shape)
        arrays = {name: _to_numpy(tensor) for name, tensor in tensors.items()}
        if not all(np.isfinite(values).all() for values in (kernels, *arrays.values())):
            raise UserError(f"the weights of row {number} are not finite: its training diverged.")
        owner = owners.setdefault(id(module.weight), number)
        is_last = number == modules[-1][0] and len(kernels) == CLASSES
        rows.append(RowWeights(layer, kernels, arrays, is_last, 0 if owner == number else owner))
    return rows


def _to_numpy(tensor: Any) -> Floats:
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy())


def count_bins(values: Floats, limit: float) -> npt.NDArray[np.int64]:
    """Return a histogram of values from -limit to limit; those outside count at the ends.

    Args:
        values: of any shape.
        limit: above 0.

    Returns:
        (BINS,) counts.
    """
    places = np.floor((values.ravel() / limit + 1) / 2 * BINS)
    return np.bincount(np.clip(places, 0, BINS - 1).astype(int), minlength=BINS)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two filters of a row, by position from 0, and the cosine of the angle between them."""

    first: int
    second: int
    cosine: float


def similar_filters(kernels: Floats) -> list[Pair]:
    """Return pairs of filters by falling cosine similarity of all their weights, without bias.

    Args:
        kernels: (filters, input channels, height, width).

    Returns:
        All pairs whose similarity is at least `NEARLY_EQUAL`, and at least the most similar one;
        empty where there are less than two filters or more than `MAX_COMPARED`.
    """
    count = len(kernels)
    if not 2 <= count <= MAX_COMPARED:
        return []
    filters = kernels.reshape(count, -1).astype(np.float64)
    filters = filters / np.maximum(np.linalg.norm(filters, axis=1, keepdims=True), 1e-12)
    firsts, seconds = np.triu_indices(count, 1)
    cosines = (filters @ filters.T)[firsts, seconds]
    order = np.argsort(-cosines, kind="stable")
    wanted = max(1, int((cosines >= NEARLY_EQUAL).sum()))
    return [Pair(int(firsts[at]), int(seconds[at]), float(cosines[at])) for at in order[:wanted]]


@dataclass(frozen=True, eq=False)
class Firing:
    """How often the channels of a row are above zero after the row's activation."""

    shares: Shares
    """(C,) share of a channel's values for some images, over all pixels, that are above zero."""

    @property
    def dead(self) -> npt.NDArray[np.bool_]:
        """(C,) whether the channel is never above zero; behind a ReLU it is then always 0."""
        return self.shares == 0

    @property
    def always_active(self) -> npt.NDArray[np.bool_]:
        """(C,) whether it is always above zero, where a ReLU is the identity."""
        return self.shares == 1


def measure_firing(model: Network, images: npt.NDArray[np.uint8]) -> dict[int, Firing]:
    """Measure how often the channels of a network fire, in one forward pass.

    Args:
        model: in evaluation mode.
        images: (N, 28, 28) uint8, at least one.

    Returns:
        By number of the row, of every row with weights and an activation. SiLU and GELU are above
        zero where their input is, as ReLU is.
    """
    import torch

    numbers = [
        number
        for number, _, _ in model.weighted_rows()
        if model.rows[number - 1]["activation"] != "none"
    ]
    counts: dict[int, Any] = dict.fromkeys(numbers, 0)
    totals = dict.fromkeys(numbers, 0)
    step = inference_batch_size(model)
    with torch.inference_mode():
        for start in range(0, len(images), step):
            outputs = model.features(network_input(model, images[start : start + step]))
            for number in numbers:
                output = outputs[number - 1]  # (B, C, H, W) or (B, C)
                above = (output > 0).reshape(*output.shape[:2], -1)  # (B, C, P)
                counts[number] += above.sum((0, 2))
                totals[number] += above.shape[0] * above.shape[2]
    return {
        number: Firing(counts[number].double().cpu().numpy() / totals[number]) for number in numbers
    }


def sample_evenly(images: npt.NDArray[np.uint8], most: int) -> npt.NDArray[np.uint8]:
    """Return at most `most` images, evenly spaced."""
    if len(images) <= most:
        return images
    return images[np.linspace(0, len(images) - 1, max(1, most)).round().astype(int)]


def weights_csv(rows: Sequence[RowWeights]) -> str:
    """Return all numbers of a network as comma-separated values.

    Columns: row, name (weight, bias, scale, shift, mean or variance), filter, input_channel, y and
    x, from 1 and empty where a number has none, and value with all the digits of a float32.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["row", "name", "filter", "input_channel", "y", "x", "value"])
    for row in rows:
        places = np.indices(row.kernels.shape).reshape(4, -1).T + 1
        for (channel, source, y, x), value in zip(
            places.tolist(), row.kernels.ravel(), strict=True
        ):
            writer.writerow([row.number, "weight", channel, source, y, x, str(value)])
        for name, values in row.channel_numbers.items():
            for channel, value in enumerate(values, 1):
                writer.writerow([row.number, name, channel, "", "", "", str(value)])
    return buffer.getvalue()


def colour_limit(rows: Sequence[RowWeights]) -> float:
    """Return the absolute value that gets the strongest colour, above 0.

    It is the 98th percentile: a few very large weights, as in last rows, leave colour to the rest.
    """
    sizes = np.abs(np.concatenate([row.kernels.ravel() for row in rows]))
    return float(np.quantile(sizes, 0.98)) or float(sizes.max()) or 1.0


def largest_weight(row: RowWeights) -> float:
    """Return the largest absolute weight of a row; 1 where all are 0."""
    return float(np.abs(row.kernels).max()) or 1.0
