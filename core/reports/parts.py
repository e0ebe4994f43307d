"""Parts that the reports of runs and groups share: targets, network, settings and charts."""

from __future__ import annotations

from core.charts import training as charts
from core.config import RunConfig
from core.experiments.curves import batch_frame, epoch_frame
from core.experiments.scores import describe_validation_images
from core.experiments.settings import describe_setting, list_changes
from core.models.architectures import rows_of
from core.models.summary import summarise
from core.recipes import RECIPES, Recipe
from core.reports.blocks import Block, Chart, Code
from core.runs.run import Run
from core.training.effects import rate_fields, unused_fields
from core.wording import plural

# Settings that leave a run what its recipe describes.
_INCIDENTAL = {"seed", "kept_epochs", "device", "threads", "precision"}


def recipe_of(run: Run) -> Recipe | None:
    """Return the recipe that describes a run; None where a setting that matters was changed."""
    recipe = RECIPES.get(run.recipe or "")
    if recipe is None or run.parent is not None:
        return None
    changed = {change.field for change in list_changes(run.config, recipe.config)}
    return None if changed - _INCIDENTAL else recipe


def report_title(run: Run) -> str:
    """Return the title of a run's report."""
    recipe = recipe_of(run)
    return recipe.title if recipe and run.name == run.recipe else run.name


def summarise_run(run: Run) -> str:
    """Return one sentence on what a run is: its recipe's, or its own where it differs from it."""
    recipe = recipe_of(run)
    if recipe:
        return recipe.summary
    network = describe_setting(run.config, "architecture")
    sentence = (
        f"A network of {run.parameters:,} parameters ({network}), trained for "
        f"{plural(run.config.epochs, 'epoch')}."
    )
    if run.recipe in RECIPES:
        sentence += f" It started from the recipe {run.recipe}, with other settings."
    return sentence


def describe_augmentation(config: RunConfig) -> str:
    """Return the augmentation of a config, and in which epochs it is used."""
    name = describe_setting(config, "augmentation")
    if name == "none" or config.augmented_epochs == config.epochs:
        return name
    return f"{name} in the first {config.augmented_epochs} of {plural(config.epochs, 'epoch')}"


def list_targets(run: Run) -> list[str]:
    """Return the targets of a run's recipe, or what the run itself set out to do."""
    recipe = recipe_of(run)
    if recipe:
        return list(recipe.targets)
    return [
        f"Train a network of {run.parameters:,} parameters for {plural(run.config.epochs, 'epoch')}"
    ]


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
    """Return the lines that the original has above its epoch table.

    Settings that have no effect are left out, here and in `describe_origin`.
    """
    config, runtime = run.config, run.runtime
    unused = unused_fields(config)
    device = runtime.device if runtime else "unknown"
    precision = " (bf16)" if runtime and runtime.precision == "bf16" else ""
    lines = [
        f"Using Device: {device}{precision}",
        f"Epochs: {config.epochs}",
    ]
    lines += [
        f"{name.replace('_', ' ').title()}: {getattr(config, name):g}"
        for name in ("lr", "max_lr", "batch_size", "dropout")
        if name not in unused
    ]
    if config.teachers:
        details = [f"share {config.teacher_share:g}"]
        if "temperature" not in unused:
            details.append(f"temperature {config.temperature:g}")
        lines.append(f"Teacher: {config.teacher} ({', '.join(details)})")
    return lines


def describe_origin(run: Run, seeds: str = "") -> list[str]:
    """Return lines on how a run was trained, when, with what and where.

    What older runs did not record is left out.

    Args:
        run: the run, or the first of a group.
        seeds: those of the group; empty: of the run.
    """
    config, runtime = run.config, run.runtime
    unused = unused_fields(config)
    lines = [
        f"Network: {describe_setting(config, 'architecture')}",
        f"Seeds: {seeds}" if seeds else f"Seed: {config.seed}",
        f"Optimizer: {_describe_optimizer(run)}",
        f"Schedule: {_describe_schedule(run)}",
        f"Augmentation: {describe_augmentation(config)}",
        f"Validated on: {describe_validation_images(run)}",
    ]
    lines += [
        f"{title}: {value:g}"
        for title, name in (
            ("Label smoothing", "label_smoothing"),
            ("Gradient clipping", "clip_norm"),
            ("Average of the weights", "ema_decay"),
        )
        if (value := getattr(config, name)) and name not in unused
    ]
    if runtime is None:
        return [*lines, f"Date: {run.created:%d %B %Y}"]
    packages = {"torch": runtime.torch, **runtime.packages}
    versions = [f"{name} {version}" for name, version in packages.items() if version]
    project = f"Inkling {runtime.inkling}" if runtime.inkling else ""
    commit = f"commit {runtime.commit}" if runtime.commit else ""
    python = f"Python {runtime.python}" if runtime.python else ""
    machine = runtime.machine or runtime.device_name
    return [
        *lines,
        f"Precision: {runtime.precision}, layout {runtime.layout}, "
        f"{plural(runtime.threads, 'thread')}",
        f"Date: {run.created:%d %B %Y}",
        f"Version: {', '.join(filter(None, (project, commit, python, *versions))) or 'unknown'}",
        f"Machine: {machine or 'unknown'}"
        + (f", {runtime.device_name}" if runtime.device != "cpu" and runtime.machine else ""),
    ]


def _describe_optimizer(run: Run) -> str:
    config = run.config
    parts = [config.optimizer]
    if "momentum" not in unused_fields(config):
        parts.append(f"momentum {config.momentum:g}")
    if config.nesterov and "nesterov" not in unused_fields(config):
        parts.append("Nesterov")
    if config.weight_decay:
        parts.append(f"weight decay {config.weight_decay:g}")
    return ", ".join(parts)


def _describe_schedule(run: Run) -> str:
    config = run.config
    titles = {"lr": "learning rate", "max_lr": "peak learning rate"}
    rates = [
        f"{title} {getattr(config, name):g}"
        for name, title in titles.items()
        if name in rate_fields(config.schedule)
    ]
    return ", ".join([config.schedule, *rates])


def run_charts(run: Run) -> list[Block]:
    """Return a run's curves of accuracy, loss and learning rate."""
    epochs, last = run.config.epochs, run.epochs[-1]
    curves, batches = epoch_frame(run), batch_frame(run)
    planned = charts.planned_rates(run.config, run.steps_per_epoch)
    images = describe_validation_images(run)
    return [
        Chart(
            "Accuracy",
            f"solid: {images}, dashed: training",
            charts.accuracy_chart(curves, epochs, run.name),
            f"Accuracy by epoch: {last.val_accuracy:.2f} % on the {images} and "
            f"{last.train_accuracy:.2f} % in training after epoch {last.epoch}.",
        ),
        Chart(
            "Loss",
            "thin: batches, raw and smoothed",
            charts.loss_chart(curves, epochs, run.name, batches),
            f"Loss by epoch: {last.val_loss:.4f} on the {images} and "
            f"{last.train_loss:.4f} in training after epoch {last.epoch}.",
        ),
        Chart(
            "Learning rate",
            "solid: used, dashed: planned",
            charts.learning_rate_chart(planned, epochs, run.name, batches),
            f"Learning rate: the {run.config.schedule} schedule over {plural(epochs, 'epoch')}.",
        ),
    ]
