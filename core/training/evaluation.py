"""Loss and accuracy of a network on labelled images."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from core.compiled.inference import ForwardPass
from core.compiler import CompilerError
from core.data.batches import normalise
from core.models.network import Network
from core.training.layouts import to_layout
from core.training.precision import autocast

EVALUATION_BATCH = 1_000


def can_compute_logits(model: torch.nn.Module) -> bool:
    """Whether `compute_logits` accepts a network; its device and dtype are not checked."""
    return isinstance(model, Network) and is_compiled(json.dumps(model.rows))


def compute_logits(model: Network, images: Tensor, threads: int) -> Tensor:
    """Return the logits (N, 10) of images (N, 28, 28) uint8 by a compiled forward pass.

    Args:
        model: on the CPU, float32; it computes as in evaluation mode.
        images: on the CPU.
        threads: that compute; the logits do not depend on it.

    Raises:
        CompilerError: no compiler works.
    """
    compute = _forward_pass(json.dumps(model.rows))
    state = [tensor.detach().numpy() for tensor in model.state_dict().values()]
    return torch.from_numpy(compute(images.numpy(), state, threads))


@functools.lru_cache(maxsize=8)
def _forward_pass(rows: str) -> ForwardPass:
    return ForwardPass(json.loads(rows))


@functools.lru_cache(maxsize=8)
def is_compiled(rows: str) -> bool:
    """Whether the forward pass of a network, its rows as JSON, can be compiled here."""
    try:
        _forward_pass(rows)
    except CompilerError:
        return False
    return True


@torch.inference_mode()
def evaluate(
    model: torch.nn.Module,
    images: Tensor,
    labels: Tensor,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    layout: str = "contiguous",
) -> tuple[float, int]:
    """Return the mean negative log-likelihood and the number of correct predictions.

    The network computes in evaluation mode and is then set back to its former mode.

    Args:
        model: (B, 1, 28, 28) -> logits (B, 10).
        images: (N, 28, 28) uint8, not augmented.
        labels: (N,) int64.
        device: of the network.
        dtype: of the arithmetic; other than float32 under autocast.
        layout: memory layout of the images, one of `core.runtime.LAYOUTS`.
    """
    losses, correct, done = [], [], 0
    for logits in _iterate_logits(model, images, device, dtype, layout):
        targets = labels[done : done + len(logits)].to(device)
        done += len(logits)
        losses.append(F.cross_entropy(logits, targets, reduction="sum"))
        correct.append((logits.argmax(1) == targets).sum())
    # Read at the end, since reading a tensor waits for the GPU.
    return sum(torch.stack(losses).tolist()) / len(images), sum(torch.stack(correct).tolist())


@torch.inference_mode()
def predict_logits(
    model: torch.nn.Module,
    images: Tensor,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    layout: str = "contiguous",
) -> Tensor:
    """Return the logits (N, 10) float32 that `evaluate` judges, on the CPU.

    Args:
        model, images, device, dtype, layout: as of `evaluate`; at least one image.
    """
    return torch.cat(list(_iterate_logits(model, images, device, dtype, layout))).cpu()


def _iterate_logits(
    model: torch.nn.Module,
    images: Tensor,
    device: torch.device,
    dtype: torch.dtype,
    layout: str,
) -> Iterator[Tensor]:
    """Yield the logits (B, 10) float32 of one batch of images after another, on the device."""
    if layout == "compiled" and can_compute_logits(model):
        assert isinstance(model, Network)
        yield compute_logits(model, images, torch.get_num_threads())
        return
    training = model.training
    model.eval()
    try:
        for start in range(0, len(images), EVALUATION_BATCH):
            batch = normalise(images[start : start + EVALUATION_BATCH], device)
            with autocast(device, dtype):
                logits = model(to_layout(batch, layout))  # (B, 1, 28, 28) -> (B, 10)
            yield logits.float()
    finally:
        model.train(training)
