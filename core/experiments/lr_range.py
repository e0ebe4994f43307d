"""The learning-rate range test: a few hundred steps on a copy of the weights while the rate climbs, and what they say.

The steps are those of the trainer, with its batches and its optimizer; only the rate is another one. What is done in a
process of its own, for a page, is in `rate_finder`. No torch at import.

Source: Smith, arXiv 1506.01186, section 3.3, with the loss in place of the accuracy.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from core.config import RunConfig
from core.errors import ConfigError
from core.training import schedules

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from core.data.dataset import Mnist

STEPS = 300
FEWEST, MOST = 50, 2_000
LOWEST, HIGHEST = 1e-8, 10.0
RANGES = {
    "sgd": (1e-4, 10.0),
    "adam": (1e-5, 1.0),
    "adamw": (1e-5, 1.0),
    "adadelta": (1e-3, 10.0),
    "muon": (1e-4, 10.0),
}
HALF_LIFE = 13.5  # steps; about what a decay of 0.95 a step gives
FALLS = 0.9  # the loss must reach this share of where it began before anything can be said
BURSTS = 4  # a loss so many times the first has nothing more to tell
BELOW_LOWEST = 10  # the suggestion stands at so many times less than the rate of the lowest loss


@dataclass(frozen=True, slots=True)
class Point:
    """One step of the test."""

    step: int
    """From 1."""
    lr: float
    loss: float
    """Mean nll of the step's images, before it."""
    smoothed: float
    """The running mean of the losses so far."""

    def to_dict(self) -> dict[str, Any]:
        """The point as JSON values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the test says."""

    lr: float | None
    """The highest rate to train with; None: the test doesn't tell."""
    lowest: float | None
    """The rate at which the smoothed loss was lowest."""
    words: str
    """How it was found, as sentences."""

    def to_dict(self) -> dict[str, Any]:
        """The suggestion as JSON values."""
        return dataclasses.asdict(self)


def rates(
    config: RunConfig, steps: int = STEPS, low: float | None = None, high: float | None = None
) -> list[float]:
    """The rates of the test, each the same factor above the one before.

    Args:
        config: its optimizer chooses the range.
        steps: 50 to 2,000.
        low, high: first and last rate; None: the optimizer's usual range.

    Raises:
        ConfigError: they make no range.
    """
    first, last = RANGES[config.optimizer]
    first, last = first if low is None else low, last if high is None else high
    if not FEWEST <= steps <= MOST:
        raise ConfigError(f"a range test takes {FEWEST} to {MOST:,} steps, not {steps:,}.")
    if not LOWEST <= first < last <= HIGHEST:
        raise ConfigError(
            f"the rates of a range test climb from one of at least {LOWEST:g} to one of at most "
            f"{HIGHEST:g}, not from {first:g} to {last:g}."
        )
    return [first * (last / first) ** (step / (steps - 1)) for step in range(steps)]


def points(
    config: RunConfig,
    data: Mnist,
    climb: Sequence[float],
    weights: Mapping[str, Tensor] | None = None,
    teacher: Module | None = None,
) -> Iterator[Point]:
    """Take the steps; ends early when the loss is back where it began, or no number any more.

    Args:
        config: what would be trained; its own rates and schedule play no part.
        data: what to train on.
        climb: the rates, as `rates` gives them.
        weights: a state_dict to begin with, which is copied; None: the config's fresh weights.
        teacher: the network that the config names as its teacher, if it names one.

    Raises:
        UserError: as `core.training.trainer.Training`.
    """
    from core.training.results import BatchResult
    from core.training.trainer import Diverged, Training

    class Climbing(Training):
        """Training whose rate only climbs."""

        def rate(self) -> float:
            return climb[min(self.epoch * self.steps + self.step, len(climb) - 1)]

    training = Climbing(_prepared(config, data, len(climb)), data, weights=weights, teacher=teacher)
    training.validation = (
        data.test_images[:1],
        data.test_labels[:1],
    )  # nobody asks how good it gets
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
                smoothed = mean / (1 - keep**step)  # as if it had begun at the first loss, not at 0
                first = first or smoothed
                best = min(best, smoothed)
                yield Point(step, result.lr, loss, smoothed)
                lost = smoothed >= (first if best < FALLS * first else BURSTS * first)
                if lost or step == len(climb):
                    return
        except Diverged:
            return


def _prepared(config: RunConfig, data: Mnist, steps: int) -> RunConfig:
    """The config with room for so many steps, all of them like those of the first epochs, and nothing else going on."""
    per_epoch = schedules.steps_per_epoch(
        len(data.train_labels) - config.holdout, config.batch_size
    )
    cycled = config.schedule == "one-cycle" and config.momentum_cycle
    return config.changed(
        epochs=min(1_000, -(-steps // per_epoch) + 1),
        augment_fraction=1.0 if config.augment_fraction else 0.0,
        ema_decay=0.0,
        schedule="constant",
        # At the highest rate, which is what is looked for, the cycle's momentum is at its lowest.
        momentum=schedules.BASE_MOMENTUM if cycled else config.momentum,
    )


def suggest(found: Sequence[Point], planned: int) -> Suggestion:
    """The highest rate that the points speak for.

    A tenth of the rate at which the smoothed loss was lowest: where it is lowest the steps already undo each other, and
    the climb was so quick that the loss lags behind the rate.

    Args:
        found: the test's points, in order.
        planned: steps that the test was to take.
    """
    if len(found) < FEWEST // 2:
        return Suggestion(
            None,
            None,
            f"The loss grew beyond all bounds within {len(found)} steps: the lowest rates "
            "are too high already; test lower ones.",
        )
    first = found[0].smoothed
    best = min(found, key=lambda point: point.smoothed)
    if best.smoothed >= FALLS * first:
        return Suggestion(
            None,
            None,
            f"The smoothed loss never fell clearly below the {first:.2f} that it began with, "
            "so no rate stands out; test other ones, or take more steps.",
        )
    lr = float(f"{best.lr / BELOW_LOWEST:.2g}")
    words = (
        f"The smoothed loss was lowest, {best.smoothed:.2f}, at a rate of {best.lr:.2g}; a tenth of that, {lr:g}, "
        "leaves room before the steps undo each other."
    )
    if len(found) < planned:
        words += f" At {found[-1].lr:.2g} the loss was back where it began, and the test stopped."
    elif best.step >= planned - HALF_LIFE:
        words += " It was still falling at the last rate, so higher ones may do as well."
    return Suggestion(lr, best.lr, words)
