"""Parts that the reports of runs and groups share: targets, network, settings and charts."""

from __future__ import annotations

from core.charts import training as charts
from core.experiments.curves import batch_frame, epoch_frame
from core.models.architectures import rows_of
from core.models.summary import summarise
from core.recipes import RECIPES, Recipe
from core.reports.blocks import Block, Chart, Code
from core.runs.run import Run
from core.wording import plural


def recipe_of(run: Run) -> Recipe | None:
    """Return the recipe that a run came from, or None if there is none of that name."""
    return RECIPES.get(run.recipe or "")


def report_title(run: Run) -> str:
    """Return the title of a run's report."""
    recipe = recipe_of(run)
    return recipe.title if recipe and run.name == run.recipe else run.name


def list_targets(run: Run) -> list[str]:
    """Return the targets of a run's recipe."""
    recipe = recipe_of(run)
    if recipe:
        return list(recipe.targets)
    return [f"Train {run.config.architecture} for {plural(run.config.epochs, 'epoch')}"]


def describe_network(run: Run) -> str:
    """Return the size of a run's network in words."""
    summary = summarise(rows_of(run.config))
    return (
        f"Network: **{summary.total_params:,}** parameters, {summary.multiply_adds:,} "
        "multiply-adds per image"
    )


def summarise_network(run: Run) -> Block:
    """Return the layer-by-layer summary of a run's network."""
    return Code(summarise(rows_of(run.config)).text())


def describe_settings(run: Run) -> list[str]:
    """Return the lines that the original has above its epoch table."""
    config, runtime = run.config, run.runtime
    device = runtime.device if runtime else "unknown"
    precision = " (bf16)" if runtime and runtime.precision == "bf16" else ""
    lines = [
        f"Using Device: {device}{precision}",
        f"Epochs: {config.epochs}",
        f"Lr: {config.lr:g}",
        f"Max Lr: {config.max_lr:g}",
        f"Batch Size: {config.batch_size}",
        f"Dropout: {config.dropout:g}",
    ]
    if config.teacher != "none":
        share, temperature = f"{config.teacher_share:g}", f"{config.temperature:g}"
        lines.append(f"Teacher: {config.teacher} (share {share}, temperature {temperature})")
    return lines


def run_charts(run: Run) -> list[Block]:
    """Return a run's curves of accuracy, loss and learning rate."""
    epochs, last = run.config.epochs, run.epochs[-1]
    curves, batches = epoch_frame(run), batch_frame(run)
    planned = charts.planned_rates(run.config, run.steps_per_epoch)
    return [
        Chart(
            "Accuracy",
            "solid: validation, dashed: training",
            charts.accuracy_chart(curves, epochs, run.name),
            f"Accuracy by epoch: {last.val_accuracy:.2f} % in validation and "
            f"{last.train_accuracy:.2f} % in training after epoch {last.epoch}.",
        ),
        Chart(
            "Loss",
            "thin: batches, raw and smoothed",
            charts.loss_chart(curves, epochs, run.name, batches),
            f"Loss by epoch: {last.val_loss:.4f} in validation and {last.train_loss:.4f} in "
            f"training after epoch {last.epoch}.",
        ),
        Chart(
            "Learning rate",
            "solid: used, dashed: planned",
            charts.learning_rate_chart(planned, epochs, run.name, batches),
            f"Learning rate: the {run.config.schedule} schedule over {plural(epochs, 'epoch')}.",
        ),
    ]
