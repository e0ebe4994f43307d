"""The bin on the Runs page: deleted runs, to restore or to remove for good."""

from __future__ import annotations

import streamlit as st

from core.errors import UserError
from core.runs import trash
from pages.ui import access
from pages.ui.runs.dialogs import add_message, confirm_empty_bin, select_runs


def show_bin() -> None:
    """Show what is in the bin, with buttons that restore a run and empty the bin."""
    items = trash.list_trash()
    st.markdown("## Bin")
    if not items:
        st.markdown(":gray[The bin is empty.]")
        return
    by_key = {item.key: item for item in items}
    megabytes = sum(item.bytes for item in items) / 1e6
    selected = st.selectbox(
        f"{'1 deleted run' if len(items) == 1 else f'{len(items):,} deleted runs'}, "
        f"{megabytes:,.1f} MB",
        list(by_key),
        format_func=lambda key: (
            f"{by_key[key].name}, deleted {by_key[key].deleted.astimezone():%d %b %Y, %H:%M}"
        ),
        key="runs_binned",
    )
    with st.container(horizontal=True, gap="small"):
        refusal = access.why_not_change(by_key[selected].owner)
        if st.button(
            "Restore",
            icon=":material/restore_from_trash:",
            key="runs_restore",
            disabled=bool(refusal),
            help=refusal or None,
        ):
            try:
                access.check_change(trash.find_latest(selected).owner)
                run = trash.restore(selected)
            except UserError as error:
                add_message(str(error), error=True)
            else:
                add_message(f"{run.name} was restored.")
                select_runs([run.name])
            st.rerun()
        st.button(
            "Empty the bin",
            icon=":material/delete_forever:",
            key="runs_empty_bin",
            type="tertiary",
            disabled=bool(access.why_not_manage()),
            help=access.why_not_manage() or "Asks for confirmation.",
            on_click=confirm_empty_bin,
        )
