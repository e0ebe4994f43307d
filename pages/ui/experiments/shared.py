"""What the parts of the Experiments page share: the answer in large type, charts of groups, set-ups to begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
import streamlit as st

from core.charts import experiments as charts_experiments
from core.config import RunConfig
from core.experiments.repeats import Group
from core.recipes import RECIPES
from core.reports.groups import bands, points
from core.runs.run import Run
from pages.ui.components.chart import draw_chart
from pages.ui.frame import KEPT


def verdict(words: str) -> None:
    """An answer in large type: one or two sentences."""
    st.html(f'<p class="verdict">{escape(words).replace(" %", "&nbsp;%")}</p>')


def method(words: str) -> None:
    """How an answer was found, quietly."""
    st.html(
        f'<p class="method">{escape(words).replace(" %", "&nbsp;%").replace(" = ", "&nbsp;=&nbsp;")}</p>'
    )


def pick(title: str, names: Sequence[str]) -> str:
    """The control that chooses an experiment by name, the newest to begin with; its name is always in the link.

    The session's key is the title in small letters; with `_next` behind it, the one to turn to.

    Args:
        title: what is chosen.
        names: the newest first, at least one.
    """
    key = title.lower()
    asked = st.query_params.get(key)
    if asked is not None and asked not in names:
        st.warning(f"There is no {key} {asked[:60]} here.", icon=":material/error:")
    turned = st.session_state.pop(f"{key}_next", None)
    if turned not in names and st.session_state.get(key, asked) not in names:
        turned = names[0]
    if turned in names:
        if (
            key not in st.session_state
        ):  # what is set before the control was ever drawn does not reach the link
            st.query_params[key] = turned
        st.session_state[key] = turned
    # No default, which would be left out of the link: elsewhere another one may be the newest.
    return (
        st.selectbox(title, names, None, key=key, width=240, label_visibility="collapsed", **KEPT)
        or names[0]
    )


def charts(groups: Sequence[Group]) -> None:
    """The groups' accuracy by epoch as bands, and their runs beside each other; nothing while no run is finished."""
    begun = [group for group in groups if group.finished]
    if not begun:
        return
    names = [group.name for group in begun]
    curves = pd.concat([bands(group) for group in begun])
    runs, means = points(list(begun))
    said = " ".join(group.summary for group in begun)
    draw_chart(
        charts_experiments.seeds(runs, means),
        "seeds",
        title="Seeds",
        subtitle="each run, the mean and its 95 % interval",
        alt=said,
        filename="-".join(names)[:80] + "-seeds",
        make_table=lambda: runs,
    )
    draw_chart(
        charts_experiments.bands(curves, names),
        "bands",
        title="Accuracy",
        subtitle="the mean of the runs, in a band from the worst to the best",
        alt=said,
        filename="-".join(names)[:80] + "-accuracy",
        make_table=lambda: curves,
    )


def set_ups(runs: Sequence[Run]) -> Mapping[str, tuple[RunConfig, str | None]]:
    """What an experiment can begin with, by name: recipes, then runs, each with the recipe it comes from."""
    named: dict[str, tuple[RunConfig, str | None]] = {
        name: (each.config, name) for name, each in RECIPES.items()
    }
    return named | {run.name: (run.config, run.recipe) for run in runs if run.name not in named}


def nothing_yet(words: str) -> None:
    """An invitation, where there is nothing to show."""
    st.markdown(f":gray[{words}]")
    st.page_link(
        "pages/train.py",
        label="Train the Final recipe",
        icon=":material/arrow_forward:",
        query_params={"start": "final"},
    )
