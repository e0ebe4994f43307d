"""The learning-rate range test: train a copy of the weights while the rate climbs.

The steps are those of the trainer, with its batches and its optimizer; only the learning rate is
replaced. `lr_range_job` runs the test in a process of its own, for a page.

Source: Smith, arXiv 1506.01186, section 3.3, with the loss in place of the accuracy. Must not
import torch at module level.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from core.config import NO_DIGITS, RunConfig
from core.errors import ConfigError
from core.training import schedules

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from core.data.dataset import Mnist

STEPS = 300
# Fields of a config that the test sets itself; `_config_for_test` and the rates replace them.
SET_BY_TEST = frozenset({"lr", "max_lr", "warmup", "anneal", "gamma", "epochs", "ema_decay"})
MIN_STEPS, MAX_STEPS = 50, 2_000
MIN_LR, MAX_LR = 1e-8, 10.0
RANGES = {
    "sgd": (1e-4, 10.0),
    "adam": (1e-5, 1.0),
    "adamw": (1e-5, 1.0),
    "adadelta": (1e-3, 10.0),
    "muon": (1e-4, 10.0),
}
HALF_LIFE = 13.5  # steps of the running mean; a decay of about 0.95 a step
CLEAR_FALL = 0.9  # the smoothed loss must fall below this share of its first value
DIVERGENCE = 4  # the test stops at so many times the first loss, if the loss never fell clearly
SAFETY_FACTOR = 10  # the suggested rate is the rate of the lowest loss divided by this


@dataclass(frozen=True, slots=True)
class Point:
    """One step of the test."""

    step: int
    """From 1."""
    lr: float
    loss: float
    """Mean nll of the batch before the step, in nats."""
    smoothed: float
    """Exponential moving average of the losses so far."""

    def to_dict(self) -> dict[str, Any]:
        """The point as JSON values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The result of the test."""

    lr: float | None
    """The highest learning rate to train with; None: the test is inconclusive."""
    lowest_loss_lr: float | None
    """The learning rate at which the smoothed loss was lowest."""
    explanation: str
    """How the rate was chosen, in sentences."""

    def to_dict(self) -> dict[str, Any]:
        """The suggestion as JSON values."""
        return dataclasses.asdict(self)


def learning_rates(
    config: RunConfig, steps: int = STEPS, low: float | None = None, high: float | None = None
) -> list[float]:
    """The learning rate of each step, on a geometric grid.

    Args:
        config: its optimizer chooses the default range.
        steps: 50 to 2,000.
        low, high: first and last rate; None: the default for the optimizer.

    Raises:
        ConfigError: the steps or rates are out of range.
    """
    first, last = RANGES[config.optimizer]
    first, last = first if low is None else low, last if high is None else high
    if not MIN_STEPS <= steps <= MAX_STEPS:
        raise ConfigError(f"a range test takes {MIN_STEPS} to {MAX_STEPS:,} steps, not {steps:,}.")
    if not MIN_LR <= first < last <= MAX_LR:
        raise ConfigError(
            f"the rates of a range test must increase between {MIN_LR:g} and {MAX_LR:g}, "
            f"but they go from {first:g} to {last:g}."
        )
    return [first * (last / first) ** (step / (steps - 1)) for step in range(steps)]


def run_test(
    config: RunConfig,
    data: Mnist,
    rates: Sequence[float],
    weights: Mapping[str, Tensor] | None = None,
    teacher: Module | None = None,
) -> Iterator[Point]:
    """Train with increasing rates; stops early when the loss diverges.

    Args:
        config: what would be trained; its own learning rates and schedule are not used.
        data: the dataset.
        rates: as `learning_rates` gives them.
        weights: a state_dict to start from, which is copied; None: the config's fresh weights.
        teacher: the teacher network, if the config names one.

    Raises:
        UserError: as `core.training.trainer.Training`.
    """
    from core.training.results import BatchResult
    from core.training.trainer import Diverged, Training

    class RangeTraining(Training):
        """Training with the rates of the test."""

        def rate(self) -> float:
            return rates[min(self.epoch * self.steps + self.step, len(rates) - 1)]

    prepared = _config_for_test(config, data, len(rates))
    training = RangeTraining(prepared, data, weights=weights, teacher=teacher)
    # The accuracy is not used, so one image is enough.
    training.validation = data.test[:1]
    keep = 0.5 ** (1 / HALF_LIFE)
    mean, first, best = 0.0, 0.0, math.inf
    with contextlib.closing(cast(Generator[Any, None, None], training.run())) as results:
        try:
            step = 0
            for result in results:
                if not isinstance(result, BatchResult):
                    continue
                loss = float(result.loss)
                if not math.isfinite(loss):
                    return
                step += 1
                mean = keep * mean + (1 - keep) * loss
                smoothed = mean / (1 - keep**step)  # corrects the bias of starting at 0
                first = first or smoothed
                best = min(best, smoothed)
                yield Point(step, result.lr, loss, smoothed)
                limit = first if best < CLEAR_FALL * first else DIVERGENCE * first
                if smoothed >= limit or step == len(rates):
                    return
        except Diverged:
            return


def _config_for_test(config: RunConfig, data: Mnist, steps: int) -> RunConfig:
    """The config with room for the steps, all of them like those of the first epochs."""
    per_epoch = schedules.steps_per_epoch(
        len(data.train.labels) - config.holdout, config.batch_size
    )
    cycled = config.schedule == "one-cycle" and config.momentum_cycle
    return config.changed(
        epochs=min(1_000, -(-steps // per_epoch) + 1),
        augment_fraction=1.0 if config.augment_fraction else 0.0,
        digits=NO_DIGITS,
        ema_decay=0.0,
        schedule="constant",
        # The test looks for the highest rate, at which the cycle's momentum is lowest.
        momentum=schedules.BASE_MOMENTUM if cycled else config.momentum,
    )


def suggest(points: Sequence[Point], steps: int) -> Suggestion:
    """Suggest the highest learning rate: a tenth of the rate at which the smoothed loss is lowest.

    At the lowest loss training already begins to diverge, and the loss lags behind the quickly
    climbing rate.

    Args:
        points: of the test, in order.
        steps: how many were requested.
    """
    if len(points) < MIN_STEPS // 2:
        return Suggestion(
            None,
            None,
            f"The loss diverged within {len(points)} steps: even the lowest rates are too high. "
            "Test lower rates.",
        )
    first = points[0].smoothed
    best = min(points, key=lambda point: point.smoothed)
    if best.smoothed >= CLEAR_FALL * first:
        return Suggestion(
            None,
            None,
            f"The smoothed loss never fell clearly below its first value, {first:.2f}, so the test "
            "is inconclusive. Test other rates, or take more steps.",
        )
    lr = float(f"{best.lr / SAFETY_FACTOR:.2g}")
    explanation = (
        f"The smoothed loss was lowest, {best.smoothed:.2f}, at a learning rate of {best.lr:.2g}. "
        f"A tenth of that, {lr:g}, leaves a margin before training diverges."
    )
    if len(points) < steps:
        explanation += f" At {points[-1].lr:.2g} the loss had diverged and the test stopped."
    elif best.step >= steps - HALF_LIFE:
        explanation += (
            " The loss was still falling at the last rate, so higher ones may work as well."
        )
    return Suggestion(lr, best.lr, explanation)
