"""Learning-rate schedules as pure functions of the config, for the trainer and the preview alike.

Steps count from 0 over all epochs. Must not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from core.config import RunConfig

# As torch's OneCycleLR: the first rate is max_lr / 25, the last one 10,000 times lower still.
DIV_FACTOR, FINAL_DIV_FACTOR = 25.0, 1e4
BASE_MOMENTUM, MAX_MOMENTUM = 0.85, 0.95
# Epochs at which the original's one-cycle changes its slope, of its 15.
ORIGINAL_KNOTS, ORIGINAL_EPOCHS = (0, 2, 8, 12, 15), 15


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule with its title and help."""

    title: str
    help: str
    rate: Callable[[RunConfig, int, int], float]
    """(config, step from 0, steps per epoch) -> learning rate."""


def constant(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """Return `lr`."""
    return config.lr


def one_cycle(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """Rise to `max_lr` during the warm-up, then fall to nearly zero, per step.

    Source: Smith and Topin, "Super-Convergence" (2017), arXiv 1708.07120, in the form of
    `torch.optim.lr_scheduler.OneCycleLR`.
    """
    low = config.max_lr / DIV_FACTOR
    return _two_phases(config, step, steps_per_epoch, low, config.max_lr, low / FINAL_DIV_FACTOR)


def original_one_cycle(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """Rise from `lr` to `max_lr`, then fall to lr/5, to lr/10 and towards 0, per epoch.

    The knots are at epochs 0, 2, 8, 12 and 15 of 15, and scale with the number of epochs.
    Source: the original's Final table.
    """
    epoch = step // steps_per_epoch
    knots = [knot * config.epochs / ORIGINAL_EPOCHS for knot in ORIGINAL_KNOTS]
    return _interpolate(
        epoch, knots, [config.lr, config.max_lr, config.lr / 5, config.lr / 10, 0.0]
    )


def cosine(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """Fall from `lr` to 0 along half a cosine, per step.

    Source: Loshchilov and Hutter, "SGDR" (2016), arXiv 1608.03983.
    """
    return config.lr * 0.5 * (1 + math.cos(math.pi * step / (config.epochs * steps_per_epoch)))


def triangle(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """Rise linearly from `lr` to `max_lr` during the warm-up, then fall linearly to 0, per step."""
    total = config.epochs * steps_per_epoch
    return _interpolate(step, [0.0, config.warmup * total, total], [config.lr, config.max_lr, 0.0])


def exponential(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """Start at `lr` and multiply by `gamma` after each epoch, as torch's `ExponentialLR`."""
    return config.lr * config.gamma ** (step // steps_per_epoch)


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule("Constant", "The same rate at every step.", constant),
    "one-cycle": Schedule(
        "One-cycle",
        "Rises during the warm-up, then falls to nearly zero, per step: torch's OneCycleLR.",
        one_cycle,
    ),
    "original-one-cycle": Schedule(
        "Custom one-cycle",
        "One rate per epoch: it rises linearly, then falls in three straight lines.",
        original_one_cycle,
    ),
    "cosine": Schedule("Cosine", "Falls to zero along half a cosine, per step.", cosine),
    "triangle": Schedule(
        "Triangle", "Rises linearly, then falls linearly to zero, per step.", triangle
    ),
    "exponential": Schedule("Exponential", "Multiplied by gamma after each epoch.", exponential),
}


def rate(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of one step.

    Args:
        config: its schedule, rates, warm-up and epochs are used.
        step: 0 to epochs * steps_per_epoch - 1, counted over the whole run.
        steps_per_epoch: at least 1.
    """
    return SCHEDULES[config.schedule].rate(config, step, steps_per_epoch)


def momentum(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """Return the momentum of one step; with `momentum_cycle`, it falls while the rate rises."""
    if config.schedule != "one-cycle" or not config.momentum_cycle:
        return config.momentum
    return _two_phases(config, step, steps_per_epoch, MAX_MOMENTUM, BASE_MOMENTUM, MAX_MOMENTUM)


def epoch_rates(config: RunConfig, steps_per_epoch: int) -> list[float]:
    """Return the learning rate at the start of each epoch."""
    return [
        rate(config, epoch * steps_per_epoch, steps_per_epoch) for epoch in range(config.epochs)
    ]


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Return the number of steps in an epoch; a smaller last batch counts."""
    return -(-images // batch_size)


def _two_phases(
    config: RunConfig, step: int, steps_per_epoch: int, first: float, top: float, last: float
) -> float:
    """Follow OneCycleLR: first -> top during the warm-up, then top -> last at the final step."""
    total = config.epochs * steps_per_epoch
    peak = config.warmup * total - 1
    if step <= peak:
        begin, end, start, stop = first, top, 0.0, peak
    else:
        begin, end, start, stop = top, last, peak, total - 1.0
    # A phase of one step is at its end.
    fraction = (step - start) / (stop - start) if stop > start else 1.0
    if config.anneal == "cos":
        return end + (begin - end) / 2 * (1 + math.cos(math.pi * fraction))
    return begin + (end - begin) * fraction


def _interpolate(x: float, knots: list[float], values: list[float]) -> float:
    for left, right, low, high in zip(knots, knots[1:], values, values[1:], strict=False):
        if x < right:
            return low + (high - low) * (x - left) / (right - left)
    return values[-1]
