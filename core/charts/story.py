"""The story's chart: the accuracies of its steps over several seeds."""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.charts.style import PALETTE, PLAIN_AXIS, QUIET, layer_chart
from core.task import GOAL_ACCURACY

ROW_HEIGHT = 30  # pixels of a step
_MARGIN = 0.03  # points beyond the smallest and the largest accuracy


def steps_chart(frame: pd.DataFrame, titles: list[str], current: str = "") -> alt.LayerChart:
    """Accuracies of the story's steps: a point for each seed, the mean and its interval.

    Args:
        frame: a row per seed with columns step (title), seed, accuracy, mean, low and high (95 %
            confidence interval of the mean), all in percent.
        titles: all steps from top to bottom, also those without a row.
        current: the step that is emphasised; empty: all look alike.
    """
    values = [GOAL_ACCURACY, *frame["accuracy"], *frame["low"], *frame["high"]]
    domain = [min(values) - _MARGIN, max(values) + _MARGIN]
    y = alt.Y(
        "step:N",
        title=None,
        scale=alt.Scale(domain=titles),
        sort=None,
        axis=alt.Axis(labelLimit=150, labelPadding=8, labelFlush=False, domain=False, ticks=False),
    )
    colour = alt.condition(alt.datum.step == current, alt.value(PALETTE[0]), alt.value(QUIET))

    def x(field: str) -> alt.X:
        return alt.X(
            f"{field}:Q",
            title="accuracy on the test images, %",
            scale=alt.Scale(domain=domain, nice=False, zero=False),
            axis=alt.Axis(format=".2f", tickCount=5, **PLAIN_AXIS),
        )

    goal = alt.Chart(pd.DataFrame({"accuracy": [GOAL_ACCURACY]}))
    means = alt.Chart(frame.drop_duplicates("step"))
    tips = [
        alt.Tooltip("step:N"),
        alt.Tooltip("mean:Q", title="mean, %", format=".3f"),
        alt.Tooltip("low:Q", title="interval from, %", format=".3f"),
        alt.Tooltip("high:Q", title="to, %", format=".3f"),
    ]
    layers = [
        goal.mark_rule(strokeDash=[2, 3], color=QUIET).encode(x=x("accuracy")),
        alt.Chart(frame)
        .mark_circle(size=28, opacity=0.45)
        .encode(
            x=x("accuracy"),
            y=y,
            color=colour,
            tooltip=[
                alt.Tooltip("step:N"),
                alt.Tooltip("seed:Q"),
                alt.Tooltip("accuracy:Q", title="accuracy, %", format=".2f"),
            ],
        ),
        means.mark_rule(strokeWidth=2).encode(
            x=x("low"), x2="high:Q", y=y, color=colour, tooltip=tips
        ),
        means.mark_point(shape="diamond", filled=True, size=120, opacity=1).encode(
            x=x("mean"), y=y, color=colour, tooltip=tips
        ),
    ]
    return layer_chart(layers, alt.Step(ROW_HEIGHT), bottom=8)
