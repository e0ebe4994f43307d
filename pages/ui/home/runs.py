"""Home's overview of the runs: badges for the goal, a chart of accuracy by size, a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import pandas as pd
import streamlit as st

from core.charts import home as charts
from core.errors import UserError
from core.experiments import overview
from core.experiments.c_headers import PUBLIC_HEADERS, MeasuredHeader, read_headers
from core.experiments.measurements import config_key, read_measurements
from core.experiments.overview import Entry, SweepRuns
from core.experiments.public_networks import BEST, PUBLIC_NETWORKS
from core.experiments.repeats import Group
from core.experiments.scores import count_epochs
from core.recipes import RECIPES
from core.runs.run import DamagedRun, Run
from core.task import GOAL_EPOCHS, PARAMETER_BUDGET, TEST_IMAGES
from pages.ui import checkpoints
from pages.ui.controls import RUN
from pages.ui.frame import heading
from pages.ui.tables import curve_column, thin_curve
from pages.ui.words import escape_markdown, list_titles, plural

MAX_ROWS, MAX_DAMAGED, MAX_BADGES = 8, 5, 3
_Row = tuple[str, int, float, float, float, str, str]
_COLUMNS = ["run", "parameters", "accuracy", "low", "high", "kind", "sample"]
OPENED = "home_opened"  # name of the run or group that was clicked
_FRONTIER, _LISTED, _CLICKED = "home_frontier", "home_listed", "home_clicked"


class PageLink(TypedDict):
    """Arguments that `st.page_link` and `st.switch_page` share."""

    page: str
    query_params: dict[str, str]


def open_selected(entries: Sequence[Entry]) -> None:
    """Open the page of the run or group that was clicked, if there is one."""
    opened = st.session_state.pop(OPENED, None)
    if (entry := next((entry for entry in entries if entry.name == opened), None)) is not None:
        st.switch_page(**entry_page(entry))
    if opened in RECIPES:
        st.switch_page("pages/train.py", query_params={"start": opened})


def draw_goal_badges(entries: Sequence[Entry]) -> None:
    """Draw a badge for each group and run that reaches the goal, or name the closest run."""
    accuracies = [(entry, overview.current_accuracy(entry)) for entry in entries]
    scored = [(entry, accuracy) for entry, accuracy in accuracies if accuracy is not None]
    scored.sort(key=lambda pair: (isinstance(pair[0], Run), -pair[1]))
    titles = list_titles(entry for entry, _ in scored)
    reached = [pair for pair in scored if overview.reaches_goal(pair[0])]
    if reached:
        with st.container(horizontal=True, gap="small", key="reached"):
            for entry, accuracy in reached[:MAX_BADGES]:
                title = escape_markdown(titles[entry.name])
                colour, runs = (
                    ("gray", "one run")
                    if isinstance(entry, Run)
                    else ("green", f"mean of {len(entry.finished)} seeds")
                )
                st.page_link(
                    **entry_page(entry),
                    label=f":{colour}-badge[:material/flag: "
                    f"{title} reaches it: {accuracy:.2f}\u00a0%, {runs}]",
                )
            if len(reached) > MAX_BADGES:
                st.caption(f"and {len(reached) - MAX_BADGES} more")
        return
    eligible = [(entry, accuracy) for entry, accuracy in scored if _is_eligible(entry)]
    if eligible:
        best, accuracy = max(eligible, key=lambda pair: pair[1])
        title = escape_markdown(titles[best.name])
        st.markdown(
            f":gray[No run reaches it yet; {title} comes closest, with {accuracy:.2f}\u00a0%.]"
        )


def _is_eligible(entry: Entry) -> bool:
    """Whether an entry keeps to the goal's limits on parameters and epochs."""
    run = overview.runs_of(entry)[0]
    return run.parameters < PARAMETER_BUDGET and count_epochs(run) <= GOAL_EPOCHS


def entry_page(entry: Entry) -> PageLink:
    """The page that shows an entry: Train for a run, Runs for a group or a sweep."""
    if isinstance(entry, Run):
        return {"page": "pages/train.py", "query_params": {RUN: entry.name}}
    return {"page": "pages/runs.py", "query_params": {"select": overview.entry_key(entry)}}


