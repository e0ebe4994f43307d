"""Groups of repeated runs: starting one, watching it, and its mean over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import streamlit as st

from core.config import RunConfig
from core.errors import UserError
from core.experiments import repeats
from core.experiments.repeats import Group
from core.limits import Limits
from core.reports import report as reports
from core.runs import run_queue
from core.runs.run import Run
from core.runs.store import list_runs
from pages.ui import access, words
from pages.ui.experiments import shared
from pages.ui.frame import KEPT, heading
from pages.ui.polling import poll
from pages.ui.run_boxes import run_titles, select_run
from pages.ui.words import escape_markdown

POLL = 2.0  # seconds
MAX_GROUPS = 6  # in one chart
COLUMNS = {
    "Mean": "%.2f %%",
    "Standard deviation": "%.3f",
    "Lowest": "%.2f %%",
    "Highest": "%.2f %%",
}


def show_repeats(runs: Sequence[Run]) -> None:
    """Show the controls that start a group, and the existing groups."""
    _show_setup(runs)
    groups = repeats.groups_of(runs)
    if not groups:
        st.markdown(
            ":gray[No group yet. Five runs with different seeds show what a set-up reaches and how "
            "much chance matters; a single run shows neither.]",
            width=640,
        )
        return
    live = _any_live(groups)
    poll(_watch, POLL if live else None, key="experiments_groups")(live)


def _any_live(groups: Sequence[Group]) -> bool:
    return any(run.is_live or run.state == "queued" for group in groups for run in group.runs)


def _show_setup(runs: Sequence[Run]) -> None:
    configs = shared.starting_configs(runs)
    names = list(configs)
    with st.container(key="bar", horizontal=True, vertical_alignment="bottom", gap="small"):
        base = select_run(
            "Set-up",
            names,
            "repeated",
            run_titles(runs),
            "final",
            width=220,
            help="A recipe, or the settings of a run.",
        )
        count = st.number_input(
            "Runs",
            2,
            repeats.MAX_RUNS,
            5,
            key="times",
            width=120,
            **KEPT,
            help="Each run has another random seed: the order of the images, the initial weights "
            "and the augmentation differ. All other settings are the same.",
        )
        config, recipe = configs[base]
        epochs = st.number_input(
            "Epochs",
            1,
            Limits.from_environment().max_epochs,
            config.epochs,
            key=f"experiments_repeat_epochs_{base}",
            width=120,
            help="Of each run. The set-up's own number unless you change it.",
        )
        config = config.changed(epochs=epochs)
        wanted = f"{base}-repeats"
        name = st.text_input(
            "Name",
            placeholder=repeats.find_free_name(wanted),
            key="experiments_group_name",
            max_chars=54,
            width=220,
        )
        first = _choose_first(runs, base, config)
        refusal = access.why_not_create()
        if st.button(
            "Start",
            type="primary",
            icon=":material/play_arrow:",
            key="experiments_start_group",
            disabled=bool(refusal),
            help=refusal or None,
        ):
            _start(lambda: _create(config, name.strip(), wanted, count, recipe, first))


def _choose_first(runs: Sequence[Run], base: str, config: RunConfig) -> str | None:
    """Show a control that makes the set-up's own run the first of the group, where it can be."""
    run = next((run for run in runs if run.name == base), None)
    if (
        run is None
        or run.group is not None
        or run.parent is not None
        or run.config != config
        or access.why_not_change(run.owner)
    ):
        return None
    counted = st.toggle(
        f"Count {escape_markdown(base)} as the first run",
        key="experiments_repeat_first",
        help="The existing run joins the group, so that one run fewer is trained.",
    )
    return base if counted else None


def _create(
    config: RunConfig, name: str, wanted: str, count: int, recipe: str | None, first: str | None
) -> Group:
    """Create a group, named as the user wants or else `wanted`, with a number where that is taken.

    Args:
        config, count, recipe, first: as of `repeats.create`.
        name: that the user gave it; empty: none.
        wanted: its name without one.
    """
    if first is not None:
        access.check_change_runs([first])
    return repeats.create(
        config,
        name or wanted,
        count,
        recipe=recipe,
        owner=access.owner_name(),
        first=first,
        number_if_taken=not name,
    )


