"""What a run's figures say, as sentences: the goal, over-fitting, the capacity left, whether it was still learning."""

from __future__ import annotations

from core.data.presets import transforms_of
from core.experiments.scores import TEST, Score, describe_validation_images
from core.experiments.statistics import wilson_interval
from core.runs.run import Run
from core.task import GOAL_ACCURACY, GOAL_EPOCHS, PARAMETER_BUDGET
from core.training.results import EpochResult

SEVERAL = 0.1  # percentage points that count as a difference worth a sentence
LEARNT = 99.8  # percent of the training images from which on there is next to nothing left to learn from them


def of_run(run: Run) -> list[str]:
    """The sentences, each computed from the run; it has at least one epoch."""
    last = run.epochs[-1]
    rows = run.epochs
    on = describe_validation_images(run)
    found = (
        Score(run.test.correct, run.test.total, TEST)
        if run.test
        else Score(last.val_correct, last.val_total, on)
    )
    words = [
        goal(found.accuracy, found.interval, run, "one run"),
        fit(last.train_accuracy, last.val_accuracy, augmented(run, last.epoch), _rising(rows)),
        capacity(last.train_accuracy, last.val_accuracy, augmented(run, last.epoch)),
    ]
    if len(rows) > 3:
        words.append(progress(last.val_accuracy - rows[len(rows) // 2].val_accuracy, on))
    return words


def goal(accuracy: float, interval: tuple[float, float] | None, run: Run, what: str) -> str:
    """How an accuracy stands to the goal, and what is left of the budget.

    Args:
        accuracy: percent.
        interval: its 95 % interval, or None.
        run: whose network and length it is about.
        what: whose accuracy it is: `one run`, `3 seeds`.
    """
    count = run.parameters
    size = (
        f"{PARAMETER_BUDGET - count:,} parameters below"
        if count <= PARAMETER_BUDGET
        else f"{count - PARAMETER_BUDGET:,} parameters above"
    )
    gap = accuracy - GOAL_ACCURACY
    words = (
        f"It reaches the goal of {GOAL_ACCURACY} %"
        if gap >= 0
        else f"It misses the goal of {GOAL_ACCURACY} % by {-gap:.2f} points"
    )
    words += f" and stands {size} the budget of {PARAMETER_BUDGET:,}."
    if run.config.epochs > GOAL_EPOCHS:
        words += f" It took {run.config.epochs} epochs, more than the goal's {GOAL_EPOCHS}."
    if interval and interval[0] <= GOAL_ACCURACY <= interval[1]:
        words += (
            f" The interval from {interval[0]:.2f} to {interval[1]:.2f} holds the goal, so {what} cannot tell "
            "whether the recipe reaches it."
        )
    return words


def fit(train: float, validation: float, augmented: bool, rising: bool) -> str:
    """Whether it over-fits.

    Args:
        train, validation: accuracies in percent.
        augmented: whether the training images of that epoch were.
        rising: whether the validation loss has left its lowest behind.
    """
    figures = f"{train:.2f} % in training against {validation:.2f} % in validation"
    if train - validation > SEVERAL:
        return f"It overfits: {figures}{', and the validation loss has risen from its lowest' if rising else ''}."
    if train - validation < -SEVERAL:
        return f"It does not overfit: {figures}{' (augmented images are harder)' if augmented else ''}."
    return f"Training and validation agree: {figures}."


def capacity(train: float, validation: float, augmented: bool) -> str:
    """What the network has left to learn with.

    Args:
        train, validation: accuracies in percent.
        augmented: whether the training images of that epoch were.
    """
    wrong = f"{100 - train:.2f} % of its{' augmented' if augmented else ''} training images"
    if train >= LEARNT:
        return (
            f"It misreads only {wrong}: it has more capacity than these images ask for; a smaller network, or more "
            "varied images, would lose little."
        )
    if train - validation > SEVERAL:
        return (
            f"It still misreads {wrong}, but learning them better has stopped helping with others: more varied "
            "images or more regularisation would help before more capacity does."
        )
    than = "more than" if validation - train > SEVERAL else "about as many as"
    return f"It misreads {wrong}, {than} of others: what it lacks is capacity or time, not regularisation."


def progress(gained: float, on: str) -> str:
    """What the second half of the run brought, in percentage points on the images named."""
    return f"The second half of the run brought {gained:+.2f} points on the {on}" + (
        "; it was still learning." if gained > SEVERAL else "; it had learnt what it could by then."
    )


def augmented(run: Run, epoch: int) -> bool:
    """Whether an epoch, counted from 1, saw augmented images."""
    return bool(transforms_of(run.config)) and epoch <= run.config.augmented_epochs


def interval_of(row: EpochResult) -> tuple[float, float]:
    """The 95 % interval of an epoch's validation accuracy, in percent."""
    return wilson_interval(row.val_correct, row.val_total)


def _rising(rows: tuple[EpochResult, ...]) -> bool:
    return rows[-1].val_loss > 1.05 * min(row.val_loss for row in rows)
