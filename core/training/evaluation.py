"""Loss and accuracy of a network on labelled images."""

from __future__ import annotations

import functools
import json

import torch
import torch.nn.functional as F
from torch import Tensor

from core.compiled.compiler import CompilerError
from core.compiled.inference import ForwardPass
from core.data.batches import normalise
from core.models.network import Network
from core.training.layouts import to_layout
from core.training.precision import autocast

EVALUATION_BATCH = 1_000


def can_compute_logits(model: torch.nn.Module) -> bool:
    """Whether `compute_logits` accepts a network; its device and dtype are not checked."""
    return isinstance(model, Network) and _is_compiled(json.dumps(model.rows))


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
def _is_compiled(rows: str) -> bool:
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
    if layout == "compiled" and can_compute_logits(model):
        assert isinstance(model, Network)
        logits = compute_logits(model, images, torch.get_num_threads())
        nll = F.cross_entropy(logits, labels, reduction="sum").item()
        return nll / len(images), int((logits.argmax(1) == labels).sum())
    training = model.training
    model.eval()
    losses, correct = [], []
    for start in range(0, len(images), EVALUATION_BATCH):
        batch = normalise(images[start : start + EVALUATION_BATCH], device)
        targets = labels[start : start + EVALUATION_BATCH].to(device)
        with autocast(device, dtype):
            logits = model(to_layout(batch, layout))  # (B, 1, 28, 28) -> (B, 10)
        logits = logits.float()
        losses.append(F.cross_entropy(logits, targets, reduction="sum"))
        correct.append((logits.argmax(1) == targets).sum())
    model.train(training)
    # Read at the end, since reading a tensor waits for the GPU.
    return sum(torch.stack(losses).tolist()) / len(images), sum(torch.stack(correct).tolist())
