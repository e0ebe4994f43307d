"""Quantisation-aware fine-tuning: a network in integers learns to predict as the trained one does.

The forward pass simulates the integer arithmetic in floating point: weights and activations are
rounded to the values that integers stand for. The backward pass treats rounding as the identity
within the range of these values (the straight-through estimator: Bengio, Leonard and Courville,
Estimating or Propagating Gradients Through Stochastic Neurons, 2013). The targets are the trained
network's probabilities, so no labels are needed. Imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from core.data.batches import CHUNK, epoch_order, normalise
from core.quantisation.integers import (
    INPUT,
    Array,
    IntegerNetwork,
    Scale,
    Step,
    linear_part,
    walk,
)
from core.quantisation.rounding import FloatNetwork, activate
from core.task import MEAN, STD

BATCH_SIZE = 128
TEMPERATURE = 2.0  # of the probabilities in the loss
Parameters = dict[int, tuple[Tensor, Tensor | None]]


def fine_tune(
    network: IntegerNetwork,
    trained: FloatNetwork,
    images: Array,
    augment: Callable[[Array, tuple[int, ...]], Array],
    seed: int,
    epochs: int,
    max_lr: float,
    report: Callable[[int, int], None] | None = None,
) -> IntegerNetwork:
    """Train weights and biases through the rounding; all scales stay as they are.

    Args:
        network: rounded from `trained`.
        trained: its probabilities are the targets.
        images: (N, 28, 28) uint8 training images.
        augment: returns images for images and a key (`core.data.augmenter.Augmenter`).
        seed: of the order of the images.
        epochs: passes over the images.
        max_lr: learning rate of Adam at the start; it falls to 0 by half a cosine.
        report: called after each step with the steps done and the number of all.

    Returns:
        The network with the new weights and biases, rounded.
    """
    exact = {
        number: (torch.tensor(weight), None if bias is None else torch.tensor(bias))
        for number, (weight, bias) in trained.parameters.items()
    }
    learnt = _start_parameters(network, exact)
    tensors = [each for pair in learnt.values() for each in pair if each is not None]
    optimizer = torch.optim.Adam(tensors, lr=max_lr)
    total = epochs * -(-len(images) // BATCH_SIZE)
    threads_before = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other at every small operation
    try:
        batches = _augmented_batches(images, augment, seed, epochs)
        for done, x in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = max_lr * (1 + math.cos(math.pi * done / total)) / 2
            with torch.no_grad():
                targets = _float_logits(trained, exact, x)
            logits = rounded_logits(network, learnt, x)
            optimizer.zero_grad(set_to_none=True)
            (TEMPERATURE**2 * divergence(logits, targets, TEMPERATURE)).backward()
            optimizer.step()
            if report is not None:
                report(done + 1, total)
    finally:
        torch.set_num_threads(threads_before)
    return with_parameters(network, learnt)


def _start_parameters(network: IntegerNetwork, exact: Parameters) -> Parameters:
    """Return weights as they were trained, and biases as rounding corrected them."""
    parameters: Parameters = {}
    for step in network.steps:
        if step.weights is not None:
            number = step.operation.number
            corrected = step.real_bias
            bias = None if corrected is None else torch.from_numpy(corrected).float()
            parameters[number] = (exact[number][0].clone(), bias)
            for tensor in parameters[number]:
                if tensor is not None:
                    tensor.requires_grad_()
    return parameters


def _augmented_batches(
    images: Array, augment: Callable[[Array, tuple[int, ...]], Array], seed: int, epochs: int
) -> Iterator[Tensor]:
    """Yield normalised batches (B, 1, 28, 28), channels last."""
    for epoch in range(epochs):
        order = epoch_order(seed, epoch, len(images)).numpy()
        for chunk, start in enumerate(range(0, len(images), CHUNK)):
            augmented = augment(images[order[start : start + CHUNK]], (epoch, chunk))
            x = normalise(torch.from_numpy(augmented), "cpu")
            # The layout in which PyTorch's convolutions with few channels are fastest.
            yield from x.to(memory_format=torch.channels_last).split(BATCH_SIZE)


def with_parameters(network: IntegerNetwork, parameters: Parameters) -> IntegerNetwork:
    """The network with other weights and biases, rounded."""
    steps = []
    for step in network.steps:
        if step.weights is not None:
            weight, bias = (
                None if each is None else each.detach().double().numpy()
                for each in parameters[step.operation.number]
            )
            assert weight is not None
            step = step.with_parameters(weight, bias)
        steps.append(step)
    return IntegerNetwork(tuple(steps))


def divergence(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """Mean Kullback-Leibler divergence of probabilities from those of the targets, in nats.

    Args:
        logits, targets: (N, 10); the targets are logits, too.
        temperature: both are divided by it before the softmax.
    """
    return F.kl_div(
        F.log_softmax(logits / temperature, 1),
        F.log_softmax(targets / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )


def _float_logits(trained: FloatNetwork, parameters: Parameters, images: Tensor) -> Tensor:
    def compute(op, x, other):  # type: ignore[no-untyped-def]
        weight, bias = parameters.get(op.number, (None, None))
        sums = x + other if op.kind == "add" else linear_part(op, x, weight, bias)
        return activate(op.activation, sums)

    return walk(trained.operations, images, compute).flatten(1)


def rounded_logits(network: IntegerNetwork, parameters: Parameters, images: Tensor) -> Tensor:
    """Simulate the integer arithmetic in floating point, for gradients.

    Args:
        network: its scales, and the bits of its weights.
        parameters: weights and biases by the operation's number.
        images: (N, 1, 28, 28), normalised.

    Returns:
        (N, 10) logits.
    """
    steps = {step.operation.number: step for step in network.steps}

    def compute(op, x, other):  # type: ignore[no-untyped-def]
        step = steps[op.number]
        weight, bias = parameters.get(op.number, (None, None))
        if op.kind == "add":
            sums = x + other
        else:
            sums = linear_part(op, x, None if weight is None else _round_weight(step, weight), bias)
        if not len(step.multipliers):
            return sums
        if step.gives_logits:
            return activate(op.activation, sums)
        sums = _round(sums, step.output)
        return sums if step.table is None else _round(activate(op.activation, sums), step.result)

    # An integer network subtracts a whole number of grey levels from a pixel.
    images = images + (MEAN / STD - INPUT.zero * INPUT.step)
    return walk([step.operation for step in network.steps], images, compute).flatten(1)


def _round(x: Tensor, scale: Scale) -> Tensor:
    """Round to the values that bytes stand for; gradients pass within the range."""
    return torch.fake_quantize_per_tensor_affine(x, scale.step, scale.zero, 0, 255)


def _round_weight(step: Step, weight: Tensor) -> Tensor:
    """Round weights to their channels' steps; gradients pass within the range."""
    steps = torch.from_numpy(step.weight_steps).float()
    limit = 2 ** (step.bits - 1) - 1
    zeros = torch.zeros(len(steps), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, steps, zeros, 0, -limit, limit)
