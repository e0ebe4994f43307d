"""How large gradients and updates were relative to the weights, epoch by epoch."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.charts.weights import RULE_OF_THUMB, step_size_chart
from core.experiments.curves import step_size_frame
from core.runs.run import Run
from pages.ui.components.chart import draw_chart
from pages.ui.frame import heading

MISSING = (
    "This run has not recorded the sizes of its gradients and updates. New runs do, unless they "
    "train together with others on a GPU."
)
_UPDATE_HELP = (
    "How far the last step of each epoch moved a row's weights, as a share of the weights "
    "themselves. The dotted line is a rule of thumb for SGD and Adam, 0.1 % (CS231n, Stanford). "
    "Muon's updates are larger. Where a line climbs towards 10 % and more, the learning rate is "
    "probably too high, even if the loss does not show it yet."
)
_GRADIENT_HELP = (
    "The gradient of the loss in the last step of each epoch, relative to the weights. A row whose "
    "gradient is far below that of the others hardly learns; one without any has died."
)


def show_step_sizes(run: Run, key: str) -> None:
    """Show two charts, or say why there are none.

    Args:
        run: the run.
        key: prefix of the charts' keys.
    """
    frame = step_size_frame(run)
    if frame.empty:
        heading("Size of the steps", "gradients and updates relative to the weights")
        waits = run.is_live and not run.epochs
        st.markdown(f":gray[{'Known after the first epoch.' if waits else MISSING}]")
        return
    left, right = st.columns(2, gap="large")
    with left:
        _draw(run, frame, "update", "Updates", _UPDATE_HELP, key)
    with right:
        _draw(run, frame, "gradient", "Gradients", _GRADIENT_HELP, key)


def _draw(run: Run, frame: pd.DataFrame, field: str, title: str, help: str, key: str) -> None:
    last = frame[frame["epoch"] == frame["epoch"].max()]
    largest = last.loc[last[field].idxmax()]
    draw_chart(
        lambda: step_size_chart(
            frame, run.config.epochs, field, RULE_OF_THUMB if field == "update" else None
        ),
        f"{key}_{field}",
        title=title,
        subtitle="relative to the weights",
        help=help,
        alt=(
            f"{title} of {run.name} relative to the weights, by row and epoch: after epoch "
            f"{int(largest['epoch'])} the largest is that of row {int(largest['row'])}, "
            f"{100 * largest[field]:.2g} %."
        ),
        subject=run.name,
        filename=f"{run.name}-{field}s",
        make_table=lambda: frame,
        version=(str(run.folder), str(run.created), len(frame), field),
    )