def _start(make_group: Callable[[], Group]) -> None:
    try:
        access.check_create()
        group = make_group()
        repeats.submit(group)
    except UserError as error:
        shared.show_error(error)
    else:
        shared.open_next("group", group.name)
        st.rerun()


def _watch(live: bool) -> None:
    run_queue.start_waiting()
    groups = repeats.groups_of(run for run in list_runs() if isinstance(run, Run))
    if live and not _any_live(groups):
        st.rerun()  # the whole page, which then stops polling
    heading("Groups", "the same settings with several seeds")
    st.dataframe(
        pd.DataFrame([_row(group) for group in groups]),
        hide_index=True,
        key="experiments_group_table",
        column_config={
            name: st.column_config.NumberColumn(format=format) for name, format in COLUMNS.items()
        },
    )
    selected = shared.select_named("Group", [group.name for group in groups])
    group = next(group for group in groups if group.name == selected)
    _show_group(group)
    others = [other for other in groups if other.name != selected]
    shown = [group]
    if others and st.toggle("Show other groups too", key="beside_groups", **KEPT):
        shown += others[: MAX_GROUPS - 1]
    shared.draw_groups(shown)


def _row(group: Group) -> dict[str, object]:
    stats, interval = group.statistics, group.interval
    return {
        "Group": group.name,
        "Runs": f"{len(group.finished)} of {len(group.runs)}",
        "Mean": stats.mean if stats else None,
        "95 % interval": "{:.2f} to {:.2f}".format(*interval) if interval else "",
        "Standard deviation": stats.deviation if stats and interval else None,
        "Lowest": stats.smallest if stats else None,
        "Highest": stats.largest if stats else None,
        "Measured on": group.measured_on,
        "Goal": "reached" if group.reaches_goal else "",
    }


def _show_group(group: Group) -> None:
    shared.show_headline(group.summary)
    st.caption(escape_markdown(group.shared))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if goal := words.describe_goal(group):
            st.badge(
                goal,
                icon=":material/flag:",
                color="green",
                help="The mean of the group reaches the goal, not only its best run.",
            )
        st.markdown(":small[:gray[Seeds]]", width="content")
        for run in group.runs:
            st.page_link(
                "pages/train.py",
                label=f"{run.config.seed}",
                icon=words.state_badge(run.state)[1],
                query_params={"run": run.name},
                help=f"{escape_markdown(run.name)}: {run.state}, {words.describe_accuracy(run)}",
            )
    refusal = access.why_not_change(*(run.owner for run in group.runs))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if any(run.can_resume for run in group.runs) and st.button(
            "Train the rest",
            icon=":material/play_arrow:",
            key="experiments_train_rest",
            disabled=bool(refusal),
            help=refusal or "Resumes the runs of the group that were stopped.",
        ):
            _start(lambda: _open_own(group.name))
        if st.button(
            "Add two seeds",
            icon=":material/add:",
            key="experiments_add_seeds",
            type="tertiary",
            disabled=bool(refusal),
            help=refusal or None,
        ):
            _start(lambda: _extend(group.name))
        if group.finished:
            _show_reports(group)


def _show_reports(group: Group) -> None:
    for title, extension, mime, make_report in (
        ("Report (HTML)", "html", "text/html", reports.write_html),
        ("Report (Markdown)", "md", "text/markdown", reports.write_markdown),
    ):
        st.download_button(
            title,
            partial(make_report, group),
            f"{group.name}-report.{extension}",
            mime,
            key=f"experiments_group_{extension}",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )


def _open_own(name: str) -> Group:
    group = repeats.open_group(name)
    access.check_change(*(run.owner for run in group.runs))
    return group


def _extend(name: str) -> Group:
    _open_own(name)
    repeats.extend(name, 2, owner=access.owner_name())
    return repeats.open_group(name)
