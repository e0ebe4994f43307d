"""The path from Initial to Taught, in sentences about the shipped runs."""

from __future__ import annotations

import math
from pathlib import Path

from core.config import RunConfig
from core.data.presets import transforms_of
from core.errors import RunError
from core.experiments.scores import describe_validation_images
from core.experiments.statistics import wilson_interval
from core.models.architectures import rows_of
from core.recipes import RECIPES
from core.reports.analysis import MIN_DIFFERENCE, gap_in_points, has_rising_loss
from core.runs import folders, processes, store
from core.runs.run import Run
from core.task import GOAL_ACCURACY, PARAMETER_BUDGET
from core.training.effects import rate_fields, unused_fields
from core.training.results import EpochResult
from core.training.schedules import SCHEDULES
from core.wording import plural

CHAPTERS = ("initial", "intermediate", "final-published", "final", "taught")
# Titles of the chapters that are not about a run: the first, the one before `final`, the last.
GOAL, CHANGES, END = "The goal", "One change at a time", "The end"
PATH_GOAL = (
    "Classify handwritten digits with this accuracy, with a network whose parameters fit on a few "
    "printed pages."
)
SHIPPED = processes.ROOT / "checkpoints"


def open_shipped_run(name: str, folder: Path | None = None) -> Run:
    """Open a run of the story, also where the user's runs are in another folder.

    Args:
        name: one of CHAPTERS.
        folder: folder of the shipped runs; None: beside the app, else the user's.

    Raises:
        RunError: the run is missing, damaged, or has no epoch.
    """
    candidates = [folder] if folder else [SHIPPED, folders.checkpoints_folder()]
    found = next((path for path in candidates if (path / name).is_dir()), None)
    if found is None:
        raise RunError(f"the shipped run {name!r} is missing; if it was deleted, restore it.")
    run = store.open_run(name, found)
    if not run.epochs:
        raise RunError(f"the run {name!r} has no epoch to show.")
    return run


def changed_settings(config: RunConfig, before: RunConfig) -> dict[str, tuple[object, object]]:
    """Return the settings that differ from the step before: field -> (before, now).

    Those that have no effect in either are left out.
    """
    unused = unused_fields(config).keys() & unused_fields(before).keys()
    return {
        name: (was, now)
        for name, (now, was) in config.differences(before).items()
        if name not in unused
    }


def has_new_network(config: RunConfig, before: RunConfig | None) -> bool:
    """Whether a config has another network than the step before; also without a step before."""
    return before is None or rows_of(config) != rows_of(before)


def has_new_schedule(config: RunConfig, before: RunConfig | None) -> bool:
    """Whether the learning rate differs from the step before; also without a step before."""
    return before is None or bool(
        {"schedule", "lr", "max_lr"} & changed_settings(config, before).keys()
    )


def describe_schedule(config: RunConfig) -> str:
    """Name a config's schedule with its peak learning rate, and explain it."""
    schedule = SCHEDULES[config.schedule]
    peak = max(getattr(config, name) for name in rate_fields(config.schedule))
    return f"{schedule.title}, peak {peak:g}. {schedule.help}"


def result_title(run: Run) -> str:
    """A run's accuracy with its number of epochs."""
    accuracy = run.epochs[-1].val_accuracy
    return f"{accuracy:.2f} % after {plural(len(run.epochs), 'epoch')}"


def describe_size(run: Run, before: Run | None = None) -> str:
    """Compare the size of a run's network with the limit and with the step before."""
    count = run.parameters
    spare = PARAMETER_BUDGET - count
    limit = f"{abs(spare):,} {'below' if spare > 0 else 'above'} the limit of {PARAMETER_BUDGET:,}"
    if before is None:
        return f"The network has {count:,} parameters, {limit}."
    if not has_new_network(run.config, before.config):
        return f"The network is unchanged, with {count:,} parameters."
    old = before.parameters
    if count < old:
        return (
            f"The network has {count:,} parameters instead of {old:,} "
            f"({100 * count / old:.0f} %), {limit}."
        )
    return f"The network has {count:,} parameters instead of {old:,}, {limit}."


def accuracy_gap(row: EpochResult) -> float:
    """Return training minus validation accuracy, in percentage points."""
    return gap_in_points(row.train_accuracy, row.val_accuracy)


