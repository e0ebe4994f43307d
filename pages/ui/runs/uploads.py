"""Folders on the Runs page that cannot be read, and the upload of runs."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserError
from core.limits import Limits
from core.runs import archive
from core.runs.run import DamagedRun
from pages.ui import access
from pages.ui.runs.dialogs import add_message, confirm_delete, select_runs
from pages.ui.runs.table import MAX_SELECTED
from pages.ui.words import escape_markdown

SHOWN = 5  # damaged folders; the others are collapsed
_COUNT, _REFUSED = "runs_uploads", "runs_refused_uploads"


def show_damaged(damaged: Sequence[DamagedRun]) -> None:
    """List the runs that cannot be read, with the reason and a button that deletes them."""
    if not damaged:
        return
    st.header("Damaged", anchor=False)
    for run in damaged[:SHOWN]:
        _show_row(run)
    if len(damaged) > SHOWN:
        with st.expander(f"{len(damaged) - SHOWN} more"):
            for run in damaged[SHOWN:]:
                _show_row(run)


def _show_row(run: DamagedRun) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f":material/error: **{escape_markdown(run.name)}** "
            f":gray[{escape_markdown(run.reason)}]",
            width="stretch",
        )
        refusal = access.why_not_change(run.owner)
        st.button(
            "Delete",
            icon=":material/delete:",
            key=f"runs_damaged_{run.name}",
            type="tertiary",
            disabled=bool(refusal),
            help=refusal or "Asks for confirmation and can be undone.",
            on_click=confirm_delete,
            args=([run.name],),
        )


def show_import() -> None:
    """Show the control that imports runs from zip files, and what was refused."""
    st.markdown("## Import runs")
    # A new key empties the uploader after each upload.
    key = f"runs_upload_{st.session_state.setdefault(_COUNT, 0)}"
    refusal = access.why_not_create()
    st.file_uploader(
        "Zip files of runs, from this or another machine. Files are never executed.",
        type="zip",
        accept_multiple_files=True,
        max_upload_size=Limits.from_environment().max_upload_mb,
        key=key,
        on_change=_import,
        args=(key,),
        disabled=bool(refusal),
        help=refusal or None,
    )
    for name, reason in st.session_state.get(_REFUSED, []):
        st.error(
            f"{escape_markdown(name)} was not imported: {escape_markdown(reason)}",
            icon=":material/error:",
        )


def _import(key: str) -> None:
    refused, imported = [], []
    for file in st.session_state[key]:
        try:
            access.check_create()
            run = archive.import_run(file.getvalue(), owner=access.owner_name())
            imported.append(run.name)
        except UserError as error:
            refused.append((file.name[:80], str(error)))
    st.session_state[_REFUSED] = refused
    st.session_state[_COUNT] += 1
    if imported:
        add_message(f"Imported: {', '.join(imported)}.")
        select_runs(imported[:MAX_SELECTED])