def draw_frontier(entries: Sequence[Entry]) -> None:
    """Draw the accuracy of recipes, runs and public networks against their size.

    A recipe stands at the mean of its seeds with its interval, where that is measured; its shipped
    run, which is one of them, is left out then. Repeats stand at their mean.
    """
    heading("Accuracy by size", "line: best for its size. Click to open a run")
    headers = _read_headers()
    if headers and _counts_bytes():
        _draw_bytes(headers)
        return
    recipes = _recipe_rows()
    rows = recipes + [
        row
        for entry in entries
        if not (isinstance(entry, Run) and _is_measured(entry, {name for name, *_ in recipes}))
        and (row := _entry_row(entry)) is not None
    ]
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    public = pd.DataFrame(
        [
            (each.source, each.parameters, each.accuracy, each.epoch, each.epoch == BEST)
            for each in PUBLIC_NETWORKS
        ],
        columns=["source", "parameters", "accuracy", "epoch", "is_best"],
    )
    alt = f"Accuracy against parameters: {plural(len(frame), 'point')} of recipes and runs"
    if len(frame):
        best = frame.loc[frame["accuracy"].idxmax()]
        alt += (
            f"; the most accurate is {best['run']} with {best['accuracy']:.2f} % and "
            f"{best['parameters']:,} parameters"
        )
    st.altair_chart(
        charts.frontier_chart(frame, PARAMETER_BUDGET, public=public),
        key=_FRONTIER,
        on_select=_remember_point if len(frame) else "ignore",
        selection_mode=charts.PICKED,
        alt=f"{alt}. Beside them {plural(len(public), 'figure')} of public networks.",
    )
    several = ", square: a group of yours" if any(isinstance(e, Group) for e in entries) else ""
    st.caption(
        "Diamond: a recipe, mean of its seeds with 95\u00a0% confidence interval; dot: a run of "
        f"yours{several}. Grey: networks that others have published, one run each; filled: last "
        "epoch, hollow: best epoch on the test images, which favours them."
    )


def _counts_bytes() -> bool:
    """Draw the control that chooses between parameters and bytes."""
    size = st.segmented_control(
        "Size in",
        ["parameters", "bytes"],
        default="parameters",
        required=True,
        key="home_size",
        label_visibility="collapsed",
    )
    return size == "bytes"


def _read_headers() -> tuple[MeasuredHeader, ...]:
    """Shipped runs as C headers; none where the figures are missing."""
    try:
        return read_headers()
    except UserError:
        return ()


def _draw_bytes(headers: Sequence[MeasuredHeader]) -> None:
    """Draw the accuracy of shipped runs in integers against the bytes of their constants."""
    rows: list[_Row] = [
        (
            f"{each.run}, {each.label}",
            each.weights,
            each.accuracy,
            each.accuracy,
            each.accuracy,
            charts.SHIPPED,
            f"one run, {'fine-tuned' if each.fine_tuned else 'not fine-tuned'}, its C code run on "
            "the test images",
        )
        for each in headers
    ]
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    public = pd.DataFrame(
        [(each.source, each.weights, each.accuracy, "", False) for each in PUBLIC_HEADERS],
        columns=["source", "parameters", "accuracy", "epoch", "is_best"],
    )
    best = frame.loc[frame["accuracy"].idxmax()]
    st.altair_chart(
        # A byte for each parameter that the goal allows.
        charts.frontier_chart(frame, PARAMETER_BUDGET, public=public, unit="bytes of constants"),
        key=_FRONTIER,
        on_select=_remember_point,
        selection_mode=charts.PICKED,
        alt=f"Accuracy against bytes of constants: {plural(len(frame), 'shipped run')} in "
        f"integers; the most accurate is {best['run']} with {best['accuracy']:.2f} % and "
        f"{best['parameters']:,} bytes.",
    )
    tuned = [each.run for each in headers if each.fine_tuned]
    st.caption(
        "Diamond: a shipped run as a C header in integers (Experiments, Exports), compiled and run "
        f"on the {TEST_IMAGES:,} test images. Constants are weights, biases, multipliers and "
        "tables."
        + (f" Fine-tuned in integers: {', '.join(tuned)}." if tuned else "")
        + " Grey: BitNetMCU, a public network for microcontrollers, as its source reports it."
    )


def _recipe_rows() -> list[_Row]:
    """The rows of the shipped recipes that are measured; none where the figures are missing."""
    try:
        measurements = read_measurements()
    except UserError:
        return []
    rows: list[_Row] = []
    for name, recipe in RECIPES.items():
        found = measurements.find(recipe.config) if recipe.shipped else None
        if found is None:
            continue
        mean, count = found.accuracy.mean, len(found.runs)
        low, high = found.interval or (mean, mean)
        interval = f", 95 % interval {low:.2f} to {high:.2f}" if found.interval else ""
        sample = f"mean of {plural(count, 'seed')}, last epoch{interval}"
        rows.append((name, found.parameters, mean, low, high, charts.RECIPE, sample))
    return rows


