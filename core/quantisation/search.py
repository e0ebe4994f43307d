"""Quantise a network: round it, give layers 4 bits if it must fit, and fine-tune it.

Everything is chosen on training images; the test images are not looked at. Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from core.compiled.plan import Operation
from core.data.labelled_images import LabelledImages
from core.errors import RunError
from core.quantisation.fine_tuning import divergence, fine_tune
from core.quantisation.integers import Array, IntegerNetwork
from core.quantisation.rounding import FloatNetwork, calibration_size, quantise
from core.quantisation.schemes import SCHEMES

ALLOWED_LOSS = 0.02  # percentage points on the hold-out
EPOCHS = 1
MAX_LR = 1e-3
_PRICED = 250  # images to measure the effect of 4 bits in each layer with
_HOLDOUT = 6  # one training image in so many is held out


@dataclass(frozen=True, eq=False)
class Quantised:
    """A network in integers, with its accuracy on training images kept apart, in percent.

    Args:
        network: in integers.
        accuracy: of `network`.
        float_accuracy: of the trained network.
        images: number of these images.
        is_fine_tuned: whether `network` was fine-tuned.
    """

    network: IntegerNetwork
    accuracy: float
    float_accuracy: float
    images: int
    is_fine_tuned: bool

    @property
    def summary(self) -> str:
        """What was done and what it costs, in a sentence."""
        bits = self.network.bits
        four = sum(each == 4 for each in bits)
        widths = "8-bit weights" if not four else "4-bit weights"
        if 0 < four < len(bits):
            widths = f"4-bit weights in {four} of {len(bits)} layers, 8-bit weights in the others"
        how = "fine-tuned" if self.is_fine_tuned else "rounded"
        return (
            f"{widths[0].upper()}{widths[1:]}, {how}: {self.accuracy:.2f} % of {self.images:,} "
            f"training images correct, {self.float_accuracy:.2f} % in floating point."
        )


def quantise_network(
    trained: FloatNetwork,
    training: LabelledImages[Array],
    float_logits: Callable[[Array], Array],
    scheme: str = "int8",
    max_bytes: int | None = None,
    augment: Callable[[Array, tuple[int, ...]], Array] | None = None,
    seed: int = 1,
    epochs: int = EPOCHS,
    report: Callable[[int, int], None] | None = None,
) -> Quantised:
    """Quantise a trained network.

    Args:
        trained: the network.
        training: the training images; a sixth of them, the last ones, judges the result and is
            used for nothing else.
        float_logits: from images (N, 28, 28) uint8: the trained network's logits (N, 10).
        scheme: "int8" or "int4": bits of the weights.
        max_bytes: of all constants; where 8 bits everywhere need more, those layers get 4 bits that
            save enough and change the probabilities least. None: any number.
        augment: for fine-tuning (`core.data.augmenter.Augmenter`); None: no fine-tuning.
        seed: fixes the fine-tuning.
        epochs: of the fine-tuning, which is done where rounding loses more than ALLOWED_LOSS or a
            layer has 4 bits, and kept where it brings the probabilities closer to the trained
            network's: accuracy on training images hardly shows what 4 bits cost.
        report: called with the steps of the fine-tuning done and all steps.

    Raises:
        RunError: unknown scheme, or the network does not fit into `max_bytes`.
    """
    if scheme not in SCHEMES:
        raise RunError(f"unknown scheme {scheme[:40]!r}; choose int8 or int4.")
    cut = len(training) - max(1, len(training) // _HOLDOUT)
    images, judged = training.images[:cut], training[cut:]
    # Labels sorted by class would make the first images all alike.
    images = images[np.random.default_rng(0).permutation(len(images))]
    network = quantise(trained, images, _bits(trained, scheme, images, float_logits, max_bytes))
    if max_bytes is not None and network.constant_bytes > max_bytes:
        raise RunError(
            f"the network needs {network.constant_bytes:,} bytes with 4-bit weights everywhere, "
            f"more than the {max_bytes:,} that are allowed."
        )

    def accuracy(logits: Array) -> float:
        return 100 * float((logits.argmax(1) == judged.labels).mean())

    targets = float_logits(judged.images)
    exact, logits = accuracy(targets), network.logits(judged.images)
    best, is_fine_tuned = accuracy(logits), False
    if augment is not None and (exact - best > ALLOWED_LOSS or 4 in network.bits):
        tuned = fine_tune(network, trained, images, augment, seed, epochs, MAX_LR, report)
        tuned_logits = tuned.logits(judged.images)
        if _divergence(tuned_logits, targets) < _divergence(logits, targets):
            network, best, is_fine_tuned = tuned, accuracy(tuned_logits), True
    return Quantised(network, best, exact, len(judged), is_fine_tuned)


def _bits(
    trained: FloatNetwork,
    scheme: str,
    images: Array,
    float_logits: Callable[[Array], Array],
    max_bytes: int | None,
) -> Callable[[Operation], int]:
    """Choose the bits of each convolution's weights."""
    if scheme == "int4":
        return lambda op: 4
    eight = quantise(trained, images, lambda op: 8)
    excess = 0 if max_bytes is None else eight.constant_bytes - max_bytes
    if excess <= 0:
        return lambda op: 8
    sample = images[: min(_PRICED, calibration_size(trained))]
    targets = float_logits(sample)
    layers = {}
    for number in trained.parameters:
        network = quantise(trained, sample, lambda op, n=number: 4 if op.number == n else 8)  # type: ignore[misc]
        saved = eight.constant_bytes - network.constant_bytes
        layers[number] = (saved, _divergence(network.logits(sample), targets))
    chosen = cheapest(layers, excess)
    return lambda op: 4 if op.number in chosen else 8


def cheapest(layers: Mapping[int, tuple[int, float]], excess: int) -> tuple[int, ...]:
    """Choose the layers that save enough bytes at the least sum of costs; all if none suffice.

    Args:
        layers: bytes saved and cost of each, by number.
        excess: bytes to save, above 0.
    """
    # By the bytes saved: least cost and its layers, the knapsack problem by dynamic programming.
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for number, (saved, cost) in layers.items():
        for so_far, (sum_of_costs, chosen) in list(best.items()):
            total = min(so_far + saved, excess)
            candidate = (sum_of_costs + cost, (*chosen, number))
            if total not in best or candidate < best[total]:
                best[total] = candidate
    return best[excess][1] if excess in best else tuple(layers)


def _divergence(logits: Array, targets: Array) -> float:
    return float(divergence(torch.from_numpy(logits).double(), torch.from_numpy(targets).double()))
