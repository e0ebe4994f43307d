"""The columns of the table of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pandas as pd
import streamlit as st

from core.charts import style
from core.config import FIELDS
from core.experiments import overview
from core.experiments.overview import Entry, SweepRuns
from core.experiments.repeats import Group
from core.runs import listing
from core.runs.measures import MEASURES, Value, read_value
from core.runs.run import Run
from core.training.effects import rate_fields
from pages.ui import access
from pages.ui.components.copy_link import draw_copy_link
from pages.ui.frame import KEPT
from pages.ui.tables import curve_column, thin_curve

DEVIATION, OWNER, TITLE, DAMAGED = "±", "Owner", "Title", "damaged"
MEASURED_ON = "Measured on"
_COLUMNS = "columns"  # key, and name in the link
COLUMNS = {
    "": st.column_config.ImageColumn(
        width=40, pinned=True, help="The run's colour in every chart."
    ),
    "Run": st.column_config.TextColumn(pinned=True, width=130),
    TITLE: st.column_config.TextColumn(width=140, help="The name that was typed, in any script."),
    "State": st.column_config.TextColumn(
        width=90,
        help="Of a group: the number of finished runs; of a sweep: the number of its runs.",
    ),
    "Curve": curve_column(),
    "Last": st.column_config.NumberColumn(
        format="%.2f %%",
        width=80,
        help="Validation accuracy after the last epoch; of a group the mean of its finished runs. "
        "Compare runs by this figure.",
    ),
    DEVIATION: st.column_config.NumberColumn(
        format="%.2f",
        width=50,
        help="Standard deviation over the seeds of a group, in percentage points.",
    ),
    "95 % interval": st.column_config.TextColumn(
        width=115,
        help="95 % confidence interval: of one run over images like these (Wilson), of a group's "
        "mean over seeds (Student's t). Where two intervals overlap much, the difference could be "
        "chance.",
    ),
    MEASURED_ON: st.column_config.TextColumn(
        width=120,
        help="The images of Last, Curve and Best: the test images, or training images held out for "
        "validation.",
    ),
    "Best": st.column_config.NumberColumn(
        format="%.2f %%",
        width=80,
        help="Validation accuracy of the best epoch. The epoch was chosen on these images, so the "
        "figure is optimistic.",
    ),
    "Parameters": st.column_config.NumberColumn(
        format="localized", width=90, help="Number of values that the network learns."
    ),
    "Epochs": st.column_config.TextColumn(width=75),
    "Time": st.column_config.NumberColumn(format="%d s", width=75, help="Sum of all epochs."),
    "Network": st.column_config.TextColumn(width=120),
    "Augmentation": st.column_config.TextColumn(width=110),
    "Schedule": st.column_config.TextColumn(width=120),
    "Rate": st.column_config.NumberColumn(
        format="plain", width=70, help="Peak learning rate of the schedule."
    ),
    "Batch": st.column_config.NumberColumn(format="plain", width=65, help="Images per step."),
    "Device": st.column_config.TextColumn(width=70),
    "Recipe": st.column_config.TextColumn(width=100),
    "Forked from": st.column_config.TextColumn(
        width=110, help="The run whose weights this one started from."
    ),
    "Tags": st.column_config.ListColumn(width=140),
    OWNER: st.column_config.TextColumn(width=140, help="Who made the run."),
    "Created": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm", width=140),
}


_SHOWN = [name for name in COLUMNS if name not in ("", "Run", TITLE)]
# Settings and measures that have no column above.
EXTRA = [
    *(
        name
        for name in MEASURES
        if name not in ("accuracy", "best", "parameters", "state", "recipe", "parent", "tag")
        and name not in ("owner", "seconds")
    ),
    *(name for name in FIELDS if name not in ("layers", "transforms")),
]


def draw_view_menu() -> None:
    """Draw the menu of columns, with a link to the table as it is."""
    with st.popover("View", icon=":material/view_column:", key="runs_view"):
        st.multiselect(
            "Columns",
            [*_SHOWN, *EXTRA],
            default=_SHOWN,
            key=_COLUMNS,
            help="All settings and measures. Their names also work in the search.",
            **KEPT,
        )
        st.caption("The link keeps search, order, columns and selection.")
        draw_copy_link("runs_copy_link")


def chosen_columns() -> list[str]:
    """The columns that the menu, or the link, chooses; by default the usual ones."""
    chosen = st.session_state.get(_COLUMNS)
    if chosen is None:
        chosen = st.query_params.get_all(_COLUMNS)
    known = [name for name in chosen if name in COLUMNS or name in EXTRA]
    return known or list(_SHOWN)


def more_orders(chosen: Sequence[str]) -> list[str]:
    """The orders by the settings and measures that have a column."""
    return [
        f"{name}, {end}"
        for name in chosen
        if name in EXTRA
        for end in (listing.HIGHEST, listing.LOWEST)
    ]


def extra_columns() -> dict[str, Any]:
    """How the columns of settings and measures are drawn."""
    return {
        name: st.column_config.NumberColumn(name, format=_format(name), help=_help(name))
        if _format(name)
        else st.column_config.TextColumn(name, help=_help(name))
        for name in EXTRA
    }


def _format(name: str) -> str:
    """The format of a number; empty: text."""
    if name in MEASURES:
        return MEASURES[name].format
    return {int: "plain", float: "%.4g"}.get(FIELDS[name].type, "")


def _help(name: str) -> str:
    return MEASURES[name].help if name in MEASURES else FIELDS[name].help


def make_frame(entries: Sequence[Entry], chosen: Sequence[str] = ()) -> pd.DataFrame:
    """Make the table's rows.

    The columns of deviations, titles and owners only exist where a run has one.

    Args:
        entries: the rows.
        chosen: the columns, besides colour and name; empty: the usual ones.
    """
    hidden = set()
    if not any(run.title for entry in entries for run in overview.runs_of(entry)):
        hidden.add(TITLE)
    if not any(isinstance(entry, Group) for entry in entries):
        hidden.add(DEVIATION)
    if not any(run.owner for entry in entries for run in overview.runs_of(entry)):
        hidden.add(OWNER)
    more = [name for name in chosen if name in EXTRA]
    shown = {"", "Run", TITLE, *(chosen or _SHOWN)} - hidden
    columns = [*(name for name in COLUMNS if name in shown), *more]
    return pd.DataFrame([_row_or_damage(entry, more) for entry in entries], columns=columns)


def _row_or_damage(entry: Entry, more: Sequence[str]) -> dict[str, object]:
    try:
        return _row(entry) | {name: _read(entry, name) for name in more}
    except Exception:  # whatever is wrong with one run must not hide the others
        return {"": colour_dot(entry.name), "Run": entry.name, "State": DAMAGED}


def _read(entry: Entry, name: str) -> Value:
    """A setting or measure of an entry; of a group, the mean of numbers over its finished runs."""
    if isinstance(entry, Group) and name in MEASURES and MEASURES[name].format:
        values = [read_value(run, name) for run in overview.scored_runs(entry)]
        numbers = [value for value in values if isinstance(value, int | float)]
        return sum(numbers) / len(numbers) if numbers else None
    return read_value(overview.runs_of(entry)[0], name)


def _row(entry: Entry) -> dict[str, object]:
    standing = overview.validation_accuracy(entry)
    results = {
        "": colour_dot(entry.name),
        "Run": entry.name,
        "Last": standing.mean if standing else None,
        DEVIATION: standing.deviation if standing else None,
        "95 % interval": "{:.2f} to {:.2f}".format(*standing.interval) if standing else "",
        MEASURED_ON: overview.validated_on(entry),
        "Curve": thin_curve(entry),
        "Time": round(sum(map(listing.total_seconds, overview.runs_of(entry)))) or None,
    }
    if isinstance(entry, Run):
        return {
            **results,
            "State": entry.state,
            TITLE: entry.title,
            "Best": entry.best.val_accuracy if entry.best else None,
            "Epochs": f"{len(entry.epochs)} of {entry.config.epochs}",
            "Forked from": entry.parent and entry.parent["name"],
            "Tags": list(entry.tags),
            **_settings(entry),
        }
    best = [run.best.val_accuracy for run in overview.scored_runs(entry) if run.best]
    if isinstance(entry, SweepRuns):
        return {
            **results,
            "State": f"best of {len(entry.runs)}",
            "Best": best[0] if best else None,
            "Epochs": f"{entry.best.config.epochs} each",
            "Tags": [entry.name],
            **_settings(entry.best),
        }
    return {
        **results,
        "State": f"{len(entry.finished)} of {len(entry.runs)} seeds",
        "Best": sum(best) / len(best) if best else None,
        "Epochs": f"{entry.runs[0].config.epochs} each",
        "Tags": sorted({tag for run in entry.runs for tag in run.tags}),
        **_settings(max(entry.runs, key=lambda run: run.created)),
    }


def _settings(run: Run) -> dict[str, object]:
    config = run.config
    return {
        "Parameters": run.parameters,
        "Network": "custom" if config.layers else config.architecture,
        "Augmentation": "custom" if config.transforms else config.augmentation,
        "Schedule": config.schedule,
        "Rate": max(getattr(config, name) for name in rate_fields(config.schedule)),
        "Batch": config.batch_size,
        "Device": run.runtime.device if run.runtime else None,
        OWNER: access.describe_owner(run.owner),
        "Recipe": run.recipe,
        "Created": run.created,
    }


def colour_dot(name: str) -> str:
    """A dot in a run's colour, as the address of an SVG image."""
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'>"
        f"<circle cx='4' cy='4' r='2' fill='{style.run_colour(name)}'/></svg>"
    )
    return f"data:image/svg+xml;utf8,{quote(svg)}"
