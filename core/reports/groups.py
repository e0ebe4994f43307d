"""The report of a group: what its runs reach together, seed by seed and epoch by epoch."""

from __future__ import annotations

import math
import statistics

import pandas as pd

from core.charts import experiments as charts_experiments
from core.errors import RunError
from core.experiments.repeats import Group
from core.reports import analysis
from core.reports import mistakes as report_mistakes
from core.reports.blocks import Block, Chart, Code, Lines, Report, Section
from core.reports.changes import differences
from core.reports.parts import header, network, network_line, recipe_of, targets
from core.runs.run import Run
from core.training.results import EpochResult

_SEEDS = "|  Seed | TrainAcc | Accuracy | Interval       | Best     | Run"
_EPOCHS = "| Epoch | LR       | TrainLoss | TrainAcc | ValLoss  | ValAcc   | Smallest | Largest  |"


def report(group: Group, charts: bool) -> Report:
    """The report.

    Args:
        group: with at least one finished run.
        charts: whether to draw charts.

    Raises:
        RunError: no run of it is finished.
    """
    runs = group.finished
    if not runs:
        raise RunError(f"{group.name} has no finished run to report yet.")
    first = runs[0]
    recipe, test = recipe_of(first), report_mistakes.test_set()
    drawn = _charts(group) if charts else []
    figures: list[Block] = [
        Code("\n".join([_SEEDS, *(_seed(group, run) for run in runs)])),
        Code("\n".join([*header(first), "", _EPOCHS, *_epochs(runs)])),
    ]
    sections = [
        Section("Targets", [Lines(targets(first))]),
        Section("Results", [Lines(_results(group)), network(first), *drawn, *figures]),
        Section("Analysis", [Lines(_analysis(group))]),
    ]
    if recipe and (changed := differences(first.config, recipe.config)):
        sections.append(Section(f"Changes since the recipe {first.recipe}", [Lines(changed)]))
    found = [each for run in runs if (each := report_mistakes.asked(run, test)) is not None]
    sections += report_mistakes.group_sections(found, test)
    return Report(group.name, f"{len(runs)} runs that differ in their seed only.", sections)


def bands(group: Group) -> pd.DataFrame:
    """Validation accuracy by epoch, as far as all finished runs go: columns group, epoch, mean, low, high (percent)."""
    rows = [
        (group.name, number, statistics.fmean(values), min(values), max(values))
        for number, values in enumerate(
            zip(
                *([row.val_accuracy for row in run.epochs] for run in group.finished), strict=False
            ),
            1,
        )
    ]
    return pd.DataFrame(rows, columns=["group", "epoch", "mean", "low", "high"])


def points(groups: list[Group]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every finished run's accuracy, and every group's mean with its interval, as `charts_experiments` takes them."""
    runs = [
        (group.name, run.name, run.config.seed, group.scores[run.name].accuracy)
        for group in groups
        for run in group.finished
    ]
    means = [
        (group.name, group.spread.mean, *(group.interval or (group.spread.mean,) * 2))
        for group in groups
        if group.spread is not None
    ]
    return (
        pd.DataFrame(runs, columns=["group", "run", "seed", "accuracy"]),
        pd.DataFrame(means, columns=["group", "mean", "low", "high"]),
    )


def _results(group: Group) -> list[str]:
    found, interval = group.spread, group.interval
    lines = [network_line(group.runs[0])]
    if found is not None:
        sure = f" (95 % interval {interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
        epochs, seeds = group.runs[0].config.epochs, "seeds" if found.count > 1 else "seed"
        lines += [
            f"After {epochs} epochs **{found.mean:.2f} %** of the {group.measured_on} as the mean of "
            f"{found.count} {seeds}{sure}",
            f"Standard deviation {found.deviation:.3f} points, the smallest {found.smallest:.2f} %, the largest "
            f"{found.largest:.2f} %",
        ]
    if rest := len(group.runs) - len(group.finished):
        lines.append(f"Not counted, since not finished: {rest} of its {len(group.runs)} runs")
    if group.reaches_goal:
        lines.append("**The goal is reached** by the mean")
    return lines


def _analysis(group: Group) -> list[str]:
    runs, found = group.finished, group.spread
    if found is None:
        return []
    last = [run.epochs[-1] for run in runs]
    train, validation = (
        statistics.fmean(values)
        for values in ([row.train_accuracy for row in last], [row.val_accuracy for row in last])
    )
    augmented = analysis.augmented(runs[0], last[0].epoch)
    rising = (
        statistics.fmean(
            row.val_loss / min(each.val_loss for each in run.epochs)
            for run, row in zip(runs, last, strict=True)
        )
        > 1.05
    )
    what = f"{found.count} seeds" if found.count > 1 else "one run"
    lines = [
        analysis.goal(found.mean, group.interval, runs[0], what),
        analysis.fit(train, validation, augmented, rising),
        analysis.capacity(train, validation, augmented),
    ]
    if found.count > 1:
        images = next(iter(group.scores.values())).total
        chance = 100 * math.sqrt(found.mean / 100 * (1 - found.mean / 100) / images)
        lines.append(
            f"The seeds spread by {found.deviation:.2f} points; which {images:,} images one happens to be "
            f"asked about moves a single accuracy by {chance:.2f} more."
        )
    return lines


def _seed(group: Group, run: Run) -> str:
    last, best, found = run.epochs[-1], run.best, group.scores[run.name]
    low, high = found.interval
    chosen = f"{best.val_accuracy:.2f} %" if best else ""
    return (
        f"| {run.config.seed:5d} | {last.train_accuracy:6.2f} % | {found.accuracy:6.2f} % | "
        f"{low:.2f} to {high:.2f} | {chosen:>8} | {run.name}"
    )


def _epochs(runs: tuple[Run, ...]) -> list[str]:
    return [_epoch(rows) for rows in zip(*(run.epochs for run in runs), strict=False)]


def _epoch(rows: tuple[EpochResult, ...]) -> str:
    def mean(field: str) -> float:
        return statistics.fmean(getattr(row, field) for row in rows)

    accuracies = [row.val_accuracy for row in rows]
    return (
        f"| {rows[0].epoch:5d} | {rows[0].lr:.6f} | {mean('train_loss'):.6f}  | {mean('train_accuracy'):6.2f} % | "
        f"{mean('val_loss'):.6f} | {mean('val_accuracy'):6.2f} % | {min(accuracies):6.2f} % | "
        f"{max(accuracies):6.2f} % |"
    )


def _charts(group: Group) -> list[Block]:
    runs, means = points([group])
    return [
        Chart(
            "Accuracy",
            "the mean of the runs, in a band from the worst to the best",
            charts_experiments.bands(bands(group), [group.name]),
            f"Mean validation accuracy of {group.name} by epoch.",
        ),
        Chart(
            "Seeds",
            "each run, their mean and its 95 % interval",
            charts_experiments.seeds(runs, means),
            group.summary,
        ),
    ]
