"""The effect of each change from `final-published` to `taught` over several seeds, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.config import RunConfig
from core.experiments.measurements import (
    Measurement,
    Measurements,
    config_key,
    measuring_command,
)
from core.experiments.statistics import compute_statistics, paired_interval
from core.recipes import RECIPES
from core.rungs import RUNGS, START, rung_configs
from core.wording import plural


@dataclass(frozen=True)
class MeasuredStep:
    """A rung, or the recipe below the first one, with what is measured of it."""

    name: str
    title: str
    summary: str
    config: RunConfig
    measured: Measurement | None


def list_steps(measurements: Measurements) -> list[MeasuredStep]:
    """The steps from `final-published` to `taught`, in order."""
    words = {START: (RECIPES[START].title, RECIPES[START].summary)}
    words |= {name: (rung.title, rung.summary) for name, rung in RUNGS.items()}
    configs = {START: RECIPES[START].config, **rung_configs()}
    return [
        MeasuredStep(name, *words[name], config, measurements.find(config))
        for name, config in configs.items()
    ]


def steps_to(steps: Sequence[MeasuredStep], recipe: str) -> int:
    """How many of the steps lead to a recipe: the last of them trains as the recipe does.

    All of them where none does.
    """
    key = config_key(RECIPES[recipe].config)
    found = [at for at, step in enumerate(steps, 1) if config_key(step.config) == key]
    return found[-1] if found else len(steps)


@dataclass(frozen=True, slots=True)
class Effect:
    """The difference between two configs over the seeds that both were measured with."""

    seeds: int
    means: tuple[float, float]
    """Accuracies on the test images in percent, before and after."""
    interval: tuple[float, float]
    """95 % confidence interval of the difference, in percentage points (paired t)."""

    @property
    def difference(self) -> float:
        """Mean after minus mean before, in percentage points."""
        return self.means[1] - self.means[0]

    @property
    def is_significant(self) -> bool:
        """Whether the confidence interval excludes 0."""
        return self.interval[0] > 0 or self.interval[1] < 0

    @property
    def verdict(self) -> str:
        """Whether the accuracy changed significantly, in a short sentence."""
        if not self.is_significant:
            return "No significant difference; it could be chance."
        return f"The accuracy is significantly {'higher' if self.difference > 0 else 'lower'}."

    @property
    def sentence(self) -> str:
        """The means and their difference in a sentence."""
        low, high = self.interval
        return (
            f"The mean over {plural(self.seeds, 'seed')} is {self.means[1]:.3f} % instead of "
            f"{self.means[0]:.3f} %, a difference of {self.difference:+.3f} points (95 % "
            f"confidence interval {low:+.3f} to {high:+.3f}; paired by seed)."
        )


def find_effect(before: Measurement | None, after: Measurement | None) -> Effect | None:
    """Compare two configs over the seeds that both were measured with.

    Returns:
        None with fewer than two such seeds.
    """
    if before is None or after is None:
        return None
    seeds = sorted(before.accuracies.keys() & after.accuracies.keys())
    if len(seeds) < 2:
        return None
    samples = [[each.accuracies[seed] for seed in seeds] for each in (before, after)]
    means = (compute_statistics(samples[0]).mean, compute_statistics(samples[1]).mean)
    return Effect(len(seeds), means, paired_interval(*samples))


def describe_effect(before: MeasuredStep, now: MeasuredStep) -> str:
    """The effect of a change over the seeds of both steps, or how to measure it; in Markdown."""
    effect = find_effect(before.measured, now.measured)
    if effect is None:
        few = [each for each in (before, now) if not each.measured or len(each.measured.runs) < 2]
        return describe_missing(each.name for each in few or (before, now))
    return f"{effect.verdict} {effect.sentence}"


def describe_missing(names: Iterable[str]) -> str:
    """Say in Markdown that recipes or rungs are not measured yet, and with which command."""
    return f"Not measured yet. To train and measure: `{measuring_command(names)}`"
