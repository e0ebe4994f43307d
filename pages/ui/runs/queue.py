"""The queue on the Runs page: what trains, what waits, and buttons that change the order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import UserError
from core.runs import run_queue, store
from core.runs.progress import estimate_progress
from core.runs.run import Run
from core.runs.waiting import Waiting, estimate_waiting
from pages.ui import access
from pages.ui.polling import poll
from pages.ui.runs.dialogs import add_message
from pages.ui.words import describe_progress, escape_markdown

POLL = 2.0  # seconds


def show_queue(runs: Sequence[Run]) -> None:
    """Show the runs that train or wait; nothing without such a run."""
    if any(run.is_live or run.state == "queued" for run in runs):
        poll(_poll_queue, POLL, key="queue")(list(runs), _progress_of(runs))


def _poll_queue(listed: list[Run], shown: list[tuple[str, str, int]]) -> None:
    """Show the queue; first as the page has just read it, then anew at each poll.

    The page's own pass must not rerun the page: on a busy machine, runs would progress in every
    pass, and the page would never be finished.
    """
    run_queue.start_waiting()
    runs = listed.copy() or [run for run in store.list_runs() if isinstance(run, Run)]
    listed.clear()
    if _progress_of(runs) != shown:
        st.rerun()  # the table changes too
    by_name = {run.name: run for run in runs}
    places = estimate_waiting(runs)
    waiting = [by_name[name] for name in run_queue.list_waiting() if name in by_name]
    st.header("Queue", anchor=False)
    for run in runs:
        if run.is_live:
            _show_row(run, "training", None)
    for place, run in enumerate(waiting):
        with _show_row(run, f"{place + 1}.", places.get(run.name)):
            _move_button(run.name, "arrow_upward", "Move up", place - 1, place == 0)
            _move_button(
                run.name, "arrow_downward", "Move down", place + 1, place == len(waiting) - 1
            )
            _icon_button(
                f"runs_drop_{run.name}",
                "close",
                "Remove from the queue. The run can be started again later.",
                partial(_remove, run.name),
                refusal=access.why_not_change(run.owner),
            )


def _progress_of(runs: Sequence[Run]) -> list[tuple[str, str, int]]:
    """Whatever the page shows of the runs that changes without a click."""
    return [(run.name, run.state, len(run.epochs)) for run in runs]


def _show_row(run: Run, place: str, waiting: Waiting | None) -> DeltaGenerator:
    row = st.container(border=True, horizontal=True, vertical_alignment="center", gap="small")
    status = escape_markdown(describe_progress(run, estimate_progress(run), waiting))
    with row:
        st.markdown(
            f":gray[{place}] **{escape_markdown(run.label)}** :gray[:small[{status}]]",
            width="stretch",
        )
    return row


def _move_button(name: str, icon: str, help: str, place: int, disabled: bool) -> None:
    def move() -> None:
        access.check_manage()  # the others in the queue wait longer
        run_queue.move(name, place)

    refusal = access.why_not_manage()
    _icon_button(f"runs_{icon}_{name}", icon, help, move, disabled, refusal)


def _remove(name: str) -> None:
    access.check_change_runs([name])
    run_queue.remove(name)


def _icon_button(
    key: str,
    icon: str,
    help: str,
    action: Callable[[], object],
    disabled: bool = False,
    refusal: str = "",
) -> None:
    if st.button(
        "",
        icon=f":material/{icon}:",
        help=refusal or help,
        key=key,
        type="tertiary",
        disabled=disabled or bool(refusal),
    ):
        try:
            action()
        except UserError as error:
            add_message(str(error), error=True)
        st.rerun()
