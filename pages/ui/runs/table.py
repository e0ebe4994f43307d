"""The table of all runs: found by words, put in order, and ticked to be compared.

Which runs are ticked stands in one place, the box under the table, which is in the link. The table follows it, and
each tick in the table is written there.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from urllib.parse import quote

import pandas as pd
import streamlit as st

from core.charts import training as charts
from core.experiments import overview
from core.experiments.overview import Entry
from core.experiments.repeats import Group
from core.runs import listing
from core.runs.run import Run
from core.runs.status import STATES
from pages.ui.controls import RATE_FIELDS
from pages.ui.frame import KEPT
from pages.ui.runs.dialogs import TICKED, say

FIND, STATE, ORDER, APART = "find", "state", "order", "apart"
ANY = "any state"
MOST = 12  # runs whose curves can be told apart
ROWS = 10  # that the table is high
POINTS = 40  # of a curve in the table
LAST = "Validation accuracy after the last epoch; of a group the mean of its finished runs. Compare by this one."
SURE = (
    "The 95 % interval: of one run on images like these (Wilson), of a group's mean over seeds (Student's t). Two "
    "that overlap much can hardly be told apart."
)
BEST = "Validation accuracy of the best epoch. It was chosen by these very images, so it flatters."


def controls(runs: Sequence[Run]) -> list[Entry]:
    """Controls to find runs and to order them; gives those that are found, repeats as groups."""
    with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small"):
        text = st.text_input(
            "Find",
            key=FIND,
            type="search",
            live=True,
            width=280,
            label_visibility="collapsed",
            placeholder="Name, tag, recipe or network",
            **KEPT,
        )
        state = st.selectbox(
            "State", [ANY, *STATES], key=STATE, width=150, label_visibility="collapsed", **KEPT
        )
        order = st.selectbox(
            "Order",
            list(listing.SORT_KEYS),
            key=ORDER,
            width=190,
            label_visibility="collapsed",
            help="A click on a column's head orders, too.",
            **KEPT,
        )
        found = listing.filter_runs(runs, text, None if state == ANY else state)
        apart = bool(overview.groups(runs)) and st.toggle(
            "Each seed", key=APART, **KEPT, help="Show the runs of a group below it, one by one."
        )
        st.space("stretch")
        many = (
            f"{len(found):,} of {len(runs):,} runs"
            if len(found) < len(runs)
            else f"{len(runs):,} runs"
        )
        st.markdown(f":gray[{many if len(runs) > 1 else '1 run'}]", width="content")
    return overview.folded(runs, found, order, apart)


def table(found: Sequence[Entry]) -> None:
    """The runs in rows with boxes to tick."""
    names = [overview.key(entry) for entry in found]
    ticked = [name for name in st.session_state.get(TICKED, []) if name in names]
    # Another table, with its own ticks, whenever other rows are shown or the ticks were changed elsewhere.
    state = st.session_state.setdefault("table_ticks", {"said": None, "count": 0})
    if state["said"] != ticked:
        state["said"], state["count"] = ticked, state["count"] + 1
    key = f"table_{zlib.crc32('/'.join(names).encode())}_{state['count']}"
    st.dataframe(
        frame(found),
        key=key,
        hide_index=True,
        height=36 * min(len(found), ROWS) + 38,
        row_height=36,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [names.index(name) for name in ticked]}},
        on_select=lambda: _tick(key, names),
        placeholder="",
        column_config=COLUMNS,
        alt="All runs, one a row. The box below the table chooses runs, too.",
    )


def _tick(key: str, names: Sequence[str]) -> None:
    chosen = [names[row] for row in st.session_state[key].selection.rows if row < len(names)]
    before = st.session_state.get(TICKED, [])
    # Those that the filter hides stay ticked, and the others stay in the order in which they were.
    kept = [name for name in before if name not in names or name in chosen]
    wanted = [*kept, *(name for name in chosen if name not in kept)]
    if len(wanted) > MOST:
        say(f"Up to {MOST} runs can be compared at once.", wrong=True)
    st.session_state[TICKED] = wanted[:MOST]
    if wanted == wanted[:MOST]:  # the table knows already
        st.session_state["table_ticks"]["said"] = [name for name in wanted if name in names]


def choice(entries: Sequence[Entry]) -> list[Entry]:
    """The box that holds what is ticked; gives it in the order in which it was ticked."""
    by_name = {overview.key(entry): entry for entry in entries}
    ticked = st.multiselect(
        "Selected",
        list(by_name),
        key=TICKED,
        max_selections=MOST,
        label_visibility="collapsed",
        placeholder="Tick runs above, or name them here: one to look at, several to compare",
        **KEPT,
    )
    return [by_name[name] for name in ticked]


def frame(entries: Sequence[Entry]) -> pd.DataFrame:
    """The table's rows; the column of deviations only where there is a group."""
    columns = [
        name
        for name in COLUMNS
        if name != DEVIATION or any(isinstance(each, Group) for each in entries)
    ]
    return pd.DataFrame([_row(entry) for entry in entries], columns=columns)


