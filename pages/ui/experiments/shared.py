"""What the parts of the Experiments page share: texts, charts of groups, configs to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
import streamlit as st

from core.charts import experiments as charts
from core.charts import runs as charts_runs
from core.config import RunConfig
from core.experiments import overview
from core.experiments.repeats import Group
from core.recipes import RECIPES
from core.reports.groups import seed_frames
from core.runs.run import Run
from pages.ui.checkpoints import draw_first_run_link, named_runs
from pages.ui.components.chart import draw_chart
from pages.ui.frame import KEPT
from pages.ui.words import escape_markdown


def show_headline(text: str) -> None:
    """Show a result in large type: one or two sentences."""
    st.html(f'<p class="headline">{escape(text).replace(" %", "&nbsp;%")}</p>')


def show_explanation(text: str) -> None:
    """Show how a result was obtained, in small type."""
    body = escape(text).replace(" %", "&nbsp;%").replace(" = ", "&nbsp;=&nbsp;")
    st.html(f'<p class="explanation">{body}</p>')


def show_error(error: Exception) -> None:
    """Show an error as text."""
    st.error(escape_markdown(str(error)), icon=":material/error:")


def open_next(kind: str, name: str) -> None:
    """Select the group or sweep with this name at the next run of the script."""
    st.session_state[f"experiments_next_{kind}"] = name


def select_named(title: str, names: Sequence[str]) -> str:
    """Show the control that selects a group or sweep, at first the newest.

    The key of the control, and so the name in the link, is the title in lower case. The link always
    holds the selected name, since another one may be the newest elsewhere.

    Args:
        title: what is selected, such as "Group".
        names: at least one, the newest first.
    """
    key = title.lower()
    linked = st.query_params.get(key)
    if linked is not None and linked not in names:
        st.warning(f"There is no {key} {escape_markdown(linked[:60])}.", icon=":material/error:")
    following = st.session_state.pop(f"experiments_next_{key}", None)
    if following not in names and st.session_state.get(key, linked) not in names:
        following = names[0]
    if following in names:
        # A value that is set before the control exists does not reach the link by itself.
        if key not in st.session_state:
            st.query_params[key] = following
        st.session_state[key] = following
    # Without a default, which would be left out of the link.
    selected = st.selectbox(
        title, names, None, key=key, width=240, label_visibility="collapsed", **KEPT
    )
    return selected or names[0]


def draw_groups(groups: Sequence[Group]) -> None:
    """Draw the runs of groups and their accuracy by epoch; nothing until a run is finished."""
    finished = [group for group in groups if group.finished]
    if not finished:
        return
    names = [group.name for group in finished]
    filename = "-".join(names)[:80]
    runs, means = seed_frames(finished)
    curves = pd.concat(
        [overview.mean_curve(group, lambda row: row.val_accuracy) for group in finished]
    )
    alt = " ".join(group.summary for group in finished)
    draw_chart(
        charts.seed_chart(runs, means),
        "seeds",
        title="Seeds",
        subtitle="each run, the mean and its 95 % confidence interval",
        alt=alt,
        filename=f"{filename}-seeds",
        make_table=lambda: runs,
    )
    draw_chart(
        charts_runs.curve_chart(curves, charts_runs.ACCURACY, names),
        "bands",
        title="Accuracy",
        subtitle="mean of the runs, with their minimum and maximum",
        alt=alt,
        filename=f"{filename}-accuracy",
        make_table=lambda: curves,
    )


def starting_configs(runs: Sequence[Run]) -> Mapping[str, tuple[RunConfig, str | None]]:
    """The configs an experiment can start from, recipes first: name -> (config, recipe).

    Of a sweep, only its best run, and what the link or a control names.
    """
    runs = overview.hide_trials(runs, named_runs("repeated", "tested", "swept"))
    recipes: dict[str, tuple[RunConfig, str | None]] = {
        name: (recipe.config, name) for name, recipe in RECIPES.items()
    }
    return recipes | {run.name: (run.config, run.recipe) for run in runs if run.name not in recipes}


def show_invitation(text: str) -> None:
    """Show what a part of the page is for, with a link to train the first run."""
    st.markdown(f":gray[{text}]")
    draw_first_run_link()
