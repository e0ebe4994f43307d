"""Learning-rate schedules as pure functions of the config: the preview and the trainer call the same ones.

A schedule answers for one step of a run, counted from 0 over all epochs. No torch in here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from core.config import RunConfig

# torch's OneCycleLR: the first rate is max_lr / 25, the last one 10,000 times lower still.
DIV_FACTOR, FINAL_DIV_FACTOR = 25.0, 1e4
BASE_MOMENTUM, MAX_MOMENTUM = 0.85, 0.95
# The seed's custom one-cycle bends at these epochs of its 15.
SEED_KNOTS, SEED_EPOCHS = (0, 2, 8, 12, 15), 15


@dataclass(frozen=True, slots=True)
class Schedule:
    """A named schedule: what it is called, what it does, and its rate at a step."""

    title: str
    help: str
    rate: Callable[[RunConfig, int, int], float]
    """(config, step from 0, steps per epoch) -> learning rate."""


def constant(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """`lr` throughout."""
    return config.lr


def one_cycle(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """Up to `max_lr` during the warm-up, then down to nearly zero, per batch.

    Source: Smith and Topin, arXiv 1708.07120, in the form of `torch.optim.lr_scheduler.OneCycleLR`.
    """
    low = config.max_lr / DIV_FACTOR
    return _two_phases(config, step, steps_per_epoch, low, config.max_lr, low / FINAL_DIV_FACTOR)


def original_one_cycle(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """One rate an epoch: from `lr` up to `max_lr`, down to lr/5 and lr/10, and towards 0.

    The knots stand at epochs 0, 2, 8, 12 and 15 of the seed's 15, and move with the length of the run.
    Source: the seed document's Final table.
    """
    epoch = step // steps_per_epoch
    knots = [knot * config.epochs / SEED_EPOCHS for knot in SEED_KNOTS]
    return _interpolate(
        epoch, knots, [config.lr, config.max_lr, config.lr / 5, config.lr / 10, 0.0]
    )


def cosine(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """From `lr` down to 0 along half a cosine, per batch (Loshchilov and Hutter, arXiv 1608.03983)."""
    return config.lr * 0.5 * (1 + math.cos(math.pi * step / (config.epochs * steps_per_epoch)))


def triangle(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """Straight from `lr` up to `max_lr` during the warm-up and straight down to 0, per batch."""
    total = config.epochs * steps_per_epoch
    return _interpolate(step, [0.0, config.warmup * total, total], [config.lr, config.max_lr, 0.0])


def exponential(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """One rate an epoch: `lr` at first, then `decay` times the last (torch's `ExponentialLR`)."""
    return config.lr * config.gamma ** (step // steps_per_epoch)


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule("Constant", "The same rate from the first step to the last.", constant),
    "one-cycle": Schedule(
        "One-cycle",
        "A short climb, then a long way down, per batch: torch's OneCycleLR.",
        one_cycle,
    ),
    "original-one-cycle": Schedule(
        "Custom one-cycle",
        "The Final recipe's: one rate an epoch, with three slopes down.",
        original_one_cycle,
    ),
    "cosine": Schedule("Cosine", "Starts high and glides down to zero, per batch.", cosine),
    "triangle": Schedule("Triangle", "Straight up, straight down to zero, per batch.", triangle),
    "exponential": Schedule(
        "Exponential", "Multiplied by the same factor after each epoch.", exponential
    ),
}


def rate(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """The learning rate of one step.

    Args:
        config: the run; its schedule, rates, warm-up and epochs count.
        step: 0 to epochs * steps_per_epoch - 1, counted over the whole run.
        steps_per_epoch: at least 1.
    """
    return SCHEDULES[config.schedule].rate(config, step, steps_per_epoch)


def momentum(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """The momentum of one step: the config's, unless one-cycle moves it against the rate (0.95 to 0.85)."""
    if config.schedule != "one-cycle" or not config.momentum_cycle:
        return config.momentum
    return _two_phases(config, step, steps_per_epoch, MAX_MOMENTUM, BASE_MOMENTUM, MAX_MOMENTUM)


def epoch_rates(config: RunConfig, steps_per_epoch: int) -> list[float]:
    """The rate at the start of each epoch, first epoch first."""
    return [
        rate(config, epoch * steps_per_epoch, steps_per_epoch) for epoch in range(config.epochs)
    ]


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Steps in one pass over the images; a last, shorter batch counts."""
    return -(-images // batch_size)


def _two_phases(
    config: RunConfig, step: int, steps_per_epoch: int, first: float, top: float, last: float
) -> float:
    """OneCycleLR's path: first -> top until the end of the warm-up, then top -> last at the final step."""
    total = config.epochs * steps_per_epoch
    peak = config.warmup * total - 1
    if step <= peak:
        begin, end, start, stop = first, top, 0.0, peak
    else:
        begin, end, start, stop = top, last, peak, total - 1.0
    # A run of one step, or a warm-up of one step, has no way to go: it stands at its goal.
    share = (step - start) / (stop - start) if stop > start else 1.0
    if config.anneal == "cos":
        return end + (begin - end) / 2 * (1 + math.cos(math.pi * share))
    return begin + (end - begin) * share


def _interpolate(x: float, knots: list[float], values: list[float]) -> float:
    for left, right, low, high in zip(knots, knots[1:], values, values[1:], strict=False):
        if x < right:
            return low + (high - low) * (x - left) / (right - left)
    return values[-1]