def _row(entry: Entry) -> dict[str, object]:
    found, counted = overview.validation(entry), overview.counted(entry)
    measured = {
        "Last": found.mean if found else None,
        DEVIATION: found.deviation if found else None,
        "95 % interval": f"{found.interval[0]:.2f} to {found.interval[1]:.2f}" if found else "",
        "Curve": _curve(entry),
    }
    if isinstance(entry, Run):
        return {
            "": dot(entry.name),
            "Run": entry.name,
            "State": entry.state,
            **measured,
            "Best": entry.best.val_accuracy if entry.best else None,
            "Epochs": f"{len(entry.epochs)} of {entry.config.epochs}",
            "Time": round(listing.total_seconds(entry)) or None,
            "Forked from": entry.parent and entry.parent["name"],
            "Tags": list(entry.tags),
            **_set_up(entry),
        }
    best = [run.best.val_accuracy for run in counted if run.best]
    time, epochs = (
        sum(listing.total_seconds(run) for run in entry.runs),
        entry.runs[0].config.epochs,
    )
    return {
        "": dot(entry.name),
        "Run": entry.name,
        "State": f"{len(entry.finished)} of {len(entry.runs)} seeds",
        **measured,
        "Best": sum(best) / len(best) if best else None,
        "Epochs": f"{epochs} each",
        "Time": round(time) or None,
        "Tags": sorted({tag for run in entry.runs for tag in run.tags}),
        **_set_up(max(entry.runs, key=lambda run: run.created)),
    }


def _set_up(run: Run) -> dict[str, object]:
    config = run.config
    return {
        "Parameters": run.parameters,
        "Network": "own rows" if config.layers else config.architecture,
        "Augmentation": "own" if config.transforms else config.augmentation,
        "Schedule": config.schedule,
        "Rate": max(getattr(config, name) for name in RATE_FIELDS[config.schedule]),
        "Batch": config.batch_size,
        "Device": run.runtime.device if run.runtime else None,
        "Recipe": run.recipe,
        "Created": run.created,
    }


def _curve(entry: Entry) -> list[float]:
    values = list(overview.curve(entry, lambda row: row.val_accuracy)["value"])
    step = max(1, -(-len(values) // POINTS))
    return values[::-1][::step][::-1]  # the last epoch is always among them


def dot(name: str) -> str:
    """A dot in a run's colour, as a picture."""
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'>"
        f"<circle cx='4' cy='4' r='2' fill='{charts.colour(name)}'/></svg>"
    )
    return f"data:image/svg+xml;utf8,{quote(svg)}"


DEVIATION = "±"
COLUMNS = {
    "": st.column_config.ImageColumn(
        width=40, pinned=True, help="The run's colour in every chart."
    ),
    "Run": st.column_config.TextColumn(pinned=True, width=130),
    "State": st.column_config.TextColumn(
        width=90, help="Of a group: how many of its runs are finished."
    ),
    "Curve": st.column_config.LineChartColumn(
        y_min=96, y_max=100, width=80, help="Validation accuracy by epoch, 96 to 100 %."
    ),
    "Last": st.column_config.NumberColumn(format="%.2f %%", width=80, help=LAST),
    DEVIATION: st.column_config.NumberColumn(
        format="%.2f",
        width=50,
        help="Standard deviation between the seeds of a group, in percentage points.",
    ),
    "95 % interval": st.column_config.TextColumn(width=115, help=SURE),
    "Best": st.column_config.NumberColumn(format="%.2f %%", width=80, help=BEST),
    "Parameters": st.column_config.NumberColumn(
        format="localized", width=90, help="Numbers that the network learns."
    ),
    "Epochs": st.column_config.TextColumn(width=75),
    "Time": st.column_config.NumberColumn(format="%d s", width=75, help="All epochs together."),
    "Network": st.column_config.TextColumn(width=120),
    "Augmentation": st.column_config.TextColumn(width=110),
    "Schedule": st.column_config.TextColumn(width=120),
    "Rate": st.column_config.NumberColumn(
        format="plain", width=70, help="The highest learning rate of the schedule."
    ),
    "Batch": st.column_config.NumberColumn(format="plain", width=65, help="Images per step."),
    "Device": st.column_config.TextColumn(width=70),
    "Recipe": st.column_config.TextColumn(width=100),
    "Forked from": st.column_config.TextColumn(
        width=110, help="The run whose weights it began with."
    ),
    "Tags": st.column_config.ListColumn(width=140),
    "Created": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm", width=140),
}
