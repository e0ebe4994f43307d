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

from core import charts
from core.runs import listing
from core.runs.run import Run
from core.runs.status import STATES
from pages.ui.controls import RATES
from pages.ui.frame import KEPT
from pages.ui.runs_ask import TICKED, say

FIND, STATE, ORDER = "find", "state", "order"
ANY = "any state"
MOST = 12  # runs whose curves can be told apart
ROWS = 10  # that the table is high
POINTS = 40  # of a curve in the table
LAST = "Validation accuracy after the last epoch. Compare runs by this one."
BEST = "Validation accuracy of the best epoch. It was chosen by these very images, so it flatters."


def controls(runs: Sequence[Run]) -> list[Run]:
    """Controls to find runs and to order them; gives those that are found."""
    with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small"):
        text = st.text_input("Find", key=FIND, type="search", live=True, width=280, label_visibility="collapsed",
                             placeholder="Name, tag, recipe or network", **KEPT)
        state = st.selectbox("State", [ANY, *STATES], key=STATE, width=150, label_visibility="collapsed", **KEPT)
        order = st.selectbox("Order", list(listing.ORDERS), key=ORDER, width=190, label_visibility="collapsed",
                             help="A click on a column's head orders, too.", **KEPT)
        found = listing.ordered(listing.matching(runs, text, None if state == ANY else state), order)
        st.space("stretch")
        many = f"{len(found):,} of {len(runs):,} runs" if len(found) < len(runs) else f"{len(runs):,} runs"
        st.markdown(f":gray[{many if len(runs) > 1 else '1 run'}]", width="content")
    return found


def table(found: Sequence[Run]) -> None:
    """The runs in rows with boxes to tick."""
    names = [run.name for run in found]
    ticked = [name for name in st.session_state.get(TICKED, []) if name in names]
    # Another table, with its own ticks, whenever other rows are shown or the ticks were changed elsewhere.
    state = st.session_state.setdefault("table_ticks", {"said": None, "count": 0})
    if state["said"] != ticked:
        state["said"], state["count"] = ticked, state["count"] + 1
    key = f"table_{zlib.crc32('/'.join(names).encode())}_{state['count']}"
    st.dataframe(
        frame(found), key=key, hide_index=True, height=36 * min(len(found), ROWS) + 38, row_height=36,
        selection_mode="multi-row", selection_default={"selection": {"rows": [names.index(name) for name in ticked]}},
        on_select=lambda: _tick(key, names), placeholder="", column_config=COLUMNS,
        alt="All runs, one a row. The box below the table chooses runs, too.")


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


def choice(runs: Sequence[Run]) -> list[Run]:
    """The box that holds the ticked runs; gives them in the order in which they were ticked."""
    by_name = {run.name: run for run in runs}
    ticked = st.multiselect("Selected", list(by_name), key=TICKED, max_selections=MOST, label_visibility="collapsed",
                            placeholder="Tick runs above, or name them here: one to look at, several to compare",
                            **KEPT)
    return [by_name[name] for name in ticked]


def frame(runs: Sequence[Run]) -> pd.DataFrame:
    """The table's rows."""
    return pd.DataFrame([_row(run) for run in runs], columns=list(COLUMNS))


def _row(run: Run) -> dict[str, object]:
    config, last, best = run.config, run.last, run.best
    return {
        "": dot(run.name), "Run": run.name, "State": run.state, "Curve": _curve(run),
        "Last": last.val_accuracy if last else None, "Best": best.val_accuracy if best else None,
        "Parameters": run.parameters, "Epochs": f"{len(run.epochs)} of {config.epochs}",
        "Time": round(listing.seconds(run)) or None,
        "Network": "own rows" if config.layers else config.architecture,
        "Augmentation": "own" if config.transforms else config.augmentation, "Schedule": config.schedule,
        "Rate": max(getattr(config, name) for name in RATES[config.schedule]),
        "Batch": config.batch_size, "Device": run.facts.get("device"), "Recipe": run.recipe,
        "Forked from": run.parent["name"] if run.parent else None, "Tags": list(run.tags), "Created": run.created}


def _curve(run: Run) -> list[float]:
    values = [row.val_accuracy for row in run.epochs]
    step = max(1, -(-len(values) // POINTS))
    return values[::-1][::step][::-1]  # the last epoch is always among them


def dot(name: str) -> str:
    """A dot in a run's colour, as a picture."""
    svg = ("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'>"
           f"<circle cx='4' cy='4' r='2' fill='{charts.colour(name)}'/></svg>")
    return f"data:image/svg+xml;utf8,{quote(svg)}"


COLUMNS = {
    "": st.column_config.ImageColumn(width=40, pinned=True, help="The run's colour in every chart."),
    "Run": st.column_config.TextColumn(pinned=True, width=150),
    "State": st.column_config.TextColumn(width=80),
    "Curve": st.column_config.LineChartColumn(y_min=96, y_max=100, width=100, help="Validation accuracy by epoch, "
                                              "96 to 100 %."),
    "Last": st.column_config.NumberColumn(format="%.2f %%", width=80, help=LAST),
    "Best": st.column_config.NumberColumn(format="%.2f %%", width=80, help=BEST),
    "Parameters": st.column_config.NumberColumn(format="localized", width=95, help="Numbers that the network learns."),
    "Epochs": st.column_config.TextColumn(width=80),
    "Time": st.column_config.NumberColumn(format="%d s", width=75, help="All its epochs together."),
    "Network": st.column_config.TextColumn(width=120),
    "Augmentation": st.column_config.TextColumn(width=110),
    "Schedule": st.column_config.TextColumn(width=120),
    "Rate": st.column_config.NumberColumn(format="plain", width=70, help="The highest learning rate of the schedule."),
    "Batch": st.column_config.NumberColumn(format="plain", width=65, help="Images per step."),
    "Device": st.column_config.TextColumn(width=70),
    "Recipe": st.column_config.TextColumn(width=100),
    "Forked from": st.column_config.TextColumn(width=110, help="The run whose weights it began with."),
    "Tags": st.column_config.ListColumn(width=140),
    "Created": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm", width=140),
}
