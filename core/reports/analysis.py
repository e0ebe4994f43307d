"""What a run's figures mean, in sentences: the goal, overfitting, capacity and progress."""

from __future__ import annotations

from core.data.presets import transforms_of
from core.experiments.scores import count_epochs, describe_validation_images, score_run
from core.runs.run import Run
from core.task import GOAL_ACCURACY, GOAL_EPOCHS, PARAMETER_BUDGET
from core.training.results import EpochResult

MIN_DIFFERENCE = 0.1  # percentage points; smaller differences count as none
FULL_ACCURACY = 99.8  # percent in training, from which on the network has capacity to spare


def analyse_run(run: Run) -> list[str]:
    """Sentences about a run with at least one epoch."""
    rows, score = run.epochs, score_run(run)
    last, augmented = rows[-1], is_augmented(run, rows[-1].epoch)
    assert score is not None
    train, validation = last.train_accuracy, last.val_accuracy
    gain = validation - rows[len(rows) // 2].val_accuracy if len(rows) > 3 else None
    images = describe_validation_images(run)
    sentences = [
        describe_goal(score.accuracy, score.interval, run, "one run"),
        describe_fit(train, validation, augmented, has_rising_loss(rows), images),
        describe_capacity(train, validation, augmented, images, gain),
    ]
    if gain is not None:
        overfits = gap_in_points(train, validation) > MIN_DIFFERENCE
        sentences.append(describe_progress(gain, images, overfits))
    return sentences


def describe_goal(
    accuracy: float, interval: tuple[float, float] | None, run: Run, sample: str
) -> str:
    """Compare an accuracy and the network's size with the goal.

    Args:
        accuracy: percent.
        interval: its 95 % confidence interval, or None.
        run: the run, or one of a group's.
        sample: what the accuracy was measured on: `one run` or `3 seeds`.
    """
    spare = PARAMETER_BUDGET - run.parameters
    size = f"{abs(spare):,} {'below' if spare >= 0 else 'above'} the limit of {PARAMETER_BUDGET:,}"
    gap = gap_in_points(accuracy, GOAL_ACCURACY)
    text = (
        f"The accuracy of {accuracy:.2f} % reaches the goal of {GOAL_ACCURACY} %"
        if accuracy >= GOAL_ACCURACY
        else f"The accuracy of {accuracy:.2f} % is {-gap:.2f} points below the goal of "
        f"{GOAL_ACCURACY} %"
    )
    text += f"; the network has {run.parameters:,} parameters, {size}."
    if (epochs := count_epochs(run)) > GOAL_EPOCHS:
        total = ", those before the fork included" if run.parent else ""
        text += f" It trained for {epochs} epochs{total}; the goal allows {GOAL_EPOCHS}."
    if interval and interval[0] <= GOAL_ACCURACY <= interval[1]:
        text += (
            f" The 95 % confidence interval ({interval[0]:.2f} to {interval[1]:.2f} %) contains "
            f"the goal, so {sample} cannot show whether the recipe reaches it."
        )
    return text


def describe_fit(
    train: float, validation: float, augmented: bool, rising: bool, images: str
) -> str:
    """Say whether a run overfits.

    Args:
        train, validation: accuracies in percent.
        augmented: whether the training images of that epoch were augmented.
        rising: whether the validation loss is clearly above its minimum.
        images: what the validation accuracy was measured on.
    """
    figures = f"training accuracy {train:.2f} %, accuracy on the {images} {validation:.2f} %"
    gap = gap_in_points(train, validation)
    if gap > MIN_DIFFERENCE:
        loss = f"; the loss on the {images} has risen from its minimum" if rising else ""
        return f"The network overfits by {gap:.2f} points: {figures}{loss}."
    harder = " (augmented images are harder)" if augmented and gap < -MIN_DIFFERENCE else ""
    return f"No overfitting: {figures}{harder}."


def describe_capacity(
    train: float, validation: float, augmented: bool, images: str, gain: float | None = None
) -> str:
    """Say whether more capacity, longer training or more regularisation should help.

    Args:
        train, validation: accuracies in percent.
        augmented: whether the training images of that epoch were augmented.
        images: what the validation accuracy was measured on.
        gain: change of validation accuracy in the second half of the run, in percentage points;
            None if unknown.
    """
    images_trained = f"{'augmented ' if augmented else ''}training images"
    error = f"{gap_in_points(100, train):.2f} % of the {images_trained}"
    gap = gap_in_points(train, validation)
    if train >= FULL_ACCURACY:
        return (
            f"Only {error} are errors: the network has capacity to spare. A smaller network or "
            "more varied images would cost little accuracy."
        )
    if gap > MIN_DIFFERENCE:
        return (
            f"{error} are errors. Against overfitting, more varied images or regularisation should "
            "help before more capacity does."
        )
    order = "more than" if gap < -MIN_DIFFERENCE else "about as many as"
    remedy = "capacity" if gain is not None and gain <= MIN_DIFFERENCE else "capacity or epochs"
    return f"{error} are errors, {order} on the {images}: more {remedy} should help."


def describe_progress(gain: float, images: str, overfits: bool) -> str:
    """Describe the change of accuracy in the second half of a run.

    Args:
        gain: percentage points.
        images: what the accuracy was measured on.
        overfits: whether the run overfits; then a rise is no reason to train longer.
    """
    change = (
        f"In the second half of the run the accuracy on the {images} changed by {gain:+.2f} points"
    )
    if gain <= MIN_DIFFERENCE:
        return f"{change}: it had levelled off."
    return f"{change}." if overfits else f"{change}: it was still rising."


def gap_in_points(first: float, second: float) -> float:
    """Return the difference of two percentages as they are shown, with two decimals."""
    return round(round(first, 2) - round(second, 2), 2)


def is_augmented(run: Run, epoch: int) -> bool:
    """Whether an epoch, counted from 1, trained on augmented images."""
    return bool(transforms_of(run.config)) and epoch <= run.config.augmented_epochs


def has_rising_loss(rows: tuple[EpochResult, ...]) -> bool:
    """Whether the last validation loss is more than 5 % above the lowest."""
    return rows[-1].val_loss > 1.05 * min(row.val_loss for row in rows)
