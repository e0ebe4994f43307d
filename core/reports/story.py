"""The seed's path from Initial over Intermediate to Final, in words computed from the shipped runs.

What a page shows of it is the page's business; nothing is said in here that the figures don't say.
"""

from __future__ import annotations

from pathlib import Path

from core.data.presets import transforms_of
from core.errors import RunError
from core.experiments.scores import describe_validation_images
from core.experiments.statistics import wilson_interval
from core.models.architectures import rows_of
from core.recipes import RECIPES
from core.runs import folders, processes, store
from core.runs.run import Run
from core.task import GOAL_ACCURACY, PARAMETER_BUDGET
from core.training.results import EpochResult

PATH = ("initial", "intermediate", "final")
SHIPPED = processes.ROOT / "checkpoints"
SEVERAL = 0.1  # percentage points that count as a gap


def told(name: str, folder: Path | None = None) -> Run:
    """The run that the story tells: the shipped one, also where one's own runs lie in another folder.

    Args:
        name: of PATH.
        folder: where the shipped runs are; None: beside the app, else among one's own.

    Raises:
        RunError: it is not there, damaged, or was never trained to its end.
    """
    places = [folder] if folder else [SHIPPED, folders.checkpoints_folder()]
    found = next((place for place in places if (place / name).is_dir()), None)
    if found is None:
        raise RunError(
            f"the run {name!r}, which came with the app, is no longer here; if it was deleted, restore it."
        )
    run = store.open_run(name, found)
    if not run.epochs:
        raise RunError(f"the run {name!r} has no epoch to tell of.")
    return run


def changes(run: Run, before: Run) -> dict[str, tuple[object, object]]:
    """The settings that a step of the story changes: field -> (before, now)."""
    return {name: (was, now) for name, (now, was) in run.config.differences(before.config).items()}


def size(run: Run, before: Run | None = None) -> str:
    """How large its network is, against the one before and the budget."""
    mine = run.parameters
    budget = (
        f"{PARAMETER_BUDGET - mine:,} below"
        if mine < PARAMETER_BUDGET
        else f"{mine - PARAMETER_BUDGET:,} above"
    )
    if before is None:
        return f"It has {mine:,} parameters, {budget} the goal's {PARAMETER_BUDGET:,}."
    theirs = before.parameters
    if rows_of(run.config) == rows_of(before.config):
        return f"It is the same network, row for row, with the same {mine:,} parameters."
    if mine < theirs:
        return (
            f"{theirs - mine:,} parameters are saved: {mine:,} are left, {100 * mine / theirs:.0f} % of before and "
            f"{budget} the goal's {PARAMETER_BUDGET:,}."
        )
    return f"It has {mine:,} parameters after {theirs:,}, {budget} the goal's {PARAMETER_BUDGET:,}."


def gap(row: EpochResult) -> float:
    """By how much it is better on the images it learns from than on others, in percentage points."""
    return row.train_accuracy - row.val_accuracy


def learnt(run: Run) -> list[str]:
    """What it does with images that it learnt from, and with others."""
    last = run.epochs[-1]
    trained, asked = last.train_total - last.train_correct, last.val_total - last.val_correct
    words = [
        f"In its last epoch it misread {trained:,} of the {last.train_total:,} images that it learns from, and "
        f"after it, {asked:,} of the {last.val_total:,} {describe_validation_images(run)}.",
        _gap(last),
    ]
    lowest = min(run.epochs, key=lambda row: row.val_loss)
    if last.val_loss > 1.05 * lowest.val_loss:
        words.append(
            f"Its loss on the {describe_validation_images(run)} was lowest after epoch {lowest.epoch} and has risen by "
            f"{100 * (last.val_loss / lowest.val_loss - 1):.0f} % since, while it learnt on."
        )
    return words


def _gap(row: EpochResult) -> str:
    rates = (
        1_000 * (1 - row.train_correct / row.train_total),
        1_000 * (1 - row.val_correct / row.val_total),
    )
    figures = f"{rates[0]:.1f} in a thousand against {rates[1]:.1f}"
    if gap(row) > SEVERAL:
        return f"That is {figures}: it knows its own images better than others. It overfits, by {gap(row):.2f} points."
    if gap(row) < -SEVERAL:
        return f"That is {figures}: it does better on others than on its own. It does not overfit."
    return f"That is {figures}: what it learnt holds for other images as well."


def gap_moved(run: Run, before: Run) -> str:
    """What a step of the story did to the overfitting gap."""
    was, now = gap(before.epochs[-1]), gap(run.epochs[-1])
    return (
        f"The gap between training and other images went from {was:+.2f} to {now:+.2f} points."
        + ("" if abs(now - was) > SEVERAL else " That is next to nothing.")
    )


def augmented_epochs(run: Run) -> int:
    """How many epochs saw augmented images."""
    if not transforms_of(run.config):
        return 0
    return min(run.config.epochs, run.config.augmented_epochs)


def augmentation(run: Run) -> list[str]:
    """What augmentation did to the gap: while it was on, and in the epochs without it at the end."""
    count = min(augmented_epochs(run), len(run.epochs))
    if not count:
        return ["Its training images were not augmented."]
    row = run.epochs[count - 1]
    words = [
        f"In epoch {row.epoch}, the last with augmented images, it was right on {row.train_accuracy:.2f} % of "
        f"them, and after it on {row.val_accuracy:.2f} % of the {describe_validation_images(run)}: a gap of {gap(row):+.2f} "
        "points."
    ]
    rest = len(run.epochs) - count
    if rest > 0:
        last = run.epochs[-1]
        epochs = "The last epoch sees" if rest == 1 else f"The last {rest} epochs see"
        words.append(f"{epochs} the images as they are; the gap ends at {gap(last):+.2f} points.")
    return words


def goal(run: Run) -> str:
    """Whether it reaches the goal, and how sure that is."""
    last, mine = run.epochs[-1], run.parameters
    low, high = wilson_interval(last.val_correct, last.val_total)
    interval = f"The 95 % interval goes from {low:.2f} to {high:.2f} %"
    short = GOAL_ACCURACY - last.val_accuracy
    if mine >= PARAMETER_BUDGET:
        return f"It is too large for the goal. {interval}."
    unsure = ", on both sides of the goal: one run cannot tell whether the recipe reaches it"
    unsure = unsure if low < GOAL_ACCURACY < high else ""
    if short <= 1e-9:
        return f"With {last.val_accuracy:.2f} % it reaches the goal of {GOAL_ACCURACY} %. {interval}{unsure}."
    images = round(short / 100 * last.val_total)
    return (
        f"With {last.val_accuracy:.2f} % it misses the goal of {GOAL_ACCURACY} % by {short:.2f} points, "
        f"{images:,} image{'' if images == 1 else 's'} of {last.val_total:,}. {interval}{unsure}."
    )


def title(name: str) -> str:
    """What a chapter is called."""
    return RECIPES[name].title
