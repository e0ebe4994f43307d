"""Parts that the report of a run and that of a group share: targets, network, header, charts of one run."""

from __future__ import annotations

import pandas as pd

from core.charts import training as charts
from core.models.architectures import rows_of
from core.models.summary import Summary, summarise
from core.recipes import RECIPES, Recipe
from core.reports.blocks import Block, Chart, Code
from core.runs.run import Run


def recipe_of(run: Run) -> Recipe | None:
    """The recipe that a run came from, if there still is one of that name."""
    return RECIPES.get(run.recipe or "")


def title(run: Run) -> str:
    """What a run's report is called."""
    recipe = recipe_of(run)
    return recipe.title if recipe and run.name == run.recipe else run.name


def targets(run: Run) -> list[str]:
    """What the run was for."""
    recipe = recipe_of(run)
    return (
        list(recipe.targets)
        if recipe
        else [f"Train {run.config.architecture} for {run.config.epochs} epochs"]
    )


def network_line(run: Run) -> str:
    """How large its network is."""
    summary = _summary(run)
    return (
        f"A network with **{summary.total_params:,}** parameters and {summary.multiply_adds:,} multiply-adds "
        "an image"
    )


def network(run: Run) -> Block:
    """Its network's summary."""
    return Code(_summary(run).text())


def header(run: Run) -> list[str]:
    """The seed's lines above its epoch table."""
    config, runtime = run.config, run.runtime
    device = runtime.device if runtime else "unknown"
    rounded = " (bf16)" if runtime and runtime.precision == "bf16" else ""
    taught = (
        [
            f"Teacher: {config.teacher} (share {config.teacher_share:g}, temperature {config.temperature:g})"
        ]
        if config.teacher != "none"
        else []
    )
    return [
        f"Using Device: {device}{rounded}",
        f"Epochs: {config.epochs}",
        f"Lr: {config.lr:g}",
        f"Max Lr: {config.max_lr:g}",
        f"Batch Size: {config.batch_size}",
        f"Dropout: {config.dropout:g}",
        *taught,
    ]


def charts_of(run: Run) -> list[Block]:
    """A run's curves: accuracy, loss and learning rate."""
    epochs, last = run.config.epochs, run.epochs[-1]
    parts = ((charts.TRAIN, "train_"), (charts.VALIDATION, "val_"))
    frame = pd.DataFrame(
        [
            {
                "epoch": row.epoch,
                "part": part,
                "accuracy": getattr(row, f"{start}accuracy"),
                "loss": getattr(row, f"{start}loss"),
            }
            for row in run.epochs
            for part, start in parts
        ]
    )
    steps = run.steps_per_epoch
    batches = pd.DataFrame(
        [
            (event["epoch"] - 1 + event["step"] / steps, event["loss"], event["lr"])
            for event in run.read_events()
            if event["kind"] == "batch"
        ],
        columns=["epoch", "loss", "rate"],
    )
    return [
        Chart(
            "Accuracy",
            "full: validation, dashed: training",
            charts.accuracy(frame, epochs, run.name),
            f"Accuracy by epoch: {last.val_accuracy:.2f} % in validation and {last.train_accuracy:.2f} % in training "
            f"after epoch {last.epoch}.",
        ),
        Chart(
            "Loss",
            "thin: batches, as they are and smoothed",
            charts.loss(frame, epochs, run.name, batches[["epoch", "loss"]]),
            f"Loss by epoch: {last.val_loss:.4f} in validation and {last.train_loss:.4f} in training after epoch "
            f"{last.epoch}.",
        ),
        Chart(
            "Learning rate",
            "full: as it was, dashed: as planned",
            charts.rate(
                charts.plan(run.config, steps), epochs, run.name, batches[["epoch", "rate"]]
            ),
            f"The {run.config.schedule} schedule over {epochs} epochs.",
        ),
    ]


def _summary(run: Run) -> Summary:
    return summarise(rows_of(run.config))
