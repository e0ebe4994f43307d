"""Parallel coordinates of runs: the settings in which they differ, and their accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from core.charts import parallel as charts
from core.runs import listing
from core.runs.measures import MEASURES, read_value
from core.runs.run import Run
from pages.ui.components.chart import draw_chart
from pages.ui.controls import field_label

MIN_RUNS = 3
ACCURACY = "accuracy"


def draw_parallel(runs: Sequence[Run], subject: str) -> None:
    """Draw the runs over the settings in which they differ; nothing for fewer than MIN_RUNS.

    Args:
        runs: those with an epoch are drawn.
        subject: what the chart is about, for its file.
    """
    runs = [run for run in runs if run.epochs]
    fields = [name for name in listing.differing_fields(runs) if name not in ("seed", "threads")]
    if len(runs) < MIN_RUNS or not fields:
        return
    frame = make_frame(runs, fields)
    best = frame.loc[frame[ACCURACY].idxmax()]
    titles = [field_label(name) for name in fields]
    draw_chart(
        charts.parallel_chart(frame, titles, ACCURACY, "Accuracy, %"),
        "parallel",
        title="Settings and accuracy",
        subtitle="a line for each run; from grey to blue: accuracy; green: the best run",
        help=MEASURES[ACCURACY].help,
        alt=f"{len(runs)} runs over {', '.join(titles)}; the best is {best['run']} with "
        f"{best[ACCURACY]:.2f} %.",
        filename=f"{subject[:80]}-settings",
        subject=subject[:80],
        make_table=lambda: frame,
    )


def make_frame(runs: Sequence[Run], fields: Sequence[str]) -> pd.DataFrame:
    """One row for each run: its name, the fields under their labels, and its accuracy."""
    return pd.DataFrame(
        [
            {
                "run": run.name,
                **{field_label(name): read_value(run, name) for name in fields},
                ACCURACY: read_value(run, ACCURACY),
            }
            for run in runs
        ]
    )
