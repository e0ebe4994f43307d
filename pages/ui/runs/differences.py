"""The results of several runs or groups in a table, and the settings in which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from core.charts import runs as charts_runs
from core.charts import style
from core.config import FIELDS
from core.data import transform_text
from core.experiments import overview
from core.experiments.overview import Entry, SweepRuns
from core.experiments.repeats import Group
from core.experiments.settings import REPLACED_BY
from core.models.architectures import rows_of
from core.models.row_differences import align_rows
from core.models.rows import Row
from core.runs import listing
from core.runs.run import Run
from core.training.effects import unused_fields
from core.training.results import EpochResult
from core.wording import plural
from pages.ui import tables, words
from pages.ui.controls import field_label
from pages.ui.frame import heading


def draw_differences(entries: Sequence[Entry]) -> None:
    """Draw the table: results first, then the settings that are not the same."""
    heading("Comparison", "results, and the settings that differ")
    fields = listing.differing_fields([overview.runs_of(entry)[0] for entry in entries])
    networks = [rows_of(overview.runs_of(entry)[0].config) for entry in entries]
    rows = result_rows(entries) | {
        field_label(name): [_format_entry(entry, name) for entry in entries]
        for name in fields
        if name != "layers"
    }
    names, titles = [entry.name for entry in entries], words.list_titles(entries)
    dashed = [
        titles[name]
        for name, dash in zip(names, charts_runs.line_dashes(names), strict=True)
        if dash != charts_runs.SOLID
    ]
    tables.draw_comparison_table(
        {titles[name]: style.run_colour(name) for name in names},
        rows,
        "Comparison of the runs",
        dashed,
    )
    st.caption(
        f"The other {len(FIELDS) - len(fields)} settings are the same, or have no effect."
        if fields
        else "All settings are the same: only chance or the machine can explain a difference."
    )
    if any(network != networks[0] for network in networks):
        _draw_networks(titles, networks)


def _draw_networks(titles: Mapping[str, str], networks: Sequence[Sequence[Row]]) -> None:
    """Draw the layers of networks side by side; rows that all share are grey.

    Args:
        titles: by name of the entry, in the order of the networks.
        networks: their rows.
    """
    heading("Networks", "row by row; rows that all share are grey")
    lines = align_rows(networks)
    shared = {number for number, line in enumerate(lines, 1) if len(set(line)) == 1}
    tables.draw_comparison_table(
        {title: style.run_colour(name) for name, title in titles.items()},
        {str(number): [cell or "–" for cell in line] for number, line in enumerate(lines, 1)},
        "Layers of the networks",
        quiet={str(number) for number in shared},
    )


def result_rows(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """The results of entries as text: title of each row -> a cell for each entry."""
    rows: dict[str, list[str]] = {
        "Last accuracy": [_format_last(entry) for entry in entries],
        "Best accuracy": [
            "–" if isinstance(entry, Group) else _format_best(overview.runs_of(entry)[0].best)
            for entry in entries
        ],
        "Measured on": [overview.validated_on(entry) for entry in entries],
        "95 % interval": [_format_interval(entry) for entry in entries],
        "State": [_format_state(entry) for entry in entries],
        "Parameters": [f"{overview.runs_of(entry)[0].parameters:,}" for entry in entries],
        "Time": [
            words.format_duration(seconds)
            if (seconds := sum(map(listing.total_seconds, overview.runs_of(entry))))
            else "–"
            for entry in entries
        ],
    }
    runs = [run for entry in entries for run in overview.runs_of(entry)]
    if any(run.test for run in runs):
        rows["Test accuracy"] = [_format_test(entry) for entry in entries]
    if any(run.parent for run in runs):
        rows["Forked from"] = [_format_parent(overview.runs_of(entry)[0]) for entry in entries]
    return rows


def _format_state(entry: Entry) -> str:
    if isinstance(entry, Group):
        return f"{len(entry.finished)} of {len(entry.runs)} seeds finished"
    if isinstance(entry, SweepRuns):
        return f"{entry.best.name}, best of {len(entry.runs)} runs"
    return f"{entry.state}, {len(entry.epochs)} of {plural(entry.config.epochs, 'epoch')}"


def _format_last(entry: Entry) -> str:
    standing = overview.validation_accuracy(entry)
    if standing is None:
        return "–"
    deviation = "" if standing.deviation is None else f" ± {standing.deviation:.2f}"
    return f"{standing.mean:.2f}\u00a0%{deviation}"


def _format_best(row: EpochResult | None) -> str:
    return f"{row.val_accuracy:.2f} % (epoch {row.epoch})" if row else "–"


def _format_interval(entry: Entry) -> str:
    standing = overview.validation_accuracy(entry)
    return "{:.2f} to {:.2f}".format(*standing.interval) if standing else "–"


def _format_test(entry: Entry) -> str:
    tested = any(run.test for run in overview.runs_of(entry))
    accuracy = overview.current_accuracy(entry) if tested else None
    return "–" if accuracy is None else f"{accuracy:.2f} %"


def _format_parent(run: Run) -> str:
    return f"{run.parent['name']}, epoch {run.parent['epoch']}" if run.parent else "–"


def _format_entry(entry: Entry, name: str) -> str:
    if name == "seed" and isinstance(entry, Group):
        return ", ".join(str(run.config.seed) for run in entry.runs)
    return format_setting(overview.runs_of(entry)[0], name)


def format_setting(run: Run, name: str) -> str:
    """Format a field of a run's config; a dash if it has no effect."""
    if name not in REPLACED_BY and name in unused_fields(run.config):
        return "–"
    value = getattr(run.config, name)
    if name == "transforms":
        return transform_text.to_text(value) if value else "as in the augmentation"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