def describe_fit(run: Run) -> list[str]:
    """Compare a run's errors on training and on other images."""
    last, images = run.epochs[-1], describe_validation_images(run)
    train = last.train_total - last.train_correct
    sentences = [
        f"The last epoch has {train:,} errors on the {last.train_total:,} training images and "
        f"{last.val_errors:,} on the {last.val_total:,} {images}.",
        f"The error rate is {100 - last.train_accuracy:.2f} % on the training images and "
        f"{100 - last.val_accuracy:.2f} % on the {images}: {describe_overfitting(last)}.",
    ]
    if has_rising_loss(run.epochs):
        lowest = min(run.epochs, key=lambda row: row.val_loss)
        rise = 100 * (last.val_loss / lowest.val_loss - 1)
        sentences.append(
            f"The loss on the {images} was lowest after epoch {lowest.epoch} and has risen by "
            f"{rise:.0f} % since, while training accuracy went on rising."
            if last.train_accuracy > lowest.train_accuracy
            else f"The loss on the {images} was lowest after epoch {lowest.epoch} and has risen by "
            f"{rise:.0f} % since."
        )
    return sentences


def describe_overfitting(row: EpochResult) -> str:
    """Say whether the network overfits after an epoch, without a full stop."""
    gap = accuracy_gap(row)
    if gap > MIN_DIFFERENCE:
        return f"the network overfits by {gap:.2f} points"
    if gap < -MIN_DIFFERENCE:
        return "the network does not overfit"
    return "the network generalises to other images"


def describe_gap_change(run: Run, before: Run) -> str:
    """Describe how a step changed the gap between training and validation accuracy."""
    was, now = accuracy_gap(before.epochs[-1]), accuracy_gap(run.epochs[-1])
    change = "" if abs(now - was) > MIN_DIFFERENCE else " That is no clear change."
    return (
        f"The gap between the accuracies on the training images and on the "
        f"{describe_validation_images(run)} went from {was:+.2f} to {now:+.2f} points.{change}"
    )


def augmented_epochs(config: RunConfig) -> int:
    """Return the number of epochs with augmented training images."""
    if not transforms_of(config):
        return 0
    return min(config.epochs, config.augmented_epochs)


def transformed_fraction(config: RunConfig) -> float:
    """Expected fraction of the images of an augmented epoch that a transform changes, 0 to 1."""
    return 1 - math.prod(1 - row["p"] for row in transforms_of(config))


def describe_augmented_epochs(config: RunConfig) -> str:
    """Say which epochs train on augmented images, and why."""
    count = augmented_epochs(config)
    return (
        f"In {'all' if count == config.epochs else 'the first'} {plural(count, 'epoch')} about "
        f"{100 * transformed_fraction(config):.0f} % of the training images are transformed at "
        "random, differently each time, so that the network cannot memorise them."
    )


def describe_augmentation(run: Run) -> list[str]:
    """Describe the accuracy gap with augmented images, and in the epochs without at the end."""
    count = min(augmented_epochs(run.config), len(run.epochs))
    if not count:
        return ["The training images were not augmented."]
    row, plain = run.epochs[count - 1], len(run.epochs) - count
    sentences = [
        f"In epoch {row.epoch}, the last with augmented images, training accuracy was "
        f"{row.train_accuracy:.2f} % and accuracy on the {describe_validation_images(run)} "
        f"{row.val_accuracy:.2f} %: a gap of {accuracy_gap(row):+.2f} points."
    ]
    if plain > 0:
        epochs = "The last epoch trains" if plain == 1 else f"The last {plain} epochs train"
        gap = accuracy_gap(run.epochs[-1])
        sentences.append(f"{epochs} without augmentation; the gap ends at {gap:+.2f} points.")
    return sentences


def describe_goal(run: Run) -> str:
    """Say whether a run reaches the goal, with the confidence interval of its accuracy."""
    last = run.epochs[-1]
    low, high = wilson_interval(last.val_correct, last.val_total)
    interval = f"95 % confidence interval: {low:.2f} to {high:.2f} %"
    if run.parameters >= PARAMETER_BUDGET:
        return f"The network is too large for the goal. {interval}."
    unsure = (
        ", which contains the goal: one run cannot show whether the recipe reaches it"
        if low < GOAL_ACCURACY < high
        else ""
    )
    missing = GOAL_ACCURACY - last.val_accuracy
    if missing <= 1e-9:
        result = f"An accuracy of {last.val_accuracy:.2f} % reaches the goal of {GOAL_ACCURACY} %"
    else:
        images = round(missing / 100 * last.val_total)
        result = (
            f"An accuracy of {last.val_accuracy:.2f} % is {missing:.2f} points below the goal of "
            f"{GOAL_ACCURACY} %: {plural(images, 'image')} of {last.val_total:,}"
        )
    return f"{result}. {interval}{unsure}."


def chapter_title(name: str) -> str:
    """Return the title of a chapter."""
    return RECIPES[name].title
