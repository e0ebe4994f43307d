"""One run: what it reached, notes and tags, another name, files to take along, and the ways from here."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserError
from core.recipes import RECIPES
from core.runs import listing, store
from core.runs.run import MAX_NOTES, MAX_TAGS, Run
from pages.ui import tables, words
from pages.ui.run_files import draw_downloads
from pages.ui.runs.dialogs import ask_delete, say, turn_to


def look(run: Run, runs: Sequence[Run]) -> None:
    """A run, and what can be done with it.

    Args:
        run: the one.
        runs: all of them, whose tags are offered.
    """
    colour, icon = words.state_badge(run.state)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(run.name, anchor=False, width="content")
        st.badge(run.state, icon=icon, color=colour)
        if goal := words.describe_goal(run):
            st.badge(
                goal,
                icon=":material/flag:",
                color="gray",
                help="It may be luck: train it with more seeds, and its mean earns a green badge.",
            )
        st.space("stretch")
        _ways(run)
    if run.message and run.state in ("failed", "diverged", "crashed"):
        st.error(run.message, icon=":material/error:")
    tables.draw_metrics(
        {
            "Last epoch": words.format_accuracy(run),
            "Best epoch": f"{run.best.val_accuracy:.2f} %" if run.best else "–",
            "Parameters": f"{run.parameters:,}",
            "Epochs": f"{len(run.epochs)} of {run.config.epochs}",
            "Time": words.format_duration(listing.total_seconds(run)) if run.epochs else "–",
        }
    )
    st.caption(
        " ".join(said for said in (words.describe_interval(run), words.describe_test(run)) if said)
    )
    st.caption(_origin(run))
    left, right = st.columns([3, 2], gap="large")
    with left:
        _notes(run)
    with right:
        _tags(run, runs)
        with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            _rename(run)
            if st.button(
                "Delete",
                icon=":material/delete:",
                key="delete_one",
                type="tertiary",
                disabled=run.is_live,
                help="It trains; stop it first."
                if run.is_live
                else "Asks first, and can be undone.",
            ):
                ask_delete([run.name])
    if run.epochs:
        draw_downloads(run)


def _ways(run: Run) -> None:
    st.page_link(
        "pages/train.py",
        label="Train",
        icon=":material/model_training:",
        query_params={"run": run.name},
        help="Watch it there, stop it, let it go on.",
    )
    if run.epochs:
        st.page_link(
            "pages/train.py",
            label="Fork",
            icon=":material/fork_right:",
            query_params={"fork": run.name},
            help="Set up a new run that starts from these weights.",
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


def _origin(run: Run) -> str:
    parts = [
        f"Recipe {RECIPES[run.recipe].title}"
        if run.recipe in RECIPES
        else f"Recipe {run.recipe}"
        if run.recipe
        else "No recipe",
        f"made on {run.created.astimezone():%d %B %Y, %H:%M}",
    ]
    if run.parent:
        parts.insert(
            0,
            f"Forked from {run.parent['name']} ({run.parent['which']} weights, "
            f"epoch {run.parent['epoch']})",
        )
    if runtime := run.runtime:
        parts.append(f"trained on {runtime.device} in {runtime.precision}")
    return ", ".join(parts)


def _notes(run: Run) -> None:
    key = f"notes_{run.name}"
    # What was typed and could not be kept stays in the box; what somebody else wrote takes its place.
    if key not in st.session_state or (
        st.session_state.get("notes_failed") != key and st.session_state[key] != run.notes
    ):
        st.session_state[key] = run.notes
    st.text_area(
        "Notes",
        key=key,
        height=110,
        max_chars=MAX_NOTES,
        on_change=_keep_notes,
        args=(run.name, key),
        placeholder="What was tried, what was seen. Kept with the run as soon as you leave the box.",
    )


def _keep_notes(name: str, key: str) -> None:
    try:
        store.annotate(name, notes=st.session_state[key])
    except UserError as error:
        st.session_state["notes_failed"] = key
        say(f"The notes are not kept: {error}", wrong=True)
    else:
        st.session_state.pop("notes_failed", None)
        say("Notes kept.")


def _tags(run: Run, runs: Sequence[Run]) -> None:
    key = f"tags_{run.name}"
    known = sorted({tag for each in runs for tag in each.tags})
    if st.session_state.get(key) != list(run.tags):
        st.session_state[key] = list(run.tags)
    st.multiselect(
        "Tags",
        known,
        key=key,
        accept_new_options=True,
        max_selections=MAX_TAGS,
        placeholder="Words to find it by",
        on_change=_keep_tags,
        args=(run.name, key),
    )


def _keep_tags(name: str, key: str) -> None:
    try:
        store.annotate(name, tags=tuple(st.session_state[key]))
    except UserError as error:
        say(f"The tags are not kept: {error}", wrong=True)


def _rename(run: Run) -> None:
    moving = run.is_live or run.state == "queued"
    with st.popover(
        "Rename",
        icon=":material/edit:",
        type="tertiary",
        disabled=moving,
        key=f"rename_{run.name}",
        help="Not while it trains or waits." if moving else None,
    ):
        wanted = st.text_input(
            "New name", key=f"name_{run.name}", placeholder=run.name, max_chars=60
        ).strip()
        if st.button("Rename", key="do_rename", type="primary", disabled=wanted in ("", run.name)):
            try:
                store.rename(run.name, wanted)
            except UserError as error:
                st.error(str(error))
            else:
                turn_to([wanted])
                say(f"{run.name} is now {wanted}.")
                st.rerun()
