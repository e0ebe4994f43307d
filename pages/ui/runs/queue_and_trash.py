"""The quiet rest of the Runs page: the queue, what cannot be read, taking runs in, and the bin."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import UserError
from core.limits import Limits
from core.runs import archive, run_queue, store, trash
from core.runs.progress import estimate_progress
from core.runs.run import DamagedRun, Run
from pages.ui import words
from pages.ui.runs.dialogs import ask_delete, ask_empty, say, turn_to
from pages.ui.runs.table import MOST

POLL = 2.0  # seconds
SHOWN = 5  # damaged folders before the others are folded away


def queue(runs: Sequence[Run]) -> None:
    """What trains and what waits, with its order to change; nothing where there is neither."""
    if any(run.is_live or run.state == "queued" for run in runs):
        st.fragment(_queue, run_every=POLL, key="queue")(_pace(runs))


def _queue(drawn: object) -> None:
    run_queue.start_waiting()
    runs = [run for run in store.list_runs() if isinstance(run, Run)]
    if _pace(runs) != drawn:
        st.rerun()  # the table, too, has something new to show
    by_name = {run.name: run for run in runs}
    waiting = [by_name[name] for name in run_queue.list_waiting() if name in by_name]
    st.subheader("Queue", anchor=False)
    for run in runs:
        if run.is_live:
            _moving(run, "training")
    for place, run in enumerate(waiting):
        with _moving(run, f"{place + 1}."):
            _order(run.name, "arrow_upward", "Earlier", place - 1, disabled=place == 0)
            _order(
                run.name, "arrow_downward", "Later", place + 1, disabled=place == len(waiting) - 1
            )
            _act(
                f"drop_{run.name}",
                "close",
                "Take it out; it can be started again later.",
                lambda name=run.name: run_queue.remove(name),
            )


def _pace(runs: Sequence[Run]) -> list[tuple[str, str, int]]:
    """What the page shows of runs that can change by themselves."""
    return [(run.name, run.state, len(run.epochs)) for run in runs]


def _moving(run: Run, place: str) -> DeltaGenerator:
    row = st.container(border=True, horizontal=True, vertical_alignment="center", gap="small")
    with row:
        st.markdown(
            f":gray[{place}] **{run.name}** :gray[:small[{words.describe_progress(run, estimate_progress(run))}]]",
            width="stretch",
        )
    return row


def _order(name: str, icon: str, title: str, place: int, disabled: bool) -> None:
    _act(f"{icon}_{name}", icon, title, lambda: run_queue.move(name, place), disabled)


def _act(key: str, icon: str, help: str, act: Callable[[], object], disabled: bool = False) -> None:
    if st.button(
        "", icon=f":material/{icon}:", help=help, key=key, type="tertiary", disabled=disabled
    ):
        try:
            act()
        except UserError as error:
            say(str(error), wrong=True)
        st.rerun()


def damaged(each: Sequence[DamagedRun]) -> None:
    """What among the runs cannot be read, and why."""
    if not each:
        return
    st.subheader("Cannot be read", anchor=False)
    for item in each[:SHOWN]:
        _damaged(item)
    if len(each) > SHOWN:
        with st.expander(f"{len(each) - SHOWN} more"):
            for item in each[SHOWN:]:
                _damaged(item)


def _damaged(item: DamagedRun) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f":material/error: **{_plain(item.name)}** :gray[{_plain(item.reason)}]",
            width="stretch",
        )
        if st.button(
            "Delete",
            icon=":material/delete:",
            key=f"delete_{item.name}",
            type="tertiary",
            help="Asks first, and can be undone.",
        ):
            ask_delete([item.name])


def _plain(text: str) -> str:
    """A text in which Markdown finds nothing to do."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def take_in() -> None:
    """A place for zip files of runs."""
    most = Limits.from_environment().max_upload_mb
    st.markdown("##### Take in a run")
    count = st.session_state.setdefault("uploads", 0)
    key = f"upload_{count}"
    st.file_uploader(
        "Zip files of runs, from here or from another machine. Nothing in them is run.",
        type="zip",
        accept_multiple_files=True,
        max_upload_size=most,
        key=key,
        on_change=_take_in,
        args=(key,),
    )
    for name, reason in st.session_state.get("refused", []):
        st.error(f"{name} is not taken in: {reason}", icon=":material/error:")


def _take_in(key: str) -> None:
    refused, taken = [], []
    for file in st.session_state[key]:
        try:
            taken.append(archive.import_run(file.getvalue()).name)
        except UserError as error:
            refused.append((file.name[:80], str(error)))
    st.session_state["refused"] = refused
    st.session_state["uploads"] += 1  # an empty box for the next ones
    if taken:
        say(f"Taken in: {', '.join(taken)}.")
        turn_to(taken[:MOST])


def bin() -> None:
    """What was deleted: one to bring back, all to remove."""
    there = trash.list_trash()
    st.markdown("##### Bin")
    if not there:
        st.markdown(":gray[Nothing was deleted.]")
        return
    by_key = {item.key: item for item in there}
    size = sum(item.bytes for item in there) / 1e6
    chosen = st.selectbox(
        f"{'1 deleted run' if len(there) == 1 else f'{len(there):,} deleted runs'}, {size:,.1f} MB",
        list(by_key),
        format_func=lambda key: (
            f"{by_key[key].name}, deleted {by_key[key].deleted.astimezone():%d %b %Y, %H:%M}"
        ),
        key="binned",
    )
    with st.container(horizontal=True, gap="small"):
        if st.button("Restore", icon=":material/restore_from_trash:", key="restore"):
            try:
                run = trash.restore(chosen)
            except UserError as error:
                say(str(error), wrong=True)
            else:
                say(f"{run.name} is back.")
                turn_to([run.name])
            st.rerun()
        if st.button(
            "Empty the bin",
            icon=":material/delete_forever:",
            key="empty",
            type="tertiary",
            help="Asks first.",
        ):
            ask_empty()