def _is_measured(run: Run, measured: set[str]) -> bool:
    """Whether a run is one of those behind a recipe's mean."""
    return run.name in measured and config_key(run.config) == config_key(RECIPES[run.name].config)


def _entry_row(entry: Entry) -> _Row | None:
    """The row of a run or group; None before its first accuracy."""
    accuracy = overview.current_accuracy(entry)
    if accuracy is None:
        return None
    kind, sample = charts.OWN, "one run, last epoch"
    if isinstance(entry, Group):
        kind, sample = charts.GROUP, f"mean of {plural(len(entry.finished), 'seed')}, last epoch"
    elif isinstance(entry, SweepRuns):
        sample = "best run of a sweep, last epoch"
    elif checkpoints.is_shipped(overview.runs_of(entry)[0]):
        kind = charts.SHIPPED
    parameters = overview.runs_of(entry)[0].parameters
    return (entry.name, parameters, accuracy, accuracy, accuracy, kind, sample)


def _remember_point() -> None:
    """Remember the run whose point was clicked."""
    points = st.session_state[_FRONTIER].selection.get(charts.PICKED)
    if points:
        st.session_state[OPENED] = points[0]["run"].partition(",")[0]


def draw_recent_runs(
    runs: Sequence[Run], entries: Sequence[Entry], damaged: Sequence[DamagedRun]
) -> None:
    """Draw a table of the newest runs, and list damaged ones."""
    st.header("Recent runs", anchor=False)
    if not runs:
        st.markdown(":gray[Nothing trained yet. Start with the Final recipe: a few minutes here.]")
    else:
        titles = list_titles(entries[:MAX_ROWS])
        st.session_state[_LISTED] = [entry.name for entry in entries[:MAX_ROWS]]
        with st.container(key="home_recent"):
            st.dataframe(
                pd.DataFrame([_row(entry, titles[entry.name]) for entry in entries[:MAX_ROWS]]),
                hide_index=True,
                column_config={
                    # Selecting a cell must not open it: the Tab key selects the first one.
                    "Run": st.column_config.ButtonColumn(
                        type="tertiary", alignment="left", key=_CLICKED, on_click=_remember_row
                    ),
                    "Accuracy": st.column_config.NumberColumn(
                        format="%.2f %%",
                        help="Accuracy after the last epoch; for a group, the mean.",
                    ),
                    "Measured on": st.column_config.TextColumn(
                        help="The test images, or training images held out for validation."
                    ),
                    "Best": st.column_config.NumberColumn(
                        format="%.2f %%", help="Highest accuracy of any epoch."
                    ),
                    "Parameters": st.column_config.NumberColumn(format="localized"),
                    "Curve": curve_column(),
                },
            )
        if len(entries) > MAX_ROWS:
            st.page_link(
                "pages/runs.py",
                label=f":primary[All {len(runs):,} runs]",
                icon=":material/arrow_forward:",
                icon_position="right",
            )
    for run in damaged[:MAX_DAMAGED]:
        text = escape_markdown(f"{run.name} cannot be read: {run.reason}")
        st.caption(f":material/error: {text}")
    if len(damaged) > MAX_DAMAGED:
        st.caption(f":material/error: {len(damaged) - MAX_DAMAGED:,} more cannot be read.")


def _row(entry: Entry, title: str) -> dict[str, object]:
    """The row of a run, or of a group with its means."""
    runs, standing = overview.runs_of(entry), overview.validation_accuracy(entry)
    best = [run.best.val_accuracy for run in overview.scored_runs(entry) if run.best]
    if isinstance(entry, Run):
        state, goal = _state(entry), "by one run"
    elif isinstance(entry, SweepRuns):
        state, goal = f"best of {plural(len(runs), 'run')} of a sweep", ""
    else:
        state, goal = f"{len(entry.finished)} of {len(runs)} seeds", "reached"
    return {
        "Run": title,
        "Accuracy": standing.mean if standing else None,
        "Measured on": overview.validated_on(entry),
        "Parameters": runs[0].parameters,
        "Best": sum(best) / len(best) if best else None,
        "State": state,
        "Goal": goal if overview.reaches_goal(entry) else "",
        "Curve": thin_curve(entry),
    }


def _state(run: Run) -> str:
    if run.state == "finished":
        return plural(run.config.epochs, "epoch")
    return f"{run.state}, {len(run.epochs)} of {plural(run.config.epochs, 'epoch')}"


def _remember_row() -> None:
    """Remember the run or group whose name was pressed."""
    st.session_state[OPENED] = st.session_state[_LISTED][st.session_state[_CLICKED]["row"]]
