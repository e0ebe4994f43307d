"""What the parts of the Experiments page share: the answer in large type, charts of groups, set-ups to begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
import streamlit as st

from core import charts_experiments
from core.config import RunConfig
from core.experiments.repeats import Group
from core.experiments.report_groups import bands, points
from core.recipes import RECIPES
from core.runs.run import Run
from pages.ui.charts import draw


def verdict(words: str, short: bool = False) -> None:
    """An answer in large type.

    Args:
        words: one or two sentences.
        short: whether it takes one line only, so that no more room is kept.
    """
    st.html(f'<p class="verdict{" short" if short else ""}">{escape(words).replace(" %", "&nbsp;%")}</p>')


def method(words: str) -> None:
    """How an answer was found, quietly."""
    st.html(f'<p class="method">{escape(words)}</p>')


def charts(groups: Sequence[Group]) -> None:
    """The groups' accuracy by epoch as bands, and their runs beside each other; nothing while no run is finished."""
    begun = [group for group in groups if group.finished]
    if not begun:
        return
    names = [group.name for group in begun]
    curves = pd.concat([bands(group) for group in begun])
    runs, means = points(list(begun))
    said = " ".join(group.words for group in begun)
    draw(charts_experiments.seeds(runs, means), "seeds", title="Seeds",
         quiet="each run, the mean and its 95 % interval", alt=said, file="-".join(names)[:80] + "-seeds",
         table=lambda: runs)
    draw(charts_experiments.bands(curves, names), "bands", title="Accuracy",
         quiet="the mean of the runs, in a band from the worst to the best", alt=said,
         file="-".join(names)[:80] + "-accuracy", table=lambda: curves)


def set_ups(runs: Sequence[Run]) -> Mapping[str, tuple[RunConfig, str | None]]:
    """What an experiment can begin with, by name: recipes, then runs, each with the recipe it comes from."""
    named: dict[str, tuple[RunConfig, str | None]] = {name: (each.config, name) for name, each in RECIPES.items()}
    return named | {run.name: (run.config, run.recipe) for run in runs if run.name not in named}


def nothing_yet(words: str) -> None:
    """An invitation, where there is nothing to show."""
    st.markdown(f":gray[{words}]")
    st.page_link("pages/train.py", label="Train the Final recipe", icon=":material/arrow_forward:",
                 query_params={"start": "final"})
