"""A run told in the seed's own form: targets, results, network, header, epoch table and analysis, in Markdown."""

from __future__ import annotations

from core.data.augmentations import transforms_of
from core.errors import RunError
from core.experiments.statistics import wilson
from core.models.architectures import rows_of
from core.models.summary import BUDGET, summarise
from core.recipes import RECIPES
from core.runs.run import Run
from core.training.results import EpochResult, table

GOAL = 99.4  # percent on the test images
SEVERAL = 0.1  # percentage points that count as a difference worth a sentence


def markdown(run: Run) -> str:
    """The report of a run with at least one epoch.

    Raises:
        RunError: it has none yet.
    """
    last, best = run.last, run.best
    if last is None or best is None:
        raise RunError(f"{run.name} has no epoch to report yet.")
    recipe = RECIPES.get(run.recipe or "")
    summary = summarise(rows_of(run.config))
    low, high = wilson(last.val_correct, last.val_total)
    where = measured_on(run)
    targets = recipe.targets if recipe else (f"Train {run.config.architecture} for {run.config.epochs} epochs",)
    lines = [
        f"# {recipe.title if recipe and run.name == run.recipe else run.name}", "",
        *([recipe.summary, ""] if recipe else []),
        "## Targets", *(f"{number}. {target}" for number, target in enumerate(targets, 1)), "",
        "## Results",
        f"1. A network with **{summary.total_params:,}** parameters and {summary.multiply_adds:,} multiply-adds "
        "an image",
        f"2. After {last.epoch} epochs **{last.train_accuracy:.2f} %** of the training images"
        f"{' as augmented' if _augmented(run) else ''} and **{last.val_accuracy:.2f} %** of the {where}"
        f" (95 % interval {low:.2f} to {high:.2f})",
        f"3. The best epoch on the {where} was {best.epoch} with {best.val_accuracy:.2f} %; since it was chosen on "
        "them, it is no fair measure",
        *([f"4. Scored once at the end on the test images: **{run.test.accuracy:.2f} %**"] if run.test else []), "",
        "```", summary.text(), "```", "",
        "```", *header(run), "", table(list(run.epochs)), "```", "",
        "## Analysis", *(f"{number}. {words}" for number, words in enumerate(analysis(run), 1)), "",
    ]
    return "\n".join(lines)


def header(run: Run) -> list[str]:
    """The seed's lines above its epoch table."""
    config, facts = run.config, run.facts
    return [f"Using Device: {facts.get('device', 'not known')}", f"Epochs: {config.epochs}", f"Lr: {config.lr:g}",
            f"Max Lr: {config.max_lr:g}", f"Batch Size: {config.batch_size}", f"Dropout: {config.dropout:g}"]


def measured_on(run: Run) -> str:
    """What a run's validation accuracy was measured on, in words."""
    return "test images" if run.config.holdout == 0 else f"{run.config.holdout:,} held-out training images"


def analysis(run: Run) -> list[str]:
    """What the figures say, as sentences, each computed from the run."""
    last = run.epochs[-1]
    words = [_goal(run, last), _fit(run, last)]
    half = run.epochs[len(run.epochs) // 2]
    gained = last.val_accuracy - half.val_accuracy
    if len(run.epochs) > 3:
        words.append(f"The second half of the run brought {gained:+.2f} points on the {measured_on(run)}"
                     + ("; it was still learning." if gained > SEVERAL else "; it had learnt what it could by then."))
    return words


def _goal(run: Run, last: EpochResult) -> str:
    parameters = summarise(rows_of(run.config)).total_params
    size = (f"{BUDGET - parameters:,} parameters below" if parameters <= BUDGET
            else f"{parameters - BUDGET:,} parameters above")
    gap = last.val_accuracy - GOAL
    if gap >= 0:
        return f"It reaches the goal of {GOAL} % and stands {size} the budget of {BUDGET:,}."
    return f"It misses the goal of {GOAL} % by {-gap:.2f} points and stands {size} the budget of {BUDGET:,}."


def _fit(run: Run, last: EpochResult) -> str:
    gap = last.train_accuracy - last.val_accuracy
    figures = f"{last.train_accuracy:.2f} % in training against {last.val_accuracy:.2f} % in validation"
    if gap > SEVERAL:
        rising = last.val_loss > 1.05 * min(row.val_loss for row in run.epochs)
        more = ", and the validation loss has risen from its lowest" if rising else ""
        return f"It overfits: {figures}{more}."
    if gap < -SEVERAL:
        why = " (it trains on augmented images, which are harder)" if _augmented(run) else ""
        return f"It does not overfit: {figures}{why}."
    return f"Training and validation agree: {figures}."


def _augmented(run: Run) -> bool:
    return bool(transforms_of(run.config))
