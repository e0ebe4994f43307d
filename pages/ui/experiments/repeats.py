"""Groups of repeats: making one, watching it, and what its seeds come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from core.errors import UserError
from core.experiments import repeats
from core.experiments.repeats import Group
from core.reports import report as reports
from core.runs import run_queue
from core.runs.run import Run
from core.runs.store import list_runs
from pages.ui import words
from pages.ui.experiments import shared as experiments_parts
from pages.ui.frame import KEPT, heading

POLL = 2.0  # seconds
FEW = 6  # groups that one chart can hold
COLUMNS = {"Mean": "%.2f %%", "Deviation": "%.3f", "Smallest": "%.2f %%", "Largest": "%.2f %%"}


def groups(runs: Sequence[Run]) -> None:
    """The groups there are, and a way to make one."""
    _new(runs)
    found = repeats.groups_of(runs)
    if not found:
        st.markdown(
            ":gray[No group yet. Five seeds of one set-up tell what a set-up reaches, and by how much chance "
            "moves it; a single run tells neither.]",
            width=640,
        )
        return
    moving = any(run.is_live or run.state == "queued" for group in found for run in group.runs)
    st.fragment(_watch, run_every=POLL if moving else None, key="groups")(moving)


def _new(runs: Sequence[Run]) -> None:
    set_ups = experiments_parts.set_ups(runs)
    names = list(set_ups)
    with st.container(key="bar", horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.selectbox(
            "Train again",
            names,
            names.index("final") if "final" in names else 0,
            key="repeated",
            width=220,
            help="A recipe, or the settings of a run.",
            **KEPT,
        )
        count = st.number_input(
            "Times",
            2,
            repeats.MAX_RUNS,
            5,
            key="times",
            width=120,
            **KEPT,
            help="Every run gets another seed: the order of the images, the first weights and the "
            "augmentation are drawn anew. Everything else is the same.",
        )
        wanted = repeats.free_name(f"{chosen}-repeats")
        name = st.text_input("Name", placeholder=wanted, key="group_name", max_chars=54, width=220)
        if st.button("Start", type="primary", icon=":material/play_arrow:", key="start_group"):
            config, recipe = set_ups[chosen]
            _start(lambda: repeats.create(config, name.strip() or wanted, count, recipe=recipe))


def _start(make: Callable[[], Group]) -> None:
    try:
        group = make()
        repeats.submit(group)
    except UserError as error:
        st.error(str(error), icon=":material/error:")
    else:
        st.session_state["group_next"] = group.name
        st.rerun()


def _watch(moving: bool) -> None:
    run_queue.start_waiting()
    found = repeats.groups_of(run for run in list_runs() if isinstance(run, Run))
    if moving and not any(
        run.is_live or run.state == "queued" for group in found for run in group.runs
    ):
        st.rerun()  # the whole page, which then asks no more
    heading("Groups", "the same set-up with several seeds")
    st.dataframe(
        pd.DataFrame([_row(group) for group in found]),
        hide_index=True,
        key="group_table",
        column_config={
            name: st.column_config.NumberColumn(format=form) for name, form in COLUMNS.items()
        },
    )
    names = [group.name for group in found]
    chosen = experiments_parts.pick("Group", names)
    _one(next(group for group in found if group.name == chosen))
    others = [group for group in found if group.name != chosen]
    shown = [next(group for group in found if group.name == chosen)]
    if others and st.toggle("Beside the others", key="beside_groups", **KEPT):
        shown += others[: FEW - 1]
    experiments_parts.charts(shown)


def _row(group: Group) -> dict[str, object]:
    found, interval = group.spread, group.interval
    return {
        "Group": group.name,
        "Runs": f"{len(group.finished)} of {len(group.runs)}",
        "Mean": found and found.mean,
        "95 % interval": f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "",
        "Deviation": found.deviation if found and interval else None,
        "Smallest": found and found.smallest,
        "Largest": found and found.largest,
        "Measured on": group.measured_on,
        "Goal": "reached" if group.reaches_goal else "",
    }


def _one(group: Group) -> None:
    experiments_parts.verdict(group.summary)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if group.reaches_goal:
            st.badge(
                "goal reached",
                icon=":material/flag:",
                color="green",
                help="By the mean of the group, not by its luckiest run.",
            )
        st.markdown(":small[:gray[Seeds]]", width="content")
        for run in group.runs:
            st.page_link(
                "pages/train.py",
                label=f"{run.config.seed}",
                icon=words.state_badge(run.state)[1],
                query_params={"run": run.name},
                help=f"{run.name}: {run.state}, {words.format_accuracy(run)}",
            )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if any(run.can_resume for run in group.runs) and st.button(
            "Train the rest",
            icon=":material/play_arrow:",
            key="rest",
            help="Those that stand still and can go on.",
        ):
            _start(lambda: group)
        if st.button("Two more seeds", icon=":material/add:", key="two_more", type="tertiary"):
            _start(lambda: _more(group.name))
        if group.finished:
            for title, ending, mime, make in (
                ("Report (HTML)", "html", "text/html", reports.html),
                ("Report (Markdown)", "md", "text/markdown", reports.markdown),
            ):
                st.download_button(
                    title,
                    lambda make=make: make(group),
                    f"{group.name}-report.{ending}",
                    mime,
                    key=f"group_{ending}",
                    on_click="ignore",
                    type="tertiary",
                    icon=":material/download:",
                )


def _more(name: str) -> Group:
    repeats.extend(name, 2)
    return repeats.open_group(name)
