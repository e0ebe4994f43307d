"""Details of one run on the Runs page: results, notes, tags, files and actions."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserError
from core.experiments.settings import list_changes
from core.recipes import RECIPES
from core.runs import listing, store
from core.runs.run import Run, describe_start
from core.runs.run_schema import MAX_NOTES, MAX_TAGS
from pages.ui import access, tables, words
from pages.ui.run_files import draw_downloads
from pages.ui.runs.dialogs import add_message, confirm_delete, select_runs
from pages.ui.words import escape_markdown

_UNSAVED = "runs_unsaved_notes"  # session key: which notes could not be saved


def show_run(run: Run, runs: Sequence[Run]) -> None:
    """Show a run and what can be done with it.

    Args:
        run: the run.
        runs: all runs, whose tags are suggested.
    """
    _show_heading(run)
    if run.message and run.state in ("failed", "diverged", "crashed"):
        st.error(escape_markdown(run.message), icon=":material/error:")
    tables.draw_metrics(
        {
            "Last accuracy": words.format_accuracy(run),
            "Best accuracy": f"{run.best.val_accuracy:.2f} %" if run.best else "–",
            "Parameters": f"{run.parameters:,}",
            "Epochs": f"{len(run.epochs)} of {run.config.epochs}",
            "Time": words.format_duration(listing.total_seconds(run)) if run.epochs else "–",
        }
    )
    results = (words.describe_interval(run), words.describe_test(run))
    st.caption(" ".join(filter(None, results)))
    st.caption(escape_markdown(_describe_origin(run)))
    refusal = access.why_not_change(run.owner)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _show_notes(run, refusal)
    with right:
        _show_tags(run, runs, refusal)
        with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            _show_rename(run, refusal)
            st.button(
                "Delete",
                icon=":material/delete:",
                key="runs_delete_run",
                type="tertiary",
                disabled=run.is_live or bool(refusal),
                help=refusal or "The run is training; stop it first."
                if run.is_live or refusal
                else "Asks for confirmation and can be undone.",
                on_click=confirm_delete,
                args=([run.name],),
            )
    if run.epochs:
        draw_downloads(run)


def _show_heading(run: Run) -> None:
    colour, icon = words.state_badge(run.state)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(escape_markdown(run.label), anchor=False, width="content")
        if run.title:
            st.caption(escape_markdown(run.name), width="content")
        st.badge(run.state, icon=icon, color=colour)
        if goal := words.describe_goal(run):
            st.badge(
                goal,
                icon=":material/flag:",
                color="gray",
                help=words.ONE_RUN,
            )
        st.space("stretch")
        _show_links(run)


def _show_links(run: Run) -> None:
    st.page_link(
        "pages/train.py",
        label="Train",
        icon=":material/model_training:",
        query_params={"run": run.name},
        help="Watch, stop or resume it.",
    )
    if run.epochs:
        refusal = access.why_not_change(run.owner)
        st.page_link(
            "pages/train.py",
            label="Fork",
            icon=":material/fork_right:",
            query_params={"fork": run.name},
            disabled=bool(refusal),
            help=refusal or "Set up a new run that starts from these weights.",
        )
        st.page_link(
            "pages/mistakes.py",
            label="Mistakes",
            icon=":material/rule:",
            query_params={"run": run.name},
        )
        st.page_link(
            "pages/draw.py",
            label="Draw",
            icon=":material/draw:",
            query_params={"network": run.name},
        )


def _describe_origin(run: Run) -> str:
    recipe = RECIPES[run.recipe].title if run.recipe in RECIPES else run.recipe
    if run.recipe in RECIPES and list_changes(run.config, RECIPES[run.recipe].config):
        recipe = f"{recipe}, with other settings"
    parts = [
        f"Recipe: {recipe or 'none'}",
        f"created {run.created.astimezone():%d %B %Y, %H:%M}"
        + (f" by {access.describe_owner(run.owner)}" if run.owner else ""),
    ]
    if run.parent:
        parts.insert(
            0,
            f"Forked from {run.parent['name']} ({describe_start(run.parent)})",
        )
    if runtime := run.runtime:
        parts.append(f"trained on {runtime.device} in {runtime.precision}")
    return ", ".join(parts)


def _show_notes(run: Run, refusal: str) -> None:
    key = f"runs_notes_{run.name}"
    # Stored notes replace those in the box, unless these could not be saved.
    stale = key not in st.session_state or st.session_state[key] != run.notes
    if stale and (key not in st.session_state or st.session_state.get(_UNSAVED) != key):
        st.session_state[key] = run.notes
    st.text_area(
        "Notes",
        key=key,
        height=110,
        max_chars=MAX_NOTES,
        on_change=_store_notes,
        args=(run.name, key),
        placeholder="What you tried and what you saw. Saved with the run when you leave the box.",
        disabled=bool(refusal),
        help=refusal or None,
    )


def _store_notes(name: str, key: str) -> None:
    try:
        access.check_change_runs([name])
        store.annotate(name, notes=st.session_state[key])
    except UserError as error:
        st.session_state[_UNSAVED] = key
        add_message(f"The notes were not saved: {error}", error=True)
    else:
        st.session_state.pop(_UNSAVED, None)
        add_message("Notes saved.")


def _show_tags(run: Run, runs: Sequence[Run], refusal: str) -> None:
    key = f"runs_tags_{run.name}"
    known = sorted({tag for other in runs for tag in other.tags})
    if st.session_state.get(key) != list(run.tags):
        st.session_state[key] = list(run.tags)
    st.multiselect(
        "Tags",
        known,
        key=key,
        accept_new_options=True,
        max_selections=MAX_TAGS,
        placeholder="Add a tag",
        disabled=bool(refusal),
        help=refusal or None,
        on_change=_store_tags,
        args=(run.name, key),
    )


def _store_tags(name: str, key: str) -> None:
    try:
        access.check_change_runs([name])
        store.annotate(name, tags=tuple(st.session_state[key]))
    except UserError as error:
        add_message(f"The tags were not saved: {error}", error=True)


def _show_rename(run: Run, refusal: str) -> None:
    busy = run.is_live or run.state == "queued"
    with st.popover(
        "Rename",
        icon=":material/edit:",
        type="tertiary",
        disabled=busy or bool(refusal),
        key=f"runs_rename_{run.name}",
        help=refusal or ("A run cannot be renamed while it trains or waits." if busy else None),
    ):
        new_name = st.text_input(
            "New name", key=f"runs_name_{run.name}", placeholder=run.name, max_chars=60
        ).strip()
        if st.button(
            "Rename", key="runs_rename", type="primary", disabled=new_name in ("", run.name)
        ):
            try:
                access.check_change_runs([run.name])
                renamed = store.rename(run.name, new_name)
            except UserError as error:
                st.error(escape_markdown(str(error)))
            else:
                select_runs([renamed.name])
                add_message(f"{run.label} is now {renamed.label}.")
                st.rerun()
