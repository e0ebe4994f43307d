"""The report of a group: results over its seeds, by run and by epoch."""

from __future__ import annotations

import math
import statistics

import pandas as pd

from core.charts import experiments as charts_experiments
from core.charts import runs as charts_runs
from core.errors import RunError
from core.experiments import overview
from core.experiments.repeats import Group
from core.experiments.scores import describe_validation_images
from core.recipes import RECIPES
from core.reports import analysis, mistakes
from core.reports.blocks import Block, Chart, Code, NumberedList, Report, Section
from core.reports.changes import list_differences
from core.reports.parts import (
    describe_network,
    describe_origin,
    describe_settings,
    list_targets,
    summarise_network,
)
from core.runs.run import Run
from core.training.results import EpochResult
from core.wording import plural

_RUNS = "|  Seed | TrainAcc | Accuracy | 95 % interval  | Best     | Run"
_EPOCHS = "| Epoch | LR       | TrainLoss | TrainAcc | ValLoss  | ValAcc   | Minimum  | Maximum  |"


def build_group_report(group: Group, charts: bool) -> Report:
    """Build the report of a group.

    Args:
        group: with at least one finished run.
        charts: whether to include charts.

    Raises:
        RunError: no run of the group is finished.
    """
    runs = group.finished
    if not runs:
        raise RunError(f"{group.name} has no finished run to report yet.")
    first = runs[0]
    recipe, test = RECIPES.get(first.recipe or ""), mistakes.load_test_images()
    seeds = ", ".join(str(run.config.seed) for run in runs)
    tables: list[Block] = [
        Code("\n".join([_RUNS, *(_run_row(group, run) for run in runs)])),
        Code(
            "\n".join(
                [
                    *describe_settings(first),
                    *describe_origin(first, seeds),
                    "",
                    _EPOCHS,
                    *_epoch_rows(runs),
                ]
            )
        ),
    ]
    drawn = _charts(group) if charts else []
    sections = [
        Section("Targets", [NumberedList(list_targets(first))]),
        Section(
            "Results",
            [NumberedList(_list_results(group)), summarise_network(first), *drawn, *tables],
        ),
        Section("Analysis", [NumberedList(_analyse(group))]),
    ]
    if recipe and (changed := list_differences(first.config, recipe.config)):
        sections.append(
            Section(f"Changes since the recipe {first.recipe}", [NumberedList(changed)])
        )
    sections += mistakes.describe_group_errors(runs, test)
    return Report(group.name, group.shared, sections)


def seed_frames(groups: list[Group]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the accuracy of every finished run, and the mean of every group, in percent.

    Returns:
        Columns group, run, seed, accuracy; and columns group, mean, low, high (95 % confidence
        interval).
    """
    runs = [
        (group.name, run.name, run.config.seed, group.scores[run.name].accuracy)
        for group in groups
        for run in group.finished
    ]
    means = [
        (group.name, group.statistics.mean, *(group.interval or (group.statistics.mean,) * 2))
        for group in groups
        if group.statistics is not None
    ]
    return (
        pd.DataFrame(runs, columns=["group", "run", "seed", "accuracy"]),
        pd.DataFrame(means, columns=["group", "mean", "low", "high"]),
    )


def _list_results(group: Group) -> list[str]:
    stats, interval = group.statistics, group.interval
    lines = [describe_network(group.runs[0])]
    if stats is not None:
        epochs, seeds = group.runs[0].config.epochs, "seeds" if stats.count > 1 else "seed"
        confidence = (
            f" (95 % confidence interval: {interval[0]:.2f} to {interval[1]:.2f} %)"
            if interval
            else ""
        )
        lines += [
            f"Accuracy on the {group.measured_on} after {plural(epochs, 'epoch')}: "
            f"**{stats.mean:.2f} %**, mean over {stats.count} {seeds}{confidence}",
            f"Standard deviation {stats.deviation:.3f} points, minimum {stats.smallest:.2f} %, "
            f"maximum {stats.largest:.2f} %",
        ]
    if unfinished := len(group.runs) - len(group.finished):
        lines.append(f"Unfinished and not counted: {unfinished} of {len(group.runs)} runs")
    if group.reaches_goal:
        lines.append("**The mean reaches the goal**")
    return lines


def _analyse(group: Group) -> list[str]:
    runs, stats = group.finished, group.statistics
    if stats is None:
        return []
    last = [run.epochs[-1] for run in runs]
    train = statistics.fmean(row.train_accuracy for row in last)
    validation = statistics.fmean(row.val_accuracy for row in last)
    augmented = analysis.is_augmented(runs[0], last[0].epoch)
    rising = sum(analysis.has_rising_loss(run.epochs) for run in runs) > len(runs) / 2
    images = describe_validation_images(runs[0])
    sample = f"{stats.count} seeds" if stats.count > 1 else "one run"
    lines = [
        analysis.describe_goal(stats.mean, group.interval, runs[0], sample),
        analysis.describe_fit(train, validation, augmented, rising, images),
        analysis.describe_capacity(train, validation, augmented, images),
    ]
    if stats.count > 1:
        count = next(iter(group.scores.values())).total
        share = stats.mean / 100
        error = 100 * math.sqrt(share * (1 - share) / count)
        lines.append(
            f"The standard deviation over the seeds is {stats.deviation:.2f} points; the sampling "
            f"error of one accuracy on {count:,} images is {error:.2f} points."
        )
    return lines


def _run_row(group: Group, run: Run) -> str:
    last, best, score = run.epochs[-1], run.best, group.scores[run.name]
    low, high = score.interval
    highest = f"{best.val_accuracy:.2f} %" if best else ""
    return (
        f"| {run.config.seed:5d} | {last.train_accuracy:6.2f} % | {score.accuracy:6.2f} % | "
        f"{low:.2f} to {high:.2f} | {highest:>8} | {run.name}"
    )


def _epoch_rows(runs: tuple[Run, ...]) -> list[str]:
    return [_epoch_row(rows) for rows in zip(*(run.epochs for run in runs), strict=False)]


def _epoch_row(rows: tuple[EpochResult, ...]) -> str:
    def mean(field: str) -> float:
        return statistics.fmean(getattr(row, field) for row in rows)

    accuracies = [row.val_accuracy for row in rows]
    return (
        f"| {rows[0].epoch:5d} | {rows[0].lr:.6f} | {mean('train_loss'):.6f}  | "
        f"{mean('train_accuracy'):6.2f} % | {mean('val_loss'):.6f} | "
        f"{mean('val_accuracy'):6.2f} % | {min(accuracies):6.2f} % | {max(accuracies):6.2f} % |"
    )


def _charts(group: Group) -> list[Block]:
    curve = overview.mean_curve(group, lambda row: row.val_accuracy)
    return [
        Chart(
            "Accuracy",
            "mean of the runs, with their minimum and maximum",
            charts_runs.curve_chart(curve, charts_runs.ACCURACY, [group.name]),
            f"Mean validation accuracy of {group.name} by epoch.",
        ),
        Chart(
            "Seeds",
            "each run, the mean and its 95 % confidence interval",
            charts_experiments.seed_chart(*seed_frames([group])),
            group.summary,
        ),
    ]
